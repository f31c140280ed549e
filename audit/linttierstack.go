package audit

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"github.com/netpold/netpold/engine"
)

// A lintTiers remembers what cluster-wide policies say. The same few of them select most Pods, and match most
// ends alike, so that there are few answers:
//
//	a tierStack, the rules of one side of Pods ─► outcomes ─► by the number of a view, what the other side is seen as
//
// Without cluster-wide policies there is one of each.
type lintTiers struct {
	// seen are the selectors, and names the port names, that views are told apart by.
	seen  map[engine.SelectorID]bool
	names map[string]bool
	// prefixes are the CIDRs and exceptions that views are told apart by.
	prefixes bart.Table[netip.Prefix]
	views    map[string]uint32
	stacks   map[string]*tierStack
	key      []byte
	// any reports whether there are cluster-wide policies.
	any bool
	// blocks has what blocks of NetworkPolicies match, and ofMatch one of those that match the same ends.
	blocks  map[*engine.IPBlock]*blockMatch
	ofMatch map[string]*blockMatch
}

// A tierStack is the rules of cluster-wide policies that one side of an end has. Classes that the same of them
// select, and for ingress have the same named ports, share it.
type tierStack struct {
	number uint32
	// tiers are Admin and Baseline, with their rules in the order in which they count.
	tiers [2][]*lintRule
	// outcomes and effects are by the number of a view; nil where nobody has asked.
	outcomes []*tierOutcome
	effects  []*[]tierEffect
}

// A tierOutcome is what cluster-wide rules make of all ports.
type tierOutcome struct {
	// allowed are those that Admin allows; left those that it leaves to other tiers.
	allowed, left engine.PortSet
	// base are those that Baseline would allow.
	base engine.PortSet
}

// addTiers sorts classes and ends by what cluster-wide rules see of them.
func (v *survey) addTiers() {
	t := &v.tiers
	*t = lintTiers{
		seen: map[engine.SelectorID]bool{}, names: map[string]bool{}, views: map[string]uint32{},
		stacks: map[string]*tierStack{}, blocks: map[*engine.IPBlock]*blockMatch{},
		ofMatch: map[string]*blockMatch{},
	}
	for _, p := range v.policies { // cluster-wide ones are first
		if p.cluster != nil {
			p.eachRule(func(u *lintRule) { t.see(u.selectors, u.blocks, u.names) })
			t.any = true
		} else if t.any {
			p.eachRule(func(u *lintRule) {
				u.divided = v.divide(u)
				t.see(u.divided.wide.selectors, u.divided.wide.blocks, u.names)
			})
		}
	}
	for _, c := range v.classes {
		for _, d := range []Direction{Egress, Ingress} {
			c.tiers[side(d)] = t.stackOf(c, d)
		}
	}
	for _, e := range v.ends {
		for i := range e.forms() {
			f := &e.forms()[i]
			for j := range f.seen {
				f.seen[j].number = t.numberOf(&f.seen[j])
			}
		}
	}
}

// see lets views be told apart by peers and by port names.
func (t *lintTiers) see(selectors []engine.SelectorID, blocks []*engine.IPBlock, names []engine.Port) {
	for _, id := range selectors {
		t.seen[id] = true
	}
	for _, b := range blocks {
		for _, p := range append([]netip.Prefix{b.CIDR}, b.Except...) {
			t.prefixes.Insert(p.Masked(), p.Masked())
		}
	}
	for i := range names {
		t.names[names[i].Name] = true
	}
}

// stackOf returns the rules that cluster-wide policies have for a direction of a class.
func (t *lintTiers) stackOf(c *lintClass, d Direction) *tierStack {
	s := c.stacks[side(d)]
	key := append(t.key[:0], byte(d))
	var last *lintPolicy
	for _, tier := range []engine.Tier{engine.Admin, engine.Baseline} {
		for _, u := range s.tiers[tier-engine.Admin] {
			if u.of != last {
				last = u.of
				key = binary.AppendUvarint(key, uint64(u.of.number)+1)
			}
		}
	}
	key = append(key, 0)
	if d == Ingress {
		key = t.appendPorts(key, c.Ports)
	}
	t.key = key
	found := t.stacks[string(key)]
	if found == nil {
		found = &tierStack{number: uint32(len(t.stacks)), tiers: [2][]*lintRule{
			s.tiers[0], s.tiers[engine.Baseline-engine.Admin],
		}}
		t.stacks[string(key)] = found
	}
	return found
}

