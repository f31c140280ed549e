package decisionlog

import (
	"math"
	"math/rand/v2"
)

// A chooser chooses which decisions are written (G2). Denials and errors always are. It is safe for
// concurrent use, without a lock.
type chooser struct {
	// rate is the share of allowed answers that is written.
	rate float64
	// logOther is the logarithm of 1 - rate.
	logOther float64
}

func newChooser(rate float64, denialsOnly bool) chooser {
	if denialsOnly {
		rate = 0
	}
	return chooser{rate: rate, logOther: math.Log1p(-rate)}
}

// allowed reports whether to write one allowed answer.
func (c *chooser) allowed() bool {
	return c.rate >= 1 || c.rate > 0 && rand.Float64() < c.rate
}

// skip returns how many answers to leave out before the next one that is chosen. So answers that are left out
// cost nothing each.
func (c *chooser) skip() int {
	switch {
	case c.rate >= 1:
		return 0
	case c.rate <= 0:
		return math.MaxInt32
	}
	// The number of failures before a success has the geometric distribution.
	n := math.Log(1-rand.Float64()) / c.logOther
	return int(min(n, math.MaxInt32))
}
