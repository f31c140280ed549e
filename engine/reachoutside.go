package engine

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
)

// OutsideReach says on which ports policies allow connections between an end and addresses that nothing in
// the cluster has.
type OutsideReach struct {
	// CIDRs are the fewest that have exactly the addresses, IPv4 first, in order of address.
	CIDRs []netip.Prefix
	Ports PortSet
	// By is the rule of the end's side, if the [Roles] tell rules.
	By DecidingRule
}

// OutsideOfSource returns what a source may reach outside the cluster, in order of CIDRs. No ports are in it
// twice with the same rule. It must not be modified.
func (r *Roles) OutsideOfSource(source uint32) []OutsideReach {
	return r.outside(r.roles[asSource][source], egress)
}

// OutsideOfDestination returns what may reach a destination from outside the cluster. It must not be modified.
func (r *Roles) OutsideOfDestination(destination uint32) []OutsideReach {
	return r.outside(r.roles[asDestination][destination], ingress)
}

// outside returns what rules say of addresses outside the cluster, as if nothing in the cluster had an
// address. It remembers it.
func (r *Roles) outside(end *role, d direction) []OutsideReach {
	key := outsideKey{end.subject, end.families, d}
	if key.families == 0 {
		key.families = IPv4 | IPv6
	}
	list, ok := r.ofOutside[key]
	if !ok {
		list = r.computeOutside(end.subject, key.families, d)
		r.ofOutside[key] = list
	}
	return list
}

// computeOutside does what outside does. s may be nil.
func (r *Roles) computeOutside(s *roleSubject, families Families, d direction) []OutsideReach {
	var list []OutsideReach
	var ranges [][]addressRange
	for f, family := range bothFamilies {
		if families&family == 0 {
			continue
		}
		for _, piece := range pieces(s, family) {
			outer := role{byIP: true, families: family}
			outer.blocks[f] = r.blocks[d].lists[r.blocks[d].matching([]netip.Addr{piece.first}, family, false)]
			for _, g := range r.side(s, &outer, f, nil) {
				at := slices.IndexFunc(list, func(o OutsideReach) bool {
					return o.By == g.by && o.Ports.Equal(g.ports)
				})
				if at < 0 {
					at = len(list)
					list, ranges = append(list, OutsideReach{Ports: g.ports, By: g.by}), append(ranges, nil)
				}
				ranges[at] = appendRange(ranges[at], piece)
			}
		}
	}
	for i := range list {
		for _, a := range ranges[i] {
			list[i].CIDRs = a.appendCIDRs(list[i].CIDRs)
		}
	}
	slices.SortFunc(list, func(a, b OutsideReach) int {
		return cmp.Or(slices.CompareFunc(a.CIDRs, b.CIDRs, comparePrefixes), a.Ports.Compare(b.Ports))
	})
	return list
}

// pieces divides the addresses of a family at the borders of the blocks of the rules of s, which may be nil.
// Addresses of one piece are matched alike.
func pieces(s *roleSubject, family Families) []addressRange {
	return divide(family, func(yield func(netip.Prefix) bool) {
		if s == nil {
			return
		}
		for _, t := range s.tiers {
			for _, u := range t.rules {
				for _, b := range u.rule.blocks {
					if !yield(b.CIDR) {
						return
					}
					for _, e := range b.Except {
						if !yield(e) {
							return
						}
					}
				}
			}
		}
	})
}

// divide divides the addresses of a family at the borders of prefixes of any family, in order.
func divide(family Families, prefixes iter.Seq[netip.Prefix]) []addressRange {
	all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if family == IPv6 {
		all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	begins := []netip.Addr{all.Addr()}
	for p := range prefixes {
		if p = p.Masked(); familyOf(p.Addr()) != family {
			continue
		}
		begins = append(begins, p.Addr())
		if after := last(p).Next(); after.IsValid() {
			begins = append(begins, after)
		}
	}
	slices.SortFunc(begins, netip.Addr.Compare)
	begins = slices.Compact(begins)
	list := make([]addressRange, len(begins))
	for i := range begins {
		list[i] = addressRange{begins[i], last(all)}
		if i+1 < len(begins) {
			list[i].last = begins[i+1].Prev()
		}
	}
	return list
}
