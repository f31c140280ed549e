package netpold

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// The kinds of an [*Error], for [errors.Is]. An error of a call that ran out of time or was cancelled matches
// [context.DeadlineExceeded] or [context.Canceled].
var (
	// ErrInvalidQuestion means that the question is invalid. Error.Violations names the fields.
	ErrInvalidQuestion = errors.New("netpold: invalid question")
	// ErrNotFound means that a Pod, Service or workload asked by name is unknown, or that a Pod has finished.
	ErrNotFound = errors.New("netpold: not found")
	// ErrPrecondition means that the destination exists but cannot be asked about, such as a Service without
	// that port or without a ready endpoint. It also means that at_least is a token of another source.
	ErrPrecondition = errors.New("netpold: failed precondition")
	// ErrUnavailable means that no server could be reached, or none that has the cluster's whole state, or
	// whose state is fresh enough to answer from. Error.Reason says which.
	ErrUnavailable = errors.New("netpold: unavailable")
	// ErrOverloaded means that the server does as much as its limits allow, in all or for this caller. The client
	// does not ask again: do so after Error.RetryAfter at the earliest, or not at all.
	ErrOverloaded = errors.New("netpold: overloaded")
	// ErrTooLarge means that a batch has more questions, or a message more bytes, than the server accepts.
	ErrTooLarge = errors.New("netpold: too large")
)

// An Error is why a question has no answer. Never treat it as allowed.
type Error struct {
	// Code is the gRPC code.
	Code codes.Code
	// Reason is for machines: one of those listed at netpold.v1.DecisionService, such as "POD_FINISHED". It
	// is empty if no netpold answered, for example when no server could be reached.
	Reason string
	// Message says to people what is wrong and what to do.
	Message string
	// Violations are the invalid fields of the question.
	Violations []Violation
	// Metadata belongs to Reason. Example: {"limit": "10000", "actual": "12345"}.
	Metadata map[string]string
	// RetryAfter is how long the server advises to wait before a retry; 0 for no advice.
	RetryAfter time.Duration

	status *status.Status
}

// A Violation is one invalid field.
type Violation struct {
	// Field is the path of the field in the request. Example: "questions[3].dst.ip".
	Field string
	// Description says what is wrong and what it should be.
	Description string
}

// Error returns "netpold: ", the reason or else the code, and the message.
func (e *Error) Error() string {
	kind := e.Reason
	if kind == "" {
		kind = e.Code.String()
	}
	return strings.Join([]string{"netpold", kind, e.Message}, ": ")
}

// Is implements [errors.Is] for the Err values and the errors of contexts.
func (e *Error) Is(target error) bool {
	switch e.Code {
	case codes.InvalidArgument:
		return target == ErrInvalidQuestion
	case codes.NotFound:
		return target == ErrNotFound
	case codes.FailedPrecondition:
		return target == ErrPrecondition
	case codes.Unavailable:
		return target == ErrUnavailable
	case codes.ResourceExhausted:
		if e.Reason == "OVERLOADED" || e.Reason == "CALLER_OVER_LIMIT" {
			return target == ErrOverloaded
		}
		return target == ErrTooLarge
	case codes.DeadlineExceeded:
		return target == context.DeadlineExceeded
	case codes.Canceled:
		return target == context.Canceled
	default:
		return false
	}
}

// GRPCStatus returns what the server sent, for [status.FromError] and [status.Code].
func (e *Error) GRPCStatus() *status.Status { return e.status }

// AnswerError returns the error of one answer of a batch, as an [*Error]; nil if the question was answered.
func AnswerError(answer *netpoldv1.BatchAnswer) error {
	if answer.GetResponse() != nil {
		return nil
	}
	if answer.GetError().GetCode() == int32(codes.OK) {
		// A server that sends neither is broken: silence is not an answer.
		return fromStatus(status.New(codes.Internal, "the server sent neither a response nor an error"))
	}
	return fromStatus(status.FromProto(answer.GetError()))
}

// fromCall returns the error of a call as an [*Error].
func fromCall(err error) error {
	if err == nil {
		return nil
	}
	return fromStatus(status.Convert(err))
}

func fromStatus(st *status.Status) *Error {
	e := &Error{Code: st.Code(), Message: st.Message(), status: st}
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			e.Reason, e.Metadata = d.GetReason(), d.GetMetadata()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Violations = append(e.Violations, Violation{Field: v.GetField(), Description: v.GetDescription()})
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	return e
}
