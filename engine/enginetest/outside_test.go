package enginetest_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// Outside has, for every address outside the cluster, one that the same blocks hold (S5, S19), and no address of the cluster.
func TestOutsideStandsForEveryAddress(t *testing.T) {
	for seed := range uint64(400) {
		r := enginetest.NewRandom(seed)
		objects := r.Cluster()
		cluster := engine.NewCluster(engine.Options{})
		for _, o := range objects {
			cluster.Apply(engine.Change{Object: enginetest.Clone(o)})
		}
		outside := cluster.Snapshot().Outside(engine.IPv4 | engine.IPv6)
		signatures := map[string]bool{}
		for _, addr := range outside {
			if owned(objects, addr) {
				t.Fatalf("seed %d: %v is the cluster's", seed, addr)
			}
			signatures[holding(objects, addr)] = true
		}
		for _, addr := range edges(objects) {
			if !owned(objects, addr) && !signatures[holding(objects, addr)] {
				t.Fatalf("seed %d: nothing stands for %v among %v\n%s", seed, addr, outside, enginetest.ObjectsText(objects))
			}
		}
		if v4 := cluster.Snapshot().Outside(engine.IPv4); slices.ContainsFunc(v4, netip.Addr.Is6) || len(v4) == 0 {
			t.Fatalf("seed %d: of IPv4: %v", seed, v4)
		}
	}
}

// owned reports whether a Pod, a Node or a Service has addr.
func owned(objects []engine.Object, addr netip.Addr) bool {
	return slices.ContainsFunc(objects, func(o engine.Object) bool {
		switch o := o.(type) {
		case *engine.Pod:
			return !o.Finished && (slices.Contains(o.IPs, addr) || o.Node != "" && slices.Contains(o.HostIPs, addr))
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
				if b := peer.Block; b == nil || peer.Namespaces != nil || peer.Pods != nil || !b.CIDR.IsValid() ||
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
	list := []netip.Addr{netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("::"), netip.MustParseAddr("2001:db8::9")}
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
