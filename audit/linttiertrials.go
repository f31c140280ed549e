package audit

import "github.com/netpold/netpold/engine"

// A tierTrial is what is found out about a rule of a cluster-wide policy.
type tierTrial struct {
	rule *lintRule
	// isTried reports whether anybody wants to know whether it changes anything.
	isTried bool
	// matched reports whether the rule matches anything, reached whether earlier rules of its tier leave it
	// some of that, and changes whether some policy verdict is another without it.
	matched, reached, changes bool
}

// isOpen reports whether it is still to be seen that the rule changes something.
func (t *tierTrial) isOpen() bool { return t.isTried && !t.changes }

// A tierEffect is what a side of an end may do on ports about which a rule decides, with the rule and without,
// as far as its tier knows. Ports on which that is the same are left out.
type tierEffect struct {
	*tierTrial
	// decides are ports that one of both allows and the other denies.
	decides engine.PortSet
	// allows and denies are ports that one of both allows, or denies, and the other leaves to other tiers.
	allows, denies engine.PortSet
}

// add adds ports that a rule decides by an action, on which without it the action would be other.
func (e *tierEffect) add(action, other engine.Action, ports engine.PortSet) {
	if action == other || len(ports) == 0 {
		return
	}
	switch engine.Pass {
	case action:
		action = other
	case other:
	default:
		e.decides = e.decides.Union(ports)
		return
	}
	if action == engine.Allow {
		e.allows = e.allows.Union(ports)
	} else {
		e.denies = e.denies.Union(ports)
	}
}

// ports returns all ports that the effect is about.
func (e *tierEffect) ports() engine.PortSet { return e.decides.Union(e.allows).Union(e.denies) }

// changed returns the ports that a side of a class allows only with the rule, or only without it. below are
// those that the tiers below Admin would allow.
func (e *tierEffect) changed(c *lintClass, o *tierOutcome, below engine.PortSet) engine.PortSet {
	u := e.rule
	if u.of.tier() == engine.Admin {
		return e.decides.Union(e.allows.Minus(below)).Union(e.denies.Intersect(below))
	}
	if len(c.stacks[side(u.Direction)].policies) > 0 {
		return nil // Baseline is not asked
	}
	return e.decides.Intersect(o.left)
}

// effectsOf returns the effects of the open rules of a side of a class, for what it sees. It notes which rules
// match, and which are reached.
func (v *survey) effectsOf(c *lintClass, d Direction, seen *view) []tierEffect {
	s := c.tiers[side(d)]
	found := at(&s.effects, seen.number)
	if *found == nil {
		var list []tierEffect
		named := portsLookedUp(d, c, seen)
		for _, rules := range s.tiers {
			list = v.addEffects(list, rules, seen, named)
		}
		*found = &list
	}
	return **found
}

// addEffects adds the effects of the open rules of a tier.
func (v *survey) addEffects(
	list []tierEffect, rules []*lintRule, seen *view, named []engine.NamedPort,
) []tierEffect {
	type match struct {
		*lintRule
		ports engine.PortSet
	}
	var matches []match
	for _, u := range rules {
		if v.matches(u, seen) {
			if ports := u.portsOn(named); len(ports) > 0 {
				matches = append(matches, match{u, ports})
			}
		}
	}
	left := engine.EveryPort()
	for i, m := range matches {
		m.trial.matched = true
		taken := left.Intersect(m.ports)
		if len(taken) == 0 {
			continue
		}
		m.trial.reached = true
		left = left.Minus(taken)
		if !m.trial.isOpen() {
			continue
		}
		e := tierEffect{tierTrial: m.trial}
		for _, next := range matches[i+1:] {
			e.add(m.effect(), next.effect(), taken.Intersect(next.ports))
			if taken = taken.Minus(next.ports); len(taken) == 0 {
				break
			}
		}
		e.add(m.effect(), m.of.unmatched(), taken)
		if len(e.ports()) > 0 {
			list = append(list, e)
		}
	}
	return list
}

// effect returns the action of the rule, as it counts in its tier: what Baseline passes is allowed.
func (u *lintRule) effect() engine.Action {
	if u.action == engine.Pass {
		return u.of.unmatched()
	}
	return u.action
}

// unmatched returns what becomes of ports on which no rule of the policy's tier decides.
func (p *lintPolicy) unmatched() engine.Action {
	if p.tier() == engine.Baseline {
		return engine.Allow
	}
	return engine.Pass
}

// lintTierTrials finds rules of cluster-wide policies without which nothing would change, or that are never
// reached.
func (l *linter) lintTierTrials() {
	if !l.tiers.any || !l.wantsNamespace("") {
		return
	}
	var trials []*tierTrial
	try := tierTry{linter: l}
	for _, p := range l.policies {
		if p.cluster != nil {
			p.eachRule(func(u *lintRule) {
				u.trial = &tierTrial{rule: u, isTried: l.wants(RuleRedundant) && !l.covered[u]}
				if len(p.classes) > 0 {
					trials = append(trials, u.trial)
				}
			})
			try.done++
		}
	}
	for _, t := range trials {
		if t.isTried {
			try.open++
		}
	}
	try.tryKinds()
	try.tryNamed()
	try.tryOutside()
	for _, t := range trials {
		if t.matched && t.isOpen() {
			l.addRedundant(t.rule)
		}
		if l.wants(RuleNeverReached) && t.matched && !t.reached {
			l.add(t.rule.finding(RuleNeverReached, "is never reached: for every Pod that the policy selects, "+
				"earlier rules of the tier match whatever it matches"), contentOfRule(t.rule.from))
		}
	}
}
