package netpold

import (
	"errors"
	"math/rand/v2"
	"time"
)

// The delays before something is tried again are random, up to a bound that doubles from the least to the most.
const (
	leastDelay = 100 * time.Millisecond
	mostDelay  = 5 * time.Second
)

// A Backoff says how long to wait before a [Watch] is opened again. Delays are random, up to a bound that doubles from
// 0.1 s to 5 s with each, so that clients that lost the same server do not come back at once. The zero value is ready to
// use. It is not safe for concurrent use.
type Backoff struct {
	// bound is that of the next delay; 0 for the least.
	bound time.Duration
}

// Next returns how long to wait after err. What the server advises in err comes on top, since it gives many callers
// the same advice.
func (b *Backoff) Next(err error) time.Duration {
	bound := max(b.bound, leastDelay)
	b.bound = min(2*bound, mostDelay)
	delay := rand.N(bound) //nolint:gosec // to spread callers, no secret
	if e, ok := errors.AsType[*Error](err); ok {
		delay += e.RetryAfter
	}
	return delay
}

// Reset begins with the least delay again, after something that worked.
func (b *Backoff) Reset() { b.bound = 0 }
