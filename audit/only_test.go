package audit_test

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/audit/audittest"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// TestOnly compares lists with a condition with the whole list, of which they leave out connections without
// such a group at either end.
func TestOnly(t *testing.T) {
	kept := map[audit.Only]int{}
	for seed := range uint64(60) {
		r := enginetest.NewRandom(seed)
		if seed%2 == 0 {
			r.WithTiers()
		}
		var changes []engine.Change
		for _, o := range r.Cluster() {
			changes = append(changes, engine.Change{Object: o})
		}
		s := engine.NewCluster(engine.Options{}).Apply(changes...)
		whole := readList(t, s, &audit.ListRequest{Exposure: true})
		meets := map[audit.Only]func(g *audit.Group) bool{
			audit.OnlyIsolated: func(g *audit.Group) bool { return g.IsolatedEgress || g.IsolatedIngress },
			audit.OnlyOpen:     func(g *audit.Group) bool { return !g.IsolatedEgress || !g.IsolatedIngress },
			audit.OnlyExposed: func(g *audit.Group) bool {
				return slices.ContainsFunc(whole.Connections, func(o audittest.Opened) bool {
					return len(o.SrcCIDRs) > 0 && slices.Contains(o.Dst, g.ID)
				}) || slices.ContainsFunc(whole.Exposures, func(e *audit.Exposure) bool {
					return e.Group == g.ID && e.Direction == audit.Ingress && e.Namespaces+e.Pods == "" &&
						e.Except == nil
				})
			},
		}
		for only, meets := range meets {
			meet := func(id uint32) bool { return meets(&whole.Groups[id-1]) }
			var want []audittest.Opened
			for _, o := range whole.Connections {
				if slices.ContainsFunc(o.Src, meet) || slices.ContainsFunc(o.Dst, meet) {
					want = append(want, o)
				}
			}
			kept[only] += len(whole.Connections) - len(want)
			got := readList(t, s, &audit.ListRequest{Only: only}).Connections
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, condition %d: %d connections, want %d", seed, only, len(got), len(want))
			}
		}
	}
	for only, n := range kept {
		if n == 0 {
			t.Errorf("condition %d left nothing out", only)
		}
	}
}

// allItems returns all that a list hands out.
func allItems(t *testing.T, l *audit.List) []audit.Item {
	t.Helper()
	var items []audit.Item
	if _, err := l.Connections(nil, func(i audit.Item) bool {
		items = append(items, i)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return items
}

// readList takes a whole list and reads it.
func readList(t *testing.T, s *engine.Snapshot, r *audit.ListRequest) *audittest.Reading {
	t.Helper()
	l, err := audit.NewList(nil, s, r)
	if err != nil {
		t.Fatal(err)
	}
	read := audittest.Read(l.Groups(), allItems(t, l), r.Policies)
	for _, b := range read.Broken {
		t.Fatal(b)
	}
	return read
}

// TestListErrors asks for lists of what is not there, and of what makes no sense.
func TestListErrors(t *testing.T) {
	s := engine.NewCluster(engine.Options{}).Apply(
		engine.Change{Object: &engine.Pod{Namespace: "a", Name: "x"}},
		engine.Change{Object: &engine.Pod{Namespace: "a", Name: "done", Finished: true}},
		engine.Change{Object: &engine.Service{Namespace: "a", Name: "s", IPs: []netip.Addr{netip.MustParseAddr("10.0.0.9")}}},
	)
	of := func(e ...engine.Endpoint) audit.Ends { return audit.Ends{Endpoints: e} }
	for _, c := range []struct {
		request audit.ListRequest
		field   string
		code    engine.ErrorCode
	}{
		{audit.ListRequest{Src: of(engine.ByPod("a", "x"), engine.ByPod("a", "y"))}, "src.endpoints[1]", engine.NotFound},
		{audit.ListRequest{Dst: of(engine.ByPod("a", "done"))}, "dst.endpoints[0]", engine.PodFinished},
		{audit.ListRequest{Dst: audit.Ends{Namespaces: []string{"a", "b"}}}, "dst.namespaces[1]", engine.NotFound},
		{audit.ListRequest{Dst: of(engine.ByService("a", "s"))}, "dst.endpoints[0]", engine.InvalidQuestion},
		{audit.ListRequest{Dst: of(engine.ByIP(netip.MustParseAddr("10.0.0.9")))}, "dst.endpoints[0]", engine.InvalidQuestion},
		{audit.ListRequest{Src: of(engine.ByService("a", "s")), Services: true}, "src.endpoints[0]", engine.InvalidQuestion},
		{audit.ListRequest{Dst: of(engine.ByService("a", "t")), Services: true}, "dst.endpoints[0]", engine.NotFound},
		{audit.ListRequest{Dst: of(engine.Endpoint{})}, "dst.endpoints[0]", engine.InvalidQuestion},
		{audit.ListRequest{Ports: []audit.PortRange{{First: 9, Last: 3}}}, "ports", engine.InvalidQuestion},
	} {
		t.Run(fmt.Sprint(c.field, c.code), func(t *testing.T) {
			_, err := audit.NewList(nil, s, &c.request)
			var got *audit.RequestError
			if !errors.As(err, &got) || got.Field != c.field || got.Code != c.code || got.Detail == "" {
				t.Errorf("error %+v, want %s, code %d", err, c.field, c.code)
			}
		})
	}
}
