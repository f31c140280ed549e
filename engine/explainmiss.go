package engine

import (
	"net/netip"
	"slices"
	"unique"
)

// Miss says why a peer or a port of a rule does not match: the first reason that applies.
type Miss uint8

// The misses. Among those of one kind of entry, a later one got further.
const (
	// MissNone: it matches.
	MissNone Miss = iota
	// MissInvalid: the entry is not valid (S23, S45).
	MissInvalid
	// MissNotAPod: a selector met a Node, a host-network Pod or an outside address.
	MissNotAPod
	// MissNamespace: the Pod's namespace is another.
	MissNamespace
	// MissPodLabels: the namespace matches, and the Pod's labels do not.
	MissPodLabels
	// MissInCluster: ipBlock looks at no address of the cluster, by option (S19).
	MissInCluster
	// MissNoAddress: the peer has no address in the family that is decided.
	MissNoAddress
	// MissOutsideCIDR: the address is outside the range.
	MissOutsideCIDR
	// MissExcepted: the address is inside the range, and inside one of its exceptions.
	MissExcepted
	// MissNotANode: a peer `nodes` met what is no Node (S38).
	MissNotANode
	// MissNodeLabels: the Node's labels do not match.
	MissNodeLabels
	// MissNamesNotResolved: domain names match nothing (S40).
	MissNamesNotResolved
	// MissProtocol: the port is of another protocol.
	MissProtocol
	// MissNumber: the range does not hold the port.
	MissNumber
	// MissNoSuchName: the destination has no port of this name, for this protocol if the entry has one.
	MissNoSuchName
	// MissNameIsOther: the destination's ports of this name are others.
	MissNameIsOther
)

// missesOfPeers returns for each of the engine's peers of a rule why it does not match, until the next call.
func (s *state) missesOfPeers(p *policy, from *Rule, r *rule, q *sideQuestion) []Miss {
	q.misses = slices.Grow(q.misses[:0], len(from.Peers))[:len(from.Peers)]
	misses := q.misses
	selectors, blocks := r.selectors, r.blocks
	for i := range from.Peers {
		switch peer := &from.Peers[i]; {
		case blockOf(peer) != nil:
			misses[i] = missOfBlock(blocks[0], p.tier, &q.seen)
			blocks = blocks[1:]
		case p.namesGroup(peer):
			misses[i] = s.missOfSelector(s.selectors.At(selectors[0]), q)
			selectors = selectors[1:]
		default:
			misses[i] = MissInvalid
		}
	}
	return misses
}

// namesGroup reports whether a peer names a group of Pods or Nodes, which the policy's rules have an id of.
func (p *policy) namesGroup(peer *Peer) bool {
	return p.cluster != nil && namesNodes(peer) || namesPods(peer) && peer.Nodes == nil
}

// missOfSelector returns why a selector does not match the other end. Whether it does is read from the ids of
// the end's class, as a decision reads it.
func (s *state) missOfSelector(sel *selector, q *sideQuestion) Miss {
	if q.seen.class != nil && q.seen.class.isSelectedBy(sel.id) {
		return MissNone
	}
	switch {
	case sel.pods.hasUnknownOperator(), sel.namespaces.hasUnknownOperator():
		return MissInvalid
	case sel.scope == nodeScope && (!q.other.isNode || q.other.node == (unique.Handle[string]{})):
		return MissNotANode
	case sel.scope == nodeScope:
		return MissNodeLabels
	case q.other.class == nil:
		return MissNotAPod
	case sel.scope != "" && sel.scope != q.other.class.namespace,
		sel.scope == "" && !sel.namespaces.matches(s.labelsOf(q.other.class.namespace)):
		return MissNamespace
	}
	return MissPodLabels
}

// hasUnknownOperator reports whether s has a requirement that nothing meets because its operator is unknown
// (S23).
func (s Selector) hasUnknownOperator() bool {
	return slices.ContainsFunc(s, func(r Requirement) bool { return r.Operator > DoesNotExist })
}

// missOfBlock returns why a block does not match any address of the peer: the furthest that one gets.
func missOfBlock(b *IPBlock, tier Tier, seen *peer) Miss {
	switch {
	case tier == NetworkPolicies && seen.hidden:
		return MissInCluster
	case !seen.addr.IsValid():
		return MissNoAddress
	}
	miss := missOfAddress(b, seen.addr)
	for _, addr := range seen.more {
		if next := missOfAddress(b, addr); next == MissNone || miss == MissOutsideCIDR {
			miss = next
		}
	}
	return miss
}

// missOfAddress returns why a block does not match an address.
func missOfAddress(b *IPBlock, addr netip.Addr) Miss {
	switch {
	case b.Contains(addr):
		return MissNone
	case b.CIDR.Contains(addr):
		return MissExcepted
	}
	return MissOutsideCIDR
}

// missOfPort returns why a port does not match (S20 to S22, S41 to S43).
func missOfPort(p *Port, q *sideQuestion) Miss {
	switch {
	case p.Name == "" && (p.Last == 0 || p.First > p.Last):
		return MissInvalid
	case !p.AnyProtocol && p.Protocol != q.protocol:
		return MissProtocol
	case p.Name == "" && (q.port < p.First || p.Last < q.port):
		return MissNumber
	case p.Name == "":
		return MissNone
	case q.dst.class == nil:
		return MissNoSuchName
	case q.dst.class.hasNamedPort(p.Name, q.protocol, q.port):
		return MissNone
	}
	if slices.ContainsFunc(q.dst.class.ports, p.Names) {
		return MissNameIsOther
	}
	return MissNoSuchName
}
