package overload

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
)

// A turn counts the calls of one caller while a probe waits: its part of the line. Counts need not be exact.
type turn struct {
	// number is which probe it is, from 1. calls are those while it waits, and before those while the last one did.
	number, calls, before atomic.Int64
}

// turns count, for all callers, which probe waits, and how many callers have calls while it does and while the last one
// did.
type turns struct{ number, callers, before atomic.Int64 }

// next begins to count for another probe.
func (s *turns) next() {
	s.before.Store(s.callers.Swap(0))
	s.number.Add(1)
}

// few counts a call of a caller, and reports whether the caller has less than its part of a line that is as long as it may
// be, if all callers had equal parts.
func (s *turns) few(of *turn, limit float64) bool {
	now := s.number.Load()
	if last := of.number.Swap(now); last != now {
		calls := of.calls.Swap(0)
		if last+1 != now {
			calls = 0
		}
		of.before.Store(calls)
		s.callers.Add(1)
	}
	own := max(of.calls.Add(1), of.before.Load())
	callers := max(s.callers.Load(), s.before.Load())
	return float64(own)*float64(callers) < limit
}

// tooMany counts a call, and reports whether it is refused since too many wait (P42). Calls of callers who have few of
// those that wait never are.
func (g *Gate) tooMany(ctx context.Context) bool {
	share := g.shedder.begin()
	if share == 0 {
		return false
	}
	of, held := g.accountOf(ctx, connectionOf(ctx))
	if held {
		defer g.accounts.drop(of)
	}
	if of != nil && g.shedder.turns.few(&of.turn, g.shedder.limit) {
		return false
	}
	return rand.Uint32() < share //nolint:gosec // to spread callers, no secret
}
