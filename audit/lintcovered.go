package audit

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// lintCovered finds rules of NetworkPolicies that another rule contains, whatever Pods there are.
func (l *linter) lintCovered() {
	if !l.wants(RuleCovered) && !l.wants(RuleRedundant) {
		return
	}
	type place struct {
		namespace, subject string
		direction          Direction
	}
	at := map[place][]*lintRule{}
	subjects := map[*lintPolicy]string{}
	for _, p := range l.policies {
		if p.np == nil {
			continue
		}
		subjects[p] = subjectKey(p.np.Subject)
		for i, rules := range p.rules {
			k := place{p.np.Namespace, subjects[p], Egress + Direction(i)}
			at[k] = append(at[k], rules...)
		}
	}
	l.covered = map[*lintRule]bool{}
	for _, p := range l.policies {
		if p.np == nil || len(p.classes) == 0 {
			continue
		}
		for i, rules := range p.rules {
			k := place{p.np.Namespace, subjects[p], Egress + Direction(i)}
			others := at[k]
			if k.subject != "" {
				k.subject = ""
				others = slices.Concat(others, at[k])
			}
			for _, u := range rules {
				if l.step() {
					return
				}
				if by := coveredBy(u, others, subjects); by != nil {
					l.covered[u] = true
					f := u.finding(RuleCovered, "allows nothing that %s does not allow", by.ruleWords())
					f.By = []Rule{by.Rule}
					l.add(f, contentOfRule(u.from))
				}
			}
		}
	}
}

// subjectKey returns a text that is equal for selectors that differ only in order or repetition; empty for
// the empty selector.
func subjectKey(s engine.Selector) string {
	if len(s) == 0 {
		return ""
	}
	sorted := make(engine.Selector, 0, len(s))
	for _, r := range s {
		r.Values = slices.Compact(slices.Sorted(slices.Values(r.Values)))
		sorted = append(sorted, r)
	}
	slices.SortFunc(sorted, compareRequirements)
	sorted = slices.CompactFunc(sorted, func(a, b engine.Requirement) bool {
		return compareRequirements(a, b) == 0
	})
	return labelWords(sorted)
}

// compareRequirements orders requirements. Values must be sorted.
func compareRequirements(a, b engine.Requirement) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Operator, b.Operator), slices.Compare(a.Values, b.Values))
}

// coveredBy returns the first of others, by policy and index, that contains u; nil for none. Of rules with one
// subject that contain each other all but one are covered, by that one.
func coveredBy(u *lintRule, others []*lintRule, subjects map[*lintPolicy]string) *lintRule {
	var best *lintRule
	equal := []*lintRule{u}
	for _, o := range others {
		switch {
		case o == u || !ruleContains(o, u, inAnyWay):
		case subjects[o.of] == subjects[u.of] && ruleContains(u, o, inAnyWay):
			equal = append(equal, o)
		case best == nil || compareLintRules(o, best) < 0:
			best = o
		}
	}
	if kept := keptOf(equal); kept != u && (best == nil || compareLintRules(kept, best) < 0) {
		best = kept
	}
	return best
}

// keptOf returns which of some rules that contain each other is not covered: the first, by policy and index, of
// those that no other one is plainly wider than.
func keptOf(equal []*lintRule) *lintRule {
	kept := equal[0]
	if len(equal) == 1 {
		return kept
	}
	widest := slices.DeleteFunc(slices.Clone(equal), func(u *lintRule) bool {
		return slices.ContainsFunc(equal, func(o *lintRule) bool {
			return ruleContains(o, u, plainly) && !ruleContains(u, o, plainly)
		})
	})
	return slices.MinFunc(widest, compareLintRules)
}

// compareLintRules orders rules of one namespace and direction by policy name and index.
func compareLintRules(a, b *lintRule) int {
	return cmp.Or(cmp.Compare(a.of.key.Name, b.of.key.Name), cmp.Compare(a.Index, b.Index))
}

// A containment is how far one looks whether an entry contains another.
type containment bool

const (
	// plainly: the other entry adds requirements, is inside the range, and so on.
	plainly containment = false
	// inAnyWay: also if a requirement follows from another one, or the other entry matches nothing.
	inAnyWay containment = true
)

// ruleContains reports whether a allows all that b does, whatever Pods there are. Both are of policies in one
// namespace.
func ruleContains(a, b *lintRule, how containment) bool {
	namespace := a.of.key.Namespace
	return listContains(a.from.Peers, b.from.Peers, func(x, y *engine.Peer) bool {
		return peerContains(namespace, x, y, how)
	}) && listContains(a.from.Ports, b.from.Ports, func(x, y *engine.Port) bool {
		return portContains(x, y, how)
	})
}

// listContains reports whether every entry of b is inside one of a. An empty list is everything (S15).
func listContains[T any](a, b []T, contains func(x, y *T) bool) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == 0
	}
	for i := range b {
		inside := false
		for j := range a {
			if inside = contains(&a[j], &b[i]); inside {
				break
			}
		}
		if !inside {
			return false
		}
	}
	return true
}

