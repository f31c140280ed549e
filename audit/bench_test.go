package audit_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

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

// reportCPU begins to measure processor time, and returns what reports it. Unlike the time of the clock it does
// not grow with what else the machine does.
func reportCPU(b *testing.B) func() {
	used := func() time.Duration {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			b.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N)/1e6, "cpu-ms/op") }
}

// BenchmarkList lists everything, without and with rules and exposures, who can reach one Pod, and groups alone.
func BenchmarkList(b *testing.B) {
	for _, size := range synthetic.Sizes[1:] {
		s := halfOpen(size)
		one := s.PodNames()[0]
		for _, c := range []struct {
			name string
			*audit.ListRequest
		}{
			{"all", &audit.ListRequest{}},
			{"policies", &audit.ListRequest{Policies: true}},
			{"exposure", &audit.ListRequest{Exposure: true}},
			{"to-one", &audit.ListRequest{
				Dst: audit.Ends{Endpoints: []engine.Endpoint{engine.ByPod(one.Namespace, one.Name)}},
			}},
			{"groups", nil},
		} {
			b.Run(fmt.Sprint(size, "/", c.name), func(b *testing.B) {
				b.ReportAllocs()
				defer reportCPU(b)()
				var n listed
				for b.Loop() {
					if c.ListRequest != nil {
						n = list(b, s, c.ListRequest)
					} else if _, err := audit.NewList(nil, s, &audit.ListRequest{}); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(n.connections), "connections")
				b.ReportMetric(float64(n.ids), "ids")
			})
		}
	}
}

// heap returns the bytes that are in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkDiffHeap measures what a snapshot keeps for differences from it, and what one difference has beside.
func BenchmarkDiffHeap(b *testing.B) {
	s := halfOpen(synthetic.Sizes[2])
	after := onePolicy(s, false)
	var kept, one uint64
	for b.Loop() {
		before := s.With(nil)
		with := heap()
		diff(b, before, after, &audit.DiffRequest{})
		kept = heap() - with
		d, err := audit.NewDiff(nil, before, after, &audit.DiffRequest{})
		if err != nil {
			b.Fatal(err)
		}
		one = heap() - with - kept
		runtime.KeepAlive(d)
		runtime.KeepAlive(before)
	}
	b.ReportMetric(float64(kept)/1e6, "kept-MB")
	b.ReportMetric(float64(one)/1e6, "diff-MB")
}

