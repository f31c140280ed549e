package current

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/server/internal/wire"
)

// ErrShuttingDown is the cause with which contexts end when the server drains.
var ErrShuttingDown = errors.New("the server is shutting down")

// UntilDrain returns a function for [Options.UntilDrain]: its contexts also end, with the cause
// [ErrShuttingDown], when draining ends.
func UntilDrain(draining context.Context) func(context.Context) (context.Context, func()) {
	return func(ctx context.Context) (context.Context, func()) {
		ctx, cancel := context.WithCancelCause(ctx)
		stop := context.AfterFunc(draining, func() { cancel(ErrShuttingDown) })
		return ctx, func() {
			stop()
			cancel(nil)
		}
	}
}

// ShuttingDown refuses a call because the server drains.
func ShuttingDown() *wire.Failure {
	return &wire.Failure{
		Code: codes.Unavailable, Reason: wire.ReasonShuttingDown,
		Message: ErrShuttingDown.Error() + "; retry on another connection",
	}
}

// Ended returns the failure of a call whose own context ended.
func Ended(ctx context.Context) *wire.Failure {
	switch {
	case errors.Is(context.Cause(ctx), ErrShuttingDown):
		return ShuttingDown()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &wire.Failure{Code: codes.DeadlineExceeded,
			Message: "the call's deadline passed before every question was answered; " +
				"give it longer, or ask fewer questions at once"}
	default:
		return &wire.Failure{Code: codes.Canceled, Message: "the caller gave the call up"}
	}
}
