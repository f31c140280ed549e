package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"

	"github.com/gaissmai/bart"
)

// manyBlocks is from how many blocks on a tier finds them by address.
const manyBlocks = 32

// addressTable finds the rules whose blocks hold an address, by the longest prefix, and then those of them that have a
// port.
type addressTable struct {
	table bart.Table[[]portRank]
}

// portRank is a range of ports and the rank of a rule that has it.
type portRank struct {
	ports
	rank uint32
}

// portBlock is a block that a rule allows for a range of ports.
type portBlock struct {
	ports
	rankedBlock
}

// match is the lowest rank, below limit, of the rules that have the peer's address and the port; or else limit.
func (a *addressTable) match(at protocolPort, p *peer, limit uint32) uint32 {
	if !p.addr.IsValid() {
		return limit
	}
	limit = a.matchAddress(at, p.addr, limit)
	for _, addr := range p.more {
		limit = a.matchAddress(at, addr, limit)
	}
	return limit
}

func (a *addressTable) matchAddress(at protocolPort, addr netip.Addr, limit uint32) uint32 {
	list, _ := a.table.Lookup(addr)
	if len(list) > fewRanges {
		list = list[:sort.Search(len(list), func(i int) bool { return list[i].first > at })]
	}
	for i := len(list) - 1; i >= 0 && list[i].reach >= at; i-- {
		if r := &list[i]; at <= r.last && r.first <= at {
			limit = min(limit, r.rank)
		}
	}
	return limit
}

// newAddressTable returns nil where the blocks are few, or lie in each other so deeply that a list for each prefix would be
// much longer than the blocks.
//
// Every prefix of the blocks, excepted ones too, is an entry with the rules of all blocks that hold it. Whatever block holds
// an address that has it as the longest holds the prefix whole, and so does whatever except, so that one list is right for
// all of them. It is that of the next shorter prefix, less those that except the prefix, and those that begin there.
func newAddressTable(entries []portBlock) *addressTable {
	if len(entries) < manyBlocks {
		return nil
	}
	var at bart.Table[*blocksAt]
	where := func(p netip.Prefix) *blocksAt {
		e, ok := at.Get(p)
		if !ok {
			e = &blocksAt{}
			at.Insert(p, e)
		}
		return e
	}
	for i, entry := range entries {
		if entry.block.empty() {
			continue // so that what is excepted from a block is always below its CIDR
		}
		e := where(entry.block.CIDR.Masked())
		e.cidr = append(e.cidr, i)
		for _, p := range entry.block.Except {
			e := where(p.Masked())
			e.except = append(e.except, i)
		}
	}
	order := make([]netip.Prefix, 0, at.Size())
	for p := range at.All() {
		order = append(order, p)
	}
	slices.SortFunc(order, func(a, b netip.Prefix) int { return cmp.Compare(a.Bits(), b.Bits()) })
	var held bart.Table[[]int]
	table, room := &addressTable{}, 8*len(entries)
	for _, p := range order {
		above, _ := held.LookupPrefix(p)
		e, _ := at.Get(p)
		here := slices.Concat(above, e.cidr)
		here = slices.DeleteFunc(here, func(i int) bool { return slices.Contains(e.except, i) })
		if room -= len(here); room < 0 {
			return nil
		}
		held.Insert(p, here)
		table.table.Insert(p, portRanks(entries, here))
	}
	return table
}

// portRanks are the ranges and ranks of some entries, by first port.
func portRanks(entries []portBlock, indexes []int) []portRank {
	list := make([]portRank, len(indexes))
	for i, at := range indexes {
		list[i] = portRank{entries[at].ports, entries[at].rank}
	}
	slices.SortFunc(list, func(a, b portRank) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last), cmp.Compare(a.rank, b.rank))
	})
	list = slices.CompactFunc(list, func(a, b portRank) bool { return a.first == b.first && a.last == b.last }) // the lowest rank stays
	reach := protocolPort(0)
	for i := range list {
		reach = max(reach, list[i].last)
		list[i].reach = reach
	}
	return list
}
