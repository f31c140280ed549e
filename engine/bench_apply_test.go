package engine_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/netpold/netpold/engine"
)

// BenchmarkApply measures changes, up to the published snapshot.
func BenchmarkApply(b *testing.B) {
	for _, size := range sizes() {
		told, held := built(size)
		rng := rand.New(rand.NewPCG(5, 5))
		order := rng.Perm(len(told.Pods))
		b.Run(fmt.Sprintf("%v/pod-address", size), func(b *testing.B) { // a Pod of a known class comes anew
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := *told.Pods[order[i%len(order)]]
				p.IPs = []netip.Addr{
					p.IPs[0], netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}),
				}
				held.Apply(engine.Change{Object: &p})
			}
		})
		b.Run(fmt.Sprintf("%v/pod-label", size), func(b *testing.B) { // a Pod moves to another class and back
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := *told.Pods[order[i/2%len(order)]]
				if i%2 == 0 {
					p.Labels = maps.Clone(p.Labels)
					p.Labels["app.kubernetes.io/name"] = "moved"
				}
				held.Apply(engine.Change{Object: &p})
			}
		})
		b.Run(fmt.Sprintf("%v/policy", size), func(b *testing.B) { // a policy's rules change
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := *told.Policies[(i*7+len(told.Policies)/2)%len(told.Policies)]
				p.Ingress = append(
					[]engine.Rule{{Ports: []engine.Port{{First: uint16(1 + i%1000), Last: 2000}}}},
					p.Ingress...,
				)
				held.Apply(engine.Change{Object: &p})
			}
		})
		b.Run(fmt.Sprintf("%v/overlay", size), func(b *testing.B) { // the same, laid over for one request
			b.ReportAllocs()
			base := held.Snapshot()
			for i := 0; b.Loop(); i++ {
				p := *told.Policies[(i*7+len(told.Policies)/2)%len(told.Policies)]
				p.Ingress = append(
					[]engine.Rule{{Ports: []engine.Port{{First: uint16(1 + i%1000), Last: 2000}}}},
					p.Ingress...,
				)
				base.With([]engine.Change{{Object: &p}})
			}
		})
		b.Run(fmt.Sprintf("%v/namespace", size), func(b *testing.B) { // a Namespace's labels change
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				held.Apply(engine.Change{Object: &engine.Namespace{
					Name:   told.Pods[order[i%len(order)]].Namespace,
					Labels: map[string]string{"stage": fmt.Sprint(i % 2)},
				}})
			}
		})
		b.Run(fmt.Sprintf("%v/key", size), func(b *testing.B) { // a label key becomes relevant, to all Pods
			b.ReportAllocs()
			defer reportCPU(b)()
			for i := 0; b.Loop(); i++ {
				held.Apply(keyInUse(i))
			}
		})
		b.Run(fmt.Sprintf("%v/cluster-policy", size), func(b *testing.B) { // the rules of one for all Pods change
			b.ReportAllocs()
			defer reportCPU(b)()
			p := &engine.ClusterPolicy{Name: "all", Tier: engine.Admin}
			for i := 0; b.Loop(); i++ {
				next := *p
				ports := []engine.Port{{First: uint16(1 + i%1000), Last: 2000}}
				next.Ingress = []engine.ClusterRule{{Rule: engine.Rule{Ports: ports}}}
				held.Apply(engine.Change{Object: &next})
			}
			held.Apply(engine.Change{Object: p, Delete: true})
		})
	}
}

// keyInUse returns a change by which another label key becomes relevant: for even i one that all Pods have, for
// odd i one that no Pod has.
func keyInUse(i int) engine.Change {
	everywhere := engine.Selector{}
	version := engine.Selector{{Key: "app.kubernetes.io/version", Operator: engine.In, Values: []string{"1.1"}}}
	if i%2 == 1 {
		version = engine.Selector{{Key: "nobody-has-this", Operator: engine.Exists}}
	}
	return engine.Change{Object: &engine.Policy{
		Namespace: "team-000", Name: "key", IsolatesIngress: true,
		Ingress: []engine.Rule{{Peers: []engine.Peer{{Namespaces: &everywhere, Pods: &version}}}},
	}}
}

// BenchmarkTouched measures changes that touch a given number of classes, which is what they cost by; the cluster has 1,000
// more.
func BenchmarkTouched(b *testing.B) {
	held := engine.NewCluster(engine.Options{})
	class := func(namespace string, n int) *engine.Pod {
		return &engine.Pod{
			Namespace: namespace, Name: fmt.Sprint("p", n),
			IPs:    []netip.Addr{netip.AddrFrom4([4]byte{10, byte(len(namespace)), byte(n >> 8), byte(n)})},
			Labels: map[string]string{"app": fmt.Sprint("app-", n)},
		}
	}
	for i, touched := range []int{1_000, 10, 100, 1_000} {
		namespace := fmt.Sprintf("%0*d", i+1, touched)
		for n := range touched {
			held.Apply(engine.Change{Object: class(namespace, n)})
		}
		app := engine.Selector{{Key: "app", Operator: engine.Exists}}
		held.Apply(engine.Change{Object: &engine.Policy{
			Namespace: namespace, Name: "apart", Subject: app, IsolatesEgress: true,
		}})
		for n := range touched { // so that each Pod is a class
			peer := engine.Selector{
				{Key: "app", Operator: engine.In, Values: []string{fmt.Sprint("app-", n)}},
			}
			held.Apply(engine.Change{Object: &engine.Policy{
				Namespace: namespace, Name: fmt.Sprint("of-", n),
				Subject: engine.Selector{{Key: "none", Operator: engine.Exists}},
				Ingress: []engine.Rule{{Peers: []engine.Peer{{Pods: &peer}}}}, IsolatesIngress: true,
			}})
		}
		if i == 0 {
			continue // the rest of the cluster
		}
		b.Run(fmt.Sprintf("policy/%dclasses", touched), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				p := &engine.Policy{Namespace: namespace, Name: "all", IsolatesIngress: true}
				p.Ingress = []engine.Rule{{Ports: []engine.Port{{First: uint16(1 + i%1000), Last: 2000}}}}
				held.Apply(engine.Change{Object: p})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*touched), "ns/class")
		})
		b.Run(fmt.Sprintf("namespace/%dclasses", touched), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				held.Apply(engine.Change{Object: &engine.Namespace{
					Name: namespace, Labels: map[string]string{"stage": fmt.Sprint(i % 2)},
				}})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*touched), "ns/class")
		})
	}
}
