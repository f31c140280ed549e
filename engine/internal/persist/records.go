package persist

const (
	recordBlock = 8 // records of 64 bytes make blocks of 512, which begin at a cache line
	recordFan   = 64
)

// Records is an [Array] of items of 64 bytes, in which reading one touches a single cache line besides the
// directory. The size is a multiple of the line, and blocks of 512 bytes begin at one. The zero Records is
// empty; a plain copy is a snapshot.
type Records[T any] struct {
	top   []*recordsFan[T]
	owner *Edit // owns top
}

// A recordsFan is 64 blocks that follow each other. Their owners are beside them, so that blocks have items
// alone.
type recordsFan[T any] struct {
	owner  *Edit
	blocks [recordFan]*[recordBlock]T
	owners [recordFan]*Edit
}

// At returns a pointer to item i, which must have been set. The item must not be modified.
func (r *Records[T]) At(i uint32) *T {
	return &r.top[i/(recordBlock*recordFan)].blocks[i/recordBlock%recordFan][i%recordBlock]
}

// Set makes v item i. Items before i that were not set must not be read.
func (r *Records[T]) Set(e *Edit, i uint32, v T) {
	if r.owner != e {
		r.top, r.owner = append([]*recordsFan[T](nil), r.top...), e
	}
	at := i / (recordBlock * recordFan)
	for int(at) >= len(r.top) {
		r.top = append(r.top, &recordsFan[T]{owner: e})
	}
	f := r.top[at]
	if f.owner != e {
		fresh := *f
		f, fresh.owner = &fresh, e
		r.top[at] = f
	}
	b := i / recordBlock % recordFan
	if f.owners[b] != e {
		fresh := &[recordBlock]T{}
		if f.blocks[b] != nil {
			*fresh = *f.blocks[b]
		}
		f.blocks[b], f.owners[b] = fresh, e
	}
	f.blocks[b][i%recordBlock] = v
}
