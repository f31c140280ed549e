package enginetest_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// An overlaid is a snapshot with changes laid over it, and what it has to be.
type overlaid struct {
	name     string
	snapshot *engine.Snapshot
	oracle   *enginetest.Oracle
}

// TestOverlays lays several overlays over one snapshot at once, beside the writer of its Cluster and readers,
// and overlays over overlays. Each answers as its own objects say, and the snapshot below as before (A4, S25).
func TestOverlays(t *testing.T) {
	seeds := 150
	if enginetest.UnderRace || testing.Short() {
		seeds = 25
	}
	for seed := range seeds {
		r := enginetest.NewRandom(uint64(seed))
		if seed%2 == 0 {
			r.WithTiers()
		}
		options := engine.Options{LocalAboveTiers: seed%8 == 5, IPBlockIgnoresPods: seed%4 == 3}
		cluster, state := engine.NewCluster(options), enginetest.State{}
		for _, batch := range r.Events(r.Cluster()) {
			state.Apply(batch)
			apply(cluster, batch)
		}
		base := cluster.Snapshot()
		all := []overlaid{{"base", base, oracleOf(state, nil, options)}}
		changes := [][]engine.Change{r.Churn(state), r.Churn(state), r.Churn(state)}
		asked := questionsAbout(r, state, 6)

		all = append(all, make([]overlaid, 5)...)
		var together sync.WaitGroup
		for i, c := range changes[:2] {
			together.Go(func() {
				over := base.With(cloned(c))
				all[1+i] = overlaid{fmt.Sprint("overlay ", i), over, oracleOf(state, c, options)}
				all[3+i] = overlaid{fmt.Sprint("back ", i), over.With(back(state, c)), all[0].oracle}
			})
		}
		together.Go(func() {
			all[5] = overlaid{"writer", apply(cluster, changes[2]), oracleOf(state, changes[2], options)}
		})
		together.Go(func() {
			for _, q := range asked {
				_, _ = base.Allowed(q.Query())
			}
		})
		together.Wait()

		if cluster.Snapshot() != all[5].snapshot || all[1].snapshot.Revision() != base.Revision() {
			t.Fatalf("seed %d: an overlay is published, or has a revision of its own", seed)
		}
		for _, o := range all {
			for _, q := range append(questionsAbout(r, state, 6), asked...) {
				if d := compare(o.snapshot, o.oracle, q); d != "" {
					t.Fatalf("seed %d, %s: %s: %s\n%s", seed, o.name, q, d, enginetest.BatchesText(changes))
				}
			}
		}
	}
}

// TestObjectMakesTheSameRecord proves that a Cluster of what Object returns answers as the first one does,
// details among it.
func TestObjectMakesTheSameRecord(t *testing.T) {
	for seed := range 200 {
		r := enginetest.NewRandom(uint64(seed)).WithTiers()
		state, cluster := enginetest.State{}, engine.NewCluster(engine.Options{})
		for _, o := range r.Cluster() {
			state[engine.KeyOf(o)] = o
			apply(cluster, []engine.Change{{Object: o}})
		}
		s, again := cluster.Snapshot(), engine.NewCluster(engine.Options{})
		for key := range state {
			o, ok := s.Object(key)
			if !ok || engine.KeyOf(o) != key {
				t.Fatalf("seed %d: %v is %v, %t", seed, key, o, ok)
			}
			again.Apply(engine.Change{Object: o})
		}
		if s.Counts() != again.Snapshot().Counts() {
			t.Fatalf("seed %d: counts %+v, then %+v", seed, s.Counts(), again.Snapshot().Counts())
		}
		for _, q := range questionsAbout(r, state, 20) {
			first, firstErr := s.Details(nil, q.Query())
			second, secondErr := again.Snapshot().Details(nil, q.Query())
			if a, b := enginetest.Text(first), enginetest.Text(second); a != b || (firstErr == nil) != (secondErr == nil) {
				t.Fatalf("seed %d: %s: %s, then %s", seed, q, a, b)
			}
		}
	}
}

// TestObjectsInNamesWhatThereIs proves the lists of a namespace and of a workload against the objects.
func TestObjectsInNamesWhatThereIs(t *testing.T) {
	for seed := range 100 {
		r := enginetest.NewRandom(uint64(seed))
		state, cluster := enginetest.State{}, engine.NewCluster(engine.Options{})
		for _, o := range r.Cluster() {
			state[engine.KeyOf(o)] = o
			apply(cluster, []engine.Change{{Object: o}})
		}
		s := cluster.Snapshot()
		for _, namespace := range []string{"a", "b", "nobody"} {
			var want []engine.ObjectKey
			pods := map[engine.Workload][]engine.ObjectKey{}
			for _, o := range state.Objects() {
				if key := engine.KeyOf(o); key.Namespace == namespace {
					want = append(want, key)
				}
				if p, ok := o.(*engine.Pod); ok && p.Namespace == namespace {
					for _, w := range p.Workloads {
						pods[w] = append(pods[w], engine.KeyOf(p))
					}
				}
			}
			if got := s.ObjectsIn(namespace); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("seed %d: in %s: got %v, want %v", seed, namespace, got, want)
			}
			for w, list := range pods {
				if got := s.PodsOf(namespace, w); fmt.Sprint(got) != fmt.Sprint(unique(list)) {
					t.Errorf("seed %d: Pods of %v: got %v, want %v", seed, w, got, list)
				}
			}
		}
	}
}

// unique returns sorted keys, each once: a random Pod may name a workload twice.
func unique(keys []engine.ObjectKey) (list []engine.ObjectKey) {
	for _, k := range keys {
		if len(list) == 0 || list[len(list)-1] != k {
			list = append(list, k)
		}
	}
	return list
}

// oracleOf returns the oracle of a state after more changes. It does not modify the state.
func oracleOf(s enginetest.State, changes []engine.Change, options engine.Options) *enginetest.Oracle {
	after := enginetest.State{}
	for k, o := range s {
		after[k] = o
	}
	after.Apply(changes)
	return &enginetest.Oracle{Objects: after.Objects(), Options: options}
}

// back returns the changes that undo changes of a state.
func back(s enginetest.State, changes []engine.Change) []engine.Change {
	var list []engine.Change
	for _, c := range changes {
		if was, ok := s[engine.KeyOf(c.Object)]; ok {
			list = append(list, engine.Change{Object: enginetest.Clone(was)})
		} else {
			list = append(list, engine.Change{Object: c.Object, Delete: true})
		}
	}
	return list
}

// cloned returns changes with copies of their objects.
func cloned(changes []engine.Change) []engine.Change {
	list := make([]engine.Change, len(changes))
	for i, c := range changes {
		list[i] = engine.Change{Object: enginetest.Clone(c.Object), Delete: c.Delete}
	}
	return list
}

// questionsAbout returns random questions about a state.
func questionsAbout(r *enginetest.Random, s enginetest.State, n int) []enginetest.Question {
	list := make([]enginetest.Question, n)
	for i := range list {
		list[i] = r.Question(s.Objects())
	}
	return list
}
