package audits

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/wire"
)

// Lint says what is wrong with the policies.
func (s *Service) Lint(
	req *netpoldv1.LintRequest, stream grpc.ServerStreamingServer[netpoldv1.LintResponse],
) error {
	return s.LintTo(stream.Context(), req, stream.Send)
}

// LintTo does what Lint does, and calls send with each message in order. It ends at the first error of send.
func (s *Service) LintTo(
	ctx context.Context, req *netpoldv1.LintRequest, send func(*netpoldv1.LintResponse) error,
) error {
	began := time.Now()
	r := wire.RequestReader{Index: wire.Alone}
	request := r.LintRequest(req)
	if len(r.Violations) > 0 {
		return s.failed(metrics.Lint, wire.Invalid(r.Violations))
	}
	ctx, a, fail := s.begin(ctx, metrics.Lint, req.GetAtLeast(), wire.Alone)
	if fail != nil {
		return s.failed(metrics.Lint, fail)
	}
	defer a.end()
	l := linting{call: a, send: send}
	if fail := l.run(ctx, req, request, began); fail != nil {
		return s.failed(metrics.Lint, fail)
	}
	return nil
}

// A linting is one call of Lint.
type linting struct {
	*call
	send func(*netpoldv1.LintResponse) error
}

// run works out the findings, and then sends them.
func (l *linting) run(
	ctx context.Context, req *netpoldv1.LintRequest, request *audit.LintRequest, began time.Time,
) *wire.Failure {
	if fail := l.layOver(req.GetOverlay()); fail != nil {
		return fail
	}
	request.Invalid = wire.InvalidEntries(l.service.source.Status().Problems)
	var findings []*audit.Finding
	summary, err := audit.Lint(ctx.Done(), l.state.Snapshot, request, func(f *audit.Finding) bool {
		findings = append(findings, f)
		return true
	})
	if err != nil {
		return l.lintFailure(ctx, err)
	}
	fail := l.out(ctx, &netpoldv1.LintResponse{
		Item: &netpoldv1.LintResponse_Header{Header: l.header()},
	})
	for _, f := range findings {
		if fail != nil {
			return fail
		}
		fail = l.out(ctx, &netpoldv1.LintResponse{
			Item: &netpoldv1.LintResponse_Finding{Finding: wire.Finding(f, l.service.locate)},
		})
	}
	if fail != nil {
		return fail
	}
	end := wire.LintSummary(&summary)
	end.Took = durationpb.New(time.Since(began))
	return l.out(ctx, &netpoldv1.LintResponse{Item: &netpoldv1.LintResponse_Summary{Summary: end}})
}

// out sends a message.
func (l *linting) out(ctx context.Context, m *netpoldv1.LintResponse) *wire.Failure {
	return l.waiting(ctx, func() *wire.Failure {
		if err := l.send(m); err != nil {
			if ctx.Err() != nil {
				return l.service.ended(ctx)
			}
			return &wire.Failure{Code: status.Code(err), Message: "the findings cannot be sent: " + err.Error()}
		}
		return nil
	})
}

// lintFailure returns the failure for an error of a audit.
func (l *linting) lintFailure(ctx context.Context, err error) *wire.Failure {
	if large, ok := errors.AsType[*audit.TooLargeError](err); ok {
		return wire.AuditTooLarge(large.Field, large.Field, large.Actual, large.Limit,
			"ask for fewer codes or namespaces")
	}
	if wrong, ok := errors.AsType[*audit.RequestError](err); ok && wrong.Code == engine.NotFound {
		return &wire.Failure{
			Code: codes.NotFound, Reason: wire.ReasonNotFound, Message: wrong.Error(),
			Metadata: map[string]string{"field": wrong.Field},
		}
	} else if ok {
		return wire.Invalid([]*errdetails.BadRequest_FieldViolation{{Field: wrong.Field, Description: wrong.Detail}})
	}
	return l.service.ended(ctx)
}
