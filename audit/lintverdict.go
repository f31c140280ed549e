package audit

import (
	"encoding/binary"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A lintStack is all rules that one side of an end has, by tier and in the order in which they count. Classes
// that the same policies select share it.
type lintStack struct {
	tiers [3][]*lintRule // Admin, NetworkPolicies, Baseline
	// policies are the NetworkPolicies that isolate the end (S12).
	policies   []*lintPolicy
	usesBlocks bool
}

// stackOf returns the rules that a class has for a direction.
func (v *survey) stackOf(c *lintClass, d Direction) *lintStack {
	var list []*lintPolicy
	for _, p := range c.ClusterPolicies {
		list = append(list, v.byObject[p])
	}
	for _, p := range c.Policies {
		list = append(list, v.byObject[p])
	}
	list = slices.DeleteFunc(list, func(p *lintPolicy) bool { return !p.exists(d) })
	var key []byte
	for _, p := range list {
		key = binary.AppendUvarint(key, uint64(p.number))
	}
	if s := v.stacks[side(d)][string(key)]; s != nil {
		return s
	}
	s := &lintStack{}
	for _, p := range list {
		s.tiers[p.tier()-engine.Admin] = append(s.tiers[p.tier()-engine.Admin], p.rules[side(d)]...)
		if p.np != nil {
			s.policies = append(s.policies, p)
		}
		for _, u := range p.rules[side(d)] {
			s.usesBlocks = s.usesBlocks || len(u.blocks) > 0
		}
	}
	v.stacks[side(d)][string(key)] = s
	return s
}

// matches reports whether a peer of the rule matches what is seen (S15, S16, S19, S39).
func (v *survey) matches(u *lintRule, seen *view) bool {
	if u.anyPeer {
		return true
	}
	for _, id := range u.selectors {
		if _, found := slices.BinarySearch(seen.groups, id); found {
			return true
		}
	}
	if len(u.blocks) == 0 || seen.inCluster && v.options.IPBlockIgnoresPods && u.Policy != nil {
		return false
	}
	return slices.ContainsFunc(u.blocks, func(b *engine.IPBlock) bool {
		return slices.ContainsFunc(seen.addrs, b.Contains)
	})
}

// portsLookedUp returns the named ports that rules of direction d of a class look up (S21).
func portsLookedUp(d Direction, subject *lintClass, seen *view) []engine.NamedPort {
	if d == Ingress {
		return subject.Ports
	}
	return seen.ports
}

// allowed returns the ports that the side of a class allows for what is seen, as if it had no rule without
// (S32 to S34). A nil class allows everything.
func (v *survey) allowed(c *lintClass, d Direction, seen *view, without *lintRule) engine.PortSet {
	switch {
	case c == nil:
		return engine.EveryPort()
	case without != nil && without.of.cluster != nil:
		return v.allowedWithout(c, d, seen, without)
	}
	o := v.outcomeOf(c, d, seen)
	if len(o.left) == 0 {
		return o.allowed
	}
	return o.allowed.Union(o.left.Intersect(v.below(c, d, seen, o, without)))
}

// below returns the ports that the tiers below Admin would allow, as if there were no rule without of a
// NetworkPolicy: the NetworkPolicies if they isolate the class (S14), and otherwise Baseline.
func (v *survey) below(c *lintClass, d Direction, seen *view, o *tierOutcome, without *lintRule) engine.PortSet {
	s := c.stacks[side(d)]
	if len(s.policies) == 0 {
		return o.base
	}
	var out engine.PortSet
	named := portsLookedUp(d, c, seen)
	for _, u := range s.tiers[engine.NetworkPolicies-engine.Admin] {
		if u != without && v.matches(u, seen) {
			out = out.Union(u.portsOn(named))
		}
	}
	return out
}

// allowedWithout does what allowed does, without a rule of a cluster-wide policy: it remembers nothing.
func (v *survey) allowedWithout(c *lintClass, d Direction, seen *view, without *lintRule) engine.PortSet {
	s, named := c.stacks[side(d)], portsLookedUp(d, c, seen)
	left := engine.EveryPort()
	var out engine.PortSet
	for tier, rules := range s.tiers {
		allowed, denied := v.walk(rules, seen, named, left, without)
		out, left = out.Union(allowed), left.Minus(allowed.Union(denied))
		if tier == int(engine.NetworkPolicies-engine.Admin) && len(s.policies) > 0 {
			return out // what is left is denied (S14)
		}
	}
	return out.Union(left)
}
