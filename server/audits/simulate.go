package audits

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/wire"
)

// Simulate says what changes would change. It ends early only with an error, or with a summary that says that
// it stopped at the limit.
func (s *Service) Simulate(
	req *netpoldv1.SimulateRequest, stream grpc.ServerStreamingServer[netpoldv1.SimulateResponse],
) error {
	return s.simulate(&simulation{req: req}, stream)
}

// Compare is Simulate with a state after that was built apart, in place of an overlay, which req must not have.
func (s *Service) Compare(
	req *netpoldv1.SimulateRequest, after *engine.Snapshot,
	stream grpc.ServerStreamingServer[netpoldv1.SimulateResponse],
) error {
	return s.simulate(&simulation{req: req, apart: after}, stream)
}

// simulate answers a call.
func (s *Service) simulate(
	m *simulation, stream grpc.ServerStreamingServer[netpoldv1.SimulateResponse],
) error {
	m.service, m.began = s, time.Now()
	return answerStream(s, metrics.Simulate, stream,
		func(ctx context.Context, out *sender[*netpoldv1.SimulateResponse]) *wire.Failure {
			m.out = out
			return m.run(ctx)
		})
}

// A simulation is one call of Simulate.
type simulation struct {
	service *Service
	call    *call
	req     *netpoldv1.SimulateRequest
	out     *sender[*netpoldv1.SimulateResponse]
	began   time.Time
	// apart is the state after if it was built apart; nil if an overlay makes it.
	apart *engine.Snapshot

	before, after current.State
	// sent is how far the caller has got the changes. It is written in turns of out.
	sent place
	turn *turn
}

// run sends the difference.
func (m *simulation) run(ctx context.Context) *wire.Failure {
	if fail := wire.DiffTooLarge(m.req); fail != nil {
		return fail
	}
	r := wire.RequestReader{Index: wire.Alone}
	request := r.DiffRequest(m.req)
	if m.apart == nil {
		r.RequireOverlay(m.req.GetOverlay())
	}
	if len(r.Violations) > 0 {
		return wire.Invalid(r.Violations)
	}
	ctx, a, fail := m.service.begin(ctx, metrics.Simulate, m.req.GetAtLeast(), wire.Alone)
	if fail != nil {
		return fail
	}
	defer a.end()
	m.call, m.before, m.after, m.turn = a, a.state, a.state, m.service.beginTurn()
	if m.apart != nil {
		// Only what differs is compared where the one is built on the other.
		m.after.Snapshot = m.before.Snapshot.With(m.before.Snapshot.ChangesTo(m.apart))
	} else if fail := m.layOver(); fail != nil {
		return fail
	}
	stopProgress := m.out.tell(ctx, m.progress)
	defer func() { a.aside(stopProgress) }()
	fail = m.send(ctx, &netpoldv1.SimulateResponse{
		Item: &netpoldv1.SimulateResponse_Header{Header: a.header()},
	})
	summary := new(audit.DiffSummary)
	if fail == nil && !m.req.GetQuestionsOnly() {
		summary, fail = m.sendChanges(ctx, request)
	}
	if fail == nil {
		fail = m.sendAnswers(ctx)
	}
	if fail != nil {
		return fail
	}
	a.aside(stopProgress)
	end := wire.DiffSummary(summary)
	end.Took = durationpb.New(time.Since(m.began))
	return m.send(ctx, &netpoldv1.SimulateResponse{Item: &netpoldv1.SimulateResponse_Summary{Summary: end}})
}

// layOver makes the state after of the overlay. The call itself goes on with the state before.
func (m *simulation) layOver() *wire.Failure {
	fail := m.call.layOver(m.req.GetOverlay())
	m.after, m.call.state = m.call.state, m.before
	return fail
}

// sendChanges sends the groups of both states, and what differs, up to the limit.
func (m *simulation) sendChanges(
	ctx context.Context, request *audit.DiffRequest,
) (*audit.DiffSummary, *wire.Failure) {
	diff, err := audit.NewDiff(ctx.Done(), m.before.Snapshot, m.after.Snapshot, request)
	if err == nil {
		err = diff.SelectsNothing()
	}
	if err != nil {
		return nil, m.service.filterFailure(ctx, m.after.Snapshot, m.req, err)
	}
	groups := diff.Groups()
	for i := range groups {
		if fail := m.send(ctx, wire.DiffItem(&audit.DiffItem{Group: &groups[i]})); fail != nil {
			return nil, fail
		}
	}
	changes, limit := uint64(0), uint64(m.service.maxConnections)
	var fail *wire.Failure
	summary, err := diff.Changes(ctx.Done(), func(item audit.DiffItem) bool {
		switch {
		case item.Progress != nil:
			m.out.inTurn(func() { m.sent.progress = *item.Progress })
			fail = m.yield(ctx)
			return fail == nil
		case item.Change != nil && changes == limit:
			return false
		case item.Change != nil:
			changes++
		}
		fail = deliver(ctx, m.call, m.out,
			func() *netpoldv1.SimulateResponse { return wire.DiffItem(&item) },
			func() { m.sent.connections = changes })
		return fail == nil
	})
	if err != nil && fail == nil {
		fail = m.service.filterFailure(ctx, m.after.Snapshot, m.req, err)
	}
	return &summary, fail
}

// yield lets other audits compute if this one's turn is over.
func (m *simulation) yield(ctx context.Context) *wire.Failure {
	if !m.turn.over() {
		return nil
	}
	return m.call.yield(ctx)
}

// send sends a message.
func (m *simulation) send(ctx context.Context, message *netpoldv1.SimulateResponse) *wire.Failure {
	return deliver(ctx, m.call, m.out, func() *netpoldv1.SimulateResponse { return message }, func() {})
}

// progress returns how far the caller has got the changes. It is called in a turn of out. A difference has no
// cursor: it cannot be gone on with.
func (m *simulation) progress() *netpoldv1.SimulateResponse {
	return &netpoldv1.SimulateResponse{Item: &netpoldv1.SimulateResponse_Progress{
		Progress: m.sent.message(""),
	}}
}
