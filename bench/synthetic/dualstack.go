package synthetic

import (
	"encoding/binary"
	"net/netip"

	"github.com/netpold/netpold/engine"
)

// NewDualStack makes the cluster that [New] makes, in which Pods and Nodes have an IPv6 address too, after that of IPv4, and
// every block of addresses stands beside one of IPv6. See [IPv6].
func NewDualStack(size Size) *Cluster {
	c := New(size)
	for _, o := range c.Others {
		if n, ok := o.(*engine.Node); ok {
			n.IPs = both(n.IPs)
		}
	}
	for _, p := range c.Pods {
		p.IPs, p.HostIPs = both(p.IPs), both(p.HostIPs)
	}
	AddIPv6Blocks(c.Policies)
	return c
}

// AddIPv6Blocks gives rules of synthetic policies the IPv6 block of each of their IPv4 blocks.
func AddIPv6Blocks(policies []*engine.Policy) {
	for _, p := range policies {
		for _, rules := range [][]engine.Rule{p.Ingress, p.Egress} {
			for i := range rules {
				rules[i].Peers = bothBlocks(rules[i].Peers)
			}
		}
	}
}

// IPv6 returns the IPv6 address of what has an IPv4 address: of a Pod one of its Node's /64, of a Node one of the
// Nodes' /64, and of any other address one of 2001:db8::/32.
func IPv6(ip netip.Addr) netip.Addr {
	v4 := ip.As4()
	var v6 [16]byte
	switch v4[0] {
	case 10: // as kube-controller-manager hands them out
		copy(v6[:], []byte{0xfd, 0, 0, 0x10, 2, 0x44})
		binary.BigEndian.PutUint16(v6[6:], binary.BigEndian.Uint16(v4[1:]))
		v6[15] = v4[3]
	case 192:
		copy(v6[:], []byte{0xfd, 0, 1, 0x92})
		copy(v6[14:], v4[2:])
	default:
		copy(v6[:], []byte{0x20, 1, 0x0d, 0xb8})
		copy(v6[4:], v4[:3])
		v6[15] = v4[3]
	}
	return netip.AddrFrom16(v6)
}

// both returns a list of one IPv4 address with its IPv6 address after it.
func both(ips []netip.Addr) []netip.Addr { return []netip.Addr{ips[0], IPv6(ips[0])} }

// bothBlocks returns peers with the IPv6 block of each IPv4 block after it.
func bothBlocks(peers []engine.Peer) []engine.Peer {
	var list []engine.Peer
	for _, p := range peers {
		list = append(list, p)
		if p.Block == nil {
			continue
		}
		wide := &engine.IPBlock{CIDR: ipv6Prefix(p.Block.CIDR)}
		for _, e := range p.Block.Except {
			wide.Except = append(wide.Except, ipv6Prefix(e))
		}
		list = append(list, engine.Peer{Block: wide})
	}
	return list
}

// ipv6Prefix returns the prefix of the IPv6 addresses of those of an IPv4 prefix outside the cluster.
func ipv6Prefix(p netip.Prefix) netip.Prefix { return netip.PrefixFrom(IPv6(p.Addr()), 32+p.Bits()) }
