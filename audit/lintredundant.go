package audit

import (
	"slices"

	"github.com/netpold/netpold/engine"
)

// lintTrials finds rules of a policy that match something and never decide: without them no policy verdict of
// any two ends would be another, and no other rule covers them; or earlier rules of the tier take all that they
// match (S34).
func (l *linter) lintTrials(p *lintPolicy) {
	if !l.wantsNamespace(p.key.Namespace) || len(p.classes) == 0 {
		return
	}
	for _, rules := range p.rules {
		for _, u := range rules {
			if l.wants(RuleRedundant) && !l.covered[u] {
				if t := (trial{linter: l, rule: u}); !t.changes() && t.matched {
					l.add(u.finding(RuleRedundant, "changes nothing now: other rules decide the same without it, or the "+
						"other side denies it"), contentOfRule(u.from))
				}
			}
			if l.wants(RuleNeverReached) && p.cluster != nil {
				if t := (trial{linter: l, rule: u}); !t.reaches() && t.matched {
					l.add(u.finding(RuleNeverReached, "is never reached: for every Pod that the policy selects, earlier "+
						"rules of the tier match whatever it matches"), contentOfRule(u.from))
				}
			}
		}
	}
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
func (l *linter) candidates(u *lintRule) []*lintEnd {
	if u.anyPeer {
		return l.ends
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
		g := l.groups[id]
		for _, c := range g.classes {
			add(c.ends)
		}
		add(g.nodes)
	}
	for _, b := range u.blocks {
		add(l.matchedEnds(b))
	}
	return list
}

// portsLookedUp returns the named ports that a rule of direction d looks up (S21).
func portsLookedUp(d Direction, subject *lintClass, other []engine.NamedPort) []engine.NamedPort {
	if d == Ingress {
		return subject.Ports
	}
	return other
}

// changesFor does what changes does, for one class of the Pods that the policy selects.
func (t *trial) changesFor(c *lintClass) bool {
	u, d := t.rule, t.rule.Direction
	mine := c.stacks[side(d)]
	for _, q := range t.all {
		if t.step() {
			return true
		}
		named := portsLookedUp(d, c, q.ports())
		if len(u.portsOn(named)) == 0 {
			continue
		}
		if !mine.usesBlocks { // every view of q is alike to the rules of c
			seen := view{groups: q.groups, inCluster: true}
			t.matched = true
			if t.allowed(mine, &seen, named, nil).Equal(t.allowed(mine, &seen, named, u)) {
				continue
			}
		}
		for _, s := range c.ends {
			if t.differs(c, s, q, named) {
				return true
			}
		}
	}
	if len(u.blocks) == 0 && !u.anyPeer {
		return false
	}
	named := portsLookedUp(d, c, nil)
	if len(u.portsOn(named)) == 0 {
		return false
	}
	for _, r := range outside(mine, u) {
		seen := r.view()
		if !t.matches(u, &seen) || !t.hasOutside(r) {
			continue
		}
		t.matched = true
		if !t.allowed(mine, &seen, named, nil).Equal(t.allowed(mine, &seen, named, u)) {
			return true
		}
	}
	return false
}

// differs reports whether a verdict between Pods of the subject's class c and the end q is another without the
// rule, in whatever way both are asked for.
func (t *trial) differs(c *lintClass, s, q *lintEnd, named []engine.NamedPort) bool {
	d := t.rule.Direction
	mine := c.stacks[side(d)]
	var others *lintStack
	if q.class != nil {
		others = q.class.stacks[1-side(d)]
	}
	namedThere := c.Ports // names are looked up on the destination
	if d == Egress {
		namedThere = q.ports()
	}
	for _, sf := range s.forms() {
		for _, qf := range q.forms() {
			var with, without engine.PortSet
			for _, family := range decided(&sf, &qf) {
				seen, back := qf.seenIn(family), sf.seenIn(family)
				t.matched = t.matched || t.matches(t.rule, &seen)
				a, b := t.allowed(mine, &seen, named, nil), t.allowed(mine, &seen, named, t.rule)
				var there engine.PortSet
				if !a.Equal(b) || len(with)+len(without) > 0 || c.hasBothFamilies(s, q) {
					there = t.allowed(others, &back, namedThere, nil)
				}
				with, without = with.Union(a.Intersect(there)), without.Union(b.Intersect(there))
			}
			if !with.Equal(without) {
				return true
			}
		}
	}
	return false
}

// hasBothFamilies reports whether a question between the ends may be decided in two families, so that one may
// allow what the other does not.
func (c *lintClass) hasBothFamilies(s, q *lintEnd) bool { return len(s.addrs) > 1 || len(q.addrs) > 1 }

// reaches reports whether some connection of a Pod that the policy selects is matched by no earlier rule of
// the tier.
func (t *trial) reaches() bool {
	t.all = t.candidates(t.rule)
	for _, c := range t.rule.of.classes {
		if t.reachesFor(c) {
			return true
		}
	}
	return false
}

// reachesFor does what reaches does, for one class.
func (t *trial) reachesFor(c *lintClass) bool {
	u, d := t.rule, t.rule.Direction
	stack := c.stacks[side(d)]
	earlier := stack.tiers[u.of.tier()-engine.Admin]
	earlier = earlier[:slices.Index(earlier, u)]
	// isLeft reports whether the rule matches what is seen on a port that no earlier rule takes.
	isLeft := func(seen *view, named []engine.NamedPort) bool {
		left := u.portsOn(named)
		if len(left) == 0 || !t.matches(u, seen) {
			return false
		}
		t.matched = true
		for _, e := range earlier {
			if len(left) > 0 && t.matches(e, seen) {
				left = left.Minus(e.portsOn(named))
			}
		}
		return len(left) > 0
	}
	for _, q := range t.all {
		if t.step() {
			return true
		}
		named := portsLookedUp(d, c, q.ports())
		for _, s := range c.ends {
			for _, sf := range s.forms() {
				for _, qf := range q.forms() {
					for _, family := range decided(&sf, &qf) {
						if seen := qf.seenIn(family); isLeft(&seen, named) {
							return true
						}
					}
				}
			}
			if !stack.usesBlocks {
				break // every view is alike
			}
		}
	}
	if len(u.blocks) == 0 && !u.anyPeer {
		return false
	}
	for _, r := range outside(stack, u) {
		seen := r.view()
		if t.matches(u, &seen) && t.hasOutside(r) && isLeft(&seen, portsLookedUp(d, c, nil)) {
			return true
		}
	}
	return false
}
