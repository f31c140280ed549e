package engine

import (
	"slices"

	"github.com/netpold/netpold/engine/internal/persist"
)

// A registry numbers things by their keys and counts their users, so that equal things are one. A plain copy
// is a snapshot.
type registry[T any] struct {
	uses persist.Map[string, numberUse]
	pool idPool
	// items has the things by number. owner may write it.
	items []T
	owner *persist.Edit
	// reuses reports whether a thing got a number that another had before; the user resets it.
	reuses bool
}

// A numberUse is the number of a thing, and how many use it.
type numberUse struct {
	number uint32
	users  int
}

// newRegistry returns an empty registry.
func newRegistry[T any]() registry[T] {
	return registry[T]{uses: persist.NewMap[string, numberUse](persist.HashOf[string]())}
}

// at returns the thing of a number that is in use.
func (r *registry[T]) at(number uint32) T { return r.items[number] }

// acquire returns the number of a key, for one more user. It calls build for the first.
func (r *registry[T]) acquire(e *persist.Edit, key []byte, build func(key string) T) uint32 {
	name := string(key)
	use, ok := r.uses.Get(name)
	if !ok {
		r.reuses = r.reuses || r.pool.count > 0
		use.number = r.pool.allocate()
		r.replace(e, use.number, build(name))
	}
	use.users++
	r.uses.Set(e, name, use)
	return use.number
}

// release undoes one acquire. The thing goes with its last user.
func (r *registry[T]) release(e *persist.Edit, key string) {
	use, _ := r.uses.Get(key)
	if use.users--; use.users > 0 {
		r.uses.Set(e, key, use)
		return
	}
	var none T
	r.uses.Delete(e, key)
	r.replace(e, use.number, none)
	r.pool.release(e, use.number)
}

// replace makes v the thing of a number. The first write under an edit copies the list.
func (r *registry[T]) replace(e *persist.Edit, number uint32, v T) {
	if r.owner != e {
		r.items, r.owner = slices.Clone(r.items), e
	}
	if number == uint32(len(r.items)) {
		r.items = append(r.items, v)
	}
	r.items[number] = v
}
