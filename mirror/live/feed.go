package live

import (
	"cmp"
	"slices"
	"sync"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

const (
	// maxPending is how many changes may wait to be applied before reflectors block.
	maxPending = 4096
	// maxUnsynced is how many changes may wait for the first lists of other resources. More are applied, but
	// not published.
	maxUnsynced = 1 << 16
)

// A feed holds the changes that came from the API server and are not applied to the engine yet. It is safe
// for concurrent use.
type feed struct {
	// wake has a buffer of one. It has a value when there may be something to drain.
	wake chan struct{}

	mu sync.Mutex
	// Guarded by mu:
	changes []engine.Change
	// pending is the index in changes of an object's waiting change, so that only the last one is kept.
	// Changes from lists are not in it: they are applied before later events.
	pending map[objectKey]int
	sync    [resourceCount]bool
	// reached is the resource version up to which changes are known, applied or not. changed is that of the
	// last real change.
	reached, changed positions
	objects          [resourceCount]int
	problems         map[objectKey][]mirror.Problem
	drained          chan struct{} // closed when changes are drained
}

// An objectKey identifies an object among those of all resources.
type objectKey struct {
	resource resourceIndex
	name     name
}

// positions holds a resource version for each resource; empty if there is none yet.
type positions [resourceCount]string

// An update is one event, or one list.
type update struct {
	resource resourceIndex
	// whole means that it is a list of all objects.
	whole bool
	// absent means that the list is empty because the resource is not served.
	absent   bool
	version  string
	changes  []engine.Change
	problems []problemsOf
	objects  int
}

// A batch is what is applied at once.
type batch struct {
	changes          []engine.Change
	reached, changed positions
	// publish means that every resource has been listed.
	publish bool
}

// newFeed returns a feed for the first resources. The others are not mirrored.
func newFeed(resources int) *feed {
	f := &feed{
		wake: make(chan struct{}, 1), pending: map[objectKey]int{}, problems: map[objectKey][]mirror.Problem{},
		drained: make(chan struct{}),
	}
	for i := resources; i < len(f.sync); i++ {
		f.sync[i] = true
	}
	return f
}

// put blocks until there is room for u or ended is closed. A list never blocks: applying half of one would
// give wrong answers.
func (f *feed) put(u update, ended <-chan struct{}) {
	f.mu.Lock()
	for !u.whole && len(u.changes) > 0 && len(f.changes) >= maxPending && f.allSyncedLocked() {
		drained := f.drained
		f.mu.Unlock()
		select {
		case <-drained:
		case <-ended:
			return
		}
		f.mu.Lock()
	}
	f.addLocked(u)
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *feed) addLocked(u update) {
	f.objects[u.resource] = u.objects
	for _, p := range u.problems {
		key := objectKey{u.resource, p.name}
		if delete(f.problems, key); len(p.list) > 0 {
			f.problems[key] = p.list
		}
	}
	if u.whole {
		f.addListLocked(u)
		return
	}
	for _, c := range u.changes {
		key := objectKey{u.resource, nameOf(c.Object)}
		if i, waits := f.pending[key]; waits {
			f.changes[i] = c
			continue
		}
		f.pending[key] = len(f.changes)
		f.changes = append(f.changes, c)
	}
	if newer, ok := compareVersions(u.version, f.reached[u.resource]); ok && newer > 0 {
		f.reached[u.resource] = u.version
		if len(u.changes) > 0 {
			f.changed[u.resource] = u.version
		}
	}
}

// addListLocked adds a list. It accepts an older resource version too: an API server that lost its history
// starts again with low ones.
func (f *feed) addListLocked(u update) {
	for key := range f.pending {
		if key.resource == u.resource {
			delete(f.pending, key)
		}
	}
	f.changes = append(f.changes, u.changes...)
	if newer, ok := compareVersions(u.version, f.reached[u.resource]); ok {
		f.reached[u.resource] = u.version
		first := !f.sync[u.resource] && !u.absent
		if first || len(u.changes) > 0 || newer < 0 && f.changed[u.resource] != "" {
			f.changed[u.resource] = u.version
		}
	}
	f.sync[u.resource] = true
}

func (f *feed) allSyncedLocked() bool { return !slices.Contains(f.sync[:], false) }

func (f *feed) synced(r resourceIndex) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sync[r]
}

// drain removes and returns all waiting changes. It returns false if they must wait for the first lists.
func (f *feed) drain() (batch, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := batch{reached: f.reached, changed: f.changed, publish: f.allSyncedLocked()}
	if !b.publish && len(f.pending) < maxUnsynced {
		return batch{}, false
	}
	b.changes, f.changes = f.changes, nil
	clear(f.pending)
	close(f.drained)
	f.drained = make(chan struct{})
	return b, true
}

// prove records that nothing changed between two resource versions.
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

// reachedVersion returns the resource version up to which a resource's changes are known.
func (f *feed) reachedVersion(r resourceIndex) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reached[r]
}

// counts returns how many objects a resource has and whether it was listed.
func (f *feed) counts(r resourceIndex) (objects int, synced bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.objects[r], f.sync[r]
}

// allProblems returns the problems of all objects, in order of resource and name.
func (f *feed) allProblems() []mirror.Problem {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.problems) == 0 {
		return nil
	}
	keys := make([]objectKey, 0, len(f.problems))
	for key := range f.problems {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b objectKey) int {
		return cmp.Or(cmp.Compare(a.resource, b.resource), cmp.Compare(a.name.namespace, b.name.namespace),
			cmp.Compare(a.name.name, b.name.name))
	})
	var list []mirror.Problem
	for _, key := range keys {
		list = append(list, f.problems[key]...)
	}
	return list
}
