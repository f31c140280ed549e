// Package cache remembers decisions in front of the engine, for the questions that take longer to decide than
// to look up.
//
//	question ─► QueryKey ─► shard ─► entry ─► is it valid for this snapshot? ─► its decision
//	                              │    the snapshot that it was last valid for, or else StillHolds
//	                              └─ none, or not valid ─► the engine ─► a new entry
//
// An entry is a decision and its [engine.ReadSet]: the immutable records that it was computed from. It is
// used only for snapshots that still have these records. So it is never older than the snapshot that is asked
// (S29), and a change elsewhere invalidates nothing. Snapshots need no order for that: one reader may ask an
// old one while others ask newer ones, and each gets the decision of its own.
package cache

import (
	"errors"
	"hash/maphash"
	"sync/atomic"

	"github.com/netpold/netpold/engine"
)

// A Lookup is what looking for a decision came to.
type Lookup struct {
	// Hit reports whether the decision is remembered.
	Hit bool
	// in is where the decision may be remembered; nil for nowhere.
	in  *shard
	key engine.QueryKey
	// old is an entry that is no longer valid; nil for none.
	old      *entry
	remember bool
}

// Cache remembers decisions about workloads and Services. Other questions go straight to the engine, which answers them
// sooner than they could be looked up. Errors are not remembered. A nil *Cache remembers nothing. It is safe for
// concurrent use.
//
// A question takes two steps: [Cache.Look], and [Cache.Decide] if that finds nothing. What is remembered need not wait for a
// turn.
//
// It holds the decisions used last, up to its size. A decision takes one unit of the size, of about 0.6 KiB,
// and one more for every 24 Pods that the question's ends stand for. Once it is full, a question gets in only
// if it is asked a second time within a while. So questions that are asked once cost little and evict
// nothing.
//
// Entries keep the records that they rest on in memory, however old, until they are evicted. They keep no
// snapshot.
type Cache struct {
	seed   maphash.Seed
	shards []shard
	// every makes it remember all decisions, so that a benchmark can measure what that costs.
	every bool
}

// New returns an empty Cache for up to size decisions about few Pods. A size below 1 counts as 1.
func New(size int) *Cache {
	size = max(size, 1)
	c := &Cache{seed: maphash.MakeSeed(), shards: make([]shard, shardsFor(size))}
	for i := range c.shards {
		own := size / len(c.shards)
		if i < size%len(c.shards) {
			own++
		}
		c.shards[i].init(own)
	}
	return c
}

// An entry is a decision that was computed once. It is immutable except for validFor.
type entry struct {
	decision engine.Decision
	readSet  engine.ReadSet
	// validFor is the snapshot for which the read set was last found to hold, so that most look-ups compare
	// one pointer. A revision would not do: another Cluster, or a snapshot that was never published, may have
	// the same.
	validFor atomic.Pointer[engine.Identity]
}

// valid reports whether the decision is that of s for q, which must be the question of the entry's key.
func (e *entry) valid(s *engine.Snapshot, q *engine.Query) bool {
	if e.validFor.Load() == s.ID() {
		return true
	}
	if !s.StillHolds(q, &e.readSet) {
		return false
	}
	e.validFor.Store(s.ID())
	return true
}

// Look returns the decision of q if it is remembered and valid for s.
func (c *Cache) Look(s *engine.Snapshot, q *engine.Query) (d engine.Decision, l Lookup) {
	if c == nil || !c.every && !s.FansOut(q) {
		return d, l
	}
	k, ok := q.Key()
	if !ok {
		return d, l
	}
	hash := maphash.Comparable(c.seed, k)
	l.in, l.key = &c.shards[hash%uint64(len(c.shards))], k
	l.old, l.remember = l.in.get(&k, hash)
	if l.old != nil && l.old.valid(s, q) {
		l.in.hits.Add(1)
		l.Hit = true
		return l.old.decision, l
	}
	return d, l
}

// Decide asks s, and remembers the decision if there is room. Several callers that miss at once each compute it, and
// the last one is kept. An entry that is no longer valid goes when the new decision cannot be remembered.
func (c *Cache) Decide(
	goOn func() bool, l *Lookup, s *engine.Snapshot, q *engine.Query,
) (engine.Decision, error) {
	decision, err := s.AllowedWhile(goOn, *q)
	if l.in == nil {
		return decision, err
	}
	l.in.misses.Add(1)
	if err == nil && l.remember {
		if set, ok := s.ReadSet(q); ok {
			fresh := &entry{decision: decision, readSet: set}
			fresh.validFor.Store(s.ID())
			l.in.put(l.key, fresh)
			return decision, nil
		}
	}
	if l.old != nil && !abandoned(err) {
		l.in.drop(&l.key, l.old)
	}
	return decision, err
}

// abandoned reports whether err means that the caller gave up, which says nothing about the cluster.
func abandoned(err error) bool {
	var query *engine.QueryError
	return errors.As(err, &query) && query.Code == engine.Abandoned
}

// Stats counts what a [Cache] has done since it was made, and what it holds.
type Stats struct {
	// Hits counts questions answered from an entry, Misses those that an entry could have answered. Questions
	// that go straight to the engine are neither.
	Hits, Misses uint64
	// Evictions counts entries that made room for others.
	Evictions uint64
	// Entries is the number of entries now.
	Entries int
}

// Stats returns the sum over the shards, read one after the other.
func (c *Cache) Stats() Stats {
	var sum Stats
	if c == nil {
		return sum
	}
	for i := range c.shards {
		in := &c.shards[i]
		sum.Hits += in.hits.Load()
		sum.Misses += in.misses.Load()
		sum.Evictions += in.evictions.Load()
		sum.Entries += in.len()
	}
	return sum
}
