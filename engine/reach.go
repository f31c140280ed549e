package engine

import (
	"cmp"
	"slices"
)

// Reach says on which ports policies allow connections between two ends, and in which families.
type Reach struct {
	Ports PortSet
	// Families are exactly those that allow the ports; 0 if no address takes part (S9).
	Families Families
	// Egress and Ingress are the rules that a [Side] names for each of the ports, if the [Roles] tell rules.
	Egress, Ingress DecidingRule
}

// DecidingRule is the rule that decided a side. Exactly one of Policy and ClusterPolicy is set, and must not
// be modified. The zero DecidingRule is none: the side is not restricted, or not told.
type DecidingRule struct {
	Policy        *Policy
	ClusterPolicy *ClusterPolicy
	// Index is the rule's place in the list of its policy for the direction.
	Index int
}

// A grant is ports that a side allows, and why.
type grant struct {
	ports PortSet
	by    DecidingRule
}

// allGranted is what a side without rules allows. It must not be modified.
var allGranted = []grant{{ports: everyPort}}

// Between returns what the policies allow between two roles: disjoint ports, or equal ones of different
// families. It is empty if they allow nothing. At least one of the ends must be a Pod.
func (r *Roles) Between(source, destination uint32) []Reach {
	src, dst := r.roles[asSource][source], r.roles[asDestination][destination]
	families := roleFamilies(src, dst)
	if families != IPv4|IPv6 {
		return reaches(r.pair(src, dst, familyIndex(families)), families)
	}
	four := r.pair(src, dst, 0)
	if !src.hasBlocks() && !dst.hasBlocks() {
		return reaches(four, families)
	}
	return r.joinFamilies(four, r.pair(src, dst, 1))
}

// hasBlocks reports whether families can differ in what blocks match the end.
func (p *role) hasBlocks() bool { return len(p.blocks[0])+len(p.blocks[1]) > 0 }

// roleFamilies returns the families in which a pair is decided, as [pairFamilies] does.
func roleFamilies(src, dst *role) Families {
	a, b := src.families, dst.families
	switch {
	case src.byIP && dst.byIP:
		return a & b
	case src.byIP || b == 0:
		return a
	case dst.byIP || a == 0:
		return b
	}
	return a & b
}

// noFamily is the index of no family: no block matches.
const noFamily = -1

// familyIndex returns the index of a family in bothFamilies, or noFamily.
func familyIndex(f Families) int { return slices.Index(bothFamilies[:], f) }

// pair returns what both sides allow in one family.
func (r *Roles) pair(src, dst *role, family int) []Reach {
	out := r.side(src.subject, dst, family, dst.ports)
	if len(out) == 0 {
		return nil
	}
	return joinSides(out, r.side(dst.subject, src, family, nil))
}

// joinSides returns what both sides allow.
func joinSides(egress, ingress []grant) []Reach {
	var list []Reach
	for i := range egress {
		for j := range ingress {
			if ports := egress[i].ports.Intersect(ingress[j].ports); len(ports) > 0 {
				list = append(list, Reach{Ports: ports, Egress: egress[i].by, Ingress: ingress[j].by})
			}
		}
	}
	return list
}

// reaches sets the families of list, and returns it sorted.
func reaches(list []Reach, families Families) []Reach {
	for i := range list {
		list[i].Families = families
	}
	slices.SortFunc(list, Reach.compare)
	return list
}

// compare orders results by ports and families.
func (a Reach) compare(b Reach) int {
	return cmp.Or(a.Ports.Compare(b.Ports), cmp.Compare(a.Families, b.Families))
}

// joinFamilies returns the results of both families as one. Ports that both allow rest on the rules of IPv4,
// as a decision by name does (S9).
func (r *Roles) joinFamilies(four, six []Reach) []Reach {
	var all4, all6 PortSet
	for i := range four {
		all4 = all4.Union(four[i].Ports)
	}
	for i := range six {
		all6 = all6.Union(six[i].Ports)
	}
	var list []Reach
	add := func(from Reach, ports PortSet, families Families) {
		if len(ports) > 0 {
			from.Ports, from.Families = ports, families
			list = append(list, from)
		}
	}
	for _, x := range four {
		add(x, x.Ports.Intersect(all6), IPv4|IPv6)
		add(x, x.Ports.Minus(all6), IPv4)
	}
	for _, x := range six {
		add(x, x.Ports.Minus(all4), IPv6)
	}
	slices.SortFunc(list, Reach.compare)
	return list
}

// side returns the ports that one side allows for a peer, by the rule that allows them (S32, S34). named are
// the ports of the destination, for egress. family is an index of bothFamilies.
func (r *Roles) side(s *roleSubject, peer *role, family int, named []NamedPort) []grant {
	if s == nil {
		return allGranted
	}
	var out []grant
	left := everyPort
	for i := range s.tiers {
		t := &s.tiers[i]
		var passed PortSet
		for j := range t.rules {
			u := t.rules[j]
			if len(left) == 0 {
				break
			}
			if !u.matches(peer, family) {
				continue
			}
			taken := left.Intersect(u.portsOn(named))
			if len(taken) == 0 {
				continue
			}
			left = left.Minus(taken)
			switch u.action {
			case Allow:
				out = r.addGrant(out, taken, u)
			case Pass:
				passed = passed.Union(taken)
			case Deny:
			}
		}
		if t.tier == NetworkPolicies {
			return out // what is left is denied (S14)
		}
		left = left.Union(passed)
	}
	if len(left) > 0 {
		out = r.addGrant(out, left, nil)
	}
	return out
}

// addGrant adds ports that a rule allows, or that no tier decides if u is nil. Without rules to tell, there is
// one grant.
func (r *Roles) addGrant(list []grant, ports PortSet, u *roleRule) []grant {
	if !r.byRule {
		if len(list) == 0 {
			return append(list, grant{ports: ports})
		}
		list[0].ports = list[0].ports.Union(ports)
		return list
	}
	g := grant{ports: ports}
	if u != nil {
		g.by = DecidingRule{Policy: u.policy.source, ClusterPolicy: u.policy.cluster, Index: u.index}
	}
	return append(list, g)
}

// matches reports whether a peer of the rule matches an end in a family.
func (u *roleRule) matches(peer *role, family int) bool {
	return u.anyPeer || meet(u.selectors, peer.selectors) ||
		family != noFamily && meet(u.blocks, peer.blocks[family])
}

// meet reports whether sorted lists have an id in common.
func meet(a, b []uint32) bool {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] == b[0]:
			return true
		case a[0] < b[0]:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return false
}

// portsOn returns the ports of the rule on a destination with these named ports.
func (u *roleRule) portsOn(named []NamedPort) PortSet {
	if len(u.names) == 0 || len(named) == 0 {
		return u.fixed
	}
	return u.fixed.Union(resolve(u.names, named))
}
