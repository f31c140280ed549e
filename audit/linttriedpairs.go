package audit

import "github.com/netpold/netpold/engine"

// A tierTry tries the rules of cluster-wide policies on pairs of ends.
type tierTry struct {
	*linter
	// open counts the rules of which is still to be seen that they change something.
	open int
	// done is how far the lint is when all pairs have been tried.
	done int
}

// try tries the rules of side d of s on the end q. It confirms each that seems to change a policy verdict. Rules
// are left out that would change nothing but ports that are not among about; nil means all.
//
// If both ends have one address, what seems so is so; otherwise another family may allow what one does not.
func (t *tierTry) try(d Direction, s, q *lintEnd, about engine.PortSet, confirm func(*trial) bool) {
	eachQuestion(s, q, func(back, seen *view) bool {
		var below, there engine.PortSet
		var o *tierOutcome
		for _, e := range t.effectsOf(s.class, d, seen) {
			if !e.isOpen() || about != nil && len(e.ports().Intersect(about)) == 0 {
				continue
			}
			if o == nil {
				o = t.outcomeOf(s.class, d, seen)
				below = t.below(s.class, d, seen, o, nil)
				there = t.allowed(q.class, opposite(d), back, nil)
			}
			if len(e.changed(s.class, o, below).Intersect(there)) == 0 {
				continue
			}
			if confirm(&trial{linter: t.linter, rule: e.rule}) {
				e.changes = true
				t.open--
			}
		}
		return true
	})
}

// tryKinds tries the rules on all pairs of kinds, and notes which match and which are reached. If a rule seems to
// change something, it is tried on the ends of both kinds, until it does: NetworkPolicies may name some of them.
func (t *tierTry) tryKinds() {
	kinds := t.sortKinds()
	for i, s := range kinds {
		t.progress.PoliciesDone = t.done * i / len(kinds)
		if s.end.class == nil {
			continue
		}
		for _, q := range kinds {
			for _, d := range []Direction{Egress, Ingress} {
				if t.step() {
					return
				}
				t.try(d, s.end, q.end, nil, func(x *trial) bool {
					return x.differs(s.end, q.end) && x.differsWithin(s, q)
				})
			}
		}
	}
}

// differsWithin reports whether a verdict between ends of two kinds is another without the rule.
func (t *trial) differsWithin(s, q *lintKind) bool {
	for _, a := range s.ends {
		for _, b := range q.ends {
			if t.step() || t.differs(a, b) {
				return true
			}
		}
	}
	return false
}

// tryNamed tries the rules on the ends that NetworkPolicies name, in the direction of the rules or at the other
// side, by peers of few ends.
func (t *tierTry) tryNamed() {
	const networkPolicies = engine.NetworkPolicies - engine.Admin
	for _, c := range t.classes {
		for _, d := range []Direction{Egress, Ingress} {
			for _, u := range c.stacks[side(d)].tiers[networkPolicies] {
				for _, named := range u.divided.few {
					for _, e := range c.ends {
						if t.open == 0 || t.step() {
							return
						}
						about := u.portsOn(portsLookedUp(d, c, named.forms()[0].seenIn(noFamily)))
						t.tryThese(d, e, named, about)
						if named.class != nil {
							t.tryThese(opposite(d), named, e, about)
						}
					}
				}
			}
		}
	}
}

// tryThese tries the rules of side d of s on the end q, as far as they are about some of these ports.
func (t *tierTry) tryThese(d Direction, s, q *lintEnd, about engine.PortSet) {
	if len(about) > 0 {
		t.try(d, s, q, about, func(x *trial) bool { return x.differs(s, q) })
	}
}

// tryOutside tries the rules on addresses outside the cluster.
func (t *tierTry) tryOutside() {
	type tried struct {
		stack *lintStack
		tiers *tierStack
	}
	done := map[tried]bool{}
	for _, c := range t.classes {
		for _, d := range []Direction{Egress, Ingress} {
			key := tried{c.stacks[side(d)], c.tiers[side(d)]}
			if done[key] || !key.tiers.hasOutside() {
				continue
			}
			done[key] = true
			for _, r := range outside(key.stack) {
				if t.step() {
					return
				}
				if t.hasOutside(r) {
					t.tryAddress(c, d, r)
				}
			}
		}
	}
}

// hasOutside reports whether any rule may match addresses outside the cluster.
func (s *tierStack) hasOutside() bool {
	for _, rules := range s.tiers {
		for _, u := range rules {
			if u.anyPeer || len(u.blocks) > 0 {
				return true
			}
		}
	}
	return false
}

// tryAddress tries the rules of a side of a class on addresses outside the cluster.
func (t *tierTry) tryAddress(c *lintClass, d Direction, r lintRange) {
	seen := t.viewOutside(r.first)
	for _, e := range t.effectsOf(c, d, &seen) {
		if !e.isOpen() {
			continue
		}
		o := t.outcomeOf(c, d, &seen)
		if len(e.changed(c, o, t.below(c, d, &seen, o, nil))) > 0 {
			e.changes = true
			t.open--
		}
	}
}
