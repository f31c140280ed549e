package server

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

const malformedToken = "is not a token of netpold; give the token of an earlier response, or leave it out"

// errMalformed stands for [mirror.ErrTokenMalformed] until its place in the request is known; it is never sent.
var errMalformed = &failure{code: codes.InvalidArgument, reason: reasonInvalidQuestion, message: malformedToken}

// maxAnswerTime is the most of a deadline that is kept back from waiting, for answering.
const maxAnswerTime = time.Second

// wait is a basis whose state is not older than token, within the call's deadline less the time to answer.
func (d *Decisions) wait(ctx context.Context, token string) (basis, *failure) {
	bounded, release := d.untilDrain(ctx)
	defer release()
	if deadline, ok := ctx.Deadline(); ok {
		reserve := min(time.Until(deadline)/10, maxAnswerTime)
		earlier, cancel := context.WithDeadline(bounded, deadline.Add(-reserve))
		defer cancel()
		bounded = earlier
	}
	state, err := d.source.Wait(bounded, token)
	switch {
	case err == nil:
		return d.on(state)
	case errors.Is(err, mirror.ErrTokenMalformed):
		return basis{}, errMalformed
	case errors.Is(err, mirror.ErrTokenUnknown):
		return basis{}, &failure{
			code: codes.FailedPrecondition, reason: reasonTokenUnknown,
			message: "the token is of another source of the cluster's state, and will never be reached here; " +
				"use a token of this server or of a replica of it",
		}
	case errors.Is(context.Cause(bounded), errShuttingDown):
		return basis{}, shuttingDown()
	case errors.Is(ctx.Err(), context.Canceled):
		return basis{}, ended(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return basis{}, notReached(err)
	default:
		return basis{}, &failure{code: codes.Internal, message: "waiting failed; this is a defect of netpold: " + err.Error()}
	}
}

// notReached is a token that was not reached in time, with what lags where the source tells.
func notReached(err error) *failure {
	f := &failure{code: codes.DeadlineExceeded, reason: reasonTokenNotReached}
	older := "the server's snapshot is"
	if lag, ok := errors.AsType[*mirror.LagError](err); ok && len(lag.Resources) > 0 {
		names := lag.Resources
		f.metadata = map[string]string{"resources": strings.Join(names, ",")}
		older = "of the server's snapshot, " + strings.Join(names, ", ") + " is"
		if len(names) > 1 {
			older = "of the server's snapshot, " + strings.Join(names, ", ") + " are"
		}
	}
	f.message = older + " still older than the token; retry with a longer deadline, " +
		"or see the age of its resources with netpold.v1.StatusService/GetStatus"
	return f
}

// waitEach waits for the questions' own tokens. The basis is not older than from, nor than any token that can be had; the map
// tells which cannot, and why.
func (d *Decisions) waitEach(
	ctx context.Context, questions []*netpoldv1.AllowedRequest, from basis,
) (basis, map[string]*failure) {
	var unmet map[string]*failure
	seen := map[string]bool{"": true, from.Token: true}
	newest := from
	for _, question := range questions {
		token := question.GetAtLeast()
		if seen[token] {
			continue
		}
		seen[token] = true
		on, fail := d.wait(ctx, token)
		if fail == nil {
			newest = newer(newest, on)
			continue
		}
		if unmet == nil {
			unmet = make(map[string]*failure)
		}
		unmet[token] = fail
	}
	return newest, unmet
}

func newer(a, b basis) basis {
	if b.Snapshot.Revision() > a.Snapshot.Revision() {
		return b
	}
	return a
}

// placed is a failure of at_least, in the place of the question that asked for it.
func (f *failure) placed(at place) *failure {
	field := at.path("at_least")
	if f == errMalformed {
		return invalid([]*errdetails.BadRequest_FieldViolation{{Field: field, Description: malformedToken}})
	}
	own := *f
	own.message = field + ": " + f.message
	return &own
}

// endedContext has ended already: waiting with it tells whether a token is well formed, and no more.
func endedContext(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}
