package overload

import (
	"context"
	"math/rand/v2"
	"sync"
)

// turns count the calls of each caller while a probe waits, and while the last one did: its part of the line.
type turns struct {
	mu          sync.Mutex
	now, before map[key]int
}

// next begins to count for another probe.
func (s *turns) next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.before = s.before, s.now
	clear(s.now)
}

// few counts a call of a caller, and reports whether the caller has less than its part of the line. All callers have equal
// parts of a line of limit calls.
func (s *turns) few(of key, limit float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		s.now = map[key]int{}
	}
	s.now[of]++
	own, callers := max(s.now[of], s.before[of]), max(len(s.now), len(s.before))
	return float64(own)*float64(callers) < limit
}

// tooMany counts a call, and reports whether it is refused since too many wait (P42). Calls of callers who have few of
// those that wait never are.
func (g *Gate) tooMany(ctx context.Context) bool {
	share := g.shedder.begin()
	if share == 0 {
		return false
	}
	if of, ok := g.callerOf(ctx, connectionOf(ctx)); ok && g.shedder.turns.few(of, g.shedder.limit) {
		return false
	}
	return rand.Uint32() < share //nolint:gosec // to spread callers, no secret
}
