package engine

import (
	"cmp"
	"net/netip"
	"slices"
)

// Outside returns one address of each part of the world outside the cluster (S5) that no ipBlock of any policy tells apart,
// in order of address, of the given families. What holds for all of them holds for every address that no Pod, Node or
// Service has. It takes time in proportion to all policies: it is for questions that people ask.
func (s *Snapshot) Outside(families Families) []netip.Addr {
	prefixes := s.blockPrefixes(families)
	var list []netip.Addr
	for i := range prefixes {
		if addr, ok := s.outsideIn(prefixes[i], prefixes[i+1:]); ok {
			list = append(list, addr)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

// blockPrefixes returns the prefixes of all blocks, excepted ones too, and the whole of each family, each once. Every prefix
// stands right before those inside it.
func (s *state) blockPrefixes(families Families) []netip.Prefix {
	all := []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	for _, p := range s.policies.All() {
		for _, rules := range p.rules {
			for i := range rules {
				for _, b := range rules[i].blocks {
					all = append(all, b.CIDR.Masked())
					for _, e := range b.Except {
						all = append(all, e.Masked())
					}
				}
			}
		}
	}
	all = slices.DeleteFunc(all, func(p netip.Prefix) bool { return families&familyOf(p.Addr()) == 0 })
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return slices.Compact(all)
}

// outsideIn returns an address of p that is in none of the prefixes inside p and that nothing in the cluster has. later are
// the prefixes after p, of which those inside p come first.
func (s *state) outsideIn(p netip.Prefix, later []netip.Prefix) (netip.Addr, bool) {
	for _, addr := range familiar(p) {
		inside := func(q netip.Prefix) bool { return q.Contains(addr) }
		if s.isOutside(addr) && !slices.ContainsFunc(later, inside) {
			return addr, true
		}
	}
	addr := p.Addr()
	for _, q := range later {
		if !p.Contains(q.Addr()) {
			break
		}
		for ; addr.IsValid() && addr.Less(q.Addr()); addr = addr.Next() {
			if s.isOutside(addr) {
				return addr, true
			}
		}
		if q.Contains(addr) { // else it was passed with a prefix around q
			addr = last(q).Next()
		}
	}
	for ; addr.IsValid() && p.Contains(addr); addr = addr.Next() {
		if s.isOutside(addr) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// familiar returns addresses of p that people take for one of a host, to be preferred: of all addresses one that is reserved
// for documents (RFC 5737, RFC 3849), and else the second, as the first often has no host.
func familiar(p netip.Prefix) []netip.Addr {
	switch {
	case p.Bits() == 0 && p.Addr().Is4():
		return []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, 1}), netip.AddrFrom4([4]byte{198, 51, 100, 1}), netip.AddrFrom4([4]byte{1, 1, 1, 1})}
	case p.Bits() == 0:
		return []netip.Addr{netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1})}
	case p.Bits() < p.Addr().BitLen():
		return []netip.Addr{p.Addr().Next()}
	}
	return nil
}

// isOutside reports whether no Pod, Node or Service has addr (S5).
func (s *state) isOutside(addr netip.Addr) bool {
	return s.address(addr) == nil && s.vips.Find(addr) == nil
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for i := p.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 1 << (7 - i%8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}
