package enginetest

import (
	"slices"

	"github.com/netpold/netpold/engine"
)

// State is a set of objects by key: what a cluster should be after a sequence of events. It must be made by
// make or a literal, not be nil.
type State map[engine.ObjectKey]engine.Object

// Apply applies changes as the engine has to: the last one of an object counts. It keeps copies of the
// objects.
func (s State) Apply(changes []engine.Change) {
	for _, c := range changes {
		if c.Delete {
			delete(s, engine.KeyOf(c.Object))
		} else {
			s[engine.KeyOf(c.Object)] = Clone(c.Object)
		}
	}
}

// Objects returns the objects in the order of their keys.
func (s State) Objects() []engine.Object {
	keys := make([]engine.ObjectKey, 0, len(s))
	for k := range s {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, engine.ObjectKey.Compare)
	list := make([]engine.Object, len(keys))
	for i, k := range keys {
		list[i] = s[k]
	}
	return list
}

// Cluster returns a random set of objects of every kind, in the order of their keys.
func (r *Random) Cluster() []engine.Object {
	s := State{}
	for range 10 + r.rand.IntN(30) {
		o := r.filled(r.named(), false)
		s[engine.KeyOf(o)] = o
	}
	return s.Objects()
}

// Events returns batches of changes that lead, in a random order and with many detours, to exactly the given
// objects.
//
// The changes of one object keep their order. Those of different objects come in any order, so that a Pod may
// come before its Namespace and a slice before its Service. The answers must not depend on it (S6, S7, S18).
func (r *Random) Events(objects []engine.Object) [][]engine.Change {
	histories := make([][]engine.Change, 0, len(objects))
	for _, o := range objects {
		histories = append(histories, r.history(o))
	}
	for range r.rand.IntN(4) { // objects that come and go, or never came
		o := r.named()
		same := func(x engine.Object) bool { return engine.KeyOf(x) == engine.KeyOf(o) }
		if slices.ContainsFunc(objects, same) {
			continue
		}
		h := r.history(r.filled(o, false))
		if r.chance(40) {
			h = nil
		}
		histories = append(histories, append(h, engine.Change{Object: o, Delete: true}))
	}
	if r.chance(50) {
		return r.batches(r.merge(histories))
	}
	slices.SortStableFunc(histories, func(a, b []engine.Change) int {
		return rank(a[0].Object) - rank(b[0].Object)
	})
	if r.chance(50) {
		slices.Reverse(histories)
	}
	return r.batches(slices.Concat(histories...))
}

// rank returns the place of a kind in an order in which no object comes before what it refers to.
func rank(o engine.Object) int {
	switch o.(type) {
	case *engine.Namespace:
		return 0
	case *engine.Node:
		return 1
	case *engine.Pod:
		return 2
	case *engine.Service:
		return 3
	case *engine.EndpointSlice:
		return 4
	default:
		return 5
	}
}

// history returns random changes of one object that end with last: duplicates, updates, deletions, and
// earlier objects of its name.
func (r *Random) history(last engine.Object) []engine.Change {
	h := []engine.Change{{Object: last}}
	for r.chance(40) && len(h) < 6 {
		before := h[0]
		switch n := r.rand.IntN(100); {
		case n < 15:
			before = engine.Change{Object: Clone(last), Delete: true}
		case n < 30 && !before.Delete:
			before.Object = Clone(before.Object)
		case n < 65:
			before = engine.Change{Object: r.filled(before.Object, true)}
		default:
			before = engine.Change{Object: r.filled(before.Object, false)}
		}
		h = slices.Insert(h, 0, before)
	}
	return h
}

// merge returns all changes in a random order that keeps the order of each history.
func (r *Random) merge(histories [][]engine.Change) []engine.Change {
	var order []int
	for i, h := range histories {
		for range h {
			order = append(order, i)
		}
	}
	r.rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	next, merged := make([]int, len(histories)), make([]engine.Change, 0, len(order))
	for _, i := range order {
		merged = append(merged, histories[i][next[i]])
		next[i]++
	}
	return merged
}

// batches returns changes in batches of random sizes, some of them empty.
func (r *Random) batches(changes []engine.Change) [][]engine.Change {
	most := 1 + r.rand.IntN(len(changes)+1)
	if r.chance(50) {
		most = 1 + r.rand.IntN(5)
	}
	var list [][]engine.Change
	for len(changes) > 0 {
		n := min(r.rand.IntN(most+1), len(changes))
		if n == 0 && !r.chance(10) {
			n = 1
		}
		list = append(list, changes[:n:n])
		changes = changes[n:]
	}
	return list
}

// Churn returns a batch of random changes of a state, which it does not modify: new objects, updates of any
// field, deletions also of what never came, and objects made anew under the same name.
func (r *Random) Churn(s State) []engine.Change {
	var batch []engine.Change
	now := State{}
	for k, o := range s {
		now[k] = o
	}
	for range 1 + r.rand.IntN(6) {
		c := engine.Change{Object: r.named()}
		if list := now.Objects(); len(list) > 0 && r.chance(60) {
			c.Object = list[r.rand.IntN(len(list))]
		}
		known, there := now[engine.KeyOf(c.Object)]
		switch n := r.rand.IntN(100); {
		case n < 25:
			c = engine.Change{Object: Clone(c.Object), Delete: true}
		case n < 30 && there:
			c.Object = Clone(known)
		case n < 70 && there:
			c.Object = r.filled(known, true)
		default:
			c.Object = r.filled(c.Object, false)
		}
		batch = append(batch, c)
		now.Apply(batch[len(batch)-1:])
	}
	return batch
}
