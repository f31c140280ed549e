package watches

import (
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A table has the records of all questions of all watches, by number, and the index of their ends.
type table struct {
	records slab[record]
	ends    ends
	// watches has the watches by number; nil for a number that is free.
	watches []*Watch
	// watched counts the records of questions that are watched, and detailed has those with details: what these
	// say depends on the whole state.
	watched  int
	detailed map[uint32]struct{}
}

// A record is a question of a watch. It has no pointers; see [slab]. Where it says number, 0 is none.
type record struct {
	// id is the caller's. etag is that of the answer that the caller has; 0 if it has none.
	id, etag uint64
	// ends are the numbers of the source and the destination. after and before are the neighbours in the lists of
	// the questions of these ends.
	ends          [2]uint32
	after, before [2]place
	// next and previous are the numbers of the neighbours in the queue of the watch.
	next, previous uint32
	// watch is the index of the watch.
	watch    uint32
	port     uint16
	protocol engine.Protocol
	// answered reports whether an answer was sent, or was the one that the caller had. Like etag it belongs to
	// the stream; all else is guarded by the lock of the hub.
	answered bool
	details  bool
	queued   bool
}

// A place is one of the two ends of a record: the record's number times 2, plus 1 for the destination; 0 is none.
type place uint32

// number returns the record's number, and the index of its end.
func (p place) number() (at, end uint32) { return uint32(p) / 2, uint32(p) % 2 }

// addWatch gives a watch its number.
func (t *table) addWatch(w *Watch) {
	for i, other := range t.watches {
		if other == nil {
			t.watches[i], w.number = w, uint32(i)
			return
		}
	}
	w.number = uint32(len(t.watches))
	t.watches = append(t.watches, w)
}

// removeWatch frees the number and all records of a watch.
func (t *table) removeWatch(w *Watch) {
	for _, at := range w.ids {
		t.remove(at)
	}
	for at := range w.refused {
		t.remove(at)
	}
	t.watches[w.number] = nil
}

// watch makes a record that of a watched question.
func (t *table) watch(
	at uint32, r *record, query *engine.Query, req *netpoldv1.AllowedRequest, s *engine.Snapshot,
) {
	t.watched++
	for i, e := range [2]*engine.Endpoint{&query.Src, &query.Dst} {
		asked := req.GetSrc()
		if i == 1 {
			asked = req.GetDst()
		}
		number, end := t.ends.acquire(e, asked, s)
		r.ends[i] = number
		t.file(end, r, place(at*2+uint32(i)))
	}
	if r.details {
		if t.detailed == nil {
			t.detailed = map[uint32]struct{}{}
		}
		t.detailed[at] = struct{}{}
	}
}

// file puts a place first in the list of an end.
func (t *table) file(e *end, r *record, p place) {
	_, i := p.number()
	r.after[i], r.before[i] = e.first, 0
	if e.first != 0 {
		at, j := e.first.number()
		t.records.at(at).before[j] = p
	}
	e.first = p
}

// unfile takes a place out of the list of its end, and lets an end without questions go.
func (t *table) unfile(r *record, i int) {
	e := t.ends.all.at(r.ends[i])
	if before := r.before[i]; before != 0 {
		at, j := before.number()
		t.records.at(at).after[j] = r.after[i]
	} else {
		e.first = r.after[i]
	}
	if after := r.after[i]; after != 0 {
		at, j := after.number()
		t.records.at(at).before[j] = r.before[i]
	}
	if e.first == 0 {
		t.ends.release(r.ends[i], e)
	}
}

// remove frees a record.
func (t *table) remove(at uint32) {
	r := t.records.at(at)
	if r.queued {
		t.dequeue(r)
	}
	if r.ends[0] != 0 {
		t.watched--
		t.unfile(r, 0)
		t.unfile(r, 1)
	}
	if r.details {
		delete(t.detailed, at)
	}
	t.records.release(at)
}

// enqueue appends a record that is not queued to the queue of its watch.
func (t *table) enqueue(at uint32, r *record) {
	w := t.watches[r.watch]
	r.queued, r.previous, r.next = true, w.last, 0
	if w.last != 0 {
		t.records.at(w.last).next = at
	} else {
		w.first = at
	}
	w.last = at
}

// dequeue takes a record out of the queue of its watch.
func (t *table) dequeue(r *record) {
	w := t.watches[r.watch]
	if r.previous != 0 {
		t.records.at(r.previous).next = r.next
	} else {
		w.first = r.next
	}
	if r.next != 0 {
		t.records.at(r.next).previous = r.previous
	} else {
		w.last = r.previous
	}
	r.queued, r.previous, r.next = false, 0, 0
}

// question returns the question of a record, which may be one that is refused.
func (t *table) question(r *record) Question {
	q := Question{ID: r.id, Details: r.details, record: r}
	if r.ends[0] != 0 {
		q.Query = engine.Query{Port: r.port, Protocol: r.protocol}
		q.Query.Src, q.src = t.ends.endpoint(r.ends[0])
		q.Query.Dst, q.dst = t.ends.endpoint(r.ends[1])
	}
	return q
}
