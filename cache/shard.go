package cache

import (
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/netpold/netpold/engine"
)

const (
	// mostShards is how many locks share the traffic: on two cores 1 was half as fast, and 64 no faster.
	mostShards = 16
	// leastPerShard keeps shards from being so small that chance alone overflows some while others are empty.
	leastPerShard = 64
	// seenPerEntry is for how many questions, for each entry that there is room for, it is known that they were asked.
	seenPerEntry = 4
)

func shardsFor(size int) int { return min(max(size/leastPerShard, 1), mostShards) }

// recordsPerRoom is how many records of a read set take as much memory as the rest of an entry.
const recordsPerRoom = 24

// room is how much of a cache's size an entry takes.
func (e *entry) room() int { return 1 + e.readSet.Records()/recordsPerRoom }

// shard is the part of the entries whose keys have hashes of one remainder.
type shard struct {
	size int

	// Guarded by mu.
	mu sync.Mutex
	// taken is the room that the entries take, size at most.
	taken int
	lru   *simplelru.LRU[engine.QueryKey, *entry]
	// seen are parts of the hashes of questions that found no room, each where its hash says until another takes its place.
	seen []uint32

	hits, misses, evictions atomic.Uint64
}

func (s *shard) init(size int) {
	s.size, s.seen = size, make([]uint32, seenPerEntry*size)
	s.lru, _ = simplelru.NewLRU(size, func(_ engine.QueryKey, e *entry) { s.taken -= e.room() }) // its one error is a size below 1
}

// get is the entry of a key, or nil; and whether one for the key should be put. hash is the key's.
func (s *shard) get(k *engine.QueryKey, hash uint64) (e *entry, remember bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.lru.Get(*k)
	if ok || s.taken < s.size {
		return e, true
	}
	// The low bits of the hash chose the shard.
	seen, mark := &s.seen[hash>>32%uint64(len(s.seen))], uint32(hash>>8)
	remember = *seen == mark
	*seen = mark
	return nil, remember
}

// put remembers an entry, unless it takes more room than there is.
func (s *shard) put(k engine.QueryKey, e *entry) {
	need := e.room()
	if need > s.size {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru.Remove(k) // the one that it replaces
	for s.taken+need > s.size {
		s.lru.RemoveOldest()
		s.evictions.Add(1)
	}
	s.lru.Add(k, e)
	s.taken += need
}

// drop forgets e, unless another is in its place.
func (s *shard) drop(k *engine.QueryKey, e *entry) {
	s.mu.Lock()
	if now, ok := s.lru.Peek(*k); ok && now == e {
		s.lru.Remove(*k)
	}
	s.mu.Unlock()
}

func (s *shard) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lru.Len()
}
