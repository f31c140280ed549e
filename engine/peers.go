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
	blocks    *blocks          // nil for none
}

// blocks finds the lowest rank of the blocks that match an address.
type blocks struct {
	few   blockList
	table *bart.Table[uint32]
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
	if s.blocks != nil && p.addr.IsValid() {
		limit = min(limit, s.blocks.first(p.addr))
		for _, addr := range p.more {
			limit = min(limit, s.blocks.first(addr))
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

func (b *blocks) first(addr netip.Addr) uint32 {
	if b.table == nil {
		return b.few.first(addr)
	}
	if rank, ok := b.table.Lookup(addr); ok {
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
			s.blocks = &blocks{few: b.blocks}
		} else {
			s.blocks = &blocks{table: blockTable(b.blocks)}
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
func blockTable(list blockList) *bart.Table[uint32] {
	b := blockTableBuilder{list: list}
	for i := range list {
		if list[i].block.empty() {
			continue // so that what is excepted from a block is always below its CIDR
		}
		e := b.at(list[i].block.CIDR)
		e.cidr = append(e.cidr, i)
		for _, p := range list[i].block.Except {
			e := b.at(p)
			e.except = append(e.except, i)
		}
	}
	var order []netip.Prefix
	for p := range b.all.All() {
		order = append(order, p)
	}
	slices.SortFunc(order, func(a, b netip.Prefix) int { return cmp.Compare(a.Bits(), b.Bits()) })
	table := &bart.Table[uint32]{}
	for _, p := range order {
		best := b.best(p)
		b.answers.Insert(p, best)
		if best == noBlock {
			table.Insert(p, noRank)
		} else {
			table.Insert(p, list[best].rank)
		}
	}
	return table
}

// noBlock is the index of none: later than that of any.
const noBlock = math.MaxInt

type blockTableBuilder struct {
	// list is in the order of rank, so that an earlier index is a better block.
	list blockList
	all  bart.Table[*blocksAt]
	// answers are the best blocks of the prefixes so far, shorter ones first.
	answers bart.Table[int]
}

// blocksAt are the blocks, by index and in order, that have a prefix as their CIDR, and those that except it.
type blocksAt struct{ cidr, except []int }

func (b *blockTableBuilder) at(p netip.Prefix) *blocksAt {
	p = p.Masked()
	e, ok := b.all.Get(p)
	if !ok {
		e = &blocksAt{}
		b.all.Insert(p, e)
	}
	return e
}

// best is the best block that holds p. That of the next shorter prefix stays the best, unless p is excepted from it or has
// a better block of its own; so few prefixes have to look at all that hold them.
func (b *blockTableBuilder) best(p netip.Prefix) int {
	here, _ := b.all.Get(p)
	inherited, ok := b.answers.LookupPrefix(p)
	if !ok {
		inherited = noBlock
	}
	if inherited != noBlock && slices.Contains(here.except, inherited) {
		inherited = b.bestOfAll(p)
	}
	for _, i := range here.cidr {
		if !slices.Contains(here.except, i) {
			return min(inherited, i)
		}
	}
	return inherited
}

func (b *blockTableBuilder) bestOfAll(p netip.Prefix) int {
	excepted := map[int]bool{}
	for _, e := range b.all.Supernets(p) {
		for _, i := range e.except {
			excepted[i] = true
		}
	}
	best := noBlock
	for _, e := range b.all.Supernets(p) {
		for _, i := range e.cidr {
			if !excepted[i] {
				best = min(best, i)
				break
			}
		}
	}
	return best
}
