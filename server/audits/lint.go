package audits

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/netpold/netpold/audit"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/wire"
)

// Lint says what is wrong with the policies.
func (s *Service) Lint(
	req *netpoldv1.LintRequest, stream grpc.ServerStreamingServer[netpoldv1.LintResponse],
) error {
	began := time.Now()
	return answerStream(s, metrics.Lint, stream,
		func(ctx context.Context, out *sender[*netpoldv1.LintResponse]) *wire.Failure {
			r := wire.RequestReader{Index: wire.Alone}
			request := r.LintRequest(req)
			if len(r.Violations) > 0 {
				return wire.Invalid(r.Violations)
			}
			ctx, a, fail := s.begin(ctx, metrics.Lint, req.GetAtLeast(), wire.Alone)
			if fail != nil {
				return fail
			}
			defer a.end()
			l := linting{call: a, to: out}
			return l.run(ctx, req, request, began)
		})
}

// A linting is one call of Lint.
type linting struct {
	*call
	to *sender[*netpoldv1.LintResponse]
}

// run works out the findings, and then sends them.
func (l *linting) run(
	ctx context.Context, req *netpoldv1.LintRequest, request *audit.LintRequest, began time.Time,
) *wire.Failure {
	if fail := l.layOver(req.GetOverlay()); fail != nil {
		return fail
	}
	request.Invalid = slices.DeleteFunc(wire.InvalidEntries(l.service.source.Status().Problems),
		func(e audit.InvalidEntry) bool { return l.isChanged(e.Policy) })
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
			Item: &netpoldv1.LintResponse_Finding{Finding: wire.Finding(f, l.locate)},
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
	return deliver(ctx, l.call, l.to, func() *netpoldv1.LintResponse { return m }, func() {})
}

// lintFailure returns the failure for an error of a lint.
func (l *linting) lintFailure(ctx context.Context, err error) *wire.Failure {
	if large, ok := errors.AsType[*audit.TooLargeError](err); ok {
		return wire.AuditTooLarge(large.Field, large.Field, large.Actual, large.Limit,
			"ask for fewer codes or namespaces")
	}
	if wrong, ok := errors.AsType[*audit.RequestError](err); ok {
		return wire.RequestFailure(wrong)
	}
	return l.service.ended(ctx)
}
