package engine

import (
	"cmp"
	"net/netip"
	"slices"
)

// A direction is a direction of traffic, as an index of arrays: egress of the source or ingress of the
// destination.
type direction uint8

const (
	egress direction = iota
	ingress
	directions
)

// A policy is a Policy or a ClusterPolicy in compiled form: its selectors are known by id. Classes that the
// same policies select share one rule table made of them. It is immutable; a change of the object makes a new
// one.
type policy struct {
	// source is the NetworkPolicy, or cluster the cluster-wide policy; the other is nil.
	source  *Policy
	cluster *ClusterPolicy
	tier    Tier
	// uid is different for all versions of all NetworkPolicies, so that equal lists of uids mean equal rules.
	uid uint64
	// slot is the number of a cluster-wide policy, which all of its versions have.
	slot uint32
	// subject is the id of the selector of the Pods that the policy applies to (S10, S36).
	subject uint32
	// isolates reports for which directions the policy exists: those that it isolates (S12) or, for a
	// cluster-wide policy, has rules for (S32).
	isolates [directions]bool
	// rules are in the order of the object, so that an index is the same in both. There are none for a
	// direction in which the policy does not exist.
	rules [directions][]rule
}

// A rule is a Rule in compiled form. It matches a connection if its peers and its ports do (S15, S35).
type rule struct {
	action Action
	// anyPeer reports whether the rule has no peers, so that it matches every peer. Otherwise a peer matches
	// by a selector or by a block; if neither is left of the list, the rule matches nothing (S23).
	anyPeer   bool
	selectors []uint32
	blocks    []*IPBlock
	// anyPort reports whether the rule has no ports, so that it matches every port of every protocol.
	anyPort bool
	ports   []Port
}

// created returns when the policy was created, in Unix seconds; 0 if that is not known.
func (p *policy) created() int64 {
	if p.cluster != nil {
		return p.cluster.Created
	}
	return p.source.Created
}

// comparePolicies orders policies by tier and, in each, as they count: cluster-wide ones as S34 says,
// NetworkPolicies by name. The order of NetworkPolicies never changes a verdict (S14). It only says which of
// them an answer names.
func comparePolicies(a, b *policy) int {
	switch {
	case a.tier != b.tier:
		return cmp.Compare(a.tier, b.tier)
	case a.cluster != nil:
		return a.cluster.Compare(b.cluster)
	}
	return cmp.Or(
		cmp.Compare(a.source.Namespace, b.source.Namespace), cmp.Compare(a.source.Name, b.source.Name),
	)
}

// selectorOf returns the group of Pods that a peer of a NetworkPolicy in namespace names (S16), or nil if the
// peer is a block or invalid (S23).
func selectorOf(namespace string, p *Peer) *selector {
	switch {
	case !namesPods(p) || p.Nodes != nil:
		return nil
	case p.Namespaces == nil:
		return newSelector(namespace, nil, *p.Pods)
	case p.Pods == nil:
		return newSelector("", *p.Namespaces, nil)
	}
	return newSelector("", *p.Namespaces, *p.Pods)
}

// namesPods reports whether a peer names a group of Pods and no block.
func namesPods(p *Peer) bool { return p.Block == nil && (p.Namespaces != nil || p.Pods != nil) }

// blockOf returns the block that a peer names, or nil if the peer has none or is invalid (S23).
func blockOf(p *Peer) *IPBlock {
	invalid := func(p netip.Prefix) bool { return !p.IsValid() }
	if p.Block == nil || p.Nodes != nil || p.Namespaces != nil || p.Pods != nil ||
		invalid(p.Block.CIDR) || slices.ContainsFunc(p.Block.Except, invalid) {
		return nil
	}
	return p.Block
}

// compile returns a NetworkPolicy in compiled form, without its uid and subject. intern makes a selector
// known and returns its id.
func compile(src *Policy, o Options, intern func(*selector) uint32) *policy {
	p := &policy{
		source: src, tier: NetworkPolicies,
		isolates: [directions]bool{src.IsolatesEgress, src.IsolatesIngress},
	}
	for d, rules := range [directions][]Rule{src.Egress, src.Ingress} {
		if !p.isolates[d] {
			continue // S12
		}
		p.rules[d] = make([]rule, 0, len(rules))
		for i := range rules {
			group := func(p *Peer) *selector { return selectorOf(src.Namespace, p) }
			r := compileRule(&rules[i], Allow, group, intern)
			if o.ShareBlocks {
				r.blocks = sharedBlocks(r.blocks)
			}
			p.rules[d] = append(p.rules[d], r)
		}
	}
	return p
}

// compileRule returns one rule in compiled form. group returns the group that a peer names, or nil. intern
// makes a selector known and returns its id. An invalid peer adds nothing, and never makes the rule match
// more (S23).
func compileRule(from *Rule, action Action, group func(*Peer) *selector, intern func(*selector) uint32) rule {
	r := rule{action: action, anyPeer: len(from.Peers) == 0, anyPort: len(from.Ports) == 0, ports: from.Ports}
	for i := range from.Peers {
		if b := blockOf(&from.Peers[i]); b != nil {
			r.blocks = append(r.blocks, b)
		} else if s := group(&from.Peers[i]); s != nil {
			r.selectors = append(r.selectors, intern(s))
		}
	}
	return r
}

// eachPeerSelector yields the id of each selector that the rules name as a peer, as often as they do.
func (p *policy) eachPeerSelector(yield func(uint32)) {
	for _, rules := range p.rules {
		for i := range rules {
			for _, id := range rules[i].selectors {
				yield(id)
			}
		}
	}
}

// A blockList has the blocks of rules in the order of rank.
type blockList []rankedBlock

// A rankedBlock is a block and the rank of its rule.
type rankedBlock struct {
	block *IPBlock
	rank  uint32
}

// lowestRank returns the lowest rank of the blocks that match addr, or noRank. It looks at each.
func (l blockList) lowestRank(addr netip.Addr) uint32 {
	best := noRank
	for i := range l {
		if l[i].rank < best && l[i].block.Contains(addr) {
			best = l[i].rank
		}
	}
	return best
}

// Contains reports whether addr is inside CIDR and inside none of Except (S19). An address of the other
// family is in no prefix.
func (b *IPBlock) Contains(addr netip.Addr) bool {
	return b.CIDR.Contains(addr) && !slices.ContainsFunc(b.Except, func(e netip.Prefix) bool {
		return e.Contains(addr)
	})
}

// empty reports whether all of CIDR is excepted.
func (b *IPBlock) empty() bool {
	return slices.ContainsFunc(b.Except, func(e netip.Prefix) bool {
		return e.Bits() <= b.CIDR.Bits() && e.Contains(b.CIDR.Addr())
	})
}
