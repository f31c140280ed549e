package audit_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/audit/audittest"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// TestDiffIsTheDifferenceOfLists expands the lists of two states, and the differences from each to the other,
// on every port at a border of rules. The one is the difference of the lists, and the other its inverse (D1).
func TestDiffIsTheDifferenceOfLists(t *testing.T) {
	seeds := 250
	if testing.Short() || enginetest.UnderRace {
		seeds = 30
	}
	changes := map[audit.ChangeKind]int{}
	for seed := range uint64(seeds) {
		r := enginetest.NewRandom(2_000_000 + seed)
		if seed%2 == 0 {
			r.WithTiers()
		}
		state := enginetest.State{}
		for _, o := range r.Cluster() {
			state[engine.KeyOf(o)] = o
		}
		first := newDiffState(state, engine.Options{}, seed)
		before := engine.NewCluster(engine.Options{}).Apply(puts(state)...)
		batch := r.Churn(state)
		after := before.With(cloned(batch))
		state.Apply(batch)
		second := newDiffState(state, engine.Options{}, seed)

		lists := [2]*expanded{expandList(t, before), expandList(t, after)}
		there, back := expandDiff(t, before, after), expandDiff(t, after, before)
		again := expandDiff(t, after, before.With(before.ChangesTo(after)))
		names := slices.Compact(slices.Sorted(slices.Values(slices.Concat(lists[0].names(), lists[1].names()))))
		for _, src := range names {
			for _, dst := range names {
				for _, p := range slices.Concat(first.ports, second.ports) {
					was, is := lists[0].between(src, dst, p), lists[1].between(src, dst, p)
					got, inverse := there.between(src, dst, p), back.between(src, dst, p)
					want := pairChange(was, is)
					if describe(got) != want || describe(inverse) != pairChange(is, was) {
						t.Fatalf("seed %d: %s to %s, %v: change %s, back %s; want %s, %s\n%s", seed, src, dst, p,
							describe(got), describe(inverse), want, pairChange(is, was),
							enginetest.BatchesText([][]engine.Change{batch}))
					}
					for _, c := range got {
						changes[c.Change.Kind]++
					}
				}
			}
		}
		if len(again.reading.Connections) > 0 {
			t.Fatalf("seed %d: there is a difference to the same state: %+v", seed, *again.reading.Connections[0].Change)
		}
	}
	for _, kind := range []audit.ChangeKind{audit.Opened, audit.Closed, audit.FamiliesChanged} {
		if changes[kind] < 20 {
			t.Errorf("%d changes of kind %d: the clusters prove nothing", changes[kind], kind)
		}
	}
}

// An expanded is a list or a difference by the names of Pods.
type expanded struct {
	reading *audittest.Reading
	groups  map[string]uint32
}

// names returns the Pods.
func (e *expanded) names() (list []string) {
	for name := range e.groups {
		list = append(list, name)
	}
	return list
}

// between returns what is said of two Pods on a port.
func (e *expanded) between(src, dst string, p audit.PortRange) []*audittest.Opened {
	return e.reading.Between(e.groups[src], e.groups[dst], p.Protocol, p.First)
}

// expand returns a reading by the names of Pods.
func expand(t *testing.T, r *audittest.Reading) *expanded {
	t.Helper()
	if len(r.Broken) > 0 {
		t.Fatal(r.Broken[0])
	}
	e := &expanded{r, map[string]uint32{}}
	for _, g := range r.Groups {
		for _, m := range g.Members {
			e.groups[g.Namespace+"/"+m.Name] = g.ID
		}
	}
	return e
}

