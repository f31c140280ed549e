package overload

import (
	"context"
	"sync/atomic"
	"time"
)

// A capped is the context of a unary call with a deadline of the server's. Its timer is made when somebody first waits
// for the context to end: most calls never wait, and a timer costs more than deciding.
type capped struct {
	context.Context //nolint:containedctx // it is a context
	deadline        time.Time
	timed           atomic.Pointer[timed]
}

// timed is a context that ends at the deadline by itself.
type timed struct {
	context.Context //nolint:containedctx // it is a context
	end             context.CancelFunc
}

// capTo returns ctx with a deadline in limit, or ctx itself if it has a sooner one, or limit is 0.
func capTo(ctx context.Context, limit time.Duration) (context.Context, *capped) {
	if limit <= 0 {
		return ctx, nil
	}
	deadline := time.Now().Add(limit)
	if sooner, ok := ctx.Deadline(); ok && !sooner.After(deadline) {
		return ctx, nil
	}
	c := &capped{Context: ctx, deadline: deadline}
	return c, c
}

// withTimer returns the context with the timer.
func (c *capped) withTimer() *timed {
	if t := c.timed.Load(); t != nil {
		return t
	}
	ctx, end := context.WithDeadline(c.Context, c.deadline)
	if t := (&timed{ctx, end}); c.timed.CompareAndSwap(nil, t) {
		return t
	}
	end()
	return c.timed.Load()
}

// Deadline implements [context.Context].
func (c *capped) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements [context.Context].
func (c *capped) Done() <-chan struct{} { return c.withTimer().Done() }

// Err implements [context.Context].
func (c *capped) Err() error {
	if t := c.timed.Load(); t != nil {
		return t.Err()
	}
	if err := c.Context.Err(); err != nil || time.Now().Before(c.deadline) {
		return err
	}
	return c.withTimer().Err() // so that later calls say the same
}

// Value implements [context.Context]. With the timer it is that context's: so package context knows it as one of its own.
func (c *capped) Value(key any) any {
	if t := c.timed.Load(); t != nil {
		return t.Value(key)
	}
	return c.Context.Value(key)
}

// release stops the timer, if there is one. A nil *capped has none.
func (c *capped) release() {
	if c == nil {
		return
	}
	if t := c.timed.Load(); t != nil {
		t.end()
	}
}
