package current

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/internal/wire"
)

// maxAnswerTime limits the part of a call's deadline that waiting leaves for answering.
const maxAnswerTime = time.Second

// Wait blocks until the state is not older than token, and returns it. It waits for the call's deadline, less
// the time that answering needs. A malformed token gets [wire.MalformedToken]. If too many wait already, one that
// would have to is refused (P40).
func (r *Reader) Wait(ctx context.Context, token string) (State, *wire.Failure) {
	if r.options.Gate.Wait() {
		defer r.options.Gate.Waited()
	} else if !r.reached(ctx, token) {
		return State{}, r.options.Gate.RefuseWaiting()
	}
	bounded, release := r.untilDrain(ctx)
	defer release()
	if deadline, ok := ctx.Deadline(); ok {
		reserve := min(time.Until(deadline)/10, maxAnswerTime)
		earlier, cancel := context.WithDeadline(bounded, deadline.Add(-reserve))
		defer cancel()
		bounded = earlier
	}
	state, err := r.source.Wait(bounded, token)
	switch {
	case err == nil:
		return r.accept(state)
	case errors.Is(err, mirror.ErrTokenMalformed):
		return State{}, wire.MalformedToken
	case errors.Is(err, mirror.ErrTokenUnknown):
		return State{}, &wire.Failure{
			Code: codes.FailedPrecondition, Reason: wire.ReasonTokenUnknown,
			Message: "the token is of another source of the cluster's state, and will never be reached here; " +
				"use a token of this server or of a replica of it",
		}
	case errors.Is(context.Cause(bounded), ErrShuttingDown):
		return State{}, ShuttingDown()
	case errors.Is(ctx.Err(), context.Canceled):
		return State{}, Ended(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return State{}, notReached(err)
	default:
		return State{}, &wire.Failure{
			Code: codes.Internal, Message: "waiting failed; this is a defect of netpold: " + err.Error(),
		}
	}
}

// notReached returns the failure of a token that was not reached in time. It names the resources that lag, if
// the source does.
func notReached(err error) *wire.Failure {
	f := &wire.Failure{Code: codes.DeadlineExceeded, Reason: wire.ReasonTokenNotReached}
	older := "the server's snapshot is"
	if lag, ok := errors.AsType[*mirror.LagError](err); ok && len(lag.Resources) > 0 {
		names := strings.Join(lag.Resources, ", ")
		f.Metadata = map[string]string{"resources": strings.Join(lag.Resources, ",")}
		older = "of the server's snapshot, " + names + " is"
		if len(lag.Resources) > 1 {
			older = "of the server's snapshot, " + names + " are"
		}
	}
	f.Message = older + " still older than the token; retry with a longer deadline, " +
		"or see the age of its resources with netpold.v1.StatusService/GetStatus"
	return f
}

// reached reports whether the state is not older than token, or never will be: Wait then does not wait.
func (r *Reader) reached(ctx context.Context, token string) bool {
	return !errors.Is(r.look(ctx, token), context.Canceled)
}

// WellFormed reports whether token is well formed. It does not wait for its state.
func (r *Reader) WellFormed(ctx context.Context, token string) bool {
	return !errors.Is(r.look(ctx, token), mirror.ErrTokenMalformed)
}

// look returns what waiting for token comes to at once: [context.Canceled] if its state has not come yet.
func (r *Reader) look(ctx context.Context, token string) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err := r.source.Wait(ended, token)
	return err //nolint:wrapcheck // only its kind is looked at
}

// Newer returns the newer of two states.
func Newer(a, b State) State {
	if b.Snapshot.Revision() > a.Snapshot.Revision() {
		return b
	}
	return a
}
