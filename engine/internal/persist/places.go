package persist

import "slices"

// A places finds the block of a hash, as a [directory] does, for the tables that decisions read: its blocks are large and the
// list of places lies in one piece, so that it stays in the nearest cache. Blocks have no pointers, so the garbage
// collector does not scan them, and what only writes need to know of a block is kept apart.
//
// Invariant: there are as many places as states has, at least two, and a place of one is about the same block as
// that of the other.
type places[B any] struct {
	// list has the block of every value of the first bits of a hash.
	list []*B
	// shift is by how much to shift a hash to get its place.
	shift  uint8
	owner  *Edit // owns list
	n      int   // keys of all blocks
	states directory[blockState]
}

// A blockState is what only writes need to know of a block.
type blockState struct {
	owner *Edit
	n     uint16 // its keys
	depth uint8
}

// newPlaces returns the places of an empty table. none is a block without keys, which is never written.
func newPlaces[B any](none *B) places[B] {
	return places[B]{list: []*B{none, none}, shift: hashBits - 1}
}

// Len returns the number of keys.
func (p *places[B]) Len() int { return p.n }

// at returns the block of a hash. It is inlined.
func (p *places[B]) at(h uint64) *B { return p.list[h>>(p.shift%hashBits)] }

// begin gives an empty table a block, which stands at both places.
func (p *places[B]) begin(e *Edit) {
	p.states.put(e, 0, 0, blockState{owner: e})
	p.states.double(e)
	p.put(e, 0, 0, new(B))
}

// isOverfull reports whether a block should be split: it has as many keys as fill, and one of its halves can have a place
// of its own.
func (p *places[B]) isOverfull(s blockState, fill int) bool {
	return int(s.n) >= fill && (s.depth < p.states.depth || p.states.mayDouble(p.n/fill))
}

// count notes that the block of h, whose state is s, has so many keys more.
func (p *places[B]) count(e *Edit, h uint64, s blockState, more int) {
	s.n = uint16(int(s.n) + more)
	p.states.put(e, h, s.depth, s)
	p.n += more
}

// own returns the block of h for writing, and its state. A caller that changes the state must store it.
func (p *places[B]) own(e *Edit, h uint64) (*B, blockState) {
	b, s := p.at(h), p.states.at(h)
	if s.owner != e {
		fresh := *b
		b, s.owner = &fresh, e
		p.put(e, h, s.depth, b)
		p.states.put(e, h, s.depth, s)
	}
	return b, s
}

// put stores b, which has this depth, at all of its places.
func (p *places[B]) put(e *Edit, h uint64, depth uint8, b *B) {
	if p.owner != e {
		p.list, p.owner = slices.Clone(p.list), e
	}
	n := 1 << (hashBits - p.shift - depth) // it has
	first := int(h>>(p.shift%hashBits)) &^ (n - 1)
	for i := range n {
		p.list[first+i] = b
	}
}

// halfOf returns which half of a block of this depth has a hash.
func halfOf(h uint64, depth uint8) int {
	if h&splitBit(depth) != 0 {
		return 1
	}
	return 0
}

// replace puts the halves of the block of h, which has this depth and so many keys in each, in its place.
func (p *places[B]) replace(e *Edit, h uint64, depth uint8, halves [2]*B, counts [2]uint16) {
	p.states.split(e, h, depth,
		blockState{owner: e, n: counts[0], depth: depth + 1}, blockState{owner: e, n: counts[1], depth: depth + 1})
	if p.states.depth > hashBits-p.shift { // every block then stands at twice as many places
		list := make([]*B, 2*len(p.list))
		for i := range list {
			list[i] = p.list[i/2]
		}
		p.list, p.owner, p.shift = list, e, p.shift-1
	}
	p.put(e, h&^splitBit(depth), depth+1, halves[0])
	p.put(e, h|splitBit(depth), depth+1, halves[1])
}
