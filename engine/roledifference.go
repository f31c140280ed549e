package engine

import "slices"

// Of a joint role, that is a role in Before and one in After, two things can differ: by which rules the end's
// own side decides, and what the rules of other ends see of it. A pair of ends whose sides decide by the same
// rules, and see the same, has the same result in both.

// SourceRulesDiffer reports whether the rules of a source's own side may differ.
func (p *RolePair) SourceRulesDiffer(before, after uint32) bool {
	return p.rulesDiffer(asSource, before, after)
}

// DestinationRulesDiffer reports whether the rules of a destination's own side may differ.
func (p *RolePair) DestinationRulesDiffer(before, after uint32) bool {
	return p.rulesDiffer(asDestination, before, after)
}

// rulesDiffer reports whether the rules of an end's own side may differ.
func (p *RolePair) rulesDiffer(as int, before, after uint32) bool {
	return !p.isOne(as, before, after) && p.Before.roles[as][before].subject != p.After.roles[as][after].subject
}

// isOne reports whether a role in Before and one in After are the same for certain: both views know it.
func (p *RolePair) isOne(as int, before, after uint32) bool {
	return before == after && int(before) < len(p.Before.shared.roles[as])
}

// SourceLooksDifferent reports whether rules that are in both states, or families, may tell a source in one
// state from itself in the other.
func (p *RolePair) SourceLooksDifferent(before, after uint32) bool {
	return p.looksDifferent(asSource, before, after)
}

// DestinationLooksDifferent does for destinations what SourceLooksDifferent does for sources.
func (p *RolePair) DestinationLooksDifferent(before, after uint32) bool {
	return p.looksDifferent(asDestination, before, after)
}

// looksDifferent compares what other ends see of roles, but for what only rules of one state look at.
func (p *RolePair) looksDifferent(as int, before, after uint32) bool {
	if p.isOne(as, before, after) {
		return false
	}
	a, b := p.Before.roles[as][before], p.After.roles[as][after]
	if a.families != b.families || a.byIP != b.byIP {
		return true
	}
	d := otherSide(as)
	index := p.After.blocks[d]
	inBoth := func(id uint32) bool { return p.Before.names(d, id) && p.After.names(d, id) }
	blockInBoth := func(id uint32) bool { return int(id) < len(index.ids) && !index.gone[id] }
	if !equalBut(a.selectors, b.selectors, inBoth) || !equalBut(a.blocks[0], b.blocks[0], blockInBoth) ||
		!equalBut(a.blocks[1], b.blocks[1], blockInBoth) {
		return true
	}
	mentioned := func(list []NamedPort) []NamedPort {
		return slices.DeleteFunc(slices.Clone(list), func(n NamedPort) bool {
			return p.Before.portNames[n.Name] == 0 || p.After.portNames[n.Name] == 0
		})
	}
	return (len(a.ports) > 0 || len(b.ports) > 0) && !slices.Equal(mentioned(a.ports), mentioned(b.ports))
}

// equalBut reports whether two lists have the same ids, but for those that do not count.
func equalBut(a, b []uint32, counts func(uint32) bool) bool {
	for {
		for len(a) > 0 && !counts(a[0]) {
			a = a[1:]
		}
		for len(b) > 0 && !counts(b[0]) {
			b = b[1:]
		}
		if len(a) == 0 || len(b) == 0 || a[0] != b[0] {
			return len(a)+len(b) == 0
		}
		a, b = a[1:], b[1:]
	}
}

// MayDiffer reports whether the results of a source and a destination may differ between the states. Both
// look the same in both states. It is false for most pairs of which the rules of one side differ.
func (p *RolePair) MayDiffer(sourceBefore, sourceAfter, destinationBefore, destinationAfter uint32) bool {
	src := [2]*role{p.Before.roles[asSource][sourceBefore], p.After.roles[asSource][sourceAfter]}
	dst := [2]*role{
		p.Before.roles[asDestination][destinationBefore], p.After.roles[asDestination][destinationAfter],
	}
	return p.sideMayDiffer(src, dst) || p.sideMayDiffer(dst, src)
}

// sideMayDiffer reports whether what the side of an end says of a peer may differ.
func (p *RolePair) sideMayDiffer(own, peer [2]*role) bool {
	if own[0].subject == own[1].subject {
		return false
	}
	c := p.checkOf(own[0].subject, own[1].subject)
	for i := range c.reach {
		if c.reach[i].names(peer[i]) {
			return true
		}
	}
	return !c.alike
}

// checkOf returns what is compared of two subjects, which may be nil.
func (p *RolePair) checkOf(before, after *roleSubject) *subjectCheck {
	key := [2]*roleSubject{before, after}
	c := p.checks[key]
	if c == nil {
		c = &subjectCheck{reach: [2]subjectReach{before.reach(), after.reach()}, alike: slices.EqualFunc(
			p.Before.side(before, &role{}, noFamily, nil), p.After.side(after, &role{}, noFamily, nil),
			func(a, b grant) bool { return a.ports.Equal(b.ports) && a.by == b.by },
		)}
		p.checks[key] = c
	}
	return c
}

// reach returns what the rules of a subject, which may be nil, name.
func (s *roleSubject) reach() (r subjectReach) {
	if s == nil {
		return r
	}
	for _, t := range s.tiers {
		for _, u := range t.rules {
			r.selectors = append(r.selectors, u.selectors...)
			r.blocks = append(r.blocks, u.blocks...)
			r.ports = r.ports || len(u.names) > 0
		}
	}
	slices.Sort(r.selectors)
	slices.Sort(r.blocks)
	r.selectors, r.blocks = slices.Compact(r.selectors), slices.Compact(r.blocks)
	return r
}

// names reports whether the rules name an end.
func (r *subjectReach) names(end *role) bool {
	return r.ports && len(end.ports) > 0 || meet(r.selectors, end.selectors) ||
		meet(r.blocks, end.blocks[0]) || meet(r.blocks, end.blocks[1])
}
