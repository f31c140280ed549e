package engine

import (
	"cmp"
	"math"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// fewBlocks is how many blocks are looked at one by one: below, that is cheaper than a table.
const fewBlocks = 3

// blocks finds the lowest rank of the blocks that match an address.
type blocks struct {
	few   blockList
	table *bart.Table[uint32]
}

func newBlocks(list blockList) *blocks {
	if len(list) <= fewBlocks {
		return &blocks{few: list}
	}
	return &blocks{table: blockTable(list)}
}

func (b *blocks) lowestRank(addr netip.Addr) uint32 {
	if b.table == nil {
		return b.few.lowestRank(addr)
	}
	if rank, ok := b.table.Lookup(addr); ok {
		return rank
	}
	return noRank
}

// blockTable is a longest-prefix table that answers [blockList.first]. Every prefix of the blocks, excepted ones too, is
// an entry with the answer for the addresses that have it as their longest: whatever block holds one of them holds the
// prefix whole, and so does whatever except, so that one answer is right for all.
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

// noBlock is the index of none: later than that of any.
const noBlock = math.MaxInt

type blockTableBuilder struct {
	// all are of a list in the order of rank, so that an earlier index is a better block.
	all *blockPrefixes
	// answers are the best blocks of the prefixes so far, shorter ones first.
	answers bart.Table[int]
}

// blockPrefixes are the prefixes of blocks, excepted ones too.
type blockPrefixes struct {
	at bart.Table[*blocksAt]
	// order has shorter prefixes first.
	order []netip.Prefix
}

// blocksAt are the blocks, by index and in order, that have a prefix as their CIDR, and those that except it.
type blocksAt struct{ cidr, except []int }

// newBlockPrefixes takes n blocks by index.
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
			continue // so that what is excepted from a block is always below its CIDR
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

// best is the best block that holds p. That of the next shorter prefix stays the best, unless p is excepted from it or has
// a better block of its own; so few prefixes have to look at all that hold them.
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
