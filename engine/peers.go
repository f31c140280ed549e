package engine

import (
	"cmp"
	"math"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// noRank is the rank of no rule. A rule's rank is its place in the order of policy name and rule index.
const noRank uint32 = math.MaxUint32

// fewBlocks is how many blocks are looked at one by one: below, that is cheaper than a table.
const fewBlocks = 3

// peerSet holds the peers of all rules for one range of ports, and finds the first rule that has a given peer. It is
// immutable.
type peerSet struct {
	// first is the lowest rank of all, so that a set that cannot improve on a match is not asked.
	first uint32
	// any is the lowest rank of a rule without peers (S15).
	any uint32
	// mask has the bit of every selector, to tell most misses from two words.
	mask      uint64
	selectors []rankedSelector // by id
	few       blockList
	table     *bart.Table[uint32]
}

type rankedSelector struct{ id, rank uint32 }

// maskOf is a selector's bit.
func maskOf(id uint32) uint64 { return 1 << (id * 0x9E3779B1 >> 26) }

// peer is the other end as rules see it.
type peer struct {
	// class is nil for an end that no selector matches.
	class *class
	// addr is its address in the family that is decided, not valid where no block matches it (S9, S19).
	addr netip.Addr
	// more are further addresses, where it has several.
	more []netip.Addr
}

// match is the lowest rank, below limit, of the rules that have the peer; or else limit.
func (s *peerSet) match(p *peer, limit uint32) uint32 {
	limit = min(limit, s.any)
	if p.class != nil && s.mask&p.class.mask != 0 {
		limit = s.matchSelectors(p.class.peers, limit)
	}
	if p.addr.IsValid() && (s.few != nil || s.table != nil) {
		limit = min(limit, s.matchBlocks(p.addr))
		for _, addr := range p.more {
			limit = min(limit, s.matchBlocks(addr))
		}
	}
	return limit
}

func (s *peerSet) matchSelectors(ids []uint32, limit uint32) uint32 {
	mine := s.selectors
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

// skip is how many of n items come before the wanted one, where the first does: by strides that double and then halve, so
// that a short list passes through a long one in few steps.
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

func (s *peerSet) matchBlocks(addr netip.Addr) uint32 {
	if s.table == nil {
		return s.few.first(addr)
	}
	if rank, ok := s.table.Lookup(addr); ok {
		return rank
	}
	return noRank
}

// peerSetBuilder collects peers rule by rule, in the order of rank.
type peerSetBuilder struct {
	any       uint32
	selectors map[uint32]uint32
	blocks    blockList
}

func newPeerSetBuilder() *peerSetBuilder {
	return &peerSetBuilder{any: noRank, selectors: map[uint32]uint32{}}
}

// add adds the peers of a rule. Once a rule without peers was added, later ones change nothing.
func (b *peerSetBuilder) add(r *rule, rank uint32) {
	if b.any != noRank {
		return
	}
	if r.anyPeer {
		b.any = rank
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

// build returns the set, or nil where nothing can match.
func (b *peerSetBuilder) build() *peerSet {
	s := &peerSet{first: b.any, any: b.any}
	for id, rank := range b.selectors {
		s.selectors = append(s.selectors, rankedSelector{id, rank})
		s.mask |= maskOf(id)
		s.first = min(s.first, rank)
	}
	slices.SortFunc(s.selectors, func(a, b rankedSelector) int { return cmp.Compare(a.id, b.id) })
	if len(b.blocks) > 0 {
		s.first = min(s.first, b.blocks[0].rank)
		if len(b.blocks) <= fewBlocks {
			s.few = b.blocks
		} else {
			s.table = blockTable(b.blocks)
		}
	}
	if s.first == noRank {
		return nil
	}
	return s
}

// blockTable is a longest-prefix table that answers [blockList.first]. Every prefix of the blocks, excepted ones too, is
// an entry with the answer for the addresses that have it as their longest: whatever block holds one of them holds the
// prefix whole, and so does whatever except, so that one answer is right for all.
func blockTable(blocks blockList) *bart.Table[uint32] {
	type at struct{ cidr, except []int }
	var all bart.Table[*at]
	entry := func(p netip.Prefix) *at {
		p = p.Masked()
		e, ok := all.Get(p)
		if !ok {
			e = &at{}
			all.Insert(p, e)
		}
		return e
	}
	for i := range blocks {
		e := entry(blocks[i].block.CIDR)
		e.cidr = append(e.cidr, i)
		for _, p := range blocks[i].block.Except {
			e := entry(p)
			e.except = append(e.except, i)
		}
	}
	table, excepted := &bart.Table[uint32]{}, map[int]bool{}
	for p := range all.All() {
		clear(excepted)
		for _, e := range all.Supernets(p) {
			for _, i := range e.except {
				excepted[i] = true
			}
		}
		best := noRank
		for _, e := range all.Supernets(p) {
			for _, i := range e.cidr { // in the order of rank: the first that counts is the best here
				if !excepted[i] {
					best = min(best, blocks[i].rank)
					break
				}
			}
		}
		table.Insert(p, best)
	}
	return table
}
