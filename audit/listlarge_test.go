package audit_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/audit/audittest"
	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// largeCluster returns a cluster whose lists need sets: everybody may ask for names, half of the namespaces
// are open, and metrics are open to all.
func largeCluster() (*synthetic.Cluster, *engine.Snapshot) {
	told := synthetic.New(synthetic.Size{Pods: 6_000, Policies: 90})
	cluster := engine.NewCluster(engine.Options{})
	cluster.Apply(told.Changes()...)
	var changes []engine.Change
	for n := range 30 {
		namespace := fmt.Sprintf("team-%03d", n)
		app := engine.Selector{{Key: "app.kubernetes.io/name", Operator: engine.In, Values: []string{"app-1"}}}
		next := engine.Selector{{
			Key: "team", Operator: engine.In, Values: []string{fmt.Sprintf("team-%03d", (n+2)%30)},
		}}
		if n%2 == 0 {
			changes = append(changes, engine.Change{
				Object: &engine.Policy{Namespace: namespace, Name: "default-deny"}, Delete: true,
			})
		}
		changes = append(changes, engine.Change{Object: &engine.Policy{
			Namespace: namespace, Name: "names", IsolatesEgress: true, IsolatesIngress: n%3 == 0,
			Egress: []engine.Rule{
				{Ports: []engine.Port{{Protocol: engine.UDP, First: 53, Last: 53}}},
				{Peers: []engine.Peer{{Namespaces: &next, Pods: &app}}},
			},
			Ingress: []engine.Rule{
				{Ports: []engine.Port{{First: 9090, Last: 9090}}},
				{Peers: []engine.Peer{{Pods: &app}}, Ports: []engine.Port{{First: 8000, Last: 9000}}},
			},
		}})
	}
	return told, cluster.Apply(changes...)
}

// TestLargeListAgainstDecisions reads a list with sets, and asks the decisions about pairs of it (L1 to L6).
func TestLargeListAgainstDecisions(t *testing.T) {
	told, s := largeCluster()
	l, err := audit.NewList(nil, s, &audit.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	items := allItems(t, l)
	r := audittest.Read(l.Groups(), items, false)
	for _, b := range r.Broken[:min(len(r.Broken), 5)] {
		t.Error(b)
	}
	whole, parts, largest := 0, 0, 0
	for _, i := range items {
		if i.Set != nil {
			largest = max(largest, len(i.Set.Groups))
			if len(i.Set.Groups) > 32 {
				whole++
			} else {
				parts++
			}
		}
	}
	if whole == 0 || parts == 0 {
		t.Errorf("%d sets of whole lists, %d of parts: the cluster proves nothing", whole, parts)
	}
	groupOf := map[string]uint32{}
	for _, g := range r.Groups {
		for _, m := range g.Members {
			groupOf[g.Namespace+"/"+m.Name] = g.ID
		}
	}
	rng, allowed := rand.New(rand.NewPCG(1, 2)), 0
	ports := []audit.PortRange{
		{Protocol: engine.UDP, First: 53}, {First: 53}, {First: 8080}, {First: 9090}, {First: 8500}, {First: 443},
	}
	for range 30_000 {
		a, b := told.Pods[rng.IntN(len(told.Pods))], told.Pods[rng.IntN(len(told.Pods))]
		if rng.IntN(3) == 0 { // Pods of one namespace may reach each other more often
			b = told.Pods[(rng.IntN(40)+int(a.Created))%len(told.Pods)]
		}
		if a == b {
			continue
		}
		p := ports[rng.IntN(len(ports))]
		d, err := s.Allowed(engine.Query{
			Src: engine.ByPod(a.Namespace, a.Name), Dst: engine.ByPod(b.Namespace, b.Name),
			Port: p.First, Protocol: p.Protocol,
		})
		if err != nil {
			t.Fatal(err)
		}
		found := r.Between(groupOf[a.Namespace+"/"+a.Name], groupOf[b.Namespace+"/"+b.Name], p.Protocol, p.First)
		if d.Allowed != (len(found) == 1) || len(found) > 1 || d.Allowed && found[0].Families != d.Families {
			t.Fatalf("%s/%s to %s/%s, %v: %d connections, %+v", a.Namespace, a.Name, b.Namespace, b.Name, p,
				len(found), d)
		}
		if d.Allowed {
			allowed++
		}
	}
	if allowed < 1000 {
		t.Errorf("%d pairs were allowed", allowed)
	}
}

// TestListGoesOn takes a list in pieces of every length, and gets what one piece has.
func TestListGoesOn(t *testing.T) {
	_, s := largeCluster()
	take := func(piece int) (items []audit.Item, last audit.ListSummary) {
		l, err := audit.NewList(nil, s, &audit.ListRequest{Exposure: true})
		if err != nil {
			t.Fatal(err)
		}
		for truncated := true; truncated; truncated = last.Truncated {
			n := 0
			if last, err = l.Connections(nil, func(i audit.Item) bool {
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
		if !reflect.DeepEqual(got, want) || last != summary {
			t.Errorf("pieces of %d: %d items, %+v; want %d, %+v", piece, len(got), last, len(want), summary)
		}
	}
}

// TestListIsAbandoned gives up a list.
func TestListIsAbandoned(t *testing.T) {
	_, s := largeCluster()
	done := make(chan struct{})
	l, err := audit.NewList(done, s, &audit.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	_, err = l.Connections(done, func(audit.Item) bool {
		if n++; n == 10 {
			close(done)
		}
		return true
	})
	if query, ok := errors.AsType[*engine.QueryError](err); !ok || query.Code != engine.Abandoned {
		t.Errorf("error %v", err)
	}
	if _, err := audit.NewList(done, s, &audit.ListRequest{}); err == nil {
		t.Error("a list was begun after its caller had gone")
	}
}
