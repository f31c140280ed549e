package overload

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/netpold/netpold/server/internal/wire"
)

const (
	// alwaysPlaces are what a caller may have while there are free places, however few.
	alwaysPlaces = 2
	// exemptPerConnection are the calls of methods without places that one connection may have in progress. Those are for
	// health and status, which overload does not shed (P41): nobody needs so many at once. With 100 of 200 connections
	// others waited for seconds.
	exemptPerConnection = 16
	// fewWaiting are calls of one connection that may wait without tickets, which cost something.
	fewWaiting = 32
)

// share returns how many places one caller may have while all together have total. It is PerCaller while others have at
// least as many free as it leaves to them, and shrinks with the square of what is free below that: so many callers who
// each take what they may leave some for the next one.
func (g *Gate) share(total int64) int64 {
	most, left := int64(g.limits.PerCaller), int64(g.limits.InFlight-g.limits.PerCaller)
	free := max(0, int64(g.limits.InFlight)-total)
	if free >= left {
		return most
	}
	part := float64(free) / float64(left)
	return min(most, max(alwaysPlaces, int64(float64(most)*part*part)))
}

// A ticket is what a call has from [Gate.Tap] until its handler begins, or the call ends without. Calls that wait for a
// processor are so many goroutines; without tickets, a connection could begin more of them than are ever refused.
type ticket struct {
	gate    *Gate
	account *account
	// held says that account is dropped with the ticket.
	held bool
	// exempt is the connection of a call without a place, for which the ticket is held until the call ends.
	exempt *Connection
	// stop reports whether the call has not ended before, and keeps its end from returning the ticket.
	stop func() bool
}

// queued has tickets of calls that have not begun.
type queued struct{ calls atomic.Int64 }

// ticketKey is the key of a ticket in the context of its call.
type ticketKey struct{}

// ticketed is the context of a call with a ticket.
type ticketed struct {
	context.Context //nolint:containedctx // it is a context
	ticket          *ticket
}

// Value implements [context.Context].
func (c *ticketed) Value(key any) any {
	if key == (ticketKey{}) {
		return c.ticket
	}
	return c.Context.Value(key)
}

// queue gives the call of ctx a ticket, or returns why it may not wait. The ticket is nil for calls that do not count.
func (g *Gate) queue(ctx context.Context, method string) (*ticket, *Refused) {
	c := connectionOf(ctx)
	if g.small[method] {
		if c == nil {
			return nil, nil
		}
		if !take(&c.exempt, 1, exemptPerConnection) {
			return nil, g.refuse(&g.fullExempt)
		}
		t := &ticket{gate: g, exempt: c}
		context.AfterFunc(ctx, t.back)
		return t, nil
	}
	if !g.methods[method] && !g.streams[method] {
		return nil, nil // gRPC answers by itself
	}
	if c != nil && g.inFlight.Load() < int64(min(g.limits.PerCaller, g.limits.InFlight)) && take(&c.waiting, 1, fewWaiting) {
		return nil, nil
	}
	t := &ticket{gate: g}
	t.account, t.held = g.accountOf(ctx, c)
	total := g.queued.calls.Add(1) + g.inFlight.Load()
	if t.account != nil && t.account.queued.Add(1)+t.account.inFlight.Load() > g.share(total) {
		t.back()
		return nil, g.refuseCaller(t.account)
	}
	if total > int64(g.limits.InFlight) {
		t.back()
		return nil, g.refuse(&g.full)
	}
	t.stop = context.AfterFunc(ctx, t.back)
	return t, nil
}

// begin counts a call as waiting no longer, since its handler begins. Calls that end before that are counted for good
// if they have no ticket; then those of their connection all get one.
func (g *Gate) begin(ctx context.Context) {
	if t, ok := ctx.Value(ticketKey{}).(*ticket); ok {
		if t.stop != nil && t.stop() {
			t.back()
		}
		return
	}
	if c := connectionOf(ctx); c != nil {
		c.waiting.Add(-1)
	}
}

// back returns the ticket.
func (t *ticket) back() {
	if t.exempt != nil {
		t.exempt.exempt.Add(-1)
		return
	}
	t.gate.queued.calls.Add(-1)
	if t.account != nil {
		t.account.queued.Add(-1)
	}
	if t.held {
		t.gate.accounts.drop(t.account)
	}
}

func tooManyExempt() *wire.Failure {
	f := wire.Overloaded("per_connection", fmt.Sprintf("this connection has %d calls for health and status in progress, as "+
		"many as it may", exemptPerConnection), "wait for the answers")
	f.Reason = wire.ReasonCallerOverLimit
	return f
}
