package audit_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// rule-covered is found at least in the cases that the table names: of every pair of rules, and of rules that
// are made narrower than another in each of these ways. What else is found changes no verdict, as other tests
// try.
func TestLintFindsCoveredRules(t *testing.T) {
	t.Parallel()
	want := map[string]int{}
	for seed := range uint64(600) {
		objects, options := random(seed + 20_000)
		objects = withNarrower(objects, seed)
		got := map[ruleName]*audit.Finding{}
		for _, f := range lint(t, snapshotOf(objects, options)) {
			if f.Code == audit.RuleCovered {
				got[ruleName{f.Policy, f.Direction, f.Rule}] = f
			}
		}
		n := &naiveLint{objects, &enginetest.Oracle{Objects: objects, Options: options}, nil}
		var rules []naiveRule
		live := map[*engine.Policy]bool{}
		for _, p := range n.policies() {
			if p.np != nil {
				rules = append(rules, p.rules()...)
				live[p.np] = len(p.selected) > 0
			}
		}
		for i := range rules {
			u := &rules[i]
			name := ruleName{engine.KeyOf(u.policy.np), u.direction, u.index}
			if f := got[name]; f != nil && (len(f.By) != 1 || f.By[0].Direction != u.direction) {
				t.Errorf("seed %d: %v is covered by %v, which is not one other rule of the direction", seed, name, f.By)
			}
			if !live[u.policy.np] {
				if got[name] != nil {
					t.Errorf("seed %d: %v is covered, although its policy selects nothing", seed, name)
				}
				continue
			}
			for j := range rules {
				how := naivelyCovers(&rules[j], u)
				if i == j || how == "" {
					continue
				}
				want[how]++
				if got[name] == nil {
					t.Errorf("seed %d: %v is not found, although rule %d of %v covers it: %s\n%s\n%s", seed, name,
						rules[j].index, engine.KeyOf(rules[j].policy.np), how, enginetest.Text(u.rule),
						enginetest.Text(rules[j].rule))
				}
			}
		}
	}
	for _, how := range []string{"equal", "wider"} {
		if want[how] < 100 {
			t.Errorf("%s rules are rare: %v", how, want)
		}
	}
}

// naivelyCovers reports whether the table names a case in which o covers u: that they are "equal", so that
// the later is covered, or that o is "wider". It returns "" for no such case.
func naivelyCovers(o, u *naiveRule) string {
	a, b := o.policy.np, u.policy.np
	same := subjectText(a.Subject) == subjectText(b.Subject)
	if a.Namespace != b.Namespace || o.direction != u.direction || !same && len(a.Subject) > 0 ||
		!containsRule(o, u) {
		return ""
	}
	if !same || !containsRule(u, o) {
		return "wider"
	}
	if a.Name < b.Name || a.Name == b.Name && o.index < u.index {
		return "equal"
	}
	return ""
}

// subjectText is equal for equal selectors, whatever the order of their parts.
func subjectText(s engine.Selector) string {
	var list []string
	for _, r := range s {
		values := slices.Compact(slices.Sorted(slices.Values(r.Values)))
		list = append(list, fmt.Sprint(r.Key, r.Operator, values))
	}
	slices.Sort(list)
	return fmt.Sprint(slices.Compact(list))
}

// containsRule reports whether o has peers and ports that contain those of u.
func containsRule(o, u *naiveRule) bool {
	namespace := u.policy.np.Namespace
	for i := range u.rule.Peers {
		if len(o.rule.Peers) > 0 && !slices.ContainsFunc(o.rule.Peers, func(x engine.Peer) bool {
			return containsPeer(namespace, &x, &u.rule.Peers[i])
		}) {
			return false
		}
	}
	for i := range u.rule.Ports {
		if len(o.rule.Ports) > 0 && !slices.ContainsFunc(o.rule.Ports, func(x engine.Port) bool {
			return containsPort(&x, &u.rule.Ports[i])
		}) {
			return false
		}
	}
	return (len(o.rule.Peers) == 0 || len(u.rule.Peers) > 0) && (len(o.rule.Ports) == 0 || len(u.rule.Ports) > 0)
}

