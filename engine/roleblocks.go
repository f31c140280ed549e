package engine

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// A blockIndex finds which blocks of the rules of a direction match an address. Equal blocks have one id, but
// for the option of S19, which concerns the ipBlocks of NetworkPolicies alone.
//
// The longest prefix of an address, among all CIDRs and exceptions, tells which blocks match it. So there are
// as many kinds of addresses as prefixes, at most.
type blockIndex struct {
	ids map[string]uint32
	// uses counts the blocks of rules that have an id.
	uses []int
	// lists are sorted ids of blocks that match one address, or several, each list once; the first is empty.
	// listIDs has their indexes.
	lists   [][]uint32
	listIDs map[string]uint32
	// shared has the listIDs of what x is a view of; nil for none.
	shared map[string]uint32
	// more has blocks that only the view has, whose ids there begin after those of ids; nil for none. gone
	// are ids of blocks that the view has not.
	more *blockIndex
	gone map[uint32]bool
	// all has the index of the list of the blocks that match the addresses of a prefix; shown has those alone
	// that are not of NetworkPolicies.
	all, shown *bart.Table[uint32]
}

// A blockIndexBuilder collects blocks.
type blockIndexBuilder struct {
	ids    map[string]uint32
	blocks []*IPBlock
	uses   []int
	shown  []bool
}

// add adds a block of a rule of a tier.
func (b *blockIndexBuilder) add(block *IPBlock, tier Tier) {
	if block.empty() {
		return
	}
	if b.ids == nil {
		b.ids = map[string]uint32{}
	}
	key := blockKey(block, tier)
	id, ok := b.ids[key]
	if !ok {
		id = uint32(len(b.blocks))
		b.ids[key] = id
		b.blocks, b.uses = append(b.blocks, block), append(b.uses, 0)
		b.shown = append(b.shown, tier != NetworkPolicies)
	}
	b.uses[id]++
}

// build returns the index.
func (b *blockIndexBuilder) build() *blockIndex {
	x := &blockIndex{
		ids: b.ids, uses: b.uses, listIDs: map[string]uint32{},
		all: &bart.Table[uint32]{}, shown: &bart.Table[uint32]{},
	}
	x.listOf(nil)
	prefixes := newBlockPrefixes(len(b.blocks), func(i int) *IPBlock { return b.blocks[i] })
	for _, p := range prefixes.order {
		above, _ := x.all.LookupPrefix(p)
		e, _ := prefixes.at.Get(p)
		here := slices.Clone(x.lists[above])
		for _, i := range e.cidr {
			here = append(here, uint32(i))
		}
		here = slices.DeleteFunc(here, func(id uint32) bool {
			_, out := slices.BinarySearch(e.except, int(id))
			return out
		})
		slices.Sort(here)
		x.all.Insert(p, x.listOf(here))
		x.shown.Insert(p, x.listOf(slices.DeleteFunc(slices.Clone(here), func(id uint32) bool {
			return !b.shown[id]
		})))
	}
	return x
}

// view returns an index of the same blocks for one user. x must not be used itself any more.
func (x *blockIndex) view() *blockIndex {
	v := *x
	v.lists, v.shared, v.listIDs = slices.Clip(x.lists), x.listIDs, map[string]uint32{}
	return &v
}

// listOf returns the index of a list, which it keeps.
func (x *blockIndex) listOf(ids []uint32) uint32 {
	key := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		key = binary.BigEndian.AppendUint32(key, id)
	}
	at, ok := x.listIDs[string(key)]
	if !ok && x.shared != nil {
		at, ok = x.shared[string(key)]
	}
	if !ok {
		at = uint32(len(x.lists))
		x.lists = append(x.lists, slices.Clip(ids))
		x.listIDs[string(key)] = at
	}
	return at
}

// blockKey returns a key of what a block matches.
func blockKey(b *IPBlock, tier Tier) string {
	key := []byte{0}
	if tier == NetworkPolicies {
		key[0] = 1
	}
	except := slices.Clone(b.Except)
	for i := range except {
		except[i] = except[i].Masked()
	}
	slices.SortFunc(except, comparePrefixes)
	for _, p := range append([]netip.Prefix{b.CIDR.Masked()}, except...) {
		text, _ := p.MarshalBinary() // of a valid prefix, it never fails
		key = append(binary.AppendUvarint(key, uint64(len(text))), text...)
	}
	return string(key)
}

// idOf returns the id of a block of a rule of a tier, and whether anything can match it.
func (x *blockIndex) idOf(b *IPBlock, tier Tier) (uint32, bool) {
	id, ok := x.ids[blockKey(b, tier)]
	if !ok && x.more != nil {
		id, ok = x.more.idOf(b, tier)
		id += uint32(len(x.ids))
	}
	return id, ok
}

// matching returns the list of the blocks that match one of the addresses of a family, by its index. If
// hidden is true the ipBlocks of NetworkPolicies match none (S19).
func (x *blockIndex) matching(addrs []netip.Addr, family Families, hidden bool) uint32 {
	found := x.matchingShared(addrs, family, hidden)
	if x.more == nil && len(x.gone) == 0 {
		return found
	}
	list := slices.DeleteFunc(slices.Clone(x.lists[found]), func(id uint32) bool { return x.gone[id] })
	if x.more != nil {
		for _, id := range x.more.lists[x.more.matching(addrs, family, hidden)] {
			list = append(list, uint32(len(x.ids))+id)
		}
	}
	return x.listOf(list)
}

// matchingShared does what matching does, for the blocks of ids.
func (x *blockIndex) matchingShared(addrs []netip.Addr, family Families, hidden bool) uint32 {
	if len(x.ids) == 0 {
		return 0
	}
	table := x.all
	if hidden {
		table = x.shown
	}
	found := uint32(0)
	for _, addr := range addrs {
		if familyOf(addr) != family {
			continue
		}
		at, _ := table.Lookup(addr)
		switch {
		case found == 0:
			found = at
		case at != 0 && at != found:
			both := slices.Concat(x.lists[found], x.lists[at])
			slices.Sort(both)
			found = x.listOf(slices.Compact(both))
		}
	}
	return found
}
