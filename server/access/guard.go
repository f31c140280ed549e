// Package access says who may ask what (P34 to P39): by a policy over client certificates, or by the API server
// over bearer tokens.
//
// A call's way:
//
//	method, certificate or token ── judge ──> nil, or why it is refused
//	refused ── Guard ──> UNAUTHENTICATED, PERMISSION_DENIED or UNAVAILABLE, counted, and logged now and then
//
// A stream is judged at its start, and again when the judge has changed its mind or enough time has passed.
package access

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/wire"
)

// A judge says whether the caller of ctx may call a method. It is safe for concurrent use.
type judge interface {
	// judge returns who the caller is, empty if that is not known, and why it may not call method; nil if it may.
	judge(ctx context.Context, method string) (principal string, refused *wire.Failure)
	// again returns a channel that is closed when open streams have to be judged again, nil for never; and after
	// how long they have to be in any case, 0 for never.
	again() (changed <-chan struct{}, after time.Duration)
}

// A Guard refuses callers that may not ask. It is safe for concurrent use.
type Guard struct {
	judge
	refusals refusals
	metrics  *metrics.Metrics
	now      func() time.Time
}

func newGuard(j judge, log *slog.Logger, m *metrics.Metrics) *Guard {
	return &Guard{judge: j, refusals: refusals{log: log}, metrics: m, now: time.Now}
}

// Check returns the error of a call whose caller may not call a method; nil if it may.
func (g *Guard) Check(ctx context.Context, method string) error {
	if refused := g.check(ctx, method); refused != nil {
		return refused.Err()
	}
	return nil
}

// Stream is the interceptor of streams. A caller that has lost its right is told, and its stream ends (P39).
func (g *Guard) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo,
	handler grpc.StreamHandler) error {
	// Taken before the check, it misses no change.
	changed, after := g.again()
	if refused := g.check(stream.Context(), info.FullMethod); refused != nil {
		return refused.Err()
	}
	if open(info.FullMethod) || changed == nil && after == 0 {
		return handler(srv, stream)
	}
	ctx, end := context.WithCancelCause(stream.Context())
	defer end(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		g.watch(ctx, info.FullMethod, changed, after, end)
	}()
	defer func() { <-watched }()
	defer end(nil)
	err := handler(srv, &guarded{ServerStream: stream, ctx: ctx})
	if lost := lostRight(ctx); lost != nil {
		return lost
	}
	return err
}

// watch judges an open stream again and again, until ctx ends, and ends it if its caller lost its right. While
// nobody can say, it asks again some times before it does.
func (g *Guard) watch(ctx context.Context, method string, changed <-chan struct{}, after time.Duration,
	end context.CancelCauseFunc) {
	wait, unsaid := after, 0
	for {
		var over <-chan time.Time
		if wait > 0 {
			over = time.After(wait)
		}
		select {
		case <-changed:
		case <-over:
		case <-ctx.Done():
			return
		}
		changed, after = g.again()
		wait = after
		refused := g.check(ctx, method)
		switch {
		case refused == nil || ctx.Err() != nil:
			unsaid = 0
		case refused.Code == codes.Unavailable && unsaid < maxUnsaid:
			unsaid++
			wait = after / (2 * maxUnsaid)
		default:
			end(lostError{refused.Err()})
			return
		}
	}
}

// maxUnsaid is how often an open stream is judged without an answer before it ends.
const maxUnsaid = 10

// A lostError is the cause with which the context of a stream ends when its caller has lost its right.
type lostError struct{ error }

// Unwrap returns the status.
func (e lostError) Unwrap() error { return e.error }

// lostRight returns the status of a stream whose caller lost its right; nil if it did not.
func lostRight(ctx context.Context) error {
	if lost, ok := context.Cause(ctx).(lostError); ok { //nolint:errorlint // the cause is not wrapped
		return lost.error
	}
	return nil
}

// A guarded is a stream that ends when its caller loses its right.
type guarded struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a grpc.ServerStream is where a stream's context lives
}

// Context implements [grpc.ServerStream].
func (s *guarded) Context() context.Context { return s.ctx }

// SendMsg implements [grpc.ServerStream].
func (s *guarded) SendMsg(m any) error {
	if lost := lostRight(s.ctx); lost != nil {
		return lost
	}
	return s.ServerStream.SendMsg(m)
}

// RecvMsg implements [grpc.ServerStream].
func (s *guarded) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return lostRight(s.ctx)
}

// check returns why the caller of ctx may not call method; nil if it may. Refusals are counted and logged (P38).
func (g *Guard) check(ctx context.Context, method string) *wire.Failure {
	if open(method) {
		return nil
	}
	principal, refused := g.judge.judge(ctx, method)
	if refused == nil {
		return nil
	}
	if ctx.Err() == nil || refused.Code != codes.Unavailable {
		service := serviceOf(method)
		g.metrics.CallerRefused(service, refused.Reason)
		g.refusals.tell(ctx, g.now(), refusal{principal: principal, service: service}, refused)
	}
	return refused
}

// serviceOf returns the service of a method. Example: "netpold.v1.StatusService".
func serviceOf(method string) string {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	return service
}

// open reports whether everybody who can connect may call a method: health alone (P34).
func open(method string) bool { return serviceOf(method) == healthv1.Health_ServiceDesc.ServiceName }

// unknownCaller refuses a caller that does not say who it is (P38).
func unknownCaller(message string) *wire.Failure {
	return &wire.Failure{Code: codes.Unauthenticated, Reason: wire.ReasonCallerUnknown, Message: message}
}

// notAllowed refuses a known caller (P38).
func notAllowed(message string) *wire.Failure {
	return &wire.Failure{Code: codes.PermissionDenied, Reason: wire.ReasonCallerNotAllowed, Message: message}
}
