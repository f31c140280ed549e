package engine

import (
	"cmp"
	"net/netip"
	"slices"
)

// direction is a direction of traffic, as an index.
type direction uint8

const (
	egress direction = iota
	ingress
	directions
)

// policy is a Policy or a ClusterPolicy whose selectors are known by id. It is immutable.
type policy struct {
	// source is the NetworkPolicy, or cluster the cluster-wide policy; the other is nil.
	source  *Policy
	cluster *ClusterPolicy
	tier    Tier
	// uid tells apart all versions of all policies.
	uid     uint64
	subject uint32
	// isolates reports for which directions the policy exists: those that it isolates or has rules for (S12, S32).
	isolates [directions]bool
	rules    [directions][]rule
}

// rule is a Rule whose peers are known by id.
type rule struct {
	action    Action
	anyPeer   bool
	selectors []uint32
	blocks    []*IPBlock
	anyPort   bool
	ports     []Port
}

// comparePolicies orders policies by tier and, in each, as they are asked (S14, S34).
func comparePolicies(a, b *policy) int {
	switch {
	case a.tier != b.tier:
		return cmp.Compare(a.tier, b.tier)
	case a.cluster != nil:
		return a.cluster.Compare(b.cluster)
	}
	return cmp.Or(cmp.Compare(a.source.Namespace, b.source.Namespace), cmp.Compare(a.source.Name, b.source.Name))
}

// selectorOf is the group of Pods that a peer names, or nil where the peer is a block or invalid (S16, S23).
func selectorOf(namespace string, p *Peer) *selector {
	switch {
	case p.Block != nil, p.Nodes != nil, p.Namespaces == nil && p.Pods == nil:
		return nil
	case p.Namespaces == nil:
		return newSelector(namespace, nil, *p.Pods)
	case p.Pods == nil:
		return newSelector("", *p.Namespaces, nil)
	}
	return newSelector("", *p.Namespaces, *p.Pods)
}

// blockOf is the block that a peer names, or nil where the peer has none or is invalid (S23).
func blockOf(p *Peer) *IPBlock {
	invalid := func(p netip.Prefix) bool { return !p.IsValid() }
	if p.Block == nil || p.Nodes != nil || p.Namespaces != nil || p.Pods != nil || invalid(p.Block.CIDR) || slices.ContainsFunc(p.Block.Except, invalid) {
		return nil
	}
	return p.Block
}

// compile turns a Policy's rules into their compiled form; intern makes a selector known and gives its id.
func compile(src *Policy, intern func(*selector) uint32) *policy {
	p := &policy{source: src, tier: NetworkPolicies, isolates: [directions]bool{src.IsolatesEgress, src.IsolatesIngress}}
	for d, rules := range [directions][]Rule{src.Egress, src.Ingress} {
		if !p.isolates[d] {
			continue // S12
		}
		p.rules[d] = make([]rule, 0, len(rules))
		for i := range rules {
			group := func(p *Peer) *selector { return selectorOf(src.Namespace, p) }
			p.rules[d] = append(p.rules[d], compileRule(&rules[i], Allow, group, intern))
		}
	}
	return p
}

// compileRule turns one rule into its compiled form. group returns the group that a peer names, or nil; intern makes a selector
// known and gives its id.
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

// eachPeerSelector yields the id of each selector that the rules name, as often as they do.
func (p *policy) eachPeerSelector(yield func(uint32)) {
	for _, rules := range p.rules {
		for i := range rules {
			for _, id := range rules[i].selectors {
				yield(id)
			}
		}
	}
}

// blockList is a set of address ranges, each with the rank of the first rule that has it.
type blockList []rankedBlock

type rankedBlock struct {
	block *IPBlock
	rank  uint32
}

// lowestRank is the lowest rank of the blocks that match an address, by looking at each.
func (l blockList) lowestRank(addr netip.Addr) uint32 {
	best := noRank
	for i := range l {
		if l[i].rank < best && l[i].block.contains(addr) {
			best = l[i].rank
		}
	}
	return best
}

// contains reports whether an address is inside CIDR and inside none of Except (S19).
func (b *IPBlock) contains(addr netip.Addr) bool {
	return b.CIDR.Contains(addr) && !slices.ContainsFunc(b.Except, func(e netip.Prefix) bool { return e.Contains(addr) })
}

// empty reports whether all of CIDR is excepted.
func (b *IPBlock) empty() bool {
	return slices.ContainsFunc(b.Except, func(e netip.Prefix) bool { return e.Bits() <= b.CIDR.Bits() && e.Contains(b.CIDR.Addr()) })
}
