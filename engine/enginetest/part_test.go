package enginetest_test

import (
	"reflect"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// partsOf returns the parts of both ends of a question.
func partsOf(s *engine.Snapshot, q *engine.Query) map[engine.Part]bool {
	parts := map[engine.Part]bool{}
	for _, e := range []*engine.Endpoint{&q.Src, &q.Dst} {
		s.EachPart(e, func(p engine.Part) { parts[p] = true })
	}
	return parts
}

// A question whose decision, or error, differs between two snapshots has a part that changed in between: after
// one batch of random changes, and after several.
func TestP22AChangedAnswerHasAChangedPart(t *testing.T) {
	t.Parallel()
	seeds, told, others := uint64(400), 0, 0
	if testing.Short() {
		seeds = 40
	}
	for seed := range seeds {
		r := enginetest.NewRandom(seed)
		if seed%2 == 0 {
			r.WithTiers()
		}
		cluster, state := engine.NewCluster(engine.Options{IPBlockIgnoresPods: seed%3 == 0}), enginetest.State{}
		apply := func(changes []engine.Change) *engine.Snapshot {
			state.Apply(changes)
			return cluster.Apply(changes...)
		}
		var changes []engine.Change
		for _, o := range r.Cluster() {
			changes = append(changes, engine.Change{Object: o})
		}
		before := apply(changes)
		for round := range 12 {
			var queries []engine.Query
			for range 60 {
				q := r.Question(state.Objects()).Query()
				if q.Src != (engine.Endpoint{}) && q.Dst != (engine.Endpoint{}) {
					queries = append(queries, q)
				}
			}
			after := before
			for range 1 + round%3 {
				after = apply(r.Churn(state))
			}
			changed := map[engine.Part]bool{}
			known := after.EachChangedPart(before, func(p engine.Part) { changed[p] = true })
			for i := range queries {
				q := &queries[i]
				was, errWas := before.Allowed(*q)
				is, errIs := after.Allowed(*q)
				touched := !known
				for p := range partsOf(before, q) {
					touched = touched || changed[p]
				}
				differs := !reflect.DeepEqual(was, is) || !reflect.DeepEqual(errWas, errIs)
				if differs && !touched {
					t.Fatalf("seed %d, round %d: %+v\nwas %+v, %v\nis  %+v, %v", seed, round, *q, was, errWas, is, errIs)
				}
				if known && differs {
					told++
				} else if !touched {
					others++
				}
			}
			before = after
		}
	}
	if told == 0 || others == 0 {
		t.Errorf("%d answers that changed, %d that nothing touched: this proves nothing", told, others)
	}
	t.Logf("%d answers changed, %d questions were not touched", told, others)
}

// A snapshot has no part that differs from itself, and some that differ from an unrelated one.
func TestP22ChangedPartsOfTheSameAndOfOthers(t *testing.T) {
	t.Parallel()
	var changes []engine.Change
	for _, o := range enginetest.NewRandom(1).Cluster() {
		changes = append(changes, engine.Change{Object: o})
	}
	s := engine.NewCluster(engine.Options{}).Apply(changes...)
	if !s.EachChangedPart(s, func(p engine.Part) { t.Errorf("changed: %+v", p) }) {
		t.Error("not known")
	}
	other := engine.NewCluster(engine.Options{}).Apply(changes...)
	changed := map[engine.Part]bool{}
	known := other.EachChangedPart(s, func(p engine.Part) { changed[p] = true })
	if known && len(changed) == 0 {
		t.Error("unrelated snapshots share all parts")
	}
}
