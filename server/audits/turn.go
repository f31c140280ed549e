package audits

import "time"

// turnTime is how long an audit computes before it lets others have its processor.
const turnTime = time.Millisecond

// A turn is a stretch of the time in which an audit computes.
type turn struct {
	began  time.Time
	length time.Duration
}

// beginTurn begins a turn.
func (s *Service) beginTurn() *turn { return &turn{time.Now(), s.turnTime} }

// over reports whether the turn is over. If so the next one begins.
func (t *turn) over() bool {
	now := time.Now()
	if now.Sub(t.began) < t.length {
		return false
	}
	t.began = now
	return true
}
