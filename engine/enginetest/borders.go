package enginetest

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// Borders returns the ports and the addresses at which what the objects say may change, in order: of each
// protocol the first, the last and the neighbours of each range of a rule, and the ports that Pods name; and
// so the addresses of each block, and of each whole family. Every range has one port.
func Borders(objects []engine.Object) (ports []engine.PortRange, addrs []netip.Addr) {
	b := borders{numbers: map[uint16]bool{1: true, 2: true, 65535: true}, addrs: map[netip.Addr]bool{}}
	b.addBlock(netip.MustParsePrefix("0.0.0.0/0"))
	b.addBlock(netip.MustParsePrefix("::/0"))
	for _, o := range objects {
		switch o := o.(type) {
		case *engine.Policy:
			for _, r := range slices.Concat(o.Egress, o.Ingress) {
				b.addRule(&r)
			}
		case *engine.ClusterPolicy:
			for _, r := range slices.Concat(o.Egress, o.Ingress) {
				b.addRule(&r.Rule)
			}
		case *engine.Pod:
			for _, p := range o.Ports {
				b.numbers[p.Port] = true
			}
		}
	}
	delete(b.numbers, 0) // is no port
	for n := range b.numbers {
		for p := engine.TCP; p <= engine.SCTP; p++ {
			ports = append(ports, engine.PortRange{Protocol: p, First: n, Last: n})
		}
	}
	slices.SortFunc(ports, func(a, b engine.PortRange) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Protocol, b.Protocol))
	})
	return ports, slices.SortedFunc(maps.Keys(b.addrs), netip.Addr.Compare)
}

// borders are the ports and addresses found so far.
type borders struct {
	numbers map[uint16]bool
	addrs   map[netip.Addr]bool
}

// addRule adds the borders of a rule.
func (b *borders) addRule(r *engine.Rule) {
	for _, p := range r.Ports {
		for _, n := range [4]uint16{p.First, p.Last, p.First - 1, p.Last + 1} {
			b.numbers[n] = true
		}
	}
	for _, p := range r.Peers {
		if p.Block == nil {
			continue
		}
		b.addBlock(p.Block.CIDR)
		for _, e := range p.Block.Except {
			b.addBlock(e)
		}
	}
}

// addBlock adds the first and last address of a block, and their neighbours; nothing for a block that is invalid.
func (b *borders) addBlock(p netip.Prefix) {
	if !p.IsValid() {
		return
	}
	first, last := p.Masked().Addr(), p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 1 << (7 - i%8)
	}
	end, _ := netip.AddrFromSlice(last)
	for _, a := range [4]netip.Addr{first, first.Prev(), end, end.Next()} {
		if a.IsValid() {
			b.addrs[a] = true
		}
	}
}
