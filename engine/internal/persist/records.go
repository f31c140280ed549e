package persist

import "slices"

const recordBlock = 64 // records of 64 bytes make blocks of 4 KiB, which begin at a cache line

// Records is an [Array] of items of 64 bytes, in which reading one touches a single cache line besides the
// list of blocks. The size is a multiple of the line, and blocks of 4 KiB begin at one. The zero Records is
// empty; a plain copy is a snapshot.
type Records[T any] struct {
	blocks []*[recordBlock]T
	// owners has the owner of each block, apart, so that blocks have items alone.
	owners []*Edit
	owner  *Edit // owns both lists
}

// At returns a pointer to item i, which must have been set. The item must not be modified.
func (r *Records[T]) At(i uint32) *T { return &r.blocks[i/recordBlock][i%recordBlock] }

// Set makes v item i. Items before i that were not set must not be read.
func (r *Records[T]) Set(e *Edit, i uint32, v T) {
	if r.owner != e {
		r.blocks, r.owners, r.owner = slices.Clone(r.blocks), slices.Clone(r.owners), e
	}
	at := i / recordBlock
	for int(at) >= len(r.blocks) {
		r.blocks, r.owners = append(r.blocks, nil), append(r.owners, nil)
	}
	if r.owners[at] != e {
		fresh := &[recordBlock]T{}
		if r.blocks[at] != nil {
			*fresh = *r.blocks[at]
		}
		r.blocks[at], r.owners[at] = fresh, e
	}
	r.blocks[at][i%recordBlock] = v
}
