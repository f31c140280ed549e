package audits

import (
	"context"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/wire"
)

// An Audit is an audit, for tests.
type Audit struct{ *call }

// Begin begins an audit of s.
func Begin(ctx context.Context, s *Service, token string) (context.Context, Audit, error) {
	ctx, a, fail := s.begin(ctx, "Test", token, wire.Alone)
	if fail != nil {
		return nil, Audit{}, fail.Err()
	}
	return ctx, Audit{a}, nil
}

// End ends the audit.
func (a Audit) End() { a.end() }

// Header returns the header of the audit's messages.
func (a Audit) Header() *netpoldv1.AuditHeader { return a.header() }

// Yield lets other audits compute.
func (a Audit) Yield(ctx context.Context) error { return errOf(a.yield(ctx)) }

// Waiting calls f while other audits compute.
func (a Audit) Waiting(ctx context.Context, f func()) error {
	return errOf(a.waiting(ctx, func() *wire.Failure {
		f()
		return nil
	}))
}

// SetProcessors sets how many audits of s compute at once, before the first one.
func SetProcessors(s *Service, n int) { s.processors = newProcessors(n, s.metrics) }

// TellAlways makes audits of s end their turns and tell of their progress as often as they could.
func TellAlways(s *Service) { s.turnTime, s.progressEvery = 0, 0 }

func errOf(f *wire.Failure) error {
	if f == nil {
		return nil
	}
	return f.Err()
}
