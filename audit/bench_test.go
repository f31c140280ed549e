package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// halfOpen returns clusters without default deny in half of their namespaces, so that lists are long. Building
// the largest takes seconds.
var halfOpen = func() func(synthetic.Size) *engine.Snapshot {
	var mu sync.Mutex
	all := map[synthetic.Size]*engine.Snapshot{}
	return func(size synthetic.Size) *engine.Snapshot {
		mu.Lock()
		defer mu.Unlock()
		if all[size] == nil {
			changes := slices.DeleteFunc(synthetic.New(size).Changes(), func(c engine.Change) bool {
				p, ok := c.Object.(*engine.Policy)
				return ok && p.Name == "default-deny" && strings.Contains("13579", p.Namespace[len(p.Namespace)-1:])
			})
			all[size] = engine.NewCluster(engine.Options{}).Apply(changes...)
		}
		return all[size]
	}
}()

// listed is what a list had.
type listed struct{ connections, sets, ids int }

// list takes a whole list.
func list(tb testing.TB, s *engine.Snapshot, r *audit.ListRequest) (n listed) {
	l, err := audit.NewList(nil, s, r)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := l.Connections(nil, func(i audit.Item) bool {
		switch {
		case i.Connection != nil:
			n.connections++
			n.ids += len(i.Connection.Src.Groups) + len(i.Connection.Src.Sets) +
				len(i.Connection.Dst.Groups) + len(i.Connection.Dst.Sets)
		case i.Set != nil:
			n.sets++
			n.ids += len(i.Set.Groups)
		}
		return true
	}); err != nil {
		tb.Fatal(err)
	}
	return n
}

// BenchmarkList lists everything, and "who can reach X".
func BenchmarkList(b *testing.B) {
	for _, size := range synthetic.Sizes[1:] {
		s := halfOpen(size)
		one := s.PodNames()[0]
		for name, r := range map[string]*audit.ListRequest{
			"all":    {},
			"to-one": {Dst: audit.Ends{Endpoints: []engine.Endpoint{engine.ByPod(one.Namespace, one.Name)}}},
			"groups": {Src: audit.Ends{Scope: audit.ScopeExternal}, Dst: audit.Ends{Scope: audit.ScopeCluster}},
		} {
			b.Run(fmt.Sprint(size, "/", name), func(b *testing.B) {
				b.ReportAllocs()
				var n listed
				for b.Loop() {
					n = list(b, s, r)
				}
				b.ReportMetric(float64(n.connections), "connections")
				b.ReportMetric(float64(n.ids), "ids")
			})
		}
	}
}
