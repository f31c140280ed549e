package engine

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
)

// noRank is the rank of no rule. A rule's rank is its place in the order of policy name and rule index.
const noRank uint32 = math.MaxUint32

// peerSet holds the peers of all rules for one range of ports, and finds the first rule that has a given peer. It is
// immutable.
type peerSet struct {
	// mask has the bit of every selector, to tell most misses from two words.
	mask   uint64
	blocks *blocks // nil for none
	// firstRank is the lowest rank of all, so that a set that cannot improve on a match is not asked.
	firstRank uint32
	// anyPeer is the lowest rank of a rule without peers (S15).
	anyPeer uint32
	// from and to are its selectors among the tier's.
	from, to uint32
}

type rankedSelector struct{ id, rank uint32 }

// maskOf returns the bit of a selector.
func maskOf(id uint32) uint64 { return 1 << (id * 0x9E3779B1 >> 26) }

// A peer is a party as the rules of the other side match it: by its class, through the ids of the selectors that select it, and
// by its address, through ipBlocks.
type peer struct {
	// class is nil if no selector can match, as for a Node or an address outside the cluster (S4, S5).
	class *hotClass
	// addr is its address in the family that is decided; not valid if it has none (S9).
	addr netip.Addr
	// more are further addresses, where it has several.
	more []netip.Addr
	// hidden means that the ipBlocks of NetworkPolicies do not look at its addresses (S19).
	hidden bool
}

// showsAddress reports whether the blocks of a rule table look at the addresses of p (S19, S39).
func (p *peer) showsAddress(t *ruleTable) bool { return !p.hidden || t.tier != NetworkPolicies }

// match returns the lowest rank of the rules that have the peer, if it is below limit, and otherwise limit. t must be the rule
// table that the set is part of.
func (s *peerSet) match(t *ruleTable, p *peer, limit uint32) uint32 {
	limit = min(limit, s.anyPeer)
	if p.class != nil && s.mask&p.class.mask != 0 {
		limit = matchSelectors(t.selectors[s.from:s.to], p.class.peers(), limit)
	}
	if s.blocks != nil && p.addr.IsValid() && p.showsAddress(t) {
		limit = min(limit, s.blocks.lowestRank(p.addr))
		for _, addr := range p.more {
			limit = min(limit, s.blocks.lowestRank(addr))
		}
	}
	return limit
}

// matchSelectors is the lowest rank, below limit, of the selectors that are among ids; or else limit. Both are by id.
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

// skip returns how many of n items come before the wanted one; the first must. Its strides double and then halve, so that a
// short list passes through a long one in few steps.
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

// peerSetBuilder collects peers rule by rule, in the order of rank.
type peerSetBuilder struct {
	anyPeer   uint32
	selectors map[uint32]uint32
	blocks    blockList
}

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

// build returns the set, whose selectors it adds to the tier's; its first is noRank where nothing can match.
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
