package persist

import "iter"

const blockSize = 128

// Array is a persistent array that grows by [Array.Set]. A write under a new [Edit] copies one block and the
// list of blocks. The zero Array is empty; a plain copy is a snapshot.
type Array[T any] struct {
	blocks []*block[T]
	owner  *Edit // owns blocks
}

// A block is 128 items that follow each other.
type block[T any] struct {
	owner *Edit
	items [blockSize]T
}

// At returns item i, or the zero value if it was not set. It panics if i is past the block of the last item
// that was set.
func (a *Array[T]) At(i uint32) T { return a.blocks[i/blockSize].items[i%blockSize] }

// Set makes v item i. Items before i that were not set are zero.
func (a *Array[T]) Set(e *Edit, i uint32, v T) {
	if a.owner != e {
		a.blocks, a.owner = append([]*block[T](nil), a.blocks...), e
	}
	for int(i/blockSize) >= len(a.blocks) {
		a.blocks = append(a.blocks, &block[T]{owner: e})
	}
	b := a.blocks[i/blockSize]
	if b.owner != e {
		b = &block[T]{owner: e, items: b.items}
		a.blocks[i/blockSize] = b
	}
	b.items[i%blockSize] = v
}

// Has reports whether item i is within the array. It may be one that was not set.
func (a *Array[T]) Has(i uint32) bool { return int(i/blockSize) < len(a.blocks) }

// Unshared yields the numbers of the items that may differ between both arrays: all but those of the blocks that
// both have. If one came from a copy of the other, it takes time for the list of blocks and for what was written
// since.
func (a *Array[T]) Unshared(o *Array[T]) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i := range max(len(a.blocks), len(o.blocks)) {
			if i < len(a.blocks) && i < len(o.blocks) && a.blocks[i] == o.blocks[i] {
				continue
			}
			for j := range uint32(blockSize) {
				if !yield(uint32(i)*blockSize + j) {
					return
				}
			}
		}
	}
}
