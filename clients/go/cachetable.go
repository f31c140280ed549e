package netpold

import (
	"container/heap"
	"hash/maphash"
	"math/bits"
	"sync/atomic"
	"time"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A cacheTable finds remembered questions. Any number of goroutines may find one while another, which holds the
// lock of the cache, inserts or removes.
//
//	hash ─► bucket ─► entry ─► entry ─► nil
type cacheTable struct {
	seed    maphash.Seed
	buckets []atomic.Pointer[cacheEntry]
	// recent has all entries, the one to evict next first.
	recent entryHeap
}

// A cacheEntry is a remembered question. Its fields are guarded by the lock of the cache, but for the atomic ones
// and those that never change.
type cacheEntry struct {
	// First what a hit reads.
	hash uint64
	next atomic.Pointer[cacheEntry]
	// answer is the last one of the watch; nil if there is none that may be given. Whoever removes the entry
	// sets it to nil, because nobody keeps it right from then on.
	answer atomic.Pointer[cachedAnswer]
	// used is when the question was asked last.
	used     atomic.Int64
	question cachedQuestion

	id uint64

	// settled is closed when the first answer is there, or why there will be none.
	settled chan struct{}
	// refused is the error of a question that is wrong, and so not watched. It is written before settled is closed.
	refused *cachedAnswer
	// etag is that of the answer. message is the number of the request that asked for it in the present stream;
	// 0 if it is still to be sent. Earlier answers do not count.
	etag, message uint64
	// queued reports whether it is among those to be sent, watched whether it was sent in the present stream, and
	// removed whether it is no longer remembered.
	queued, watched, removed bool
	// asked is the last answer of Allowed, if it is newer than that of the watch. askedAt is when it was asked for.
	asked   *netpoldv1.AllowedResponse
	askedAt int64
	// turn counts the answers of both.
	turn uint64
	// placed is used as the heap knows it, which is never later; index is the place in the heap.
	placed int64
	index  int
}

// newCacheTable returns a table for some number of entries.
func newCacheTable(size int) cacheTable {
	return cacheTable{
		seed: maphash.MakeSeed(), buckets: make([]atomic.Pointer[cacheEntry], 1<<bits.Len(uint(size))),
	}
}

// find returns the entry of a question, nil if there is none.
func (t *cacheTable) find(q *cachedQuestion) *cacheEntry {
	hash := maphash.Comparable(t.seed, *q)
	e := t.bucket(hash).Load()
	for e != nil && (e.hash != hash || e.question != *q) {
		e = e.next.Load()
	}
	return e
}

func (t *cacheTable) bucket(hash uint64) *atomic.Pointer[cacheEntry] {
	return &t.buckets[hash&uint64(len(t.buckets)-1)]
}

// insert adds a question that is not there.
func (t *cacheTable) insert(q cachedQuestion, id uint64, now int64) *cacheEntry {
	e := &cacheEntry{question: q, hash: maphash.Comparable(t.seed, q), id: id, settled: make(chan struct{}), placed: now}
	e.used.Store(now)
	bucket := t.bucket(e.hash)
	e.next.Store(bucket.Load())
	bucket.Store(e)
	heap.Push(&t.recent, e)
	return e
}

// remove removes an entry that is there. Whoever found it meanwhile may go on from it.
func (t *cacheTable) remove(e *cacheEntry) {
	link := t.bucket(e.hash)
	for link.Load() != e {
		link = &link.Load().next
	}
	link.Store(e.next.Load())
	heap.Remove(&t.recent, e.index)
}

// leastRecent returns the entry that was not asked for the longest; nil if there is none.
//
// The heap's times are never later than the true ones. So the first entry whose time is true is the one.
func (t *cacheTable) leastRecent() *cacheEntry {
	for len(t.recent) > 0 {
		first := t.recent[0]
		used := first.used.Load()
		if used == first.placed {
			return first
		}
		first.placed = used
		heap.Fix(&t.recent, 0)
	}
	return nil
}

// An entryHeap implements [heap.Interface]. The first entry has the earliest placed.
type entryHeap []*cacheEntry

func (h entryHeap) Len() int           { return len(h) }
func (h entryHeap) Less(i, j int) bool { return h[i].placed < h[j].placed }
func (h entryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements [heap.Interface].
func (h *entryHeap) Push(x any) {
	e, _ := x.(*cacheEntry)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop implements [heap.Interface].
func (h *entryHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}

// touchAfter is how exact the time is at which a question was asked last. A question that many goroutines ask is
// not written to by each.
const touchAfter = int64(time.Millisecond)

// touch notes that the question was asked.
func (e *cacheEntry) touch(now int64) {
	if now-e.used.Load() >= touchAfter {
		e.used.Store(now)
	}
}
