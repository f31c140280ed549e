package server

import (
	"context"
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
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// domain is google.rpc.ErrorInfo.domain of every error.
const domain = "netpold"

// The values of google.rpc.ErrorInfo.reason. Clients match on them, so none is renamed or reused.
const (
	reasonInvalidQuestion  = "INVALID_QUESTION"
	reasonNotFound         = "NOT_FOUND"
	reasonPodFinished      = "POD_FINISHED"
	reasonWorkloadFinished = "WORKLOAD_FINISHED"
	reasonNoServicePort    = "NO_SERVICE_PORT"
	reasonNoReadyEndpoint  = "NO_READY_ENDPOINT"
	reasonExternalName     = "EXTERNAL_NAME"
	reasonNotSynced        = "NOT_SYNCED"
	reasonShuttingDown     = "SHUTTING_DOWN"
	reasonStale            = "STALE"
	reasonTokenUnknown     = "TOKEN_UNKNOWN"
	reasonTokenNotReached  = "TOKEN_NOT_REACHED"
	reasonBatchTooLarge    = "BATCH_TOO_LARGE"
)

// retryDelay is what UNAVAILABLE suggests to wait.
const retryDelay = time.Second

// errShuttingDown is why a wait or a stream ends when the server drains.
var errShuttingDown = errors.New("the server is shutting down")

// failure is why a question, or a whole call, has no answer. It becomes a google.rpc.Status.
type failure struct {
	code codes.Code
	// reason is empty where the code says it all: a call that its caller gave up.
	reason     string
	message    string
	metadata   map[string]string
	violations []*errdetails.BadRequest_FieldViolation
}

// proto builds the google.rpc.Status with its details.
func (f *failure) proto() *spb.Status {
	st := &spb.Status{Code: int32(f.code), Message: f.message}
	attach := func(detail proto.Message) {
		packed, err := anypb.New(detail)
		if err != nil {
			st.Message += " (a detail is missing: " + err.Error() + ")"
			return
		}
		st.Details = append(st.Details, packed)
	}
	if f.reason != "" {
		attach(&errdetails.ErrorInfo{Reason: f.reason, Domain: domain, Metadata: f.metadata})
	}
	if len(f.violations) > 0 {
		attach(&errdetails.BadRequest{FieldViolations: f.violations})
	}
	if f.code == codes.Unavailable {
		attach(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryDelay)})
	}
	return st
}

// err is the failure as the error of a call.
func (f *failure) err() error { return status.ErrorProto(f.proto()) }

// invalid is a wrong question: every violation is named (S28).
func invalid(violations []*errdetails.BadRequest_FieldViolation) *failure {
	lines := make([]string, len(violations))
	for i, v := range violations {
		lines[i] = v.GetField() + ": " + v.GetDescription()
	}
	return &failure{
		code: codes.InvalidArgument, reason: reasonInvalidQuestion, message: strings.Join(lines, "; "), violations: violations,
	}
}

// notSynced is the answer to everything before the first full sync (S26).
func notSynced() *failure {
	return &failure{
		code: codes.Unavailable, reason: reasonNotSynced,
		message: "the first full sync of the cluster's state is not complete; retry, or see netpold.v1.StatusService/GetStatus",
	}
}

func shuttingDown() *failure {
	return &failure{
		code: codes.Unavailable, reason: reasonShuttingDown, message: errShuttingDown.Error() + "; retry on another connection",
	}
}

// staleRefused is the answer to everything while the resources are stale, where that is what was asked for.
func staleRefused(resources []mirror.Resource) *failure {
	f := &failure{code: codes.Unavailable, reason: reasonStale}
	names := staleNames(resources)
	what := "some resource"
	if len(names) > 0 { // else it has ended just now
		what = staleText(resources)
		f.metadata = map[string]string{"resources": strings.Join(names, ",")}
	}
	f.message = "the cluster's state is stale, and the server refuses to answer from it (--when-stale=deny): nothing was heard of " +
		what + "; retry, or see netpold.v1.StatusService/GetStatus"
	return f
}

func batchTooLarge(field string, got, limit int) *failure {
	return &failure{
		code: codes.ResourceExhausted, reason: reasonBatchTooLarge,
		message: fmt.Sprintf("%s: %d are more than the %d questions that one batch may hold; ask in several batches, "+
			"or raise the server's --max-batch", field, got, limit),
		metadata: map[string]string{"limit": strconv.Itoa(limit), "actual": strconv.Itoa(got)},
	}
}

// unasked is the failure of a question that the engine could not answer.
func unasked(at place, req *netpoldv1.AllowedRequest, err error) *failure {
	return refused(err, func(dst bool) (string, string) {
		name, endpoint := "src", req.GetSrc()
		if dst {
			name, endpoint = "dst", req.GetDst()
		}
		end := at.path(name)
		if set := endpointField(endpoint); set != "" {
			return end, end + "." + set
		}
		return end, end
	})
}

// refused is an engine's error. place tells the paths of the source or the destination, and of the field in which it was asked.
func refused(err error, place func(dst bool) (end, field string)) *failure {
	q, ok := errors.AsType[*engine.QueryError](err)
	if !ok {
		return &failure{code: codes.Internal, message: "the engine failed; this is a defect of netpold: " + err.Error()}
	}
	end, field := place(q.Dst)
	description := q.Subject + " " + q.Detail
	code, reason := queryCode(q.Code)
	if code == codes.InvalidArgument {
		return invalid([]*errdetails.BadRequest_FieldViolation{{Field: field, Description: description}})
	}
	return &failure{
		code: code, reason: reason, message: end + ": " + description, metadata: map[string]string{"field": field},
	}
}

// queryCode tells the code and the reason of an engine's error.
func queryCode(code engine.ErrorCode) (codes.Code, string) {
	switch code {
	case engine.NotFound:
		return codes.NotFound, reasonNotFound
	case engine.PodFinished:
		return codes.NotFound, reasonPodFinished
	case engine.WorkloadFinished:
		return codes.FailedPrecondition, reasonWorkloadFinished
	case engine.NoServicePort:
		return codes.FailedPrecondition, reasonNoServicePort
	case engine.NoReadyEndpoint:
		return codes.FailedPrecondition, reasonNoReadyEndpoint
	case engine.ExternalName:
		return codes.FailedPrecondition, reasonExternalName
	case engine.InvalidQuestion:
		return codes.InvalidArgument, reasonInvalidQuestion
	default:
		return codes.InvalidArgument, reasonInvalidQuestion
	}
}

// ended is the failure of a call whose own context ended.
func ended(ctx context.Context) *failure {
	switch {
	case errors.Is(context.Cause(ctx), errShuttingDown):
		return shuttingDown()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &failure{code: codes.DeadlineExceeded, message: "the call's deadline passed before every question was answered; " +
			"give it longer, or ask fewer questions at once"}
	default:
		return &failure{code: codes.Canceled, message: "the caller gave the call up"}
	}
}