// containsPeer reports whether peer y is contained in x, in one of the ways that the table names.
func containsPeer(namespace string, x, y *engine.Peer) bool {
	if isNaiveBlock(x) && isNaiveBlock(y) {
		if x.Block.CIDR.Bits() > y.Block.CIDR.Bits() || !x.Block.CIDR.Contains(y.Block.CIDR.Addr()) {
			return false
		}
		// What is left of y and is not in x would begin or end at a border of one of them.
		for _, p := range slices.Concat([]netip.Prefix{y.Block.CIDR}, y.Block.Except, x.Block.Except) {
			for _, a := range []netip.Addr{p.Masked().Addr(), lastAddr(p), p.Masked().Addr().Prev(), lastAddr(p).Next()} {
				if a.IsValid() && inNaiveBlock(y.Block, a) && !inNaiveBlock(x.Block, a) {
					return false
				}
			}
		}
		return true
	}
	if !isNaiveSelector(x) || !isNaiveSelector(y) {
		return false
	}
	text := func(s *engine.Selector) string {
		if s == nil {
			return "none"
		}
		return subjectText(*s)
	}
	sameScope := text(x.Namespaces) == text(y.Namespaces)
	ownInAll := y.Namespaces == nil && x.Namespaces != nil && len(*x.Namespaces) == 0 && namespace != ""
	return (sameScope || ownInAll) && addsTo(x.Pods, y.Pods) ||
		x.Namespaces != nil && y.Namespaces != nil && addsTo(x.Namespaces, y.Namespaces) && addsTo(x.Pods, y.Pods)
}

// addsTo reports whether y has all requirements of x.
func addsTo(x, y *engine.Selector) bool {
	if x == nil || len(*x) == 0 {
		return true
	}
	return y != nil && !slices.ContainsFunc(*x, func(r engine.Requirement) bool {
		return !slices.ContainsFunc(*y, func(own engine.Requirement) bool {
			return subjectText(engine.Selector{r}) == subjectText(engine.Selector{own})
		})
	})
}

// containsPort reports whether port y is inside x.
func containsPort(x, y *engine.Port) bool {
	if x.Protocol != y.Protocol || x.Name != y.Name {
		return false
	}
	return x.Name != "" || x.First > 0 && x.First <= y.First && y.First <= y.Last && y.Last <= x.Last
}

// withNarrower returns the objects with rules that are narrower than some rules of theirs: in the same policy,
// or in another whose subject is the same or narrower.
func withNarrower(objects []engine.Object, seed uint64) []engine.Object {
	r := rand.New(rand.NewPCG(seed, 3))
	var list []engine.Object
	for _, o := range objects {
		p, ok := enginetest.Clone(o).(*engine.Policy)
		if !ok {
			list = append(list, o)
			continue
		}
		other := enginetest.Clone(p).(*engine.Policy)
		other.Name, other.Ingress, other.Egress, other.TypesOmitted = p.Name+"-more", nil, nil, false
		if len(p.Subject) == 0 && r.IntN(2) == 0 {
			other.Subject = engine.Selector{{Key: "app", Operator: engine.Exists}}
		}
		for _, d := range []struct{ from, to *[]engine.Rule }{
			{&p.Ingress, &other.Ingress}, {&p.Egress, &other.Egress},
		} {
			for i := range *d.from {
				u := enginetest.Clone(&engine.Policy{Ingress: (*d.from)[i : i+1]}).(*engine.Policy).Ingress[0]
				narrow(r, &u)
				if r.IntN(2) == 0 {
					*d.to = append(*d.to, u)
				} else {
					*d.from = slices.Insert(*d.from, r.IntN(len(*d.from)), u)
				}
			}
		}
		list = append(list, p, other)
	}
	return list
}

// narrow makes the entries of a rule match less, each in some way.
func narrow(r *rand.Rand, u *engine.Rule) {
	more := engine.Requirement{Key: "env", Operator: engine.Exists}
	for i := range u.Peers {
		p := &u.Peers[i]
		switch {
		case p.Block != nil && p.Block.CIDR.IsValid() && p.Block.CIDR.Bits() < p.Block.CIDR.Addr().BitLen():
			half := netip.PrefixFrom(p.Block.CIDR.Addr(), p.Block.CIDR.Bits()+1).Masked()
			if r.IntN(2) == 0 {
				p.Block.CIDR = half
			} else {
				p.Block.Except = append(p.Block.Except, half)
			}
		case p.Pods != nil && r.IntN(2) == 0:
			s := append(slices.Clone(*p.Pods), more)
			p.Pods = &s
		case p.Namespaces != nil && len(*p.Namespaces) == 0 && r.IntN(2) == 0:
			p.Namespaces = nil // the own one is among them
			if p.Pods == nil {
				p.Pods = &engine.Selector{}
			}
		case p.Namespaces != nil:
			s := append(slices.Clone(*p.Namespaces), more)
			p.Namespaces = &s
		}
	}
	for i := range u.Ports {
		if p := &u.Ports[i]; p.Name == "" && p.First < p.Last && r.IntN(2) == 0 {
			p.First++
		}
	}
	if len(u.Peers) == 0 && r.IntN(2) == 0 {
		u.Peers = []engine.Peer{{Pods: &engine.Selector{more}}}
	}
	slices.Reverse(u.Peers)
	slices.Reverse(u.Ports)
}
