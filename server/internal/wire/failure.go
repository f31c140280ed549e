package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// domain is google.rpc.ErrorInfo.domain of every error.
const domain = "netpold"

// The values of google.rpc.ErrorInfo.reason. Clients match on them: none is ever renamed or reused.
const (
	ReasonInvalidQuestion  = "INVALID_QUESTION"
	ReasonNotFound         = "NOT_FOUND"
	ReasonPodFinished      = "POD_FINISHED"
	ReasonWorkloadFinished = "WORKLOAD_FINISHED"
	ReasonNoServicePort    = "NO_SERVICE_PORT"
	ReasonNoReadyEndpoint  = "NO_READY_ENDPOINT"
	ReasonExternalName     = "EXTERNAL_NAME"
	ReasonNotSynced        = "NOT_SYNCED"
	ReasonShuttingDown     = "SHUTTING_DOWN"
	ReasonStale            = "STALE"
	ReasonTokenUnknown     = "TOKEN_UNKNOWN"
	ReasonTokenNotReached  = "TOKEN_NOT_REACHED"
	ReasonBatchTooLarge    = "BATCH_TOO_LARGE"
	ReasonWatchTooLarge    = "WATCH_TOO_LARGE"
	ReasonOverloaded       = "OVERLOADED"
	ReasonCallerOverLimit  = "CALLER_OVER_LIMIT"
	ReasonTooManyAudits    = "TOO_MANY_AUDITS"
	ReasonAuditTooLarge    = "AUDIT_TOO_LARGE"
	ReasonCursorExpired    = "CURSOR_EXPIRED"
	ReasonUnknownAddress   = "UNKNOWN_ADDRESS"
	ReasonCallerUnknown    = "CALLER_UNKNOWN"
	ReasonCallerNotAllowed = "CALLER_NOT_ALLOWED"
	ReasonAuthzUnavailable = "AUTHZ_UNAVAILABLE"
)

// retryDelay is how long a client should wait after UNAVAILABLE or TOO_MANY_AUDITS.
const retryDelay = time.Second

// A Failure is why a question, or a whole call, has no answer. It becomes a google.rpc.Status.
type Failure struct {
	Code codes.Code
	// Reason is one of the Reason constants. It is empty if the code says it all, for example when a caller
	// gives up.
	Reason   string
	Message  string
	Metadata map[string]string
	// DecisionID is that of the decision that was not made (P4); empty for none.
	DecisionID string
	Violations []*errdetails.BadRequest_FieldViolation
	// RetryAfter is how long the caller should wait before a retry. Default: a second after UNAVAILABLE or
	// TOO_MANY_AUDITS, no advice after others.
	RetryAfter time.Duration
}

