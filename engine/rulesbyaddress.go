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

// rulesByAddress finds the rules whose blocks hold an address, by the longest prefix, and then those of them that have a
// port.
type rulesByAddress struct {
	table bart.Table[[]portRank]
}

// portRank is that from a port on, up to that of the next, the first rule that has it is of a rank; noRank for none.
type portRank struct {
	first protocolPort
	rank  uint32
}

// portBlock is a block that a rule allows for a range of ports.
type portBlock struct {
	portSpan
	rankedBlock
}

// match is the lowest rank, below limit, of the rules that have the peer's address and the port; or else limit.
func (a *rulesByAddress) match(at protocolPort, p *peer, limit uint32) uint32 {
	if !p.addr.IsValid() {
		return limit
	}
	limit = a.matchAddress(at, p.addr, limit)
	for _, addr := range p.more {
		limit = a.matchAddress(at, addr, limit)
	}
	return limit
}

func (a *rulesByAddress) matchAddress(at protocolPort, addr netip.Addr, limit uint32) uint32 {
	list, _ := a.table.Lookup(addr)
	n := 0
	if len(list) > fewRanges {
		n = sort.Search(len(list), func(i int) bool { return list[i].first > at })
	} else {
		for n < len(list) && list[n].first <= at {
			n++
		}
	}
	if n == 0 {
		return limit
	}
	return min(limit, list[n-1].rank)
}

// newRulesByAddress returns nil where the blocks are few, or lie in each other so deeply that a list for each prefix would be
// much longer than the blocks.
//
// Every prefix of the blocks, excepted ones too, is an entry with the rules of all blocks that hold it. Whatever block holds
// an address that has it as the longest holds the prefix whole, and so does whatever except, so that one list is right for
// all of them. It is that of the next shorter prefix, less those that except the prefix, and those that begin there.
func newRulesByAddress(entries []portBlock) *rulesByAddress {
	if len(entries) < manyBlocks {
		return nil
	}
	prefixes := newBlockPrefixes(len(entries), func(i int) *IPBlock { return entries[i].block })
	var held bart.Table[[]int]
	table, room := &rulesByAddress{}, 8*len(entries)
	for _, p := range prefixes.order {
		above, _ := held.LookupPrefix(p)
		e, _ := prefixes.at.Get(p)
		here := slices.Concat(above, e.cidr)
		here = slices.DeleteFunc(here, func(i int) bool {
			_, out := slices.BinarySearch(e.except, i)
			return out
		})
		if room -= len(here); room < 0 {
			return nil
		}
		held.Insert(p, here)
		table.table.Insert(p, portRanks(entries, here))
	}
	return table
}

// portRanks are the lowest ranks of some entries, port by port, with no two neighbours alike.
func portRanks(entries []portBlock, indexes []int) []portRank {
	byRank := slices.Clone(indexes)
	slices.SortFunc(byRank, func(a, b int) int { return cmp.Compare(entries[a].rank, entries[b].rank) })
	bounds := make([]protocolPort, 0, 2*len(byRank))
	for _, i := range byRank {
		bounds = append(bounds, entries[i].first, entries[i].last+1)
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	// Each stretch between two bounds gets the first rank that has it; free leads from a stretch to the next that has none yet.
	ranks, free := make([]uint32, len(bounds)), make([]int, len(bounds)+1)
	for i := range free {
		free[i] = i
	}
	next := func(i int) int {
		for free[i] != i {
			free[i] = free[free[i]]
			i = free[i]
		}
		return i
	}
	for i := range ranks {
		ranks[i] = noRank
	}
	for _, i := range byRank {
		from, _ := slices.BinarySearch(bounds, entries[i].first)
		to, _ := slices.BinarySearch(bounds, entries[i].last+1)
		for at := next(from); at < to; at = next(at) {
			ranks[at], free[at] = entries[i].rank, at+1
		}
	}
	list := make([]portRank, 0, len(bounds))
	for i, rank := range ranks {
		if n := len(list); n == 0 || list[n-1].rank != rank {
			list = append(list, portRank{bounds[i], rank})
		}
	}
	return list
}
