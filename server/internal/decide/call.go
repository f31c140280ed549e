package decide

import (
	"context"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/overload"
	"github.com/netpold/netpold/server/internal/wire"
)

const (
	// freePairs are decided without a slot in each call. They take about half a
	// millisecond.
	freePairs = 4 * engine.PairsBetween
	// slotPairs are decided with one slot, so that a batch of small questions does not wait for each. They take about ten
	// milliseconds. A question about more is large.
	slotPairs = 25 * freePairs
)

// A Call is what deciding the questions of one call has cost. Most calls are cheap, and never wait. What goes beyond
// takes a slot, by a cost that is estimated before. The zero Call has cost nothing. It must be ended, and is not safe
// for concurrent use.
type Call struct {
	// InProgress calls are never refused, however many wait.
	InProgress bool
	slot       *overload.Slot
	// left is how many pairs may be decided until a slot must be taken, or another one, once the call began to decide.
	left  int
	began bool
}

// A turn tells the engine when to go on with a question.
type turn struct {
	ctx  context.Context //nolint:containedctx // it ends with the question
	slot *overload.Slot
}

// goOn implements goOn of [engine.Snapshot.AllowedWhile].
func (t *turn) goOn() bool { return t.slot.GoOn(t.ctx) }

// admit waits until the call may compare that many pairs. It returns what to give to the engine, and whether it waited
// so that the decision may be remembered by now.
func (c *Call) admit(ctx context.Context, gate *overload.Gate, pairs int) (
	goOn func() bool, waited bool, fail *wire.Failure,
) {
	if !c.began {
		c.left = freePairs
	}
	if pairs > c.left {
		c.End() // others that wait come first
		slot, refused := gate.Slot(ctx, overload.Demand{Large: pairs > slotPairs, InProgress: c.InProgress || c.began})
		switch {
		case refused != nil:
			return nil, false, refused.Failure
		case slot == nil:
			return nil, false, current.Ended(ctx)
		}
		c.slot, c.left, waited = slot, slotPairs, true
	}
	c.began = true
	c.left -= pairs
	if pairs < engine.PairsBetween {
		return nil, waited, nil
	}
	return (&turn{ctx, c.slot}).goOn, waited, nil
}

// admitDetails is admit for the details of a question that was answered: what has a slot goes on with it.
func (c *Call) admitDetails(ctx context.Context, gate *overload.Gate, pairs int) (func() bool, *wire.Failure) {
	if c.slot != nil {
		return (&turn{ctx, c.slot}).goOn, nil
	}
	if !c.began {
		c.began, c.left = true, freePairs
	}
	goOn, _, fail := c.admit(ctx, gate, pairs)
	return goOn, fail
}

// End gives back what the call holds.
func (c *Call) End() {
	c.slot.Leave()
	c.slot = nil
}
