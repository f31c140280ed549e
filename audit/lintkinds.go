package audit

import (
	"encoding/binary"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A lintKind is ends that are told apart only by peers of few ends: all cluster-wide policies, and all peers of
// many ends, treat them alike.
//
// What two ends may do is what their kinds may do, unless a NetworkPolicy of one names the other by a peer of
// few ends. So a rule is tried on each pair of kinds, and then on the pairs of ends that are so named.
type lintKind struct {
	// end stands for all. The NetworkPolicies of its class are cut to their peers of many ends.
	end  *lintEnd
	ends []*lintEnd
}

// dividedPeers are the peers of a NetworkPolicy's rule.
type dividedPeers struct {
	// wide is the rule with its peers of many ends alone; nil if it has none.
	wide *lintRule
	// few are the ends that the others match. What S19 hides they do not leave out.
	few []*lintEnd
}

// A blockMatch is what a block matches of the ends.
type blockMatch struct {
	block *engine.IPBlock
	ends  []*lintEnd
	// alike stands for all blocks that match the same ends; number is its number.
	alike  *blockMatch
	number uint32
}

// isWide reports whether so many ends are many: there cannot be many different peers of them.
func (v *survey) isWide(ends int) bool { return ends > len(v.ends)/8 }

// divide divides the peers of a NetworkPolicy's rule.
func (v *survey) divide(u *lintRule) *dividedPeers {
	wide := *u
	wide.selectors, wide.blocks = nil, nil
	few := *u
	few.selectors, few.blocks, few.anyPeer = nil, nil, false
	for _, id := range u.selectors {
		g := v.groups[id]
		n := len(g.nodes)
		for _, c := range g.classes {
			n += len(c.ends)
		}
		if v.isWide(n) {
			wide.selectors = append(wide.selectors, id)
		} else {
			few.selectors = append(few.selectors, id)
		}
	}
	for _, b := range u.blocks {
		if m := v.matchOf(b); v.isWide(len(m.ends)) {
			wide.blocks = append(wide.blocks, m.alike.block)
		} else {
			few.blocks = append(few.blocks, b)
		}
	}
	d := &dividedPeers{wide: &wide}
	if !u.anyPeer {
		d.few = v.candidates(&few)
	}
	return d
}

// matchOf returns what a block matches.
func (v *survey) matchOf(b *engine.IPBlock) *blockMatch {
	if found := v.tiers.blocks[b]; found != nil {
		return found
	}
	m := &blockMatch{block: b, ends: v.matchedEnds(b)}
	var numbers []int
	for _, k := range v.kinds {
		if b.Contains(k.addr) {
			numbers = append(numbers, k.number)
		}
	}
	slices.Sort(numbers)
	var key []byte
	for _, n := range numbers {
		key = binary.AppendUvarint(key, uint64(n))
	}
	m.alike = v.tiers.ofMatch[string(key)]
	if m.alike == nil {
		m.alike, m.number = m, uint32(len(v.tiers.ofMatch))
		v.tiers.ofMatch[string(key)] = m
	}
	v.tiers.blocks[b] = m
	return m
}

// A kindSorter sorts ends into kinds.
type kindSorter struct {
	*survey
	// wide are the stacks of classes with peers of many ends alone, each once, and number the number of each.
	wide   map[*lintStack]*lintStack
	number map[*lintStack]uint32
	byKey  map[string]*lintStack
}

// sortKinds returns the kinds of all ends.
func (v *survey) sortKinds() []*lintKind {
	k := kindSorter{v, map[*lintStack]*lintStack{}, map[*lintStack]uint32{}, map[string]*lintStack{}}
	found := map[string]*lintKind{}
	var list []*lintKind
	for _, e := range v.ends {
		key := k.keyOf(e)
		mine := found[key]
		if mine == nil {
			mine = &lintKind{end: k.wideEnd(e)}
			found[key], list = mine, append(list, mine)
		}
		mine.ends = append(mine.ends, e)
	}
	return list
}

// keyOf returns all that ends of a kind have in common.
func (k *kindSorter) keyOf(e *lintEnd) string {
	var key []byte
	if e.class != nil {
		for d, s := range e.class.stacks {
			key = binary.AppendUvarint(key, uint64(e.class.tiers[d].number)+1)
			key = binary.AppendUvarint(key, uint64(k.number[k.wideStack(s, d)]))
		}
	}
	key = append(key, 0)
	for i := range e.forms() {
		f := &e.forms()[i]
		for j := range f.seen {
			key = binary.AppendUvarint(key, uint64(f.seen[j].number))
		}
	}
	if e.byIP {
		key = append(key, 1)
	}
	return string(key)
}

// wideEnd returns what stands for the kind of an end.
func (k *kindSorter) wideEnd(e *lintEnd) *lintEnd {
	out := &lintEnd{groups: e.groups, addrs: e.addrs, byIP: e.byIP, asked: e.forms()}
	if e.class != nil {
		out.class = &lintClass{PodClass: e.class.PodClass, tiers: e.class.tiers}
		for d, s := range e.class.stacks {
			out.class.stacks[d] = k.wideStack(s, d)
		}
	}
	return out
}

// wideStack returns the stack of a side with peers of many ends alone, one for all that are so alike.
func (k *kindSorter) wideStack(s *lintStack, side int) *lintStack {
	if found := k.wide[s]; found != nil {
		return found
	}
	const networkPolicies = engine.NetworkPolicies - engine.Admin
	out := &lintStack{tiers: s.tiers, policies: s.policies}
	out.tiers[networkPolicies] = nil
	var rules []string
	for _, u := range s.tiers[networkPolicies] {
		wide := u.divided.wide
		if !wide.anyPeer && len(wide.selectors)+len(wide.blocks) == 0 {
			continue
		}
		out.tiers[networkPolicies] = append(out.tiers[networkPolicies], wide)
		rules = append(rules, k.keyOfRule(wide))
	}
	slices.Sort(rules)
	key := []byte{byte(side), 0}
	if len(s.policies) > 0 {
		key[1] = 1
	}
	last := none
	for _, u := range slices.Concat(s.tiers[0], s.tiers[engine.Baseline-engine.Admin]) {
		if u.of.number != last {
			last = u.of.number
			key = binary.AppendUvarint(key, uint64(last)+1)
		}
	}
	key = append(key, 0)
	for _, text := range slices.Compact(rules) {
		key = binary.AppendUvarint(key, uint64(len(text)))
		key = append(key, text...)
	}
	if found := k.byKey[string(key)]; found != nil {
		out = found
	} else {
		k.byKey[string(key)] = out
		k.number[out] = uint32(len(k.number))
	}
	k.wide[s] = out
	return out
}

// keyOfRule returns the peers and the ports of a rule of peers of many ends.
func (k *kindSorter) keyOfRule(u *lintRule) string {
	key := []byte{0}
	if u.anyPeer {
		key[0] = 1
	}
	selectors := slices.Clone(u.selectors)
	slices.Sort(selectors)
	for _, id := range slices.Compact(selectors) {
		key = binary.AppendUvarint(key, uint64(id)+1)
	}
	key = append(key, 0)
	var blocks []uint32
	for _, b := range u.blocks {
		blocks = append(blocks, k.matchOf(b).number)
	}
	slices.Sort(blocks)
	for _, n := range slices.Compact(blocks) {
		key = binary.AppendUvarint(key, uint64(n)+1)
	}
	key = append(key, 0)
	for _, r := range u.fixed {
		key = append(key, byte(r.Protocol), byte(r.First>>8), byte(r.First), byte(r.Last>>8), byte(r.Last))
	}
	for i := range u.names {
		key = append(append(key, portWords(&u.names[i])...), 0)
	}
	return string(key)
}
