package engine_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/netpold/netpold/engine"
)

// crowds returns a cluster with two Deployments, left and right, of n Pods each, and a Service in front of each. A
// policy with a block allows from left to right, so that no two pairs are alike.
func crowds(n int) *engine.Snapshot {
	cluster := engine.NewCluster(engine.Options{})
	var changes []engine.Change
	add := func(o engine.Object) { changes = append(changes, engine.Change{Object: o}) }
	for side, name := range []string{"left", "right"} {
		slice := &engine.EndpointSlice{Namespace: "shop", Name: name, Service: name,
			Ports: []engine.ServicePort{{Port: 8080}}}
		for i := range n {
			pod := &engine.Pod{
				Namespace: "shop", Name: fmt.Sprintf("%s-%d", name, i), Labels: map[string]string{"app": name},
				IPs:       []netip.Addr{netip.AddrFrom4([4]byte{10, byte(side), byte(i >> 8), byte(i)})},
				Workloads: []engine.Workload{{Kind: "Deployment", Name: name}},
			}
			add(pod)
			slice.Endpoints = append(slice.Endpoints, engine.SliceEndpoint{Addr: pod.IPs[0], Pod: pod.Name, Ready: true})
		}
		add(slice)
		add(&engine.Service{
			Namespace: "shop", Name: name, IPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 96, 0, byte(side)})},
			Ports: []engine.ServicePort{{Port: 80}},
		})
	}
	add(&engine.Policy{
		Namespace: "shop", Name: "right", IsolatesIngress: true,
		Subject: engine.Selector{{Key: "app", Operator: engine.In, Values: []string{"right"}}},
		Ingress: []engine.Rule{{Peers: []engine.Peer{{Block: &engine.IPBlock{CIDR: netip.MustParsePrefix("10.0.0.0/16")}}}}},
	})
	return cluster.Apply(changes...)
}

func deployment(name string) engine.Endpoint {
	return engine.ByWorkload("shop", engine.Workload{Kind: "Deployment", Name: name})
}

func TestCost(t *testing.T) {
	const find = 16 // pairs, as long as it takes to find one Pod
	s := crowds(50)
	left, right := engine.ByPod("shop", "left-1"), engine.ByPod("shop", "right-1")
	vip := engine.ByIP(netip.MustParseAddr("10.96.0.1"))
	for _, c := range []struct {
		name     string
		src, dst engine.Endpoint
		want     int
	}{
		{"addresses", engine.ByIP(netip.MustParseAddr("10.0.0.1")), engine.ByIP(netip.MustParseAddr("10.1.0.1")), 1},
		{"Pods", left, right, 1},
		{"from a workload", deployment("left"), right, 50 + 50*find},
		{"to a workload", left, deployment("right"), 50 + 50*find},
		{"to a Service", left, engine.ByService("shop", "right"), 50 + 50*find},
		{"to a Service's address", left, vip, 50 + 50*find},
		{"from a Service's address", vip, right, 1},
		{"between workloads", deployment("left"), deployment("right"), 2500 + 100*find},
		{"from a workload to a Service", deployment("left"), engine.ByService("shop", "right"), 2500 + 100*find},
		{"from what is not known", deployment("none"), deployment("right"), 50 + 50*find},
		{"to what is not known", deployment("left"), engine.ByService("shop", "none"), 50 + 50*find},
		{"nothing", engine.Endpoint{}, engine.Endpoint{}, 1},
	} {
		q := engine.Query{Src: c.src, Dst: c.dst, Port: 80}
		if got := s.Cost(&q); got != c.want {
			t.Errorf("%s: the cost is %d, want %d", c.name, got, c.want)
		}
		if n := testing.AllocsPerRun(10, func() { s.Cost(&q) }); n > 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

// A question asks whether to go on after as many pairs as it says, of workloads and of Services, and gives up at once
// when told to.
func TestAllowedWhile(t *testing.T) {
	s := crowds(50)
	for _, dst := range []engine.Endpoint{deployment("right"), engine.ByService("shop", "right")} {
		q := engine.Query{Src: deployment("left"), Dst: dst, Port: 80}
		want, err := s.Allowed(q)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		got, err := s.AllowedWhile(func() bool { asked++; return true }, q)
		if err != nil || got.Allowed != want.Allowed || got.BackendsAllowed != want.BackendsAllowed ||
			got.BackendsTotal != 2500 || asked != 2500/engine.PairsBetween {
			t.Errorf("%v, %v after %d turns, want %v after %d", got, err, asked, want, 2500/engine.PairsBetween)
		}
		asked = 0
		_, err = s.AllowedWhile(func() bool { asked++; return false }, q)
		if failure := (*engine.QueryError)(nil); !errors.As(err, &failure) || failure.Code != engine.Abandoned || asked != 1 {
			t.Errorf("error is %v after %d turns, want one of code Abandoned after 1", err, asked)
		}
		asked = 0
		_, err = s.Details(func() bool { asked++; return false }, q)
		if failure := (*engine.QueryError)(nil); !errors.As(err, &failure) || failure.Code != engine.Abandoned || asked != 1 {
			t.Errorf("details: error is %v after %d turns, want one of code Abandoned after 1", err, asked)
		}
	}
}

// BenchmarkCost measures what a server asks before it decides: of most questions only whether they fan out.
func BenchmarkCost(b *testing.B) {
	s := crowds(1000)
	for _, c := range []struct {
		name     string
		src, dst engine.Endpoint
	}{
		{"ip", engine.ByIP(netip.MustParseAddr("10.0.0.1")), engine.ByIP(netip.MustParseAddr("10.1.0.1"))},
		{"pod-to-service", engine.ByPod("shop", "left-1"), engine.ByService("shop", "right")},
		{"workload-to-workload", deployment("left"), deployment("right")},
	} {
		q := engine.Query{Src: c.src, Dst: c.dst, Port: 80}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if s.FansOut(&q) {
					s.Cost(&q)
				}
			}
		})
	}
}

// BenchmarkPairs measures a million pairs, which are decided each by itself, or class by class.
func BenchmarkPairs(b *testing.B) {
	s := crowds(1000)
	for name, q := range map[string]engine.Query{
		"each":       {Src: deployment("left"), Dst: deployment("right"), Port: 80},
		"by class":   {Src: deployment("right"), Dst: deployment("left"), Port: 80},
		"one to all": {Src: engine.ByPod("shop", "right-0"), Dst: deployment("left"), Port: 80},
		"of service": {Src: deployment("left"), Dst: engine.ByService("shop", "right"), Port: 80},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.AllowedWhile(func() bool { return true }, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
