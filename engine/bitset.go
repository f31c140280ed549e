package engine

// A bitset is a set of small numbers.
type bitset []uint64

// bit returns 1 if i is in the set, and otherwise 0.
func (b bitset) bit(i uint32) uint64 {
	if at := i / 64; at < uint32(len(b)) {
		return b[at] >> (i % 64) & 1
	}
	return 0
}

// has reports whether i is in the set.
func (b bitset) has(i uint32) bool { return b.bit(i) != 0 }

// with returns the set with i in it. It modifies b.
func (b bitset) with(i uint32) bitset {
	for i/64 >= uint32(len(b)) {
		b = append(b, 0)
	}
	b[i/64] |= 1 << (i % 64)
	return b
}

// meets reports whether the sets have a number in common.
func (b bitset) meets(o bitset) bool {
	for i := range min(len(b), len(o)) {
		if b[i]&o[i] != 0 {
			return true
		}
	}
	return false
}
