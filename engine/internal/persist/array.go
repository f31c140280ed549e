package persist

const blockSize = 128

// Array is a persistent array that grows by [Array.Set]. The zero Array is empty; a plain copy is a snapshot.
type Array[T any] struct {
	blocks []*block[T]
	owner  *Edit // owns blocks
}

type block[T any] struct {
	owner *Edit
	items [blockSize]T
}

// At returns item i, the zero value where none was set. It panics where i is past every item that was set.
func (a *Array[T]) At(i uint32) T { return a.blocks[i/blockSize].items[i%blockSize] }

// Set makes v item i.
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
