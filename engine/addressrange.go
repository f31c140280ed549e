package engine

import (
	"cmp"
	"net/netip"
	"slices"
)

// An addressRange is an inclusive range of addresses of one family.
type addressRange struct{ first, last netip.Addr }

// appendRange appends a range that begins after all of list, and joins it with the last one if they touch.
func appendRange(list []addressRange, r addressRange) []addressRange {
	if n := len(list); n > 0 && list[n-1].last.Next() == r.first {
		list[n-1].last = r.last
		return list
	}
	return append(list, r)
}

// appendCIDRs appends the fewest CIDRs that have exactly the addresses of the range, in order.
func (r addressRange) appendCIDRs(list []netip.Prefix) []netip.Prefix {
	for at := r.first; at.IsValid() && at.Compare(r.last) <= 0; {
		p := netip.PrefixFrom(at, at.BitLen())
		for p.Bits() > 0 { // the largest that begins here and does not pass the end
			wider := netip.PrefixFrom(at, p.Bits()-1)
			if wider.Masked().Addr() != at || last(wider).Compare(r.last) > 0 {
				break
			}
			p = wider
		}
		list = append(list, p)
		at = last(p).Next()
	}
	return list
}

// comparePrefixes orders CIDRs by family, IPv4 first, address and length.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// JoinCIDRs returns the fewest CIDRs that have exactly the addresses of list, IPv4 first, in order of address.
// It does not modify list.
func JoinCIDRs(list []netip.Prefix) []netip.Prefix {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, comparePrefixes)
	var ranges []addressRange
	for _, p := range sorted {
		r := addressRange{p.Masked().Addr(), last(p)}
		n := len(ranges)
		if n > 0 && ranges[n-1].last.Is4() == r.first.Is4() && r.first.Compare(ranges[n-1].last) <= 0 {
			continue // inside one before
		}
		ranges = appendRange(ranges, r)
	}
	var out []netip.Prefix
	for _, r := range ranges {
		out = r.appendCIDRs(out)
	}
	return out
}
