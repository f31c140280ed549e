package watches

import (
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// blockSize is how many records a block of a table has.
const blockSize = 256

// A table has the records of all questions, by number, from 1. A record stays where it is as long as it is
// watched.
type table struct {
	blocks []*[blockSize]record
	// free is a list of records that are not in use, linked by after.
	free uint32
	// used is the number of records that were ever in use; watched that of those that are linked.
	used    uint32
	watched int
}

// A record is a question of a watch. Neighbours in lists are numbers of records; 0 is none.
type record struct {
	watch *Watch
	id    uint64
	// etag is that of the answer that the caller has; 0 if it has none. answered reports whether one was sent, or
	// was the one that the caller had.
	etag     uint64
	answered bool
	details  bool
	linked   bool
	port     uint16
	protocol engine.Protocol

	src, dst engine.Endpoint
	request  *netpoldv1.AllowedRequest

	// Guarded by the hub's lock: the place in the queue of the watch.
	queued        bool
	before, after uint32
}

// at returns a record by its number.
func (t *table) at(at uint32) *record { return &t.blocks[at/blockSize][at%blockSize] }

// allocate returns an empty record, and its number.
func (t *table) allocate() (uint32, *record) {
	if at := t.free; at != 0 {
		r := t.at(at)
		t.free = r.after
		*r = record{}
		return at, r
	}
	t.used++ // record 0 is none
	if int(t.used/blockSize) == len(t.blocks) {
		t.blocks = append(t.blocks, new([blockSize]record))
	}
	return t.used, t.at(t.used)
}

// link makes a record that of a watched question.
func (t *table) link(_ uint32, r *record, query *engine.Query, req *netpoldv1.AllowedRequest) {
	r.linked, r.src, r.dst, r.request = true, query.Src, query.Dst, req
	t.watched++
}

// remove frees the record of a question of w.
func (t *table) remove(w *Watch, at uint32) {
	r := t.at(at)
	if r.queued {
		t.dequeue(w, at, r)
	}
	if r.linked {
		t.watched--
	}
	*r = record{after: t.free}
	t.free = at
}

// enqueue appends a record that is not queued to the queue of w.
func (t *table) enqueue(w *Watch, at uint32, r *record) {
	r.queued, r.before, r.after = true, w.last, 0
	if w.last != 0 {
		t.at(w.last).after = at
	} else {
		w.first = at
	}
	w.last = at
}

// dequeue takes a record out of the queue of w.
func (t *table) dequeue(w *Watch, _ uint32, r *record) {
	if r.before != 0 {
		t.at(r.before).after = r.after
	} else {
		w.first = r.after
	}
	if r.after != 0 {
		t.at(r.after).before = r.before
	} else {
		w.last = r.before
	}
	r.queued, r.before, r.after = false, 0, 0
}

// question returns the question of a record.
func (t *table) question(r *record) Question {
	return Question{
		Query: engine.Query{Src: r.src, Dst: r.dst, Port: r.port, Protocol: r.protocol},
		Src:   r.request.GetSrc(), Dst: r.request.GetDst(), Details: r.details, ID: r.id, record: r,
	}
}