// portContains reports whether every port that b matches is one of a.
func portContains(a, b *engine.Port, how containment) bool {
	switch {
	case isInvalidPort(b):
		return how == inAnyWay
	case isInvalidPort(a) || a.Protocol != b.Protocol || a.AnyProtocol != b.AnyProtocol:
		return false
	case a.Name != "":
		return a.Name == b.Name
	case b.Name != "": // any number, of this protocol
		return how == inAnyWay && a.First == 1 && a.Last == 65535
	}
	return a.First <= b.First && b.Last <= a.Last
}

// peerContains reports whether peer a of a policy in namespace matches all that b does, whatever there is.
func peerContains(namespace string, a, b *engine.Peer, how containment) bool {
	x, y := a.ValidBlock(), b.ValidBlock()
	switch {
	case how == inAnyWay && (y != nil && isEmpty(y) || y == nil && matchesNothing(b)):
		return true
	case x != nil || y != nil:
		return x != nil && y != nil && blockInside(x, y)
	case matchesNothing(a) || matchesNothing(b):
		return false
	}
	own := engine.Selector{{Key: metadataName, Operator: engine.In, Values: []string{namespace}}}
	return selectorContains(namespacesOf(a, own), namespacesOf(b, own), how) &&
		selectorContains(podsOf(a), podsOf(b), how)
}

// matchesNothing reports whether a peer that is no block is invalid (S23).
func matchesNothing(p *engine.Peer) bool {
	return p.Block != nil || p.Nodes != nil || p.Namespaces == nil && p.Pods == nil
}

// namespacesOf returns the selector of the namespaces of a peer; own for that of the policy (S16).
func namespacesOf(p *engine.Peer, own engine.Selector) engine.Selector {
	if p.Namespaces == nil {
		return own
	}
	return *p.Namespaces
}

// podsOf returns the selector of the Pods of a peer.
func podsOf(p *engine.Peer) engine.Selector {
	if p.Pods == nil {
		return nil
	}
	return *p.Pods
}

// selectorContains reports whether a matches all that b does: whether each requirement of a is in b, or
// something in b implies it.
func selectorContains(a, b engine.Selector, how containment) bool {
	for i := range a {
		if !slices.ContainsFunc(b, func(r engine.Requirement) bool {
			return implies(&r, &a[i]) && (how == inAnyWay || implies(&a[i], &r))
		}) {
			return false
		}
	}
	return true
}

// implies reports whether whatever meets r meets want (S17).
func implies(r, want *engine.Requirement) bool {
	if r.Key != want.Key || r.Operator > engine.DoesNotExist || want.Operator > engine.DoesNotExist {
		return false
	}
	in := func(v string) bool { return slices.Contains(want.Values, v) }
	switch want.Operator {
	case engine.In:
		return r.Operator == engine.In && !slices.ContainsFunc(r.Values, func(v string) bool { return !in(v) })
	case engine.NotIn:
		switch r.Operator {
		case engine.In:
			return !slices.ContainsFunc(r.Values, in)
		case engine.NotIn:
			return !slices.ContainsFunc(want.Values, func(v string) bool { return !slices.Contains(r.Values, v) })
		case engine.DoesNotExist:
			return true
		case engine.Exists:
		}
	case engine.Exists:
		return r.Operator == engine.Exists || r.Operator == engine.In
	case engine.DoesNotExist:
		return r.Operator == engine.DoesNotExist
	}
	return false
}

// blockInside reports whether b is inside a: its CIDR, and no exception of a meets what is left of b.
func blockInside(a, b *engine.IPBlock) bool {
	if a.CIDR.Addr().Is4() != b.CIDR.Addr().Is4() || a.CIDR.Bits() > b.CIDR.Bits() ||
		!a.CIDR.Contains(b.CIDR.Addr()) {
		return false
	}
	for _, e := range a.Except {
		if !e.Overlaps(b.CIDR) {
			continue
		}
		if e.Bits() < b.CIDR.Bits() {
			e = b.CIDR
		}
		if !isExcepted(e.Masked(), b.Except) {
			return false
		}
	}
	return true
}

// isEmpty reports whether all of a block is excepted, by one exception or by several together.
func isEmpty(b *engine.IPBlock) bool { return isExcepted(b.CIDR.Masked(), b.Except) }

// isExcepted reports whether all of p is excepted.
func isExcepted(p netip.Prefix, except []netip.Prefix) bool {
	if slices.ContainsFunc(except, func(e netip.Prefix) bool {
		return e.Bits() <= p.Bits() && e.Contains(p.Addr())
	}) {
		return true
	}
	if !slices.ContainsFunc(except, p.Overlaps) {
		return false
	}
	half := netip.PrefixFrom(p.Addr(), p.Bits()+1) // an exception is inside p, so that p is no single address
	other := netip.PrefixFrom(lastOf(half).Next(), half.Bits())
	return isExcepted(half, except) && isExcepted(other, except)
}
