package engine

import (
	"encoding/binary"
	"slices"
)

// A roleSubject is the policies of a direction that restrict an end. Subjects with equal rules are one.
type roleSubject struct {
	id    uint32
	tiers []roleTier
}

// A roleTier is the rules of one tier in the order in which they count.
type roleTier struct {
	tier  Tier
	rules []*roleRule
}

// A roleRule is a rule with what roles compare.
type roleRule struct {
	*rule
	policy *policy
	index  int
	// selectors and blocks are ids, sorted, of the peers.
	selectors, blocks []uint32
	// fixed are the ports by number and, for ingress, those that names stand for on the subject.
	fixed PortSet
	// names are the ports by name.
	names []Port
}

// rulesOf returns the rules of a policy for a direction, without the numbers of named ports.
func (r *Roles) rulesOf(p *policy, d direction) []*roleRule {
	if c := r.compiled[p]; c != nil {
		return c[d]
	}
	if r.shared != nil && r.shared.compiled[p] != nil {
		return r.shared.compiled[p][d]
	}
	c := &[directions][]*roleRule{}
	for d := range directions {
		for i := range p.rules[d] {
			c[d] = append(c[d], r.compileRule(p, d, i))
		}
	}
	r.compiled[p] = c
	return c[d]
}

// compileRule returns rule i of a policy for a direction.
func (r *Roles) compileRule(p *policy, d direction, i int) *roleRule {
	u := &p.rules[d][i]
	c := &roleRule{rule: u, policy: p, index: i, selectors: slices.Clone(u.selectors)}
	for i := range c.selectors {
		c.selectors[i] = r.idOf(c.selectors[i])
	}
	slices.Sort(c.selectors)
	for _, b := range u.blocks {
		if id, ok := r.blocks[d].idOf(b, p.tier); ok {
			c.blocks = append(c.blocks, id)
		}
	}
	slices.Sort(c.blocks)
	if u.anyPort {
		c.fixed = everyPort
		return c
	}
	var fixed []PortRange
	for _, port := range u.ports {
		switch {
		case port.Name == "":
			fixed = append(fixed, PortRange{port.Protocol, port.First, port.Last})
		case port.AnyProtocol && p.tier == NetworkPolicies: // not in this tier
		default:
			c.names = append(c.names, port)
		}
	}
	c.fixed = validPorts(fixed)
	return c
}

// validPorts returns the set of ranges as rules take them: a range that begins with 0 matches nothing (S23).
func validPorts(ranges []PortRange) PortSet {
	return NewPortSet(slices.DeleteFunc(ranges, func(p PortRange) bool { return p.First == 0 })...)
}

// resolve returns the ports that names stand for on an end with these named ports (S21, S43).
func resolve(names []Port, ports []NamedPort) PortSet {
	var list []PortRange
	for i := range names {
		n := &names[i]
		for _, own := range ports {
			if n.Names(own) {
				list = append(list, PortRange{own.Protocol, own.Port, own.Port})
			}
		}
	}
	return validPorts(list)
}

// subject returns the rules of direction d of an end that policies select, or nil if none restricts it.
func (r *Roles) subject(d direction, policies []*policy, ports []NamedPort) *roleSubject {
	var key []byte
	var tiersOf [tiers][]*policy
	named := false
	for tier := Admin; tier <= Baseline; tier++ {
		tiersOf[tier] = restricting(policies, tier, d)
		for _, p := range tiersOf[tier] {
			key = binary.AppendUvarint(key, r.numberOf(p))
			named = named || d == ingress && p.namesPorts()
		}
	}
	if len(key) == 0 {
		return nil
	}
	if named {
		ports = slices.DeleteFunc(slices.Clone(ports), func(n NamedPort) bool {
			return !slices.ContainsFunc(policies, func(p *policy) bool { return p.asksName(n.Name) })
		})
		key = appendPorts(append(key, 0), ports) // no policy has number 0
	}
	if s := r.subjects[d][string(key)]; s != nil {
		return s
	}
	first := 0
	if r.shared != nil {
		if s := r.shared.subjects[d][string(key)]; s != nil {
			return s
		}
		first = len(r.shared.subjects[d])
	}
	s := &roleSubject{id: uint32(first + len(r.subjects[d]))}
	for tier, list := range tiersOf {
		t := roleTier{tier: Tier(tier)}
		for _, p := range list {
			for _, u := range r.rulesOf(p, d) {
				if d == ingress && len(u.names) > 0 {
					resolved := *u
					resolved.fixed, resolved.names = u.fixed.Union(resolve(u.names, ports)), nil
					u = &resolved
				}
				t.rules = append(t.rules, u)
			}
		}
		if len(list) > 0 {
			s.tiers = append(s.tiers, t)
		}
	}
	r.subjects[d][string(key)] = s
	return s
}

// numberOf returns a number of a policy, from 1, different for different policies.
func (r *Roles) numberOf(p *policy) uint64 {
	if n, ok := r.numbers[p]; ok {
		return n
	}
	first := 1
	if r.shared != nil {
		if n, ok := r.shared.numbers[p]; ok {
			return n
		}
		first += len(r.shared.numbers)
	}
	n := uint64(first + len(r.numbers))
	r.numbers[p] = n
	return n
}

// asksName reports whether an ingress rule names a port so.
func (p *policy) asksName(name string) bool {
	return slices.ContainsFunc(p.rules[ingress], func(r rule) bool {
		return slices.ContainsFunc(r.ports, func(p Port) bool { return p.Name == name })
	})
}
