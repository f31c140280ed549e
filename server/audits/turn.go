package audits

import "time"

// turnTime is how long an audit computes before it lets others have its processor.
const turnTime = 5 * time.Millisecond

// A turn is the time for which an audit has computed.
type turn struct{ began time.Time }

func beginTurn() *turn { return &turn{time.Now()} }

// over reports whether the turn is over. If so the next one begins.
func (t *turn) over() bool {
	now := time.Now()
	if now.Sub(t.began) < turnTime {
		return false
	}
	t.began = now
	return true
}
