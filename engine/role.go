package engine

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Roles says how the policies of a snapshot treat whole groups of ends of connections.
//
// What policies say of a connection depends on its ends through two roles alone:
//
//	source:      its egress policies  │ the peers of ingress rules that match it │ families
//	destination: its ingress policies │ the peers of egress rules that match it  │ families │ port names
//
// Ends of equal roles have equal results. So results are computed once for a pair of roles, as ranges of
// ports and families. They are policy verdicts: no end is exempt (S2, S3, S44). A Roles remembers what it
// computed, so it is not safe for concurrent use.
type Roles struct {
	s *state
	// byRule reports whether results tell the rules that they rest on.
	byRule bool
	// shared is what r is a view of; nil for none. It is not written, and what it knows is looked up in it.
	shared *Roles
	// alias has other ids for selectors whose id is that of another selector in shared.
	alias map[uint32]uint32
	// named counts for each direction the peers of its rules that name a selector, by id.
	named [directions][]int32
	// portNames counts the ports of egress rules that look up a name on destinations (S21, S43).
	portNames map[string]int
	blocks    [directions]*blockIndex
	compiled  map[*policy]*[directions][]*roleRule
	numbers   map[*policy]uint64
	subjects  [directions]map[string]*roleSubject
	// roles has the roles of sources at 0 and of destinations at 1, by id, and roleIDs their ids by content.
	roles   [2][]*role
	roleIDs [2]map[string]uint32
	// ofClass remembers the part of roles that comes from a class.
	ofClass map[*class]*[2]role
	// ofKey remembers roles by all that they are made of.
	ofKey map[roleKey][2]uint32
	// ofOutside remembers what rules say of addresses outside the cluster.
	ofOutside map[outsideKey][]OutsideReach
}

// An outsideKey is all that results about addresses outside the cluster depend on.
type outsideKey struct {
	subject   *roleSubject
	families  Families
	direction direction
}

// A roleKey is all that the roles of a party are made of.
type roleKey struct {
	class    *class
	families Families
	byIP     bool
	// blocks are the lists of matching blocks of the ingress and of the egress rules.
	blocks [directions][2]uint32
}

// A role is all that decisions read of an end as a source, or as a destination.
type role struct {
	// subject has the rules of its own side; nil if no policy restricts it.
	subject *roleSubject
	// selectors are the ids of the selectors of the other side's rules that select it, sorted.
	selectors []uint32
	// blocks are the ids of the blocks of the other side's rules that match its addresses, sorted, in the
	// order of bothFamilies.
	blocks [2][]uint32
	// ports are those of its named ports that the other side's rules may look up.
	ports    []NamedPort
	families Families
	// byIP reports whether the end was asked by an address, which decides the family (S9).
	byIP bool
	// isolated reports whether a NetworkPolicy is among the rules of subject.
	isolated bool
}

// A roleSubject is the policies of a direction that restrict an end. Subjects with equal rules are one.
type roleSubject struct {
	id    uint32
	tiers []roleTier
}

// A roleTier is the rules of one tier in the order in which they count.
type roleTier struct {
	tier  Tier
	rules []*roleRule
}

// A roleRule is a rule with what roles compare.
type roleRule struct {
	*rule
	policy *policy
	index  int
	// selectors and blocks are ids, sorted, of the peers.
	selectors, blocks []uint32
	// fixed are the ports by number and, for ingress, those that names stand for on the subject.
	fixed PortSet
	// names are the ports by name.
	names []Port
}

// The indexes of roles and roleIDs.
const (
	asSource = iota
	asDestination
)

// NewRoles returns the roles of the snapshot. byRule reports whether results are to tell the rules that they
// rest on. It reads all policies.
func (s *Snapshot) NewRoles(byRule bool) *Roles {
	r := &Roles{
		s: &s.state, byRule: byRule, portNames: map[string]int{},
		compiled: map[*policy]*[directions][]*roleRule{}, ofClass: map[*class]*[2]role{},
		numbers: map[*policy]uint64{}, ofKey: map[roleKey][2]uint32{},
		ofOutside: map[outsideKey][]OutsideReach{},
	}
	var blocks [directions]blockIndexBuilder
	add := func(p *policy) {
		r.countNames(p, 1)
		p.eachBlock(func(d direction, b *IPBlock) { blocks[d].add(b, p.tier) })
	}
	if !s.options.IgnorePolicies {
		for _, p := range s.policies.All() {
			add(p)
		}
		for _, p := range s.clusterPolicies.All() {
			add(p)
		}
	}
	for d := range directions {
		r.blocks[d], r.subjects[d] = blocks[d].build(), map[string]*roleSubject{}
		r.roleIDs[d] = map[string]uint32{}
	}
	return r
}

