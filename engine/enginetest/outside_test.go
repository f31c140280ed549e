package enginetest_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// Without an endpoint the parts are those of all blocks: for every address outside the cluster there is one
// that the same blocks contain (S5, S19), and none is the cluster's.
func TestOutsideStandsForEveryAddress(t *testing.T) {
	for seed := range uint64(400) {
		objects, snapshot := clusterOf(seed)
		parts := snapshot.Outside()
		outside := parts.Addresses(engine.IPv4 | engine.IPv6)
		signatures := map[string]bool{}
		for _, addr := range outside {
			if owned(objects, addr) {
				t.Fatalf("seed %d: %v is the cluster's", seed, addr)
			}
			signatures[holding(objects, addr)] = true
		}
		for _, addr := range edges(objects) {
			if !owned(objects, addr) && !signatures[holding(objects, addr)] {
				t.Fatalf("seed %d: nothing stands for %v among %v\n%s", seed, addr, outside,
					enginetest.ObjectsText(objects))
			}
		}
		if v4 := parts.Addresses(engine.IPv4); slices.ContainsFunc(v4, netip.Addr.Is6) || len(v4) == 0 {
			t.Fatalf("seed %d: of IPv4: %v", seed, v4)
		}
	}
}

// With an endpoint, every question between it and an address outside is answered as one of the parts is (S5,
// S19).
func TestOutsideOfAnEndpointAnswersAsEveryAddress(t *testing.T) {
	fewer, asked := 0, 0
	for seed := range uint64(300) {
		objects, snapshot := clusterOf(seed)
		parts := snapshot.Outside()
		everywhere := len(parts.Addresses(engine.IPv4 | engine.IPv6))
		borders := slices.DeleteFunc(edges(objects), func(a netip.Addr) bool { return owned(objects, a) })
		r := enginetest.NewRandom(seed)
		if seed%2 == 0 {
			r.WithTiers()
		}
		for range 12 {
			other := r.Question(objects).Query()
			for _, end := range []engine.Endpoint{other.Src, other.Dst} {
				outside := parts.Addresses(engine.IPv4|engine.IPv6, end)
				if len(outside) < everywhere {
					fewer++
				}
				answers := map[string]bool{}
				for _, addr := range outside {
					if owned(objects, addr) {
						t.Fatalf("seed %d: %v is the cluster's", seed, addr)
					}
					answers[answersBetween(snapshot, addr, end, other)] = true
				}
				for _, addr := range borders {
					asked++
					if got := answersBetween(snapshot, addr, end, other); !answers[got] {
						t.Fatalf("seed %d: no part of %v answers as %v does with %+v: %s\n%s",
							seed, outside, addr, end, got, enginetest.ObjectsText(objects))
					}
				}
			}
		}
	}
	if fewer < 100 || asked < 10_000 {
		t.Errorf("%d endpoints have fewer parts than the cluster, and %d addresses were asked", fewer, asked)
	}
}

// clusterOf returns a random cluster and its snapshot.
func clusterOf(seed uint64) ([]engine.Object, *engine.Snapshot) {
	objects := enginetest.NewRandom(seed).Cluster()
	cluster := engine.NewCluster(engine.Options{})
	for _, o := range objects {
		cluster.Apply(engine.Change{Object: enginetest.Clone(o)})
	}
	return objects, cluster.Snapshot()
}

// answersBetween returns, in words, the family of addr and the decisions from it and to it, on the port of
// like and on others.
func answersBetween(s *engine.Snapshot, addr netip.Addr, end engine.Endpoint, like engine.Query) string {
	var b strings.Builder
	fmt.Fprint(&b, addr.Is4())
	for _, port := range []uint16{like.Port, 80, 81, 443} {
		for _, ends := range [][2]engine.Endpoint{{engine.ByIP(addr), end}, {end, engine.ByIP(addr)}} {
			d, err := s.Allowed(engine.Query{Src: ends[0], Dst: ends[1], Port: port, Protocol: like.Protocol})
			fmt.Fprintf(&b, " %v %v %v %v", d.Reason, sideText(d.Egress), sideText(d.Ingress), err)
			fmt.Fprintf(&b, " %v %d/%d;", d.Families, d.BackendsAllowed, d.BackendsTotal)
		}
	}
	return b.String()
}

// sideText returns what allows a side, and how many policies isolate it.
func sideText(s engine.Side) string {
	if s.Policy == nil {
		return fmt.Sprint(s.Allowed, len(s.Isolating))
	}
	return fmt.Sprint(s.Policy.Namespace, "/", s.Policy.Name, " ", s.Rule, " ", len(s.Isolating))
}

// owned reports whether a Pod, a Node or a Service has addr.
func owned(objects []engine.Object, addr netip.Addr) bool {
	return slices.ContainsFunc(objects, func(o engine.Object) bool {
		switch o := o.(type) {
		case *engine.Pod:
			return !o.Finished &&
				(slices.Contains(o.IPs, addr) || o.Node != "" && slices.Contains(o.HostIPs, addr))
		case *engine.Node:
			return slices.Contains(o.IPs, addr)
		case *engine.Service:
			return !o.Headless && !o.ExternalName && slices.Contains(o.IPs, addr)
		}
		return false
	})
}

// blocksOf yields the blocks of all policies that match something.
func blocksOf(objects []engine.Object, yield func(*engine.IPBlock)) {
	for _, o := range objects {
		p, ok := o.(*engine.Policy)
		if !ok {
			continue
		}
		var rules []engine.Rule
		if p.IsolatesEgress { // S12
			rules = append(rules, p.Egress...)
		}
		if p.IsolatesIngress {
			rules = append(rules, p.Ingress...)
		}
		for _, rule := range rules {
			for _, peer := range rule.Peers {
				if b := peer.Block; b == nil || peer.Namespaces != nil || peer.Pods != nil ||
					!b.CIDR.IsValid() ||
					slices.ContainsFunc(b.Except, func(e netip.Prefix) bool { return !e.IsValid() }) {
					continue // which matches nothing (S23)
				}
				yield(peer.Block)
			}
		}
	}
}

// holding names the prefixes that hold addr, and its family.
func holding(objects []engine.Object, addr netip.Addr) string {
	text := fmt.Sprint(addr.Is4())
	blocksOf(objects, func(b *engine.IPBlock) {
		for _, p := range append([]netip.Prefix{b.CIDR}, b.Except...) {
			text += fmt.Sprint(" ", p.Contains(addr))
		}
	})
	return text
}

// edges returns the addresses at, before and after the borders of all prefixes.
func edges(objects []engine.Object) []netip.Addr {
	var list []netip.Addr
	for _, text := range []string{"0.0.0.0", "255.255.255.255", "::", "2001:db8::9"} {
		list = append(list, netip.MustParseAddr(text))
	}
	blocksOf(objects, func(b *engine.IPBlock) {
		for _, p := range append([]netip.Prefix{b.CIDR}, b.Except...) {
			first := p.Masked().Addr()
			list = append(list, first, first.Prev(), first.Next())
			bytes := first.AsSlice()
			for i := p.Bits(); i < len(bytes)*8; i++ {
				bytes[i/8] |= 1 << (7 - i%8)
			}
			last, _ := netip.AddrFromSlice(bytes)
			list = append(list, last, last.Next(), last.Prev())
		}
	})
	return slices.DeleteFunc(list, func(a netip.Addr) bool { return !a.IsValid() })
}
