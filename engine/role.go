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
