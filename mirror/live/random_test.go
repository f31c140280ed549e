package live_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror/convert"
	"github.com/netpold/netpold/mirror/convert/converttest"
	"github.com/netpold/netpold/mirror/live"
)

// TestAgainstOracle makes random changes in a server with every kind of fault. After every few it asks the
// mirror and the oracle the same questions.
func TestAgainstOracle(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 4
	}
	operations, questions := 0, 0
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			o, q := follow(t, uint64(seed), 60)
			operations, questions = operations+o, questions+q
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d operations, %d questions", operations, questions)
}

func follow(t *testing.T, seed uint64, rounds int) (operations, questions int) {
	random, faulty := enginetest.NewRandom(seed), rand.New(rand.NewPCG(seed, 3))
	server := newAPIServer()
	state, truth := enginetest.State{}, enginetest.State{}
	apply := func(changes []engine.Change) (token string) {
		for _, c := range changes {
			operations++
			resource, version := change(server, truth, c)
			token = merge(t, token, tokenFor(t, resource, version))
		}
		state.Apply(changes)
		return token
	}
	for _, o := range random.Cluster() {
		apply([]engine.Change{{Object: o}})
	}
	source := start(t, server)
	<-source.Ready()
	for round := range rounds {
		token := ""
		for range 1 + faulty.IntN(4) {
			token = merge(t, token, apply(random.Churn(state)))
		}
		goWrong(server, faulty)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		got, err := source.Wait(ctx, token)
		cancel()
		if err != nil {
			t.Errorf("seed %d round %d: %v", seed, round, err)
			return operations, questions
		}
		oracle := &enginetest.Oracle{Objects: truth.Objects()}
		for range 10 {
			questions++
			q := random.Question(oracle.Objects)
			d, derr := got.Snapshot.Allowed(q.Query())
			want, wantErr := oracle.Allowed(q)
			if diff := enginetest.Diff(d, derr, want, wantErr); diff != "" {
				t.Errorf("seed %d round %d: %s: %s", seed, round, q, diff)
				return operations, questions
			}
		}
	}
	return operations, questions
}

func merge(t *testing.T, tokens ...string) string {
	t.Helper()
	token, err := live.MergeTokens(tokens...)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// goWrong causes one fault that API servers have. The fault passes by itself.
func goWrong(s *apiServer, r *rand.Rand) {
	resource := resources[r.IntN(len(resources))]
	switch r.IntN(8) {
	case 0:
		s.compact(resource)
	case 1:
		s.breakWatches(resource, nil)
	case 2:
		s.bookmark(resource)
	case 3:
		f := func(f *faults) { f.list, f.watch = errors.New("down"), refused() }
		s.fault(resource, f)
		s.breakWatches(resource, nil)
		time.AfterFunc(time.Duration(r.IntN(20))*time.Second, func() {
			s.fault(resource, func(f *faults) { f.list, f.watch = nil, nil })
		})
	case 4:
		s.fault(resource, func(f *faults) { f.noStream, f.pages = !f.noStream, 2 })
		s.compact(resource)
	}
}

// change applies a change to the server, and applies to truth what the server's object says.
func change(s *apiServer, truth enginetest.State, c engine.Change) (resource, version string) {
	o := converttest.Object(c.Object)
	kind := convert.KindOf(c.Object)
	if c.Delete {
		truth.Apply([]engine.Change{c})
		return kind.Resource, s.remove(kind.Resource, keyOf(o))
	}
	read, _, err := kind.Convert(o)
	if err != nil {
		panic(err)
	}
	truth.Apply([]engine.Change{{Object: read}})
	return kind.Resource, s.apply(o)
}