// expandList lists a snapshot.
func expandList(t *testing.T, s *engine.Snapshot) *expanded {
	t.Helper()
	l, err := audit.NewList(nil, s, &audit.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return expand(t, audittest.Read(l.Groups(), allItems(t, l), false))
}

// expandDiff compares snapshots.
func expandDiff(t *testing.T, before, after *engine.Snapshot) *expanded {
	t.Helper()
	d, err := audit.NewDiff(nil, before, after, &audit.DiffRequest{})
	if err != nil {
		t.Fatal(err)
	}
	items, _ := allChanges(d)
	return expand(t, audittest.ReadDiff(d.Groups(), items, false))
}

// pairChange describes the change from what one list has of a pair and a port to what another has.
func pairChange(was, is []*audittest.Opened) string {
	none := audit.ChangeState{}
	state := func(list []*audittest.Opened) audit.ChangeState {
		if len(list) == 0 {
			return none
		}
		return audit.ChangeState{Allowed: true, Families: list[0].Families}
	}
	before, after := state(was), state(is)
	switch {
	case before == after:
		return "none"
	case before == none:
		return fmt.Sprint(audit.Opened, before, after)
	case after == none:
		return fmt.Sprint(audit.Closed, before, after)
	}
	return fmt.Sprint(audit.FamiliesChanged, before, after)
}

// describe describes the changes of a pair on a port.
func describe(list []*audittest.Opened) string {
	switch len(list) {
	case 0:
		return "none"
	case 1:
		return fmt.Sprint(list[0].Change.Kind, list[0].Change.Before, list[0].Change.After)
	}
	return fmt.Sprintf("%d changes", len(list))
}

// largeChange returns a large cluster, and one in which changes open and close much, so that differences need
// sets.
func largeChange() (before, after *engine.Snapshot) {
	_, before = largeCluster()
	app := engine.Selector{{Key: "app.kubernetes.io/name", Operator: engine.In, Values: []string{"app-1"}}}
	return before, before.With([]engine.Change{
		{Object: &engine.Policy{Namespace: "team-001", Name: "default-deny"}, Delete: true},
		{Object: &engine.Policy{Namespace: "team-004", Name: "more", IsolatesEgress: true, Egress: []engine.Rule{{
			Ports: []engine.Port{{First: 4000, Last: 5000}},
		}}}},
		{Object: &engine.ClusterPolicy{
			Name: "all", Tier: engine.Admin, Priority: 1, Egress: []engine.ClusterRule{{
				Action: engine.Deny, Rule: engine.Rule{
					Peers: []engine.Peer{{Namespaces: &engine.Selector{}, Pods: &app}},
					Ports: []engine.Port{{First: 8000, Last: 8100}},
				},
			}},
		}},
	})
}

// TestLargeDiffAgainstLists reads a difference with sets, and compares it with the lists of both states (L5,
// D1).
func TestLargeDiffAgainstLists(t *testing.T) {
	before, after := largeChange()
	lists, diff := [2]*expanded{expandList(t, before), expandList(t, after)}, expandDiff(t, before, after)
	sets := 0
	for _, o := range diff.reading.Connections {
		sets += len(o.Change.Src.Sets) + len(o.Change.Dst.Sets)
	}
	if sets == 0 {
		t.Error("no change names a set: the cluster proves nothing")
	}
	names := slices.Sorted(slices.Values(diff.names()))
	found := map[audit.ChangeKind]int{}
	step := 41
	if enginetest.UnderRace || testing.Short() {
		step = 1201
	}
	for i, src := range names {
		for j := i % step; j < len(names); j += step {
			for _, p := range []audit.PortRange{
				{Protocol: engine.UDP, First: 53}, {First: 4500}, {First: 8050}, {First: 8080}, {First: 9090},
			} {
				got := diff.between(src, names[j], p)
				want := pairChange(lists[0].between(src, names[j], p), lists[1].between(src, names[j], p))
				if describe(got) != want {
					t.Fatalf("%s to %s, %v: %s, want %s", src, names[j], p, describe(got), want)
				}
				for _, c := range got {
					found[c.Change.Kind]++
				}
			}
		}
	}
	if found[audit.Opened] < 20 || found[audit.Closed] < 20 {
		t.Errorf("%v changes looked at: the cluster proves nothing", found)
	}
}

// TestDiffGoesOn takes a difference in pieces of every length, and gets what one piece has.
func TestDiffGoesOn(t *testing.T) {
	before, after := largeChange()
	take := func(piece int) (items []audit.DiffItem, last audit.DiffSummary) {
		d, err := audit.NewDiff(nil, before, after, &audit.DiffRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for truncated := true; truncated; truncated = last.Truncated {
			n := 0
			if last, err = d.Changes(nil, func(i audit.DiffItem) bool {
				items = append(items, i)
				n++
				return n < piece
			}); err != nil {
				t.Fatal(err)
			}
		}
		return items, last
	}
	want, summary := take(1 << 30)
	for _, piece := range []int{1, 2, 7, 64} {
		got, last := take(piece)
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(last, summary) {
			t.Errorf("pieces of %d: %d items, %+v; want %d, %+v", piece, len(got), last, len(want), summary)
		}
	}
}

// TestDiffIsAbandoned gives up a difference.
func TestDiffIsAbandoned(t *testing.T) {
	before, after := largeChange()
	done := make(chan struct{})
	d, err := audit.NewDiff(done, before, after, &audit.DiffRequest{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	_, err = d.Changes(done, func(audit.DiffItem) bool {
		if n++; n == 2 {
			close(done)
		}
		return true
	})
	if query, ok := errors.AsType[*engine.QueryError](err); !ok || query.Code != engine.Abandoned {
		t.Errorf("error %v", err)
	}
	for _, match := range []audit.Match{audit.MatchPods, audit.MatchWorkloads} {
		if _, err := audit.NewDiff(done, before, after, &audit.DiffRequest{Match: match}); err == nil {
			t.Error("a difference was begun after its caller had gone")
		}
	}
}

// TestDiffOfWhatIsNotThere asks about names that both states lack, or one of them, and selectors that match
// nothing.
func TestDiffOfWhatIsNotThere(t *testing.T) {
	before := engine.NewCluster(engine.Options{}).Apply(
		engine.Change{Object: &engine.Pod{Namespace: "a", Name: "x", Labels: map[string]string{"app": "x"}}},
	)
	after := before.With([]engine.Change{
		{Object: &engine.Pod{Namespace: "a", Name: "x"}, Delete: true},
		{Object: &engine.Pod{Namespace: "b", Name: "y"}},
		{Object: &engine.Service{Namespace: "b", Name: "s"}},
	})
	selector := func(value string) *engine.Selector {
		return &engine.Selector{{Key: "app", Operator: engine.In, Values: []string{value}}}
	}
	for _, c := range []struct {
		name  string
		ends  audit.Ends
		field string
	}{
		{"Pod before", audit.Ends{Endpoints: []engine.Endpoint{engine.ByPod("a", "x")}}, ""},
		{"Pod after", audit.Ends{Endpoints: []engine.Endpoint{engine.ByPod("b", "y")}}, ""},
		{"Pod in neither", audit.Ends{Endpoints: []engine.Endpoint{
			engine.ByPod("b", "y"), engine.ByPod("a", "y"),
		}}, "dst.endpoints[1]"},
		{"Service", audit.Ends{Endpoints: []engine.Endpoint{engine.ByService("b", "s")}}, "dst.endpoints[0]"},
		{"namespaces", audit.Ends{Namespaces: []string{"a", "b"}}, ""},
		{"namespace in neither", audit.Ends{Namespaces: []string{"a", "c"}}, "dst.namespaces[1]"},
		{"selector before", audit.Ends{Pods: selector("x")}, ""},
		{"selector in neither", audit.Ends{Pods: selector("y")}, "dst.pod_selector"},
	} {
		d, err := audit.NewDiff(nil, before, after, &audit.DiffRequest{Dst: c.ends})
		if err == nil {
			err = d.SelectsNothing()
		}
		request, _ := errors.AsType[*audit.RequestError](err)
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.field != "" && (request == nil || request.Field != c.field || request.Detail == ""):
			t.Errorf("%s: error %v, want one of %s", c.name, err, c.field)
		}
	}
	if _, err := audit.NewDiff(nil, before, after, &audit.DiffRequest{
		Ports: []audit.PortRange{{First: 90, Last: 80}},
	}); err == nil {
		t.Error("no error of ports 90-80")
	}
}
