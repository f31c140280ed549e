package engine

import (
	"maps"
	"slices"
)

// Seal makes r ready for views and pairs. r itself must not be used any more.
func (r *Roles) Seal() { r.ofClass, r.ofKey, r.ofOutside = nil, nil, nil }

// View returns roles of the same snapshot for one user, beside other views. It shares what r knows, which
// must be sealed.
func (r *Roles) View(byRule bool) *Roles {
	v := &Roles{
		s: r.s, byRule: byRule, shared: r, named: r.named, portNames: r.portNames,
		compiled: map[*policy]*[directions][]*roleRule{}, ofClass: map[*class]*[2]role{},
		numbers: map[*policy]uint64{}, ofKey: map[roleKey][2]uint32{},
		ofOutside: map[outsideKey][]OutsideReach{},
	}
	for d := range directions {
		v.blocks[d], v.subjects[d] = r.blocks[d].view(), map[string]*roleSubject{}
		v.roles[d], v.roleIDs[d] = slices.Clip(r.roles[d]), map[string]uint32{}
	}
	return v
}

// RolePair is the roles of two snapshots of which one was made of the other, by numbers that mean the same in
// both for all ends that the changes do not touch. It is not safe for concurrent use.
//
// An end that is not among the touched Pods has in After what [RolePair.Carried] makes of its role in Before.
// So nobody has to look at it.
type RolePair struct {
	Before, After *Roles
	// was and is are the policies that differ, in Before and in After.
	was, is []*policy
	// added are the selectors that rules of a direction name in After alone, and addedNames the port names.
	added      [directions][]*selector
	addedNames map[string]bool
	// addedBlocks are the blocks that only rules of After have.
	addedBlocks []*IPBlock
	// strips reports whether something is named in Before alone.
	strips  bool
	carried [2]map[uint32]uint32
	touched map[nameKey]struct{}
	checks  map[[2]*roleSubject]*subjectCheck
}

// A subjectCheck is what is compared of the subjects of an end in both states.
type subjectCheck struct {
	reach [2]subjectReach
	// alike reports whether both say the same of ends that their rules do not name.
	alike bool
}

// A subjectReach is what the rules of a subject name of the other end.
type subjectReach struct {
	selectors, blocks []uint32 // sorted
	ports             bool     // whether there are ports by name
}

// Pair returns the roles of the snapshot of r and of one that was made of it. It reports whether it can: not
// if Nodes or the rules about them differ, or if a large part of all Pods is touched. r must be sealed.
func (r *Roles) Pair(after *Snapshot, byRule bool) (*RolePair, bool) {
	p := &RolePair{
		Before: r.View(byRule), After: r.View(byRule), addedNames: map[string]bool{},
		carried: [2]map[uint32]uint32{{}, {}}, touched: map[nameKey]struct{}{},
		checks: map[[2]*roleSubject]*subjectCheck{},
	}
	p.After.s = &after.state
	if r.s.options != after.options || !sameNodes(r.s, &after.state) {
		return nil, false
	}
	if !r.s.options.IgnorePolicies {
		add := func(old, fresh **policy) {
			if old != nil {
				p.was = append(p.was, *old)
			}
			if fresh != nil {
				p.is = append(p.is, *fresh)
			}
		}
		eachUnsharedRecord(&r.s.policies, &after.policies, add)
		eachUnsharedRecord(&r.s.clusterPolicies, &after.clusterPolicies, add)
	}
	p.changeBlocks(r)
	if !p.renameRules(r) {
		return nil, false
	}
	return p, p.findTouched() && len(p.touched) <= max(64, after.counts.Pods/4)
}

// sameNodes reports whether two states have the same Nodes.
func sameNodes(a, b *state) bool {
	same := a.nodesClassed == b.nodesClassed && a.bareNodeClass == b.bareNodeClass
	eachUnsharedRecord(&a.nodes, &b.nodes, func(was, is **node) {
		same = same && was != nil && is != nil && (*was).sameAs(*is)
	})
	return same
}

// sameAs reports whether two records of a Node say the same, however many Pods report an address of it.
func (n *node) sameAs(o *node) bool {
	if (n.object == nil) != (o.object == nil) || n.object != nil && !SameContent(n.object, o.object) {
		return false
	}
	return n.class == o.class && maps.EqualFunc(n.hostIPs, o.hostIPs, func(_, _ int) bool { return true })
}

