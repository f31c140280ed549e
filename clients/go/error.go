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

// What an [*Error] is, for [errors.Is]. One of [context.DeadlineExceeded] and [context.Canceled] matches where the call ended so.
var (
	// ErrInvalidQuestion: the question is wrong; Error.Violations name the fields.
	ErrInvalidQuestion = errors.New("netpold: invalid question")
	// ErrNotFound: a Pod, Service or workload asked by name is unknown, or a Pod has finished.
	ErrNotFound = errors.New("netpold: not found")
	// ErrPrecondition: the destination exists but stands for nothing that can be asked, as a Service without that port or
	// without a ready endpoint; or at_least is a token of another source.
	ErrPrecondition = errors.New("netpold: failed precondition")
	// ErrUnavailable: no server could be reached, or none that has the cluster's whole state yet, or whose state is not too old
	// for it to answer from. Error.Reason tells.
	ErrUnavailable = errors.New("netpold: unavailable")
	// ErrTooLarge: more questions in a batch, or a larger message, than the server takes.
	ErrTooLarge = errors.New("netpold: too large")
)

// Error is why a question has no answer. It is never an answer: do not take it for allowed.
type Error struct {
	// Code is the gRPC code.
	Code codes.Code
	// Reason is for machines, as netpold.v1.DecisionService's comment lists them: "POD_FINISHED". Empty where no netpold
	// answered, as when no server could be reached.
	Reason string
	// Message is for people: what is wrong, and what to do.
	Message string
	// Violations are the wrong fields of the question.
	Violations []Violation
	// Metadata goes with Reason. Example: {"limit": "10000", "actual": "12345"}.
	Metadata map[string]string
	// RetryAfter is how long the server suggests to wait before asking again; 0 for no suggestion.
	RetryAfter time.Duration

	status *status.Status
}

// Violation is one wrong field.
type Violation struct {
	// Field is its path in the request: "questions[3].dst.ip".
	Field string
	// Description says what is wrong and what it should be.
	Description string
}

// Error is "netpold: ", the reason, or else the code, and the message.
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
		return target == ErrTooLarge
	case codes.DeadlineExceeded:
		return target == context.DeadlineExceeded
	case codes.Canceled:
		return target == context.Canceled
	default:
		return false
	}
}

// GRPCStatus makes [status.FromError] and [status.Code] see what the server sent.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// AnswerError is the error of one answer of a batch, as an [*Error]; nil when the question was answered.
func AnswerError(answer *netpoldv1.BatchAnswer) error {
	if answer.GetResponse() != nil {
		return nil
	}
	if answer.GetError().GetCode() == int32(codes.OK) {
		// A server that sends neither is broken, and silence is no answer.
		return fromStatus(status.New(codes.Internal, "the server sent neither a response nor an error"))
	}
	return fromStatus(status.FromProto(answer.GetError()))
}

// fromCall makes a call's error an [*Error].
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
