package engine

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
)

// noRank is the rank of no rule. It is greater than every rank, so that min prefers any rule to none.
//
// A rule's rank is its place in the order in which the rules of its table count (S14). The lowest rank that
// matches is the first rule that matches, so a search need not follow the order.
const noRank uint32 = math.MaxUint32

// A peerSet holds the peers of all rules for one range of ports, and finds the first rule that has a given
// peer.
//
//	rules of port 443:  1st from app=a    2nd from app=b, 10.0.0.0/8    3rd from app=a
//	set:                selectors [ app=a ─► 1st, app=b ─► 2nd ]    blocks [ 10.0.0.0/8 ─► 2nd ]
//
// A selector that several rules name has the rank of the first. A search compares this list with the ids that
// the peer's class carries; both are sorted and short. A set is immutable. It has 32 bytes: with the list of
// ranges it fills the first cache line of a rule table.
type peerSet struct {
	// mask has the bit of every selector. If it has no bit in common with the peer's, no selector matches.
	mask   uint64
	blocks *blocks // nil for none
	// firstRank is the lowest rank of all, so that a set that cannot improve on a match is not asked.
	firstRank uint32
	// anyPeer is the lowest rank of a rule without peers (S15), or noRank.
	anyPeer uint32
	// from and to bound the set's selectors in ruleTable.selectors.
	from, to uint32
}

// A rankedSelector is a selector and the rank of the first rule that names it.
type rankedSelector struct{ id, rank uint32 }

// maskOf returns the bit of a selector in masks: 1 of 64, by a hash of its id.
func maskOf(id uint32) uint64 { return 1 << (id * 0x9E3779B1 >> 26) }

// A peer is a party as the rules of the other side match it: by its class, through the ids of the selectors
// that select it (S16), and by its address, through blocks (S19, S39).
type peer struct {
	// class is nil if no selector can match, as for a Node or an address outside the cluster (S4, S5).
	class *hotClass
	// addr is its address in the family that is decided; not valid if it has none (S9).
	addr netip.Addr
	// more has its other addresses in the family; nearly always nil.
	more []netip.Addr
	// hidden reports whether the ipBlocks of NetworkPolicies do not look at its addresses (S19).
	hidden bool
}

// match returns the lowest rank of the rules that have the peer, if it is below limit, and otherwise limit. t
// must be the rule table that the set is part of.
func (s *peerSet) match(t *ruleTable, p *peer, limit uint32) uint32 {
	limit = min(limit, s.anyPeer)
	if p.class != nil && s.mask&p.class.mask != 0 {
		limit = matchSelectors(t.selectors[s.from:s.to], p.class.peers(), limit)
	}
	if s.blocks != nil && p.addr.IsValid() && !p.hidden {
		limit = min(limit, s.blocks.lowestRank(p.addr))
		for _, addr := range p.more {
			limit = min(limit, s.blocks.lowestRank(addr))
		}
	}
	return limit
}

// matchSelectors returns the lowest rank of the selectors of mine that are among ids, if it is below limit,
// and otherwise limit. Both lists are sorted by id.
func matchSelectors(mine []rankedSelector, ids []uint32, limit uint32) uint32 {
	for len(mine) > 0 && len(ids) > 0 {
		switch {
		case mine[0].id == ids[0]:
			limit = min(limit, mine[0].rank)
			mine, ids = mine[1:], ids[1:]
		case mine[0].id < ids[0]:
			mine = mine[skip(len(mine), func(i int) bool { return mine[i].id < ids[0] }):]
		default:
			ids = ids[skip(len(ids), func(i int) bool { return ids[i] < mine[0].id }):]
		}
	}
	return limit
}

// skip returns the number of items, of n, that come before the wanted one. before reports whether an item
// does; item 0 must. Its strides double and then halve, so that a short list passes through a long one in few
// steps.
func skip(n int, before func(int) bool) int {
	low, high := 0, 1
	for high < n && before(high) {
		low, high = high, high*2
	}
	high = min(high, n)
	for low+1 < high {
		if mid := (low + high) / 2; before(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// A peerSetBuilder collects peers rule by rule, in the order of rank.
type peerSetBuilder struct {
	anyPeer   uint32
	selectors map[uint32]uint32 // the rank of each id
	blocks    blockList
}

// newPeerSetBuilder returns a builder without peers.
func newPeerSetBuilder() *peerSetBuilder {
	return &peerSetBuilder{anyPeer: noRank, selectors: map[uint32]uint32{}}
}

// add adds the peers of a rule. Once a rule without peers was added, later ones change nothing.
func (b *peerSetBuilder) add(r *rule, rank uint32) {
	if b.anyPeer != noRank {
		return
	}
	if r.anyPeer {
		b.anyPeer = rank
	}
	for _, id := range r.selectors {
		if _, has := b.selectors[id]; !has {
			b.selectors[id] = rank
		}
	}
	for _, block := range r.blocks {
		b.blocks = append(b.blocks, rankedBlock{block, rank})
	}
}

// build returns the set, and adds its selectors to those of t. Its firstRank is noRank if nothing can match.
func (b *peerSetBuilder) build(t *ruleTable) peerSet {
	s := peerSet{firstRank: b.anyPeer, anyPeer: b.anyPeer, from: uint32(len(t.selectors))}
	for id, rank := range b.selectors {
		t.selectors = append(t.selectors, rankedSelector{id, rank})
		s.mask |= maskOf(id)
		s.firstRank = min(s.firstRank, rank)
	}
	s.to = uint32(len(t.selectors))
	slices.SortFunc(t.selectors[s.from:], func(a, b rankedSelector) int { return cmp.Compare(a.id, b.id) })
	if len(b.blocks) > 0 {
		s.firstRank = min(s.firstRank, b.blocks[0].rank)
		s.blocks = newBlocks(b.blocks)
	}
	return s
}
