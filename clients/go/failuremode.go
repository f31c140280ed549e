package netpold

import (
	"errors"
	"math"
	"time"

	"google.golang.org/grpc/codes"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A FailureMode says what [Client.Allowed] returns when no server decides a question in time. There is none that
// allows. Errors about the question itself, such as [ErrNotFound], are always returned.
type FailureMode time.Duration

const (
	// FailError returns the error. It is the default.
	FailError FailureMode = 0
	// FailDeny returns a denial with Stale set and without a reason. So callers that look at nothing but
	// Allowed cannot mistake a failure.
	FailDeny FailureMode = -1
)

// FailLast returns the last known answer, with Stale set, as long as it is not older than d. Otherwise it returns
// the error. It needs [WithCache].
func FailLast(d time.Duration) FailureMode {
	if d < 0 {
		return math.MinInt64 // Dial refuses it
	}
	return FailureMode(d)
}

// WithFailureMode sets what [Client.Allowed] returns when no server decides.
func WithFailureMode(mode FailureMode) Option { return func(s *settings) { s.failure = mode } }

// check returns an error with a remedy if Dial must not take the mode.
func (m FailureMode) check(cached bool) error {
	switch {
	case m < FailDeny:
		return errors.New("FailLast has a negative duration: give how old an answer may be, for example " +
			"FailLast(time.Minute)")
	case m > 0 && !cached:
		return errors.New("FailLast has no answers to fall back to: give WithCache too")
	default:
		return nil
	}
}

// undecided reports whether an error means that no server decided, so that the failure mode applies.
func undecided(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	switch e.Code {
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.Canceled:
		return false
	default:
		return true
	}
}

// denial is the answer of FailDeny.
func denial() *netpoldv1.AllowedResponse { return &netpoldv1.AllowedResponse{Stale: true} }