// appendPorts appends named ports that views are told apart by to a key.
func (t *lintTiers) appendPorts(key []byte, named []engine.NamedPort) []byte {
	for _, n := range named {
		if t.names[n.Name] {
			key = append(key, byte(n.Protocol), byte(n.Port>>8), byte(n.Port))
			key = append(key, n.Name...)
			key = append(key, 0)
		}
	}
	return key
}

// numberOf returns the number of a view. Views of one number are alike to all cluster-wide rules, and to
// peers of many ends of NetworkPolicies.
func (t *lintTiers) numberOf(seen *view) uint32 {
	key := t.key[:0]
	for _, id := range seen.groups {
		if t.seen[id] {
			key = binary.AppendUvarint(key, uint64(id)+1)
		}
	}
	kinds := t.kindsOf(seen.addrs)
	key = append(key, 0, byte(len(kinds)), 0)
	if seen.inCluster {
		key[len(key)-1] = 1
	}
	for _, p := range kinds {
		a := p.Addr().As16()
		key = append(append(key, a[:]...), byte(familyIndex(p.Addr())), byte(p.Bits()))
	}
	key = t.appendPorts(key, seen.ports)
	t.key = key
	n, ok := t.views[string(key)]
	if !ok {
		n = uint32(len(t.views))
		t.views[string(key)] = n
	}
	return n
}

// kindsOf returns the longest prefix around each address, sorted and each once.
func (t *lintTiers) kindsOf(addrs []netip.Addr) []netip.Prefix {
	if len(addrs) == 0 {
		return nil
	}
	kinds := make([]netip.Prefix, len(addrs))
	for i, a := range addrs {
		if kinds[i], _ = t.prefixes.Lookup(a); !kinds[i].IsValid() {
			kinds[i], _ = a.Prefix(0)
		}
	}
	slices.SortFunc(kinds, netip.Prefix.Compare)
	return slices.Compact(kinds)
}

// at returns the element of a list that grows.
func at[E any](list *[]*E, n uint32) **E {
	if int(n) >= len(*list) {
		*list = append(*list, make([]*E, int(n)+1-len(*list))...)
	}
	return &(*list)[n]
}

// outcomeOf returns what cluster-wide rules say of what a side of a class sees.
func (v *survey) outcomeOf(c *lintClass, d Direction, seen *view) *tierOutcome {
	s := c.tiers[side(d)]
	found := at(&s.outcomes, seen.number)
	if *found == nil {
		o, named := &tierOutcome{}, portsLookedUp(d, c, seen)
		*found = o
		allowed, denied := v.walk(s.tiers[0], seen, named, engine.EveryPort(), nil)
		o.allowed, o.left = allowed, engine.EveryPort().Minus(allowed.Union(denied))
		_, denied = v.walk(s.tiers[1], seen, named, engine.EveryPort(), nil)
		o.base = engine.EveryPort().Minus(denied)
	}
	return *found
}

// walk returns which of the ports left the rules of a tier allow, and which they deny, for what is seen, as if
// there were no rule without. They leave the others to the tiers below.
func (v *survey) walk(
	rules []*lintRule, seen *view, named []engine.NamedPort, left engine.PortSet, without *lintRule,
) (allowed, denied engine.PortSet) {
	for _, u := range rules {
		if len(left) == 0 {
			break
		}
		if u == without || !v.matches(u, seen) {
			continue
		}
		taken := left.Intersect(u.portsOn(named))
		left = left.Minus(taken)
		switch u.action {
		case engine.Allow:
			allowed = allowed.Union(taken)
		case engine.Deny:
			denied = denied.Union(taken)
		case engine.Pass:
		}
	}
	return allowed, denied
}
