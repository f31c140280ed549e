package audit

import (
	"encoding/binary"
	"net/netip"
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

// A view is an end as the rules of the other side match it in one question: by its groups, and by its
// addresses of the family that is decided (S9).
type view struct {
	groups    []engine.SelectorID
	addrs     []netip.Addr
	inCluster bool
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

// allowed returns the ports that a side allows for what is seen, as if it had no rule without (S32 to S34). A
// nil stack allows everything. named are the destination's named ports.
func (v *survey) allowed(s *lintStack, seen *view, named []engine.NamedPort, without *lintRule) engine.PortSet {
	left := engine.EveryPort()
	if s == nil {
		return left
	}
	var out engine.PortSet
	for tier, rules := range s.tiers {
		var passed engine.PortSet
		for _, u := range rules {
			if u == without || len(left) == 0 || !v.matches(u, seen) {
				continue
			}
			taken := left.Intersect(u.portsOn(named))
			left = left.Minus(taken)
			switch u.action {
			case engine.Allow:
				out = out.Union(taken)
			case engine.Pass:
				passed = passed.Union(taken)
			case engine.Deny:
			}
		}
		if tier == int(engine.NetworkPolicies-engine.Admin) && len(s.policies) > 0 {
			return out // what is left is denied (S14)
		}
		left = left.Union(passed)
	}
	return out.Union(left)
}

// A form is a way to ask for an end: by its name, or by one of its addresses.
type form struct {
	end   *lintEnd
	byIP  bool
	addrs []netip.Addr
}

// forms returns all ways to ask for an end.
func (e *lintEnd) forms() []form {
	if e.byIP {
		return []form{{e, true, e.addrs}}
	}
	list := []form{{e, false, e.addrs}}
	if e.class == nil {
		return list // the addresses of host-network Pods are ends of their own
	}
	for i := range e.addrs {
		list = append(list, form{e, true, e.addrs[i : i+1]})
	}
	return list
}

// families returns whether the form has addresses of each family.
func (f *form) families() (has [2]bool) {
	for _, a := range f.addrs {
		has[familyIndex(a)] = true
	}
	return has
}

// familyIndex returns 0 for IPv4 and 1 for IPv6.
func familyIndex(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// noFamily is the index of no family: no block matches.
const noFamily = -1

// decided returns the families in which a question between two forms is decided (S9).
func decided(a, b *form) []int {
	in, other := a.families(), b.families()
	var none [2]bool
	switch {
	case a.byIP && b.byIP:
	case b.byIP, in == none:
		in = other
		other = in
	case a.byIP, other == none:
		other = in
	}
	var list []int
	for f := range in {
		if in[f] && other[f] {
			list = append(list, f)
		}
	}
	if len(list) == 0 {
		return []int{noFamily}
	}
	return list
}

// seenIn returns the form as the other side's rules match it in a family.
func (f *form) seenIn(family int) view {
	v := view{groups: f.end.groups, inCluster: true}
	for _, a := range f.addrs {
		if familyIndex(a) == family {
			v.addrs = append(v.addrs, a)
		}
	}
	return v
}

// A lintRange is an inclusive range of addresses of one family that are not in the cluster.
type lintRange struct{ first, last netip.Addr }

// view returns the range as rules match it: its first address stands for all.
func (r *lintRange) view() view { return view{addrs: []netip.Addr{r.first}} }

// outside divides the addresses at the borders of the blocks of a stack and of u. Ranges without an address
// that nothing in the cluster owns are left out only by [survey.hasOutside].
func outside(s *lintStack, u *lintRule) []lintRange {
	var list []lintRange
	for _, all := range []netip.Prefix{
		netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0),
	} {
		begins := []netip.Addr{all.Addr()}
		add := func(b *engine.IPBlock) {
			for _, p := range append([]netip.Prefix{b.CIDR}, b.Except...) {
				if p.Addr().Is4() == all.Addr().Is4() {
					begins = append(begins, p.Masked().Addr())
					if after := lastOf(p).Next(); after.IsValid() {
						begins = append(begins, after)
					}
				}
			}
		}
		for _, rules := range s.tiers {
			for _, x := range rules {
				for _, b := range x.blocks {
					add(b)
				}
			}
		}
		for _, b := range u.blocks {
			add(b)
		}
		slices.SortFunc(begins, netip.Addr.Compare)
		begins = slices.Compact(begins)
		for i, first := range begins {
			r := lintRange{first, lastOf(all)}
			if i+1 < len(begins) {
				r.last = begins[i+1].Prev()
			}
			list = append(list, r)
		}
	}
	return list
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b) // of the right length
	return a
}

// hasOutside reports whether a range has an address that nothing in the cluster owns.
func (v *survey) hasOutside(r lintRange) bool {
	at := r.first
	i, _ := slices.BinarySearchFunc(v.owned, at, netip.Addr.Compare)
	for ; i < len(v.owned) && v.owned[i] == at; i++ {
		if at == r.last {
			return false
		}
		at = at.Next()
	}
	return true
}
