package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"

	"github.com/gaissmai/bart"
)

// manyBlocks is the number of blocks from which on a rule table finds them by address.
const manyBlocks = 32

// A rulesByAddress finds rules by the peer's address first and by port second. The other way around, a table
// would have to try every range of ports that contains the port, and hundreds may; few blocks contain any one
// address.
//
//	10.0.0.0/8  ─► [ TCP 80: rank 3 │ TCP 81: none │ TCP 443: rank 0 │ TCP 444: none ]
//	10.1.0.0/16 ─► [ TCP 443: rank 0 │ TCP 444: none ]          (rule 3 excepts 10.1.0.0/16)
//
// The longest prefix of an address gives a list of ports, which already has the answers. It is immutable.
type rulesByAddress struct {
	table bart.Table[[]portRank]
}

// A portRank gives the rank of the first rule for the ports from first on, up to the next portRank of the
// list. It is noRank if no rule has these ports. Lists are in the order of first.
type portRank struct {
	first protocolPort
	rank  uint32
}

// A portBlock is a block and the range of ports that its rule has it for.
type portBlock struct {
	portSpan
	rankedBlock
}

// match returns the lowest rank of the rules that have the peer's address and the port, if it is below limit,
// and otherwise limit. Every address of the peer counts (S39).
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

// matchAddress does what match does, for one address.
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

// newRulesByAddress returns the table of some blocks, or nil if a table would not pay: the blocks are few, or
// lie in each other so deeply that the lists together would be much longer than entries.
//
// Every prefix of the blocks is an entry, excepted ones too, as in [blockTable]. The blocks that contain a
// prefix are those of the next shorter prefix, without those that except it, and with those of which it is
// the CIDR.
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

// portRanks returns the lowest rank of some entries for every port. Neighbours in the list have different
// ranks.
//
// The first and last ports of the entries divide the ports into stretches. Entries are taken in the order of
// rank, and each gives its rank to the stretches of its range that have none yet. free leads past the
// stretches that have one, as in a union-find, so that the whole takes little more than the sorting.
func portRanks(entries []portBlock, indexes []int) []portRank {
	byRank := slices.Clone(indexes)
	slices.SortFunc(byRank, func(a, b int) int { return cmp.Compare(entries[a].rank, entries[b].rank) })
	bounds := make([]protocolPort, 0, 2*len(byRank))
	for _, i := range byRank {
		bounds = append(bounds, entries[i].first, entries[i].last+1)
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
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
