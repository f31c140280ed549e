package audit

import (
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A lintRange is an inclusive range of addresses of one family that are not in the cluster.
type lintRange struct{ first, last netip.Addr }

// viewOutside returns an address outside the cluster as rules match it. That of a [lintRange] stands for all.
func (v *survey) viewOutside(a netip.Addr) view {
	seen := view{addrs: []netip.Addr{a}}
	seen.number = v.tiers.numberOf(&seen)
	return seen
}

// outside divides the addresses at the borders of the blocks of a stack. Ranges without an address
// that nothing in the cluster owns are left out only by [survey.hasOutside].
func outside(s *lintStack) []lintRange {
	var list []lintRange
	for _, all := range []netip.Prefix{
		netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0),
	} {
		begins := []netip.Addr{all.Addr()}
		add := func(b *engine.IPBlock) {
			for _, p := range append([]netip.Prefix{b.CIDR}, b.Except...) {
				if p.Addr().Is4() == all.Addr().Is4() {
					begins = append(begins, p.Masked().Addr())
					if after := lastOf(p).Next(); after.IsValid() {
						begins = append(begins, after)
					}
				}
			}
		}
		for _, rules := range s.tiers {
			for _, x := range rules {
				for _, b := range x.blocks {
					add(b)
				}
			}
		}
		slices.SortFunc(begins, netip.Addr.Compare)
		begins = slices.Compact(begins)
		for i, first := range begins {
			r := lintRange{first, lastOf(all)}
			if i+1 < len(begins) {
				r.last = begins[i+1].Prev()
			}
			list = append(list, r)
		}
	}
	return list
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b) // of the right length
	return a
}

// hasOutside reports whether a range has an address that nothing in the cluster owns.
func (v *survey) hasOutside(r lintRange) bool {
	at := r.first
	i, _ := slices.BinarySearchFunc(v.owned, at, netip.Addr.Compare)
	for ; i < len(v.owned) && v.owned[i] == at; i++ {
		if at == r.last {
			return false
		}
		at = at.Next()
	}
	return true
}
