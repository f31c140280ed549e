package enginetest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// emptyField matches a field that is an empty list, which is the same as none, or a subject of such.
var emptyField = regexp.MustCompile(`\w+: (ClusterSubject)?\{\},? ?`)

// contentOf returns a text that is equal for objects that say the same, as a snapshot keeps them.
func contentOf(s *engine.Snapshot, key engine.ObjectKey) string {
	o, ok := s.Object(key)
	if !ok {
		return "none"
	}
	text := enginetest.Text(o)
	for was := ""; was != text; {
		was, text = text, emptyField.ReplaceAllString(text, "")
	}
	return strings.ReplaceAll(text, ", }", "}")
}

// TestChangesToMakesTheOther proves that the changes from one snapshot to another, related or not, are exactly of
// the objects that differ, and make it answer as the other does.
func TestChangesToMakesTheOther(t *testing.T) {
	seeds := 200
	if enginetest.UnderRace || testing.Short() {
		seeds = 40
	}
	for seed := range seeds {
		r := enginetest.NewRandom(uint64(seed)).WithTiers()
		var states [3]enginetest.State
		var snapshots [3]*engine.Snapshot
		for i := range states[:2] {
			states[i] = enginetest.State{}
			cluster := engine.NewCluster(engine.Options{})
			for _, o := range r.Cluster() {
				states[i][engine.KeyOf(o)] = o
				apply(cluster, []engine.Change{{Object: o}})
			}
			snapshots[i] = cluster.Snapshot()
		}
		batch := r.Churn(states[0])
		states[2] = enginetest.State{}
		for key, o := range states[0] {
			states[2][key] = o
		}
		states[2].Apply(batch)
		snapshots[2] = snapshots[0].With(cloned(batch))
		for _, pair := range [][2]int{{0, 1}, {1, 0}, {0, 2}, {2, 0}, {1, 2}, {0, 0}} {
			from, to := snapshots[pair[0]], snapshots[pair[1]]
			changes := from.ChangesTo(to)
			checkChanges(t, fmt.Sprint("seed ", seed, " ", pair), states[pair[0]], states[pair[1]], from, to, changes)
			made := from.With(changes)
			if again := made.ChangesTo(to); len(again) > 0 {
				t.Fatalf("seed %d, %v: after the changes there are more: %s", seed, pair,
					enginetest.BatchesText([][]engine.Change{again}))
			}
			oracle := oracleOf(states[pair[1]], nil, engine.Options{})
			for _, q := range questionsAbout(r, states[pair[1]], 8) {
				if d := compare(made, oracle, q); d != "" {
					t.Fatalf("seed %d, %v: %s: %s", seed, pair, q, d)
				}
			}
		}
	}
}

// checkChanges checks that changes are of exactly the objects that differ, each once, in order.
func checkChanges(
	t *testing.T, name string, before, after enginetest.State, from, to *engine.Snapshot, changes []engine.Change,
) {
	t.Helper()
	got := map[engine.ObjectKey]bool{}
	for i, c := range changes {
		key := engine.KeyOf(c.Object)
		if i > 0 && engine.KeyOf(changes[i-1].Object).Compare(key) >= 0 {
			t.Fatalf("%s: %v comes not in order, or twice", name, key)
		}
		if _, there := after[key]; there == c.Delete {
			t.Fatalf("%s: %v: deleted %v", name, key, c.Delete)
		}
		got[key] = true
	}
	for _, state := range []enginetest.State{before, after} {
		for key := range state {
			if differs := contentOf(from, key) != contentOf(to, key); differs != got[key] {
				t.Fatalf("%s: %v: differs %v, is changed %v", name, key, differs, got[key])
			}
		}
	}
}