// BenchmarkListHeap measures the most that a list adds to the heap, over the heap that the snapshot has.
func BenchmarkListHeap(b *testing.B) {
	before := heap()
	s := halfOpen(synthetic.Sizes[2])
	with := heap()
	most := uint64(0)
	for b.Loop() {
		l, err := audit.NewList(nil, s, &audit.ListRequest{})
		if err != nil {
			b.Fatal(err)
		}
		most = max(most, heap())
		n := 0
		if _, err := l.Connections(nil, func(audit.Item) bool {
			if n++; n%10_000 == 0 {
				most = max(most, heap())
			}
			return true
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(with-before)/1e6, "snapshot-MB")
	b.ReportMetric(float64(most-with)/1e6, "list-MB")
	runtime.KeepAlive(s)
}

// matrixPorts are a port of each stretch that the rules of the synthetic clusters tell apart.
var matrixPorts = []audit.PortRange{
	{First: 1}, {First: 443}, {First: 444}, {First: 8000}, {First: 8080}, {First: 8081}, {First: 9000},
	{First: 9090}, {First: 9091}, {Protocol: engine.UDP, First: 1}, {Protocol: engine.SCTP, First: 1},
}

// BenchmarkMatrix asks what a list says by decisions: one for each pair of roles and stretch of ports.
func BenchmarkMatrix(b *testing.B) {
	s := halfOpen(synthetic.Sizes[1])
	roles := s.NewRoles(false)
	sources, destinations := map[uint32]engine.Endpoint{}, map[uint32]engine.Endpoint{}
	if err := roles.EachPod(nil, func(e *engine.RoleEnd) {
		sources[e.Source] = engine.ByPod(e.Namespace, e.Name)
		destinations[e.Destination] = engine.ByPod(e.Namespace, e.Name)
	}); err != nil {
		b.Fatal(err)
	}
	defer reportCPU(b)()
	for b.Loop() {
		for _, src := range sources {
			for _, dst := range destinations {
				for _, p := range matrixPorts {
					q := engine.Query{Src: src, Dst: dst, Port: p.First, Protocol: p.Protocol}
					if _, err := s.Allowed(q); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	}
	b.ReportMetric(float64(len(sources)*len(destinations)*len(matrixPorts)), "decisions")
}

// onePolicy returns what a cluster becomes when the policy of an application opens another port, to another block of
// addresses if block is true.
func onePolicy(before *engine.Snapshot, block bool) *engine.Snapshot {
	for _, p := range before.Policies() {
		if len(p.Ingress) == 0 || len(p.Ingress[0].Ports) == 0 || len(p.Ingress[0].Peers) == 0 {
			continue
		}
		changed := *p
		changed.Ingress = slices.Clone(p.Ingress)
		opened := engine.Rule{
			Peers: p.Ingress[0].Peers, Ports: []engine.Port{{First: 7777, Last: 7777}},
		}
		if block {
			opened.Peers = []engine.Peer{{Block: &engine.IPBlock{CIDR: netip.MustParsePrefix("192.0.2.0/24")}}}
		}
		changed.Ingress = append(changed.Ingress, opened)
		return before.With([]engine.Change{{Object: &changed}})
	}
	panic("no policy has rules")
}

// denyNamespace returns what a cluster becomes when a namespace that is open gets its default deny.
func denyNamespace(before *engine.Snapshot) *engine.Snapshot {
	return before.With([]engine.Change{{Object: &engine.Policy{
		Namespace: "team-001", Name: "default-deny", IsolatesEgress: true, IsolatesIngress: true,
	}}})
}

// BenchmarkDiff compares two states of which one policy differs, and lists one of them beside it. The first
// difference from a snapshot looks at all of its Pods, and those after it do not.
func BenchmarkDiff(b *testing.B) {
	for _, size := range synthetic.Sizes[1:] {
		before := halfOpen(size)
		after, block, deny := onePolicy(before, false), onePolicy(before, true), denyNamespace(before)
		one := before.PodNames()[0]
		diff(b, before, after, &audit.DiffRequest{})
		for _, c := range []struct {
			name string
			run  func() int
		}{
			{"one-policy", func() int { return diff(b, before, after, &audit.DiffRequest{}) }},
			{"one-block", func() int { return diff(b, before, block, &audit.DiffRequest{}) }},
			{"one-namespace", func() int { return diff(b, before, deny, &audit.DiffRequest{}) }},
			{"to-one", func() int {
				return diff(b, before, after, &audit.DiffRequest{
					Dst: audit.Ends{Endpoints: []engine.Endpoint{engine.ByPod(one.Namespace, one.Name)}},
				})
			}},
			{"one-policy-first", func() int { return diff(b, before.With(nil), after, &audit.DiffRequest{}) }},
			{"list", func() int { return list(b, after, &audit.ListRequest{}).connections }},
		} {
			b.Run(fmt.Sprint(size, "/", c.name), func(b *testing.B) {
				b.ReportAllocs()
				defer reportCPU(b)()
				results := 0
				for b.Loop() {
					results = c.run()
				}
				b.ReportMetric(float64(results), "results")
			})
		}
	}
}

// diff takes a whole difference.
func diff(tb testing.TB, before, after *engine.Snapshot, r *audit.DiffRequest) (changes int) {
	d, err := audit.NewDiff(nil, before, after, r)
	if err != nil {
		tb.Fatal(err)
	}
	d.Groups()
	if _, err := d.Changes(nil, func(i audit.DiffItem) bool {
		if i.Change != nil {
			changes++
		}
		return true
	}); err != nil {
		tb.Fatal(err)
	}
	return changes
}
