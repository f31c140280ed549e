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
	// begun reports whether the header is sent; told is when the caller was last told anything.
	begun bool
	told  time.Time
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
	l.told = time.Now()
	// Both may fail: then ctx is over, or the stream is, and the lint ends.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var fail *wire.Failure
	turn := l.service.beginTurn()
	summary, err := audit.Lint(ctx.Done(), l.state.Snapshot, request, func(p audit.LintProgress) {
		if fail == nil && turn.over() {
			if fail = l.pause(ctx, p); fail != nil {
				cancel()
			}
		}
	}, func(f *audit.Finding) bool {
		if fail = l.begin(ctx); fail == nil {
			fail = l.out(ctx, &netpoldv1.LintResponse{
				Item: &netpoldv1.LintResponse_Finding{Finding: wire.Finding(f, l.locate)},
			})
		}
		return fail == nil
	})
	switch {
	case fail != nil:
		return fail
	case err != nil:
		return l.lintFailure(ctx, req, err)
	}
	if fail := l.begin(ctx); fail != nil {
		return fail
	}
	end := wire.LintSummary(&summary)
	end.Took = durationpb.New(time.Since(began))
	return l.out(ctx, &netpoldv1.LintResponse{Item: &netpoldv1.LintResponse_Summary{Summary: end}})
}

// pause lets other audits compute, and now and then tells the caller that the lint is at work.
func (l *linting) pause(ctx context.Context, p audit.LintProgress) *wire.Failure {
	if time.Since(l.told) < l.service.progressEvery {
		return l.yield(ctx)
	}
	if fail := l.begin(ctx); fail != nil {
		return fail
	}
	l.told = time.Now()
	return l.out(ctx, &netpoldv1.LintResponse{Item: &netpoldv1.LintResponse_Progress{
		Progress: &netpoldv1.LintProgress{
			PoliciesDone: uint32(p.PoliciesDone), PoliciesTotal: uint32(p.PoliciesTotal),
		},
	}})
}

// begin sends the header, once.
func (l *linting) begin(ctx context.Context) *wire.Failure {
	if l.begun {
		return nil
	}
	l.begun = true
	return l.out(ctx, &netpoldv1.LintResponse{
		Item: &netpoldv1.LintResponse_Header{Header: l.header()},
	})
}

// out sends a message.
func (l *linting) out(ctx context.Context, m *netpoldv1.LintResponse) *wire.Failure {
	return deliver(ctx, l.call, l.to, func() *netpoldv1.LintResponse { return m }, func() {})
}

// lintFailure returns the failure for an error of a lint.
func (l *linting) lintFailure(ctx context.Context, req *netpoldv1.LintRequest, err error) *wire.Failure {
	if large, ok := errors.AsType[*audit.TooLargeError](err); ok {
		return wire.AuditTooLarge(large.Field, large.Field, large.Actual, large.Limit,
			"ask for fewer codes or namespaces")
	}
	if wrong, ok := errors.AsType[*audit.RequestError](err); ok {
		return wire.LintRequestFailure(l.state.Snapshot, req, wrong)
	}
	return l.service.ended(ctx)
}
