package cache

import (
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/netpold/netpold/engine"
)

const (
	// mostShards is the number of locks that share the traffic at most: on two cores 1 was half as fast, and
	// 64 no faster.
	mostShards = 16
	// leastPerShard keeps shards from being so small that chance alone overflows some while others are empty.
	leastPerShard = 64
	// seenPerEntry is the number of questions that a full shard remembers to have seen, for each unit of its
	// size.
	seenPerEntry = 4
)

// shardsFor returns the number of shards of a cache of a size.
func shardsFor(size int) int { return min(max(size/leastPerShard, 1), mostShards) }

// recordsPerRoom is the number of records of a read set that take as much memory as the rest of an entry.
const recordsPerRoom = 24

// room returns how much of a cache's size an entry takes.
func (e *entry) room() int { return 1 + e.readSet.Records()/recordsPerRoom }

// A shard holds the entries whose keys have hashes of one remainder, under a lock of its own. No decision is
// computed under the lock.
type shard struct {
	size int

	mu sync.Mutex // guards what follows, up to seen
	// taken is the room that the entries take. Invariant: at most size.
	taken int
	lru   *simplelru.LRU[engine.QueryKey, *entry]
	// seen has parts of the hashes of questions that found the shard full. A question's place follows from
	// its hash, and the next question with that place takes it over. So a question must come twice before it
	// evicts anything.
	seen []uint32

	hits, misses, evictions atomic.Uint64
}

// init makes s an empty shard. It must be called before any other method.
func (s *shard) init(size int) {
	s.size, s.seen = size, make([]uint32, seenPerEntry*size)
	// The one error is a size below 1.
	s.lru, _ = simplelru.NewLRU(size, func(_ engine.QueryKey, e *entry) { s.taken -= e.room() })
}

// get returns the entry of a key, or nil, and whether an entry for the key should be put. hash is the hash of
// the key.
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

// put stores an entry, and evicts those used longest ago to make room. It does nothing if the entry takes
// more than the whole size.
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

// drop removes e, unless another entry has replaced it.
func (s *shard) drop(k *engine.QueryKey, e *entry) {
	s.mu.Lock()
	if now, ok := s.lru.Peek(*k); ok && now == e {
		s.lru.Remove(*k)
	}
	s.mu.Unlock()
}

// len returns the number of entries.
func (s *shard) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lru.Len()
}
