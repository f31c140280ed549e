package watches

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/wire"
)

// The defaults of [Limits].
const (
	// DefaultMaxWatched is the default of Limits.Questions.
	DefaultMaxWatched = 10_000
	// DefaultMaxWatchedTotal is the default of Limits.Total.
	DefaultMaxWatchedTotal = 1_000_000
	// DefaultMaxWatches is the default of Limits.Watches.
	DefaultMaxWatches = 1000
)

// Limits are the most questions of one watch, of all watches, and the most watches. 0 is the default.
type Limits struct{ Questions, Total, Watches int }

// A Hub has all watches of a process. It is safe for concurrent use.
type Hub struct {
	reader *current.Reader
	limits Limits

	mu sync.Mutex // guards what follows
	// at is the state that the watches are in step with: a question that is not queued has no other answer
	// there than when it was taken last. It has no snapshot while there is no watch.
	at      current.State
	watches map[*Watch]struct{}
	table   table
	// follower is the goroutine that follows the states; nil without a watch.
	follower *follower
	// broken is why the hub can no longer be trusted, after a panic. It is over when all watches are closed.
	broken error
}

// A follower is a goroutine that can be ended.
type follower struct{ stop, done chan struct{} }

// NewHub returns a hub without watches.
func NewHub(reader *current.Reader, limits Limits) *Hub {
	if limits.Questions <= 0 {
		limits.Questions = DefaultMaxWatched
	}
	if limits.Total <= 0 {
		limits.Total = DefaultMaxWatchedTotal
	}
	if limits.Watches <= 0 {
		limits.Watches = DefaultMaxWatches
	}
	return &Hub{reader: reader, limits: limits, watches: map[*Watch]struct{}{}}
}

// locked calls do under the lock. A panic in it leaves the hub broken, so that no watch misses a change.
func (h *Hub) locked(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken != nil && len(h.watches) > 0 {
		panic(h.broken)
	}
	defer func() {
		if p := recover(); p != nil {
			h.broken = fmt.Errorf("%v\n%s", p, debug.Stack())
			for w := range h.watches {
				w.wakeUp()
			}
			panic(p)
		}
	}()
	do()
}

// Open returns a new watch without questions, which the caller must close. It refuses one beyond the limit
// (P23).
func (h *Hub) Open() (w *Watch, fail *wire.Failure) {
	h.locked(func() {
		if len(h.watches) >= h.limits.Watches {
			fail = wire.Overloaded("watches",
				fmt.Sprintf("%d watches are open, as many as the server does at once", h.limits.Watches),
				"raise the server's --max-watches")
			return
		}
		w = &Watch{hub: h, ids: map[uint64]uint32{}, wake: make(chan struct{}, 1)}
		if len(h.watches) == 0 {
			h.broken, h.table = nil, table{}
			h.follower = &follower{make(chan struct{}), make(chan struct{})}
			go h.follow(h.follower)
		}
		h.watches[w] = struct{}{}
	})
	return w, fail
}

// Counts returns the number of open watches and of the questions that they watch.
func (h *Hub) Counts() (open, questions int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watches), h.table.watched
}

// follow keeps the watches in step with the present state until f is stopped, and wakes those that have
// something to ask.
func (h *Hub) follow(f *follower) {
	defer close(f.done)
	defer func() { _ = recover() }() // the hub is broken, and each watch says so
	stale := false
	for {
		changed, turned := h.reader.Changed()
		h.locked(func() {
			state, fail := h.reader.Present()
			if fail == nil {
				h.advance(&state)
			}
			if fail != nil || state.Stale != stale {
				stale = fail == nil && state.Stale
				for w := range h.watches {
					w.wakeUp()
				}
			}
		})
		select {
		case <-changed:
		case <-turned:
		case <-f.stop:
			return
		}
	}
}

// advance brings the watches in step with a state: it queues the questions whose answers may differ there. An
// older state than the last changes nothing.
func (h *Hub) advance(state *current.State) {
	was := h.at.Snapshot
	if was != nil && state.Snapshot.Revision() < was.Revision() {
		return
	}
	h.at = *state
	if was == nil || was == state.Snapshot {
		return
	}
	for w := range h.watches {
		for _, at := range w.ids {
			h.queue(at, state.Published)
		}
	}
}

// queue queues a question of a watch, and wakes the watch. since is when its answer may have changed.
func (h *Hub) queue(at uint32, since time.Time) {
	q := h.table.at(at)
	if q.queued {
		return
	}
	w := q.watch
	if w.since.IsZero() {
		w.since = since
	}
	h.table.enqueue(w, at, q)
	w.wakeUp()
}
