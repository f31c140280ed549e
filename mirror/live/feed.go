package live

import (
	"cmp"
	"slices"
	"sync"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

const (
	// maxPending is how many changes may wait to be applied before reflectors have to.
	maxPending = 4096
	// maxUnsynced is how many may wait for the first lists of other resources before they are applied, unpublished.
	maxUnsynced = 1 << 16
)

// feed holds what the API server told and the engine does not know yet. It is for any goroutine.
type feed struct {
	// wake has room for one: there is something to take.
	wake chan struct{}

	mu sync.Mutex
	// Guarded by mu:
	changes []engine.Change
	// places finds the change that waits of an object, so that only its last one is kept. Lists are not in it: what they
	// changed comes before.
	places map[place]int
	sync   [resourceCount]bool
	// reached is how far the changes, applied or not, go; changed is where they last changed anything.
	reached, changed positions
	objects          [resourceCount]int
	problems         map[place][]mirror.Problem
	taken            chan struct{} // closed when changes are taken
}

// place names an object among all.
type place struct {
	resource resourceIndex
	name     name
}

// positions are a resource version of each resource; empty where there is none.
type positions [resourceCount]string

// news is what one event, or one list, tells.
type news struct {
	resource resourceIndex
	// whole says that it is a list of all objects.
	whole    bool
	version  string
	changes  []engine.Change
	problems []problemsOf
	objects  int
}

// batch is what is applied at once.
type batch struct {
	changes          []engine.Change
	reached, changed positions
	// publish says that every resource has been listed.
	publish bool
}

func newFeed() *feed {
	return &feed{
		wake: make(chan struct{}, 1), places: map[place]int{}, problems: map[place][]mirror.Problem{}, taken: make(chan struct{}),
	}
}

// put adds news, when there is room for it or all is over. Lists need no room: they are taken whole, or half of one would be
// answered from.
func (f *feed) put(n news, ended <-chan struct{}) {
	f.mu.Lock()
	for !n.whole && len(n.changes) > 0 && len(f.changes) >= maxPending && f.allSyncedLocked() {
		taken := f.taken
		f.mu.Unlock()
		select {
		case <-taken:
		case <-ended:
			return
		}
		f.mu.Lock()
	}
	f.addLocked(n)
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *feed) addLocked(n news) {
	f.objects[n.resource] = n.objects
	for _, p := range n.problems {
		at := place{n.resource, p.name}
		if delete(f.problems, at); len(p.list) > 0 {
			f.problems[at] = p.list
		}
	}
	if n.whole {
		f.addListLocked(n)
		return
	}
	for _, c := range n.changes {
		at := place{n.resource, nameOf(c.Object)}
		if i, waits := f.places[at]; waits {
			f.changes[i] = c
			continue
		}
		f.places[at] = len(f.changes)
		f.changes = append(f.changes, c)
	}
	if newer, ok := compareVersions(n.version, f.reached[n.resource]); ok && newer > 0 {
		f.reached[n.resource] = n.version
		if len(n.changes) > 0 {
			f.changed[n.resource] = n.version
		}
	}
}

// addListLocked also goes back to an older resource version: those of an API server that lost its past begin anew.
func (f *feed) addListLocked(n news) {
	for at := range f.places {
		if at.resource == n.resource {
			delete(f.places, at)
		}
	}
	f.changes = append(f.changes, n.changes...)
	if newer, ok := compareVersions(n.version, f.reached[n.resource]); ok {
		f.reached[n.resource] = n.version
		if !f.sync[n.resource] || len(n.changes) > 0 || newer < 0 {
			f.changed[n.resource] = n.version
		}
	}
	f.sync[n.resource] = true
}

func (f *feed) allSyncedLocked() bool { return !slices.Contains(f.sync[:], false) }

func (f *feed) synced(r resourceIndex) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sync[r]
}

// take gives all that waits; false where it has to wait on.
func (f *feed) take() (batch, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := batch{reached: f.reached, changed: f.changed, publish: f.allSyncedLocked()}
	if !b.publish && len(f.places) < maxUnsynced {
		return batch{}, false
	}
	b.changes, f.changes = f.changes, nil
	clear(f.places)
	close(f.taken)
	f.taken = make(chan struct{})
	return b, true
}

// prove notes that nothing changed between two resource versions.
func (f *feed) prove(r resourceIndex, from, to string) {
	f.mu.Lock()
	newer, ok := compareVersions(to, from)
	proven := ok && newer > 0 && f.sync[r] && f.reached[r] == from
	if proven {
		f.reached[r] = to
	}
	f.mu.Unlock()
	if proven {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// reachedBy is how far a resource's changes go.
func (f *feed) reachedBy(r resourceIndex) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reached[r]
}

// counted tells what a resource holds.
func (f *feed) counted(r resourceIndex) (objects int, synced bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.objects[r], f.sync[r]
}

// wrong lists what is wrong in objects, by resource and name.
func (f *feed) wrong() []mirror.Problem {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.problems) == 0 {
		return nil
	}
	places := make([]place, 0, len(f.problems))
	for at := range f.problems {
		places = append(places, at)
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.resource, b.resource), cmp.Compare(a.name.namespace, b.name.namespace),
			cmp.Compare(a.name.name, b.name.name))
	})
	var list []mirror.Problem
	for _, at := range places {
		list = append(list, f.problems[at]...)
	}
	return list
}
