package engine

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// What is looked at for a prefix is what lies inside it: dividing n blocks side by side takes about n steps,
// not n*n.
func TestInsideIsWhatLiesInside(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	var all []netip.Prefix
	for range 800 {
		addr := netip.AddrFrom4([4]byte{10, byte(random.IntN(3)), byte(random.IntN(4)), byte(random.IntN(8))})
		if random.IntN(4) == 0 {
			addr = netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(random.IntN(256))})
		}
		all = append(all, netip.PrefixFrom(addr, addr.BitLen()-random.IntN(20)).Masked())
	}
	all = nested(all)
	for i, p := range all {
		var want []netip.Prefix
		for j, q := range all {
			if j != i && p.Contains(q.Addr()) && p.Bits() <= q.Bits() {
				want = append(want, q)
			}
		}
		if got := inside(all, i); !slices.Equal(got, want) {
			t.Fatalf("inside %v: %v, want %v", p, got, want)
		}
	}
}

// sideBySide returns a snapshot with a policy of n blocks, none inside another, in each of some namespaces.
func sideBySide(namespaces, n int) *Snapshot {
	c := NewCluster(Options{})
	for ns := range namespaces {
		rule := Rule{}
		for i := range n {
			addr := netip.AddrFrom4([4]byte{10, byte(ns), byte(i >> 7), byte(i << 1)})
			rule.Peers = append(rule.Peers, Peer{Block: &IPBlock{CIDR: netip.PrefixFrom(addr, 32)}})
		}
		c.Apply(Change{Object: &Policy{
			Namespace: fmt.Sprint("ns", ns), Name: "blocks", IsolatesIngress: true, Ingress: []Rule{rule},
		}})
	}
	return c.Snapshot()
}

// The parts for an endpoint are those of the policies of its namespace alone.
func TestOutsideLeavesOtherNamespacesOut(t *testing.T) {
	parts := sideBySide(3, 100).Outside()
	in := func(namespace string) Endpoint { return ByLabels(&LabelledPod{Namespace: namespace}) }
	for _, test := range []struct {
		others []Endpoint
		want   int
	}{
		{nil, 301},
		{[]Endpoint{in("ns1")}, 101},
		{[]Endpoint{in("ns1"), in("ns2")}, 201},
		{[]Endpoint{in("elsewhere")}, 1},
	} {
		if got := len(parts.Addresses(IPv4, test.others...)); got != test.want {
			t.Errorf("%d parts for %v, want %d", got, test.others, test.want)
		}
	}
}

// A Service stands for the Pods behind it, also for those of another namespace (S24).
func TestOutsideOfAServiceCountsTheNamespacesOfItsPods(t *testing.T) {
	s := sideBySide(2, 10)
	addr := netip.MustParseAddr("172.16.0.1")
	virtual := netip.MustParseAddr("172.16.9.9")
	s = s.With([]Change{
		{Object: &Pod{Namespace: "ns1", Name: "pod", IPs: []netip.Addr{addr}}},
		{Object: &Service{Namespace: "ns0", Name: "svc", IPs: []netip.Addr{virtual}}},
		{Object: &EndpointSlice{
			Namespace: "ns0", Name: "svc-1", Service: "svc",
			Endpoints: []SliceEndpoint{{Addr: addr, Ready: true}},
		}},
	})
	for _, test := range []struct {
		other Endpoint
		want  int
	}{{ByService("ns0", "svc"), 21}, {ByIP(virtual), 21}, {ByIP(addr), 11}, {ByPod("ns1", "pod"), 11}} {
		if got := len(s.Outside().Addresses(IPv4, test.other)); got != test.want {
			t.Errorf("%d parts for %v, want %d", got, test.other, test.want)
		}
	}
}

func BenchmarkOutside(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := sideBySide(1, n)
			for b.Loop() {
				if got := len(s.Outside().Addresses(IPv4)); got != n+1 {
					b.Fatalf("%d parts", got)
				}
			}
		})
	}
}
