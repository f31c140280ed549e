// Package cache remembers decisions in front of the engine, for the questions that take longer to decide than to look up.
//
//	question ─► QueryKey ─► shard ─► entry ─► is it valid for this snapshot? ─► its decision
//	                              │       the snapshot that it was last valid for; or else engine.Snapshot.StillHolds
//	                              └─ none, or not valid ─► the engine ─► a new entry
//
// An entry is a decision and its [engine.ReadSet]: the immutable records that it was computed from. It is used only for
// snapshots that still have them, so that it is never older than the snapshot that is asked (S29), and nothing has to be
// thrown away when something else changes. Snapshots need no order for that: one reader may ask an old one while others ask
// newer ones, and each gets the decision of its own.
package cache

import (
	"errors"
	"hash/maphash"
	"sync/atomic"

	"github.com/netpold/netpold/engine"
)

// Decider answers questions from a snapshot, as [engine.Snapshot.AllowedUntil] does. It is safe for concurrent use.
type Decider interface {
	AllowedUntil(done <-chan struct{}, s *engine.Snapshot, q engine.Query) (engine.Decision, error)
}

// Engine is the [Decider] that remembers nothing.
type Engine struct{}

// AllowedUntil asks the snapshot.
func (Engine) AllowedUntil(done <-chan struct{}, s *engine.Snapshot, q engine.Query) (engine.Decision, error) {
	return s.AllowedUntil(done, q)
}

// Cache is the [Decider] that remembers decisions about workloads and Services. Other questions go to the engine straight:
// it answers them sooner than they could be looked up. Errors are not remembered.
//
// It holds the decisions used last, up to its size. Once it is full, only what is asked a second time within a while gets in,
// so that questions that are asked but once cost little and push nothing out. A decision takes one of its size, of about 0.6 KiB,
// and one more for every 24 Pods that the question's ends stand for. Entries keep in memory the records that they rest on, however
// old, until they give way to others. They keep no snapshot.
type Cache struct {
	seed   maphash.Seed
	shards []shard
	// every says to remember all decisions, to measure what that costs.
	every bool
}

// New returns a Cache for up to size decisions about few Pods; less than 1 counts as 1.
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

// entry is a decision that was computed once. It is immutable but for validFor.
type entry struct {
	decision engine.Decision
	readSet  engine.ReadSet
	// validFor is the snapshot for which the read set was last found to hold. A revision would not do: another Cluster, or a
	// snapshot that was never published, may have the same.
	validFor atomic.Pointer[engine.Identity]
}

// valid reports whether the decision is that of s, which q was asked of.
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

// AllowedUntil answers as s does.
func (c *Cache) AllowedUntil(done <-chan struct{}, s *engine.Snapshot, q engine.Query) (engine.Decision, error) {
	if !c.every && !s.FansOut(&q) {
		return s.AllowedUntil(done, q)
	}
	k, ok := q.Key()
	if !ok {
		return s.AllowedUntil(done, q)
	}
	hash := maphash.Comparable(c.seed, k)
	in := &c.shards[hash%uint64(len(c.shards))]
	old, remember := in.get(&k, hash)
	if old != nil && old.valid(s, &q) {
		in.hits.Add(1)
		return old.decision, nil
	}
	in.misses.Add(1)
	decision, err := s.AllowedUntil(done, q)
	if err == nil && remember {
		if set, ok := s.ReadSet(&q); ok {
			fresh := &entry{decision: decision, readSet: set}
			fresh.validFor.Store(s.ID())
			in.put(k, fresh)
			return decision, nil
		}
	}
	if old != nil && !abandoned(err) {
		in.drop(&k, old)
	}
	return decision, err
}

// abandoned reports whether an error says nothing of the cluster.
func abandoned(err error) bool {
	var query *engine.QueryError
	return errors.As(err, &query) && query.Code == engine.Abandoned
}

// Stats are what a [Cache] has done so far, and holds.
type Stats struct {
	// Hits are questions answered from an entry, Misses those that an entry could have answered.
	Hits, Misses uint64
	// Evictions are entries that gave way to others.
	Evictions uint64
	// Entries are held.
	Entries int
}

// Stats adds up the shards, one after the other.
func (c *Cache) Stats() Stats {
	var sum Stats
	for i := range c.shards {
		in := &c.shards[i]
		sum.Hits += in.hits.Load()
		sum.Misses += in.misses.Load()
		sum.Evictions += in.evictions.Load()
		sum.Entries += in.len()
	}
	return sum
}
