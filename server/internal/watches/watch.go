package watches

import (
	"time"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/wire"
)

// A Watch is the set of questions that one stream watches. All its methods but Wake are for one goroutine.
type Watch struct {
	hub  *Hub
	wake chan struct{}
	// number is its index in the table.
	number uint32
	// ids has the record of each question, by the caller's id.
	ids map[uint64]uint32
	// refused has the questions that are not watched and whose error was not taken yet.
	refused map[uint32]refusal

	// Guarded by the hub's lock: the queue, and since when an answer in it may have changed.
	first, last uint32
	since       time.Time
}

// A refusal is a question that is not watched, and why.
type refusal struct {
	asked *netpoldv1.AllowedRequest
	fail  *wire.Failure
}

// A Question is a watched question that is to be asked.
type Question struct {
	Query engine.Query
	// Details reports whether the answer has details.
	Details bool
	// Refused is why the question is not watched; nil for one that is.
	Refused *wire.Failure
	// ID is the caller's.
	ID uint64

	// src and dst are the ends as asked; nil for those by IP. refused is what was asked if it was refused.
	src, dst *netpoldv1.Endpoint
	refused  *netpoldv1.AllowedRequest
	record   *record
}

// Asked returns the question as it was asked.
func (q *Question) Asked() *netpoldv1.AllowedRequest {
	if q.Refused != nil {
		return q.refused
	}
	return &netpoldv1.AllowedRequest{Src: asked(&q.Query.Src, q.src), Dst: asked(&q.Query.Dst, q.dst),
		Port: uint32(q.Query.Port), Protocol: wire.ProtoProtocol(q.Query.Protocol), Details: q.Details}
}

// asked returns an end as it was asked, given that for a named one.
func asked(e *engine.Endpoint, named *netpoldv1.Endpoint) *netpoldv1.Endpoint {
	if ip, ok := e.Address(); ok {
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: ip.String()}}
	}
	return named
}

// Etag returns the etag of the answer that the caller has; 0 if it has none.
func (q *Question) Etag() uint64 { return q.record.etag }

// First reports whether no answer was sent yet.
func (q *Question) First() bool { return !q.record.answered }

// Sent notes the etag of the answer that the caller has now.
func (q *Question) Sent(etag uint64) { q.record.etag, q.record.answered = etag, true }

// Wake returns a channel that has a value when there may be something to take.
func (w *Watch) Wake() <-chan struct{} { return w.wake }

// wakeUp makes Wake return a value. It never blocks.
func (w *Watch) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Close ends the watch.
func (w *Watch) Close() {
	h := w.hub
	var ended *follower
	h.mu.Lock()
	delete(h.watches, w)
	if len(h.watches) == 0 {
		ended, h.follower = h.follower, nil
		h.at, h.table = current.State{}, table{}
	} else if h.broken == nil {
		h.table.removeWatch(w)
	}
	h.mu.Unlock()
	if ended != nil {
		close(ended.stop)
		<-ended.done
	}
}

// Refused returns the number of questions that are not watched and whose errors were not taken yet.
func (w *Watch) Refused() int { return len(w.refused) }

// someAtOnce is how many questions are added, removed or taken under one hold of the lock.
const someAtOnce = 64

// Remove stops watching the questions with these ids. Unknown ids are ignored.
func (w *Watch) Remove(ids []uint64) {
	for len(ids) > 0 {
		some := ids[:min(len(ids), someAtOnce)]
		ids = ids[len(some):]
		w.hub.locked(func() {
			for _, id := range some {
				w.remove(id)
			}
		})
	}
}

// remove stops watching a question, if it is watched.
func (w *Watch) remove(id uint64) {
	if at, ok := w.ids[id]; ok {
		delete(w.ids, id)
		w.hub.table.remove(at)
	}
}

// Add watches questions, in place of those with the same ids, and queues them in this order. One that is wrong,
// or beyond a limit, is not watched: its error is queued in its place.
func (w *Watch) Add(questions []*netpoldv1.WatchQuestion) {
	for len(questions) > 0 {
		some := questions[:min(len(questions), someAtOnce)]
		questions = questions[len(some):]
		w.hub.locked(func() {
			for _, q := range some {
				w.add(q)
			}
		})
	}
}

// add watches one question.
func (w *Watch) add(asked *netpoldv1.WatchQuestion) {
	h, req := w.hub, asked.GetQuestion()
	r := wire.RequestReader{Index: wire.Alone}
	query := r.Query(req)
	r.WatchQuestion(asked)
	w.remove(asked.GetId())
	at, q := h.table.records.allocate()
	q.watch, q.id, q.etag = w.number, asked.GetId(), asked.GetIfNot()
	q.port, q.protocol, q.details = query.Port, query.Protocol, req.GetDetails()
	var fail *wire.Failure
	switch {
	case len(r.Violations) > 0:
		fail = wire.Invalid(r.Violations)
	case len(w.ids) >= h.limits.Questions:
		fail = wire.WatchTooLarge(h.limits.Questions, "the stream", "--max-watched")
	case h.table.watched >= h.limits.Total:
		fail = wire.WatchTooLarge(h.limits.Total, "the server", "--max-watched-total")
	}
	if fail != nil {
		if w.refused == nil {
			w.refused = map[uint32]refusal{}
		}
		w.refused[at] = refusal{asked: req, fail: fail}
	} else {
		w.ids[q.id] = at
		h.table.watch(at, q, &query, req, h.at.Snapshot)
	}
	h.table.enqueue(at, q)
}

// Taken is what [Watch.Take] took.
type Taken struct {
	// State is the state to ask: the present one.
	State current.State
	// More reports whether the queue has more. Otherwise, once those taken are asked of State, every answer of
	// the watch is that of State.
	More bool
	// Since is since when an answer to one of the queue may have changed; zero if all are first answers.
	Since time.Time
}

// Take brings all watches in step with the present state, takes up to n questions from the queue, in order, and
// appends them to to. It fails if no question may be answered now.
func (w *Watch) Take(to []Question, n int) (questions []Question, taken Taken, fail *wire.Failure) {
	h := w.hub
	h.locked(func() {
		if taken.State, fail = h.reader.Present(); fail != nil {
			return
		}
		h.advance(&taken.State)
		// Another goroutine may have been faster, with a later state.
		stale := taken.State.Stale
		taken.State, taken.Since = h.at, w.since
		taken.State.Stale = stale
		for range min(n, someAtOnce) {
			at := w.first
			if at == 0 {
				break
			}
			q := h.table.records.at(at)
			h.table.dequeue(q)
			to = append(to, h.table.question(q))
			if r, ok := w.refused[at]; ok {
				last := &to[len(to)-1]
				last.Refused, last.refused, last.record = r.fail, r.asked, nil
				delete(w.refused, at)
				h.table.remove(at)
			}
		}
		if taken.More = w.first != 0; !taken.More {
			w.since = time.Time{}
		}
	})
	return to, taken, fail
}

// Drop stops watching a question that was just taken.
func (w *Watch) Drop(q *Question) {
	w.hub.locked(func() { w.remove(q.ID) })
}
