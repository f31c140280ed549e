package watches

import (
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/netpold/netpold/engine"
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
	// there than when it was taken last. It has a snapshot while there is a watch.
	at      current.State
	watches map[*Watch]struct{}
	table   table
	// touched is reused: the ends that a change may have given other parts.
	touched []uint32
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
// (P23), and all while no question may be answered (P24).
func (h *Hub) Open() (w *Watch, fail *wire.Failure) {
	h.locked(func() {
		var state current.State
		if state, fail = h.reader.Present(); fail != nil {
			return
		}
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
		h.advance(&state) // so that there is a state to link questions in
		h.watches[w] = struct{}{}
		h.table.addWatch(w)
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
	for at := range h.table.detailed {
		h.queue(at)
	}
	h.touched = h.touched[:0]
	if !h.at.Snapshot.EachChangedPart(was, h.touchPart) {
		h.touchAll()
	}
	for _, number := range h.touched {
		e := h.table.ends.all.at(number)
		e.touched = false
		h.table.ends.unlink(number, e)
		h.table.ends.link(number, e, h.at.Snapshot)
	}
}

// touchPart queues the questions whose ends depend on a part that changed.
func (h *Hub) touchPart(p engine.Part) { h.table.ends.eachOfPart(&p, h.touch) }

// touch queues the questions of an end, and notes one that must be linked anew.
func (h *Hub) touch(number uint32, e *end, relink bool) {
	if e.touched {
		return
	}
	if relink {
		e.touched = true
		h.touched = append(h.touched, number)
	}
	for p := e.first; p != 0; {
		at, i := p.number()
		h.queue(at)
		p = h.table.records.at(at).after[i]
	}
}

// touchAll queues all questions.
func (h *Hub) touchAll() {
	for w := range h.watches {
		for _, at := range w.ids {
			for _, number := range h.table.records.at(at).ends {
				h.touch(number, h.table.ends.all.at(number), true)
			}
		}
	}
}

// queue queues a question, and wakes its watch.
func (h *Hub) queue(at uint32) {
	r := h.table.records.at(at)
	if r.queued {
		return
	}
	w := h.table.watches[r.watch]
	if w.since.IsZero() {
		w.since = h.at.Published
	}
	h.table.enqueue(at, r)
	w.wakeUp()
}