// countNames adds n to the counts of what the rules of a policy name of the other end.
func (r *Roles) countNames(p *policy, n int) {
	for d := range directions {
		for i := range p.rules[d] {
			u := &p.rules[d][i]
			for _, id := range u.selectors {
				id = r.idOf(id)
				for int(id) >= len(r.named[d]) {
					r.named[d] = append(r.named[d], make([]int32, 1+len(r.named[d]))...)
				}
				r.named[d][id] += int32(n)
			}
			if d == ingress {
				continue
			}
			for _, port := range u.ports {
				if port.Name != "" {
					r.portNames[port.Name] += n
				}
			}
		}
	}
}

// idOf returns the id that roles have of a selector.
func (r *Roles) idOf(selector uint32) uint32 {
	if id, ok := r.alias[selector]; ok {
		return id
	}
	return selector
}

// names reports whether some rule of a direction names a selector, by the id that roles have of it, as a
// peer.
func (r *Roles) names(d direction, id uint32) bool {
	return int(id) < len(r.named[d]) && r.named[d][id] > 0
}

// eachBlock yields the blocks of all rules, as often as they have them.
func (p *policy) eachBlock(yield func(direction, *IPBlock)) {
	for d := range directions {
		for i := range p.rules[d] {
			for _, b := range p.rules[d][i].blocks {
				yield(d, b)
			}
		}
	}
}

// rulesOf returns the rules of a policy for a direction, without the numbers of named ports.
func (r *Roles) rulesOf(p *policy, d direction) []*roleRule {
	if c := r.compiled[p]; c != nil {
		return c[d]
	}
	if r.shared != nil && r.shared.compiled[p] != nil {
		return r.shared.compiled[p][d]
	}
	c := &[directions][]*roleRule{}
	for d := range directions {
		for i := range p.rules[d] {
			c[d] = append(c[d], r.compileRule(p, d, i))
		}
	}
	r.compiled[p] = c
	return c[d]
}

// compileRule returns rule i of a policy for a direction.
func (r *Roles) compileRule(p *policy, d direction, i int) *roleRule {
	u := &p.rules[d][i]
	c := &roleRule{rule: u, policy: p, index: i, selectors: slices.Clone(u.selectors)}
	for i := range c.selectors {
		c.selectors[i] = r.idOf(c.selectors[i])
	}
	slices.Sort(c.selectors)
	for _, b := range u.blocks {
		if id, ok := r.blocks[d].idOf(b, p.tier); ok {
			c.blocks = append(c.blocks, id)
		}
	}
	slices.Sort(c.blocks)
	if u.anyPort {
		c.fixed = everyPort
		return c
	}
	var fixed []PortRange
	for _, port := range u.ports {
		switch {
		case port.Name == "":
			fixed = append(fixed, PortRange{port.Protocol, port.First, port.Last})
		case port.AnyProtocol && p.tier == NetworkPolicies: // not in this tier
		default:
			c.names = append(c.names, port)
		}
	}
	c.fixed = validPorts(fixed)
	return c
}

// validPorts returns the set of ranges as rules take them: a range that begins with 0 matches nothing (S23).
func validPorts(ranges []PortRange) PortSet {
	return NewPortSet(slices.DeleteFunc(ranges, func(p PortRange) bool { return p.First == 0 })...)
}

// resolve returns the ports that names stand for on an end with these named ports (S21, S43).
func resolve(names []Port, ports []NamedPort) PortSet {
	var list []PortRange
	for i := range names {
		n := &names[i]
		for _, own := range ports {
			if n.Names(own) {
				list = append(list, PortRange{own.Protocol, own.Port, own.Port})
			}
		}
	}
	return validPorts(list)
}

// subject returns the rules of direction d of an end that policies select, or nil if none restricts it.
func (r *Roles) subject(d direction, policies []*policy, ports []NamedPort) *roleSubject {
	var key []byte
	var tiersOf [tiers][]*policy
	named := false
	for tier := Admin; tier <= Baseline; tier++ {
		tiersOf[tier] = restricting(policies, tier, d)
		for _, p := range tiersOf[tier] {
			key = binary.AppendUvarint(key, r.numberOf(p))
			named = named || d == ingress && p.namesPorts()
		}
	}
	if len(key) == 0 {
		return nil
	}
	if named {
		ports = slices.DeleteFunc(slices.Clone(ports), func(n NamedPort) bool {
			return !slices.ContainsFunc(policies, func(p *policy) bool { return p.asksName(n.Name) })
		})
		key = appendPorts(append(key, 0), ports) // no policy has number 0
	}
	if s := r.subjects[d][string(key)]; s != nil {
		return s
	}
	first := 0
	if r.shared != nil {
		if s := r.shared.subjects[d][string(key)]; s != nil {
			return s
		}
		first = len(r.shared.subjects[d])
	}
	s := &roleSubject{id: uint32(first + len(r.subjects[d]))}
	for tier, list := range tiersOf {
		t := roleTier{tier: Tier(tier)}
		for _, p := range list {
			for _, u := range r.rulesOf(p, d) {
				if d == ingress && len(u.names) > 0 {
					resolved := *u
					resolved.fixed, resolved.names = u.fixed.Union(resolve(u.names, ports)), nil
					u = &resolved
				}
				t.rules = append(t.rules, u)
			}
		}
		if len(list) > 0 {
			s.tiers = append(s.tiers, t)
		}
	}
	r.subjects[d][string(key)] = s
	return s
}

