package engine

import (
	"net/netip"
	"slices"
)

// SubtractOutside returns what list allows and without does not: the ports of list on the addresses where no
// entry of without has them, each with the rule of list. In neither list may an address have a port twice.
func SubtractOutside(list, without []OutsideReach) []OutsideReach {
	if len(list) == 0 || len(without) == 0 || slices.EqualFunc(list, without, sameOutside) {
		if len(without) == 0 {
			return list
		}
		return nil
	}
	var out []OutsideReach
	var ranges [][]addressRange
	mine, others := newOutsideSweep(list), newOutsideSweep(without)
	for _, family := range bothFamilies {
		for _, piece := range divideOutside(family, list, without) {
			var taken PortSet
			others.at(piece.first, func(x *OutsideReach) { taken = taken.Union(x.Ports) })
			mine.at(piece.first, func(x *OutsideReach) {
				left := x.Ports.Minus(taken)
				if len(left) == 0 {
					return
				}
				at := slices.IndexFunc(out, func(o OutsideReach) bool { return o.By == x.By && o.Ports.Equal(left) })
				if at < 0 {
					at = len(out)
					out, ranges = append(out, OutsideReach{Ports: left, By: x.By}), append(ranges, nil)
				}
				ranges[at] = appendRange(ranges[at], piece)
			})
		}
	}
	for i := range out {
		for _, r := range ranges[i] {
			out[i].CIDRs = r.appendCIDRs(out[i].CIDRs)
		}
	}
	return out
}

// sameOutside reports whether entries have the same addresses and ports, by whatever rule.
func sameOutside(a, b OutsideReach) bool {
	return a.Ports.Equal(b.Ports) && slices.Equal(a.CIDRs, b.CIDRs)
}

// divideOutside divides the addresses of a family at the borders of all CIDRs.
func divideOutside(family Families, lists ...[]OutsideReach) []addressRange {
	var cidrs []netip.Prefix
	for _, list := range lists {
		for i := range list {
			cidrs = append(cidrs, list[i].CIDRs...)
		}
	}
	return divide(family, slices.Values(cidrs))
}

// An outsideSweep finds the entries that have an address. Addresses must be asked in order.
type outsideSweep struct {
	list []OutsideReach
	// next has for each entry the first CIDR that does not end before the last address.
	next []int
}

// newOutsideSweep returns a sweep over a list.
func newOutsideSweep(list []OutsideReach) *outsideSweep {
	return &outsideSweep{list, make([]int, len(list))}
}

// at yields the entries that have addr.
func (s *outsideSweep) at(addr netip.Addr, yield func(*OutsideReach)) {
	for i := range s.list {
		cidrs := s.list[i].CIDRs
		for s.next[i] < len(cidrs) && last(cidrs[s.next[i]]).Compare(addr) < 0 {
			s.next[i]++
		}
		if s.next[i] < len(cidrs) && cidrs[s.next[i]].Contains(addr) {
			yield(&s.list[i])
		}
	}
}
