package engine

import (
	"cmp"
	"math"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// fewBlocks is how many blocks are tried one by one. Up to here that is cheaper than a table.
const fewBlocks = 3

// blocks finds the first rule whose ipBlock matches an address (S19).
//
// Few blocks are tried one by one. More are a longest-prefix table, whose entries are already answers:
//
//	rule 0: 10.0.0.0/8 except 10.1.0.0/16        table:  10.0.0.0/8  ─► 0
//	rule 1: 10.1.2.0/24                                  10.1.0.0/16 ─► noRank
//	                                                     10.1.2.0/24 ─► 1
//
// So a look-up costs about the same for ten blocks and for ten thousand. It is immutable.
type blocks struct {
	few   blockList
	table *bart.Table[uint32] // nil if few holds the blocks
}

// newBlocks returns the blocks of list, which is in the order of rank. It keeps list.
func newBlocks(list blockList) *blocks {
	if len(list) <= fewBlocks {
		return &blocks{few: list}
	}
	return &blocks{table: blockTable(list)}
}

// lowestRank returns the lowest rank of the blocks that match addr, or noRank.
func (b *blocks) lowestRank(addr netip.Addr) uint32 {
	if b.table == nil {
		return b.few.lowestRank(addr)
	}
	if rank, ok := b.table.Lookup(addr); ok {
		return rank
	}
	return noRank
}

// blockTable returns a longest-prefix table that answers as [blockList.lowestRank] does.
//
// Every prefix of the blocks is an entry, excepted ones too. Its value is the answer for all addresses of
// which it is the longest prefix. One answer is right for all of them: a CIDR or an exception that contains
// such an address is an entry too, so it is no longer than the prefix, and contains all of it.
func blockTable(list blockList) *bart.Table[uint32] {
	b := blockTableBuilder{all: newBlockPrefixes(len(list), func(i int) *IPBlock { return list[i].block })}
	table := &bart.Table[uint32]{}
	for _, p := range b.all.order {
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

// noBlock is the index of no block. It is greater than every index, so that min prefers any block to none.
const noBlock = math.MaxInt

// A blockTableBuilder finds the best block of each prefix. Blocks are known by their index in the list: the
// list is in the order of rank, so that the lowest index is the best block.
type blockTableBuilder struct {
	all *blockPrefixes
	// answers has the best block of each prefix visited so far. Shorter prefixes are visited first.
	answers bart.Table[int]
}

// A blockPrefixes holds all prefixes that some blocks mention, as CIDRs or as exceptions.
type blockPrefixes struct {
	at bart.Table[*blocksAt]
	// order has every prefix once, shorter ones first, so that a prefix comes after all that contain it.
	order []netip.Prefix
}

// A blocksAt says which blocks have a prefix as their CIDR and which except it, by index, in ascending order.
type blocksAt struct{ cidr, except []int }

// newBlockPrefixes returns the prefixes of n blocks. block returns the block of an index.
func newBlockPrefixes(n int, block func(int) *IPBlock) *blockPrefixes {
	b := &blockPrefixes{}
	at := func(p netip.Prefix) *blocksAt {
		p = p.Masked()
		e, ok := b.at.Get(p)
		if !ok {
			e = &blocksAt{}
			b.at.Insert(p, e)
			b.order = append(b.order, p)
		}
		return e
	}
	for i := range n {
		of := block(i)
		if of.empty() {
			continue // so that an exception is always longer than its CIDR
		}
		e := at(of.CIDR)
		e.cidr = append(e.cidr, i)
		for _, p := range of.Except {
			e := at(p)
			e.except = append(e.except, i)
		}
	}
	slices.SortFunc(b.order, func(a, b netip.Prefix) int { return cmp.Compare(a.Bits(), b.Bits()) })
	return b
}

// best returns the best block that contains p, or noBlock.
//
// The best block of the next shorter prefix stays the best, unless p is excepted from it or is itself the
// CIDR of a better one. So few prefixes have to look at all prefixes around them.
func (b *blockTableBuilder) best(p netip.Prefix) int {
	here, _ := b.all.at.Get(p)
	inherited, ok := b.answers.LookupPrefix(p)
	if !ok {
		inherited = noBlock
	}
	if inherited != noBlock && slices.Contains(here.except, inherited) {
		inherited = b.bestAmongAll(p)
	}
	for _, i := range here.cidr {
		if !slices.Contains(here.except, i) {
			return min(inherited, i)
		}
	}
	return inherited
}

// bestAmongAll returns what best does, by looking at every prefix around p.
func (b *blockTableBuilder) bestAmongAll(p netip.Prefix) int {
	excepted := map[int]bool{}
	for _, e := range b.all.at.Supernets(p) {
		for _, i := range e.except {
			excepted[i] = true
		}
	}
	best := noBlock
	for _, e := range b.all.at.Supernets(p) {
		for _, i := range e.cidr {
			if !excepted[i] {
				best = min(best, i)
				break
			}
		}
	}
	return best
}