// numberOf returns a number of a policy, from 1, different for different policies.
func (r *Roles) numberOf(p *policy) uint64 {
	if n, ok := r.numbers[p]; ok {
		return n
	}
	first := 1
	if r.shared != nil {
		if n, ok := r.shared.numbers[p]; ok {
			return n
		}
		first += len(r.shared.numbers)
	}
	n := uint64(first + len(r.numbers))
	r.numbers[p] = n
	return n
}

// asksName reports whether an ingress rule names a port so.
func (p *policy) asksName(name string) bool {
	return slices.ContainsFunc(p.rules[ingress], func(r rule) bool {
		return slices.ContainsFunc(r.ports, func(p Port) bool { return p.Name == name })
	})
}

// classRoles returns the part of roles that comes from a class, nil for none.
func (r *Roles) classRoles(c *class) *[2]role {
	if c == nil {
		return &[2]role{}
	}
	if found := r.ofClass[c]; found != nil {
		return found
	}
	out, selected := &[2]role{}, r.s.selectionOf(c.namespace, c.labels)
	peers := slices.Concat(selected.peers, selected.clusterPeers)
	for i := range peers {
		peers[i] = r.idOf(peers[i])
	}
	slices.Sort(peers)
	peers = slices.Compact(peers)
	for i, other := range [2]direction{asSource: ingress, asDestination: egress} {
		for _, id := range peers {
			if r.names(other, id) {
				out[i].selectors = append(out[i].selectors, id)
			}
		}
	}
	if c.namespace != nodeScope {
		policies := slices.Concat(selected.policies, selected.clusterPolicies)
		slices.SortFunc(policies, comparePolicies)
		out[asSource].subject = r.subject(egress, policies, nil)
		out[asDestination].subject = r.subject(ingress, policies, c.ports)
		for _, n := range c.ports {
			if r.portNames[n.Name] > 0 {
				out[asDestination].ports = append(out[asDestination].ports, n)
			}
		}
	}
	r.ofClass[c] = out
	return out
}

// rolesOf returns the ids of the roles of a party.
func (r *Roles) rolesOf(p *party) (source, destination uint32) {
	key := roleKey{class: p.class, families: p.families(), byIP: p.askedByIP}
	if p.class == nil && p.nodeClass != nil {
		key.class = p.nodeClass.cold
	}
	addrs := p.addrs
	if p.askedByIP {
		addrs = []netip.Addr{p.addr}
	}
	hidden := p.inCluster && r.s.options.IPBlockIgnoresPods
	for d := range directions {
		for f, family := range bothFamilies {
			if key.families&family != 0 {
				key.blocks[d][f] = r.blocks[d].matching(addrs, family, hidden)
			}
		}
	}
	ids, ok := r.ofKey[key]
	if !ok {
		parts := r.classRoles(key.class)
		for i, other := range [2]direction{asSource: ingress, asDestination: egress} {
			mine := parts[i]
			mine.families, mine.byIP = key.families, key.byIP
			for f, list := range key.blocks[other] {
				mine.blocks[f] = r.blocks[other].lists[list]
			}
			ids[i] = r.intern(i, &mine)
		}
		r.ofKey[key] = ids
	}
	return ids[asSource], ids[asDestination]
}

// intern returns the id of a role, as a source or as a destination.
func (r *Roles) intern(as int, mine *role) uint32 {
	key := []byte{byte(mine.families), 0}
	if mine.byIP {
		key[1] = 1
	}
	if mine.subject != nil {
		key = binary.AppendUvarint(key, uint64(mine.subject.id)+1)
	} else {
		key = append(key, 0)
	}
	for _, ids := range [][]uint32{mine.selectors, mine.blocks[0], mine.blocks[1]} {
		key = binary.AppendUvarint(key, uint64(len(ids)))
		for _, id := range ids {
			key = binary.AppendUvarint(key, uint64(id))
		}
	}
	key = appendPorts(key, mine.ports)
	id, ok := r.roleIDs[as][string(key)]
	if !ok && r.shared != nil {
		id, ok = r.shared.roleIDs[as][string(key)]
	}
	if !ok {
		id = uint32(len(r.roles[as]))
		kept := *mine
		kept.isolated = mine.subject.isolates()
		r.roles[as] = append(r.roles[as], &kept)
		r.roleIDs[as][string(key)] = id
	}
	return id
}
