package audits

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/wire"
)

// errTooLong is the cause with which contexts of audits end at the server's own limit.
var errTooLong = errors.New("the server's limit of time")

// A call is one audit in progress. It holds a processor, except in waiting. It is not safe for concurrent
// use.
type call struct {
	service *Service
	method  string
	// processor is the one that it holds.
	processor *processor
	// state is the one state that everything rests on (A1).
	state current.State
	// overlaid reports whether changes of the request lie over the state, and below is the snapshot without them.
	// warnings are what may be a mistake in them.
	overlaid bool
	below    *engine.Snapshot
	warnings []*netpoldv1.OverlayWarning
	// free releases the contexts.
	free []func()
}

// begin admits a call of method, and returns the state that it answers from: one not older than token, which
// is the at_least at an index. The context ends with the call's, at the server's limit of time and at its
// drain. The caller must call end once, also after a panic; after a failure there is no audit to end.
//
// A call waits for its token before it is admitted, so that waiting calls keep nobody out.
func (s *Service) begin(
	ctx context.Context, method, token string, at wire.QuestionIndex,
) (context.Context, *call, *wire.Failure) {
	ctx, release := s.state.UntilDrain(ctx)
	ctx, cancel := context.WithTimeoutCause(ctx, s.maxDeadline, errTooLong)
	a := &call{service: s, method: method, free: []func(){cancel, release}}
	state, fail := s.stateFor(ctx, token, at)
	if fail != nil {
		a.release()
		return nil, nil, fail
	}
	a.state = state
	select {
	case s.slots <- struct{}{}:
	default:
		a.release()
		return nil, nil, wire.TooManyAudits(cap(s.slots))
	}
	select {
	case a.processor = <-s.processors:
	case <-ctx.Done():
		<-s.slots
		fail := s.ended(ctx)
		a.release()
		return nil, nil, fail
	}
	s.metrics.AuditBegins(method)
	return ctx, a, nil
}

// stateFor returns the present state, or a later one that is not older than token.
func (s *Service) stateFor(
	ctx context.Context, token string, at wire.QuestionIndex,
) (current.State, *wire.Failure) {
	state, fail := s.state.Present()
	if fail != nil || token == "" || token == state.Token {
		return state, fail
	}
	state, fail = s.state.Wait(ctx, token)
	if fail != nil {
		return state, fail.AtLeast(at)
	}
	return state, nil
}

// end ends the audit.
func (a *call) end() {
	a.service.metrics.AuditEnds(a.method)
	a.service.processors <- a.processor
	<-a.service.slots
	a.release()
}

func (a *call) release() {
	for _, free := range a.free {
		free()
	}
}

// yield lets decisions and other audits compute that wait for it, in their order. Call it every millisecond of work.
func (a *call) yield(ctx context.Context) *wire.Failure {
	return a.waiting(ctx, func() *wire.Failure { return nil })
}

// waiting calls f, which may block, while other audits compute. Send every message of a stream in it: a caller
// who reads slowly must hold up nobody.
func (a *call) waiting(ctx context.Context, f func() *wire.Failure) *wire.Failure {
	a.service.processors <- a.processor
	// It is taken back without regard to ctx: end gives it away. Whoever has it yields soon.
	defer a.resume()
	if fail := f(); fail != nil {
		return fail
	}
	if ctx.Err() != nil {
		return a.service.ended(ctx)
	}
	return nil
}

// aside calls f, which may block for a while, while other audits compute.
func (a *call) aside(f func()) {
	a.service.processors <- a.processor
	defer a.resume()
	f()
}

// resume takes a processor again, and leaves it to decisions for as long as is theirs.
func (a *call) resume() {
	a.processor = <-a.service.processors
	a.processor.rest(a.service)
}

// header returns the first message of a stream: the state that all of it rests on (A1).
func (a *call) header() *netpoldv1.AuditHeader {
	status, snapshot := a.service.source.Status(), a.state.Snapshot
	return &netpoldv1.AuditHeader{
		Revision:           snapshot.Revision(),
		Token:              a.state.Token,
		Stale:              a.state.Stale,
		SnapshotTime:       timestamppb.New(a.state.Published),
		Source:             status.Source,
		IpblockMatchesPods: !snapshot.Options().IPBlockIgnoresPods,
		Objects:            wire.Counts(snapshot.Counts()),
		Overlaid:           a.overlaid,
		OverlayWarnings:    a.warnings,
		JoinedDirections:   snapshot.Options().JoinDirections,
	}
}

// ended returns the failure of a call whose context has ended.
func (s *Service) ended(ctx context.Context) *wire.Failure {
	if errors.Is(context.Cause(ctx), errTooLong) {
		return &wire.Failure{Code: codes.DeadlineExceeded,
			Message: fmt.Sprintf("the audit took longer than the %v that the server gives one; ask for less, or "+
				"raise the server's --max-audit-deadline", s.maxDeadline)}
	}
	return current.Ended(ctx)
}

// failed counts the failure of a call of method and returns it as its error.
func (s *Service) failed(method string, f *wire.Failure) error {
	s.metrics.AuditFailed(method, f)
	return f.Err()
}

// changesState reports whether an overlay asks for changes.
func changesState(o *netpoldv1.Overlay) bool { return len(o.GetChanges()) > 0 || o.GetPrune() }

// MaxOverlayBytes is the largest overlay of a request (A8), as a message.
const MaxOverlayBytes = 4 << 20

// layOver lays the overlay of a request over the state that the call answers from (A4). Nobody else sees it, and
// the revision and the token stay those of the state below it.
func (a *call) layOver(o *netpoldv1.Overlay) *wire.Failure {
	if !changesState(o) {
		return nil
	}
	if size := proto.Size(o); size > MaxOverlayBytes {
		return wire.AuditTooLarge("overlay", "bytes", size, MaxOverlayBytes,
			"leave out what does not change, or make several requests of it")
	}
	if a.service.overlay == nil {
		return wire.Invalid([]*errdetails.BadRequest_FieldViolation{{Field: "overlay",
			Description: "this server does not read changes; leave them out"}})
	}
	overlay, fail := wire.Overlay(o)
	if fail != nil {
		return fail
	}
	changes, warnings, err := a.service.overlay(a.state.Snapshot, overlay)
	if err != nil {
		return wire.OverlayFailure(err)
	}
	a.warnings = wire.OverlayWarnings(warnings)
	a.below = a.state.Snapshot
	a.state.Snapshot, a.overlaid = a.below.With(changes), true
	return nil
}
