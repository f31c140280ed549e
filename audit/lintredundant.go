package audit

import "github.com/netpold/netpold/engine"

// lintTrials finds rules of a NetworkPolicy that match something and never decide: without them no policy
// verdict of any two ends would be another, and no other rule covers them.
func (l *linter) lintTrials(p *lintPolicy) {
	if !l.wants(RuleRedundant) || !l.wantsNamespace(p.key.Namespace) || len(p.classes) == 0 {
		return
	}
	for _, rules := range p.rules {
		for _, u := range rules {
			if !l.covered[u] {
				if t := (trial{linter: l, rule: u}); !t.changes() && t.matched {
					l.addRedundant(u)
				}
			}
		}
	}
}

// addRedundant adds a rule without which nothing changes.
func (l *linter) addRedundant(u *lintRule) {
	l.add(u.finding(RuleRedundant, "changes nothing now: other rules decide the same without it, or the other side "+
		"denies it"), contentOfRule(u.from))
}

// A trial finds out whether a rule does anything. What it says does not count if the lint is abandoned.
type trial struct {
	*linter
	rule *lintRule
	// matched reports whether the rule was seen to match anything.
	matched bool
	// all are the ends that the rule's peers may match.
	all []*lintEnd
}

// changes reports whether some verdict is another without the rule.
func (t *trial) changes() bool {
	t.all = t.candidates(t.rule)
	for _, c := range t.rule.of.classes {
		if t.endsIsolation(c) || t.changesFor(c) {
			return true
		}
	}
	return false
}

// endsIsolation reports whether the policy would no longer isolate the class without the rule: it has no
// policy types, and no other egress rule (S11).
func (t *trial) endsIsolation(c *lintClass) bool {
	o := t.rule.Policy
	return o != nil && o.TypesOmitted && t.rule.Direction == Egress && len(o.Egress) == 1 &&
		len(c.stacks[side(Egress)].policies) == 1
}

// candidates returns the ends that peers of a rule may match, each once.
func (v *survey) candidates(u *lintRule) []*lintEnd {
	if u.anyPeer {
		return v.ends
	}
	seen := map[*lintEnd]bool{}
	var list []*lintEnd
	add := func(ends []*lintEnd) {
		for _, e := range ends {
			if !seen[e] {
				seen[e] = true
				list = append(list, e)
			}
		}
	}
	for _, id := range u.selectors {
		g := v.groups[id]
		for _, c := range g.classes {
			add(c.ends)
		}
		add(g.nodes)
	}
	for _, b := range u.blocks {
		add(v.matchedEnds(b))
	}
	return list
}

// changesFor does what changes does, for one class of the Pods that the policy selects.
func (t *trial) changesFor(c *lintClass) bool {
	u, d := t.rule, t.rule.Direction
	mine := c.stacks[side(d)]
	for _, q := range t.all {
		if t.step() {
			return true
		}
		seen := q.forms()[0].seenIn(noFamily)
		if len(u.portsOn(portsLookedUp(d, c, seen))) == 0 {
			continue
		}
		if !mine.usesBlocks { // every view of q is alike to the rules of c
			t.matched = true
			if !t.changesSide(c, seen) {
				continue
			}
		}
		for _, s := range c.ends {
			if t.differs(s, q) {
				return true
			}
		}
	}
	if len(u.blocks) == 0 && !u.anyPeer || len(u.portsOn(portsLookedUp(d, c, &view{}))) == 0 {
		return false
	}
	for _, r := range outside(mine) {
		seen := t.viewOutside(r.first)
		if !t.matches(u, &seen) || !t.hasOutside(r) {
			continue
		}
		t.matched = true
		if t.changesSide(c, &seen) {
			return true
		}
	}
	return false
}

// changesSide reports whether the side of a class allows other ports for what is seen without the rule.
func (t *trial) changesSide(c *lintClass, seen *view) bool {
	d := t.rule.Direction
	return !t.allowed(c, d, seen, nil).Equal(t.allowed(c, d, seen, t.rule))
}

// differs reports whether a verdict between the subject's Pods s and the end q is another without the rule, in
// whatever way both are asked for.
func (t *trial) differs(s, q *lintEnd) bool {
	d := t.rule.Direction
	for i := range s.forms() {
		for j := range q.forms() {
			sf, qf := &s.forms()[i], &q.forms()[j]
			var with, without engine.PortSet
			for _, family := range decided(sf, qf) {
				seen, back := qf.seenIn(family), sf.seenIn(family)
				t.matched = t.matched || t.matches(t.rule, seen)
				a, b := t.allowed(s.class, d, seen, nil), t.allowed(s.class, d, seen, t.rule)
				var there engine.PortSet
				if !a.Equal(b) || len(with)+len(without) > 0 || !isPlain(s, q) {
					there = t.allowed(q.class, opposite(d), back, nil)
				}
				with, without = with.Union(a.Intersect(there)), without.Union(b.Intersect(there))
			}
			if !with.Equal(without) {
				return true
			}
			if isPlain(s, q) {
				return false // all ways to ask are alike
			}
		}
	}
	return false
}