// changeBlocks makes the blocks of After those of its rules. Only those of the policies that differ are
// looked at.
func (p *RolePair) changeBlocks(r *Roles) {
	var more [directions]blockIndexBuilder
	delta := [directions]map[uint32]int{{}, {}}
	for _, x := range p.was {
		x.eachBlock(func(d direction, b *IPBlock) {
			if id, ok := r.blocks[d].idOf(b, x.tier); ok {
				delta[d][id]--
			}
		})
	}
	for _, x := range p.is {
		x.eachBlock(func(d direction, b *IPBlock) {
			if id, ok := r.blocks[d].idOf(b, x.tier); ok {
				delta[d][id]++
			} else if !b.empty() {
				more[d].add(b, x.tier)
				p.addedBlocks = append(p.addedBlocks, b)
			}
		})
	}
	for d := range directions {
		index := p.After.blocks[d]
		index.gone = map[uint32]bool{}
		for id, n := range delta[d] {
			if r.blocks[d].uses[id]+n == 0 {
				index.gone[id] = true
				p.strips = true
			}
		}
		if len(more[d].blocks) > 0 {
			index.more = more[d].build()
		}
	}
}

// renameRules makes the counts of After what its rules name, and finds what only one state names. It returns
// false if that is Nodes.
func (p *RolePair) renameRules(r *Roles) bool {
	before, after := p.Before, p.After
	after.named = [directions][]int32{slices.Clone(r.named[egress]), slices.Clone(r.named[ingress])}
	after.portNames = make(map[string]int, len(r.portNames))
	for name, n := range r.portNames {
		after.portNames[name] = n
	}
	for _, x := range p.was {
		after.countNames(x, -1)
	}
	after.alias = map[uint32]uint32{}
	first := max(r.s.selectorPool.next, after.s.selectorPool.next)
	for _, x := range p.is {
		x.eachPeerSelector(func(id uint32) {
			if _, known := after.alias[id]; known || id >= r.s.selectorPool.next {
				return
			}
			if old := r.s.selectors.At(id); old != nil && old.canonical != after.s.selectors.At(id).canonical {
				after.alias[id] = first + uint32(len(after.alias))
			}
		})
		after.countNames(x, 1)
	}
	ofNodes := false
	for d := range directions {
		seen := map[uint32]bool{}
		eachNamed(p.was, d, func(id uint32) {
			if before.names(d, id) && !after.names(d, id) {
				p.strips, ofNodes = true, ofNodes || r.s.selectors.At(id).scope == nodeScope
			}
		})
		eachNamed(p.is, d, func(id uint32) {
			if mine := after.idOf(id); !seen[mine] && !before.names(d, mine) {
				seen[mine] = true
				p.added[d] = append(p.added[d], after.s.selectors.At(id))
				ofNodes = ofNodes || after.s.selectors.At(id).scope == nodeScope
			}
		})
	}
	for name, n := range after.portNames {
		switch had := before.portNames[name] > 0; {
		case had && n == 0:
			p.strips = true
		case !had && n > 0:
			p.addedNames[name] = true
		}
	}
	return !ofNodes
}

// eachNamed yields the selectors that rules of a direction name as peers.
func eachNamed(policies []*policy, d direction, yield func(uint32)) {
	for _, x := range policies {
		for i := range x.rules[d] {
			for _, id := range x.rules[d][i].selectors {
				yield(id)
			}
		}
	}
}

// CarriedSource returns the role that a source of a role in Before has in After, if it is not touched.
func (p *RolePair) CarriedSource(role uint32) uint32 { return p.carry(asSource, role) }

// CarriedDestination does for destinations what CarriedSource does for sources.
func (p *RolePair) CarriedDestination(role uint32) uint32 { return p.carry(asDestination, role) }

// carry returns a role of Before without what only Before names, as After knows it.
func (p *RolePair) carry(as int, id uint32) uint32 {
	if !p.strips {
		return id
	}
	found, ok := p.carried[as][id]
	if ok {
		return found
	}
	mine, found := p.Before.roles[as][id], id
	d := otherSide(as)
	gone := func(selector uint32) bool { return !p.After.names(d, selector) }
	goneBlock := func(block uint32) bool { return p.After.blocks[d].gone[block] }
	unnamed := func(n NamedPort) bool { return p.After.portNames[n.Name] == 0 }
	if slices.ContainsFunc(mine.selectors, gone) || slices.ContainsFunc(mine.ports, unnamed) ||
		slices.ContainsFunc(mine.blocks[0], goneBlock) || slices.ContainsFunc(mine.blocks[1], goneBlock) {
		kept := *mine
		kept.selectors = slices.DeleteFunc(slices.Clone(mine.selectors), gone)
		kept.ports = slices.DeleteFunc(slices.Clone(mine.ports), unnamed)
		for f := range kept.blocks {
			kept.blocks[f] = slices.DeleteFunc(slices.Clone(mine.blocks[f]), goneBlock)
		}
		found = p.After.intern(as, &kept)
	}
	p.carried[as][id] = found
	return found
}

// otherSide returns the direction of the rules that look at ends as sources, or as destinations.
func otherSide(as int) direction {
	if as == asSource {
		return ingress
	}
	return egress
}
