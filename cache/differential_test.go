package cache

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// difference returns how got is not the answer that s itself gives, down to the identity of the policies;
// empty if it is.
func difference(s *engine.Snapshot, q engine.Query, got engine.Decision, gotErr error) string {
	want, wantErr := s.Allowed(q)
	if d := enginetest.Diff(got, gotErr, want, wantErr); d != "" {
		return d
	}
	same := func(a, b *engine.Side) bool {
		return a.Policy == b.Policy && a.Rule == b.Rule && slices.Equal(a.Isolating, b.Isolating)
	}
	if !same(&got.Egress, &want.Egress) || !same(&got.Ingress, &want.Ingress) {
		return "names a policy that is not the snapshot's"
	}
	return ""
}

// A history is the random past of one cluster.
type history struct {
	random    *enginetest.Random
	cluster   *engine.Cluster
	state     enginetest.State
	events    [][]engine.Change
	questions []enginetest.Question
}

func newHistory(seed uint64) *history {
	h := &history{
		random:  enginetest.NewRandom(seed).WithTiers(),
		cluster: engine.NewCluster(engine.Options{IPBlockIgnoresPods: seed%4 == 3}),
		state:   enginetest.State{},
	}
	objects := h.random.Cluster()
	h.events = h.random.Events(objects)
	for range 60 {
		h.questions = append(h.questions, h.random.Question(objects))
	}
	return h
}

// step returns the snapshot after the next batch of changes: those that lead to the cluster, and then such
// that it goes on changing.
func (h *history) step() *engine.Snapshot {
	var batch []engine.Change
	if len(h.events) > 0 {
		batch, h.events = h.events[0], h.events[1:]
	} else {
		batch = h.random.Churn(h.state)
	}
	h.state.Apply(batch)
	copies := make([]engine.Change, len(batch)) // they are the engine's own from then on
	for i, c := range batch {
		copies[i] = engine.Change{Object: enginetest.Clone(c.Object), Delete: c.Delete}
	}
	return h.cluster.Apply(copies...)
}

// TestCacheAgainstEngine proves S29: after each batch of random changes, whatever they touch, the same
// questions get the answers of the snapshot that is asked, be it the present one or an older one.
func TestCacheAgainstEngine(t *testing.T) {
	seeds := 120
	if testing.Short() {
		seeds = 12
	}
	var asked, carried, hits uint64
	for seed := range uint64(seeds) {
		h, rng := newHistory(seed), rand.New(rand.NewPCG(seed, 1))
		c := New([]int{10, 40, 1000}[seed%3])
		c.every = seed%5 != 0
		var past []*engine.Snapshot
		for batch := range len(h.events) + 20 {
			past = append(past, h.step())
			before := c.Stats().Hits
			for turn, s := range []*engine.Snapshot{past[batch], past[batch], past[rng.IntN(len(past))]} {
				for _, question := range h.questions {
					q := question.Query()
					d, err := allowed(c, nil, s, q)
					if diff := difference(s, q, d, err); diff != "" {
						t.Fatalf(
							"seed %d batch %d, revision %d: %s: %s", seed, batch, s.Revision(), question,
							diff,
						)
					}
					asked++
				}
				if turn == 0 {
					carried += c.Stats().Hits - before // from one snapshot to the next
				}
			}
			if n := c.Stats().Entries; n > []int{10, 40, 1000}[seed%3] {
				t.Fatalf("seed %d: %d entries", seed, n)
			}
		}
		hits += c.Stats().Hits
	}
	t.Logf("%d questions, %d hits, %d of them on an entry of another snapshot", asked, hits, carried)
	if hits < asked/20 || carried < asked/100 {
		t.Errorf(
			"%d hits, %d on an entry of another snapshot, of %d questions: too few to prove anything", hits,
			carried, asked,
		)
	}
}

// TestReadersOfManySnapshots proves S29 for readers that ask at the same time, some of the present snapshot
// and some of older ones, while the cluster changes.
func TestReadersOfManySnapshots(t *testing.T) {
	const readers, batches = 4, 200
	h, c := newHistory(29), New(100)
	c.every = true
	recent := [5]atomic.Pointer[engine.Snapshot]{}
	for i := range recent {
		recent[i].Store(h.cluster.Snapshot())
	}
	var all sync.WaitGroup
	stop := make(chan struct{})
	for reader := range uint64(readers) {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(reader, 2))
			for {
				s := recent[rng.IntN(len(recent))].Load()
				for range 5 {
					q := h.questions[rng.IntN(len(h.questions))].Query()
					d, err := allowed(c, nil, s, q)
					if diff := difference(s, q, d, err); diff != "" {
						t.Errorf("revision %d: %s", s.Revision(), diff)
						return
					}
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for n := range batches {
		recent[n%len(recent)].Store(h.step())
		for asked := c.Stats(); c.Stats().Hits+c.Stats().Misses < asked.Hits+asked.Misses+20 && !t.Failed(); {
			_, _ = allowed(c, nil, h.cluster.Snapshot(), h.questions[n%len(h.questions)].Query())
			_, _ = allowed(
				c, nil, h.cluster.Snapshot(),
				engine.Query{Src: engine.ByPod("a", "p0"), Dst: engine.ByPod("a", "p1"), Port: 80},
			)
		}
	}
	close(stop)
	all.Wait()
	if s := c.Stats(); s.Hits < 100 || s.Misses < 100 {
		t.Errorf("stats are %+v: too few to prove anything", s)
	}
}
