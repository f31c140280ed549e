package persist

import (
	"iter"
	"math/bits"
)

const (
	fanBits = 6
	fanSize = 1 << fanBits
	// spareBits is how much deeper than its size asks a directory may get. After that, blocks of like hashes
	// grow instead.
	spareBits = 4
	hashBits  = 64
)

// A directory finds the block of a hash, as extendible hashing does: the first depth bits of the hash are its
// place.
//
// A block has a depth of its own. It stands in all places that share its first bits, as b and c do here:
//
//	place   000 001 010 011 100 101 110 111     depth 3
//	block    a   d   b   b   c   c   c   c      a and d have depth 3, b has 2, c has 1
//
// A block that is full is split by its next bit, and only the places of that block change. When no bit is
// left, the directory doubles, and every block then stands in twice as many places. The block knows its
// depth, the directory does not. Places lie in fans, so that a write under a new [Edit] copies one fan and
// the list of fans.
//
// The zero directory has depth 0 and the zero B. A plain copy is a snapshot.
type directory[B comparable] struct {
	only  B         // the block while depth is 0, so that small collections have no fan
	fans  []*fan[B] // 1<<depth places, otherwise
	owner *Edit     // owns fans
	depth uint8
}

// A fan is 64 places that follow each other.
type fan[B comparable] struct {
	owner  *Edit
	blocks [fanSize]B
}

// at returns the block of a hash. It must stay small enough to be inlined.
func (d *directory[B]) at(h uint64) B {
	if d.depth == 0 {
		return d.only
	}
	i := h >> (hashBits - d.depth)
	return d.fans[i>>fanBits].blocks[i%fanSize]
}

// put stores b, which has this depth, at all of its places: those that share the first bits of h.
func (d *directory[B]) put(e *Edit, h uint64, depth uint8, b B) {
	if d.depth == 0 {
		d.only = b
		return
	}
	if d.owner != e {
		d.fans, d.owner = append([]*fan[B](nil), d.fans...), e
	}
	first := uint64(0)
	if depth > 0 {
		first = h >> (hashBits - depth) << (d.depth - depth)
	}
	for i := first; i < first+1<<(d.depth-depth); i++ {
		f := d.fans[i>>fanBits]
		if f.owner != e {
			f = &fan[B]{owner: e, blocks: f.blocks}
			d.fans[i>>fanBits] = f
		}
		f.blocks[i%fanSize] = b
	}
}

// mayDouble reports whether the directory of a collection that fills so many blocks may get deeper.
func (d *directory[B]) mayDouble(blocks int) bool {
	return int(d.depth) < bits.Len(uint(blocks))+spareBits
}

// splitBit returns the bit of a hash that divides a block of this depth.
func splitBit(depth uint8) uint64 { return 1 << (hashBits - 1 - depth) }

// split replaces the block of h, which has this depth, by its two halves: low has the hashes without its
// [splitBit].
func (d *directory[B]) split(e *Edit, h uint64, depth uint8, low, high B) {
	if depth == d.depth {
		d.double(e)
	}
	d.put(e, h&^splitBit(depth), depth+1, low)
	d.put(e, h|splitBit(depth), depth+1, high)
}

// double gives the directory one more bit.
func (d *directory[B]) double(e *Edit) {
	next := directory[B]{owner: e, depth: d.depth + 1}
	size := 1 << next.depth
	next.fans = make([]*fan[B], (size+fanSize-1)/fanSize)
	for i := range next.fans {
		f := &fan[B]{owner: e}
		for j := range min(size, fanSize) {
			f.blocks[j] = d.at(uint64(i*fanSize+j) << (hashBits - next.depth))
		}
		next.fans[i] = f
	}
	*d = next
}

// all yields the block of every place, in order. A block is yielded as often as it has places.
func (d *directory[B]) all() iter.Seq[B] {
	return func(yield func(B) bool) {
		for i := range uint64(1) << d.depth {
			if !yield(d.at(i << (hashBits - d.depth))) {
				return
			}
		}
	}
}

// unshared yields the blocks of d at the places where o has another one, and that of o. A pair may be yielded
// several times, one after the other.
func (d *directory[B]) unshared(o *directory[B]) iter.Seq2[B, B] {
	return func(yield func(B, B) bool) {
		depth := max(d.depth, o.depth)
		for i := uint64(0); i < 1<<depth; i++ {
			if depth > fanBits && d.depth == o.depth && i%fanSize == 0 && d.fans[i>>fanBits] == o.fans[i>>fanBits] {
				i += fanSize - 1
				continue
			}
			h := i << (hashBits - depth)
			if b, other := d.at(h), o.at(h); b != other && !yield(b, other) {
				return
			}
		}
	}
}
