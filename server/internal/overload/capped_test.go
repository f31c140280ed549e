package overload

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A capped context is one with a deadline in every way, and has no timer before somebody waits for it.
func TestCapped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, c := capTo(context.WithValue(t.Context(), ending{}, "value"), time.Minute)
		defer c.release()
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) != time.Minute {
			t.Errorf("deadline %v, %t", deadline, ok)
		}
		if ctx.Err() != nil || ctx.Value(ending{}) != "value" || c.timed.Load() != nil {
			t.Errorf("at first: %v, %v, timer %v", ctx.Err(), ctx.Value(ending{}), c.timed.Load())
		}
		select {
		case <-ctx.Done():
			t.Error("done at first")
		default:
		}
		inner, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		synctest.Wait()
		if c.timed.Load() == nil || ctx.Value(ending{}) != "value" {
			t.Error("nobody waits")
		}
		<-inner.Done()
		if time.Until(c.deadline) != 0 || !errors.Is(ctx.Err(), context.DeadlineExceeded) ||
			!errors.Is(context.Cause(inner), context.DeadlineExceeded) {
			t.Errorf("after the deadline: %v left, %v, %v", time.Until(c.deadline), ctx.Err(), context.Cause(inner))
		}
	})
}

// A capped context that nobody waits for says that it has ended, and ends with the one that it is of.
func TestCappedEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("given up")
		parent, end := context.WithCancelCause(t.Context())
		late, lateCap := capTo(parent, time.Minute)
		defer lateCap.release()
		gone, goneCap := capTo(parent, time.Hour)
		defer goneCap.release()
		<-time.After(2 * time.Minute) // of the bubble's clock
		if !errors.Is(late.Err(), context.DeadlineExceeded) || gone.Err() != nil {
			t.Errorf("after the deadline of one: %v, %v", late.Err(), gone.Err())
		}
		end(reason)
		if !errors.Is(late.Err(), context.DeadlineExceeded) {
			t.Errorf("it has ended for another reason since: %v", late.Err())
		}
		if !errors.Is(gone.Err(), context.Canceled) || !errors.Is(context.Cause(gone), reason) {
			t.Errorf("given up: %v, %v", gone.Err(), context.Cause(gone))
		}
		<-gone.Done()
	})
}

// A sooner deadline stays, and 0 is no limit.
func TestCappedNot(t *testing.T) {
	t.Parallel()
	sooner, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if ctx, c := capTo(sooner, time.Minute); ctx != sooner || c != nil {
		t.Errorf("a sooner deadline: %v", ctx)
	}
	if ctx, c := capTo(t.Context(), 0); ctx != t.Context() || c != nil {
		t.Errorf("no limit: %v", ctx)
	}
}