// Proto returns the google.rpc.Status with its details.
func (f *Failure) Proto() *spb.Status {
	st := &spb.Status{Code: int32(f.Code), Message: f.Message}
	attach := func(detail proto.Message) {
		packed, err := anypb.New(detail)
		if err != nil {
			st.Message += " (a detail is missing: " + err.Error() + ")"
			return
		}
		st.Details = append(st.Details, packed)
	}
	if f.Reason != "" {
		attach(&errdetails.ErrorInfo{Reason: f.Reason, Domain: domain, Metadata: f.Metadata})
	}
	if len(f.Violations) > 0 {
		attach(&errdetails.BadRequest{FieldViolations: f.Violations})
	}
	if f.DecisionID != "" {
		attach(&errdetails.RequestInfo{RequestId: f.DecisionID})
	}
	delay := f.RetryAfter
	if delay == 0 && (f.Code == codes.Unavailable || f.Reason == ReasonTooManyAudits) {
		delay = retryDelay
	}
	if delay > 0 {
		attach(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
	}
	return st
}

// maxBrief is how much of its message a brief failure has, in bytes.
const maxBrief = 60

// Brief returns the failure with its code, its reason and the beginning of its message alone.
func (f *Failure) Brief() *Failure {
	message := f.Message
	if len(message) > maxBrief {
		message = strings.ToValidUTF8(message[:maxBrief], "") + "..."
	}
	return &Failure{Code: f.Code, Reason: f.Reason,
		Message: message + " (details are left out: too many errors in one batch; ask fewer questions at once)"}
}

// Err returns the failure as the error of a call.
func (f *Failure) Err() error { return status.ErrorProto(f.Proto()) }

// Panicked returns the failure of a call that panicked, which tells the caller nothing internal.
func Panicked() *Failure {
	return &Failure{
		Code: codes.Internal, Message: "internal error; this is a defect of netpold: its log has the stack",
	}
}

const (
	// maxListed is how many violations an error names, and maxListedText how much of their text it has, in bytes. The text
	// is in the trailers of a call twice, and clients of C++, Python and Ruby take 8 KiB of those unless told otherwise.
	maxListed     = 30
	maxListedText = 2500
)

// abridged returns as many violations as an error names, and one that tells how many are left out.
func abridged(violations []*errdetails.BadRequest_FieldViolation) []*errdetails.BadRequest_FieldViolation {
	text := 0
	for i, v := range violations {
		if text += len(v.GetField()) + len(v.GetDescription()); i > 0 && (i >= maxListed || text > maxListedText) {
			return append(violations[:i:i], &errdetails.BadRequest_FieldViolation{
				Field: v.GetField(), Description: fmt.Sprintf("and %d more like these; mend the first ones first", len(violations)-i),
			})
		}
	}
	return violations
}

// Invalid rejects a question and names every violation (S28), as far as one error has room for them.
func Invalid(violations []*errdetails.BadRequest_FieldViolation) *Failure {
	violations = abridged(violations)
	lines := make([]string, len(violations))
	for i, v := range violations {
		lines[i] = v.GetField() + ": " + v.GetDescription()
	}
	return &Failure{
		Code: codes.InvalidArgument, Reason: ReasonInvalidQuestion, Message: strings.Join(lines, "; "),
		Violations: violations,
	}
}

// BatchTooLarge refuses a batch of more questions than the limit.
func BatchTooLarge(field string, got, limit int) *Failure {
	return &Failure{
		Code: codes.ResourceExhausted, Reason: ReasonBatchTooLarge,
		Message: fmt.Sprintf("%s: %d are more than the %d questions that one batch may hold; ask in several "+
			"batches, or raise the server's --max-batch", field, got, limit),
		Metadata: map[string]string{"limit": strconv.Itoa(limit), "actual": strconv.Itoa(got)},
	}
}

// TooManyElements refuses a message that would be large in memory: one with an entry of list that has more than
// perQuestion elements, or more than most in all. list is empty if the message is one question, or has none.
func TooManyElements(list string, index, perQuestion, most int) *Failure {
	field, limit := "request", most
	if list != "" {
		field, limit = fmt.Sprintf("%s[%d]", list, index), perQuestion
	}
	return Invalid([]*errdetails.BadRequest_FieldViolation{{Field: field, Description: fmt.Sprintf(
		"has more than %d labels, named ports and other entries, or is beyond the %d that one message may have; leave some "+
			"out, or ask in several messages", limit, most)}})
}

// EngineError returns the failure of a question that the engine could not answer.
func EngineError(index QuestionIndex, req *netpoldv1.AllowedRequest, err error) *Failure {
	return EngineErrorAt(err, func(dst bool) (string, string) {
		name, endpoint := "src", req.GetSrc()
		if dst {
			name, endpoint = "dst", req.GetDst()
		}
		path := index.Path(name)
		if set := endpointField(endpoint); set != "" {
			return path, path + "." + set
		}
		return path, path
	})
}

// EngineErrorAt returns the failure for an error of the engine. locate returns the path of the endpoint that
// the error is about, and of the field that was set in it.
func EngineErrorAt(err error, locate func(dst bool) (endpoint, field string)) *Failure {
	q, ok := errors.AsType[*engine.QueryError](err)
	if !ok {
		return &Failure{Code: codes.Internal,
			Message: "the engine failed; this is a defect of netpold: " + err.Error()}
	}
	endpoint, field := locate(q.Dst)
	description := q.Subject + " " + q.Detail
	code, reason := queryCode(q.Code)
	if code == codes.InvalidArgument {
		return Invalid([]*errdetails.BadRequest_FieldViolation{{Field: field, Description: description}})
	}
	return &Failure{
		Code: code, Reason: reason, Message: endpoint + ": " + description,
		Metadata: map[string]string{"field": field},
	}
}

// queryCode returns the gRPC code and the reason for an error code of the engine.
func queryCode(code engine.ErrorCode) (codes.Code, string) {
	switch code {
	case engine.NotFound:
		return codes.NotFound, ReasonNotFound
	case engine.PodFinished:
		return codes.NotFound, ReasonPodFinished
	case engine.WorkloadFinished:
		return codes.FailedPrecondition, ReasonWorkloadFinished
	case engine.NoServicePort:
		return codes.FailedPrecondition, ReasonNoServicePort
	case engine.NoReadyEndpoint:
		return codes.FailedPrecondition, ReasonNoReadyEndpoint
	case engine.ExternalName:
		return codes.FailedPrecondition, ReasonExternalName
	case engine.InvalidQuestion:
		return codes.InvalidArgument, ReasonInvalidQuestion
	default:
		return codes.InvalidArgument, ReasonInvalidQuestion
	}
}
