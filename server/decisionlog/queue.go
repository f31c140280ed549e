package decisionlog

import (
	"sync"
	"sync/atomic"
)

// A queue holds entries on their way to the writer, in order. It is bounded: by the records that the entries
// stand for, where an entry with large messages counts for more. It is safe for concurrent use.
type queue struct {
	limit int
	// soon is signalled when the queue is no longer empty, now when a quarter of it is in use.
	soon, now chan struct{}

	// used is what all entries weigh that are not yet written. It grows under mu.
	used atomic.Int64

	mu sync.Mutex
	// entries are those not yet taken.
	entries []*entry
	// waiting is the weight of entries.
	waiting int
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, soon: make(chan struct{}, 1), now: make(chan struct{}, 1),
		entries: make([]*entry, 0, limit)}
}

// add appends e, and returns how many of its records fit: the first ones. It never blocks for longer than
// another append takes.
func (q *queue) add(e *entry) int {
	q.mu.Lock()
	n := e.n
	free := q.room()
	e.weight = min(e.weight, max(n, q.limit)) // so that an empty queue takes any
	if e.weight > free {
		// A batch that does not fit is cut. A record weighs at least 1.
		n = int(int64(n) * int64(free) / int64(e.weight))
		e.weight = min(e.weight, free)
	}
	if n == 0 {
		q.mu.Unlock()
		return 0
	}
	e.n = n
	q.used.Add(int64(e.weight))
	q.waiting += e.weight
	first := len(q.entries) == 0
	many := q.waiting >= q.limit/4 && q.waiting-e.weight < q.limit/4
	q.entries = append(q.entries, e)
	q.mu.Unlock()
	if first {
		signal(q.soon)
	}
	if many {
		signal(q.now)
	}
	return n
}

// take returns all entries, and leaves the queue with the memory of spare. Their weight counts until
// [queue.free].
func (q *queue) take(spare []*entry) []*entry {
	clear(spare)
	if cap(spare) < q.limit {
		spare = make([]*entry, 0, q.limit) // so that no append ever copies
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	entries := q.entries
	q.entries, q.waiting = spare[:0], 0
	return entries
}

// free gives room for what has left the writer.
func (q *queue) free(weight int) {
	q.used.Add(-int64(weight))
}

// length returns how much of the queue is in use.
func (q *queue) length() int { return int(q.used.Load()) }

// room returns how many records fit, if others do not come first.
func (q *queue) room() int { return max(q.limit-q.length(), 0) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
