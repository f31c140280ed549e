package engine

import (
	"net/netip"
	"slices"
)

// sharedBlocks returns the blocks of one rule as a set of prefixes takes them, in which the longest one that
// contains an address decides ([Options.ShareBlocks]): every block excepts what any of them does inside it. A
// prefix that is both a cidr and an except is what it was last. There are as many blocks as before.
//
//	10.0.0.0/8 except 10.1.0.0/16    10.1.0.1 is in none of them: the except is the longest
//	10.0.0.0/7
func sharedBlocks(blocks []*IPBlock) []*IPBlock {
	matches := map[netip.Prefix]bool{} // what a prefix was last
	for _, b := range blocks {
		matches[b.CIDR.Masked()] = true
		for _, e := range b.Except {
			matches[e.Masked()] = false
		}
	}
	list := make([]*IPBlock, len(blocks))
	for i, b := range blocks {
		list[i] = &IPBlock{CIDR: b.CIDR.Masked()}
		for p, match := range matches {
			if !match && p.Bits() >= list[i].CIDR.Bits() && list[i].CIDR.Contains(p.Addr()) {
				list[i].Except = append(list[i].Except, p)
			}
		}
		slices.SortFunc(list[i].Except, netip.Prefix.Compare)
	}
	return list
}
