package audits

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/netpold/netpold/audit"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/wire"
)

// DefaultMaxConnections is the default of [Options.MaxConnections].
const DefaultMaxConnections = 5_000_000

// ListConnections says who may reach whom on what. It ends early only with an error, or with a summary that
// has a cursor.
func (s *Service) ListConnections(
	req *netpoldv1.ListConnectionsRequest, stream grpc.ServerStreamingServer[netpoldv1.ListConnectionsResponse],
) error {
	l := &listing{service: s, req: req, began: time.Now()}
	return answerStream(s, metrics.ListConnections, stream,
		func(ctx context.Context, out *sender[*netpoldv1.ListConnectionsResponse]) *wire.Failure {
			l.out = out
			return l.run(ctx)
		})
}

// A listing is one call of ListConnections.
type listing struct {
	service *Service
	call    *call
	req     *netpoldv1.ListConnectionsRequest
	out     *sender[*netpoldv1.ListConnectionsResponse]
	began   time.Time

	kept *keptList
	walk *listWalk
	// sent is how far the caller has got the list. It is written in turns of out.
	sent place
	// told reports whether the caller has got a cursor.
	told bool
}

// run sends the list.
func (l *listing) run(ctx context.Context) *wire.Failure {
	if fail := wire.FiltersTooLarge(l.req); fail != nil {
		return fail
	}
	r := wire.RequestReader{Index: wire.Alone}
	request := r.ListRequest(l.req)
	if len(r.Violations) > 0 {
		return wire.Invalid(r.Violations)
	}
	ctx, a, fail := l.service.begin(ctx, metrics.ListConnections, l.req.GetAtLeast(), wire.Alone)
	if fail != nil {
		return fail
	}
	defer a.end()
	l.call = a
	if fail := l.open(request); fail != nil {
		return fail
	}
	complete := false
	defer func() { l.close(complete) }()
	stopProgress := l.out.tell(ctx, l.progress)
	defer func() { l.call.aside(stopProgress) }()
	if fail = l.sendHeader(ctx); fail == nil {
		fail = l.position(ctx)
	}
	if fail == nil {
		complete, fail = l.sendResults(ctx, stopProgress)
	}
	return fail
}

// open begins the list, or goes on with that of the request's cursor.
func (l *listing) open(request *audit.ListRequest) (fail *wire.Failure) {
	if l.req.GetCursor() == "" {
		if fail := l.call.layOver(l.req.GetOverlay()); fail != nil {
			return fail
		}
		l.kept = l.service.lists.begin(l.req, l.call.state, request)
		return nil
	}
	l.told = true
	if l.kept, l.walk, l.sent.position, fail = l.service.lists.resume(l.req); fail != nil {
		return fail
	}
	l.call.state, l.call.overlaid = l.kept.state, changesState(l.req.GetOverlay())
	if l.walk != nil {
		l.sent.connections, l.sent.progress = l.walk.connections, l.walk.progress
	}
	return nil
}

// close keeps a list that the caller can go on with, and forgets others.
func (l *listing) close(complete bool) {
	if complete || !l.told {
		l.service.lists.drop(l.kept)
		return
	}
	walk := l.walk
	if walk != nil && walk.position != l.sent.position { // what was lost on the way is worked out anew
		walk = nil
	}
	l.service.lists.keep(l.kept, walk)
}

// position makes the walk, and moves it to where the cursor points.
func (l *listing) position(ctx context.Context) *wire.Failure {
	if l.walk != nil {
		return nil
	}
	walk, err := newListWalk(ctx.Done(), l.kept.state.Snapshot, l.kept.request)
	if err != nil {
		return l.service.filterFailure(ctx, l.kept.state.Snapshot, l.req, err)
	}
	var fail *wire.Failure
	turn := l.service.beginTurn()
	_, err = walk.each(ctx.Done(), func(*audit.Item) bool {
		if walk.position == l.sent.position {
			return false
		}
		if turn.over() {
			fail = l.call.yield(ctx)
		}
		return fail == nil
	})
	switch {
	case err != nil:
		return l.service.filterFailure(ctx, l.kept.state.Snapshot, l.req, err)
	case fail != nil:
		return fail
	}
	l.walk = walk
	l.out.inTurn(func() { l.sent = place{walk.position, walk.connections, walk.progress} })
	return nil
}

// sendResults sends what is to come, and a summary. It reports whether that was all.
func (l *listing) sendResults(ctx context.Context, stopProgress func()) (bool, *wire.Failure) {
	limit := uint64(l.service.maxConnections)
	if n := uint64(l.req.GetMaxConnections()); n != 0 && n < limit {
		limit = n
	}
	limit += l.walk.connections
	var fail *wire.Failure
	summary, err := l.walk.each(ctx.Done(), func(item *audit.Item) bool {
		if item.Connection != nil && l.walk.connections == limit {
			return false
		}
		now := place{l.walk.position + 1, l.walk.connections, l.walk.progress}
		if item.Connection != nil {
			now.connections++
		}
		fail = l.send(ctx, func() *netpoldv1.ListConnectionsResponse { return wire.ListItem(item) }, &now)
		return fail == nil
	})
	if err != nil {
		return false, l.service.filterFailure(ctx, l.kept.state.Snapshot, l.req, err)
	}
	if fail != nil {
		return false, fail
	}
	l.call.aside(stopProgress)
	fail = l.sendSummary(ctx, &summary)
	return !summary.Truncated && fail == nil, fail
}

func (l *listing) sendSummary(ctx context.Context, s *audit.ListSummary) *wire.Failure {
	to := &netpoldv1.ListSummary{
		Groups: uint32(s.Groups), Connections: l.walk.connections,
		PairsAllowed: s.PairsAllowed, PairsTotal: s.PairsTotal,
		UnaskableServices: uint32(s.UnaskableServices), Truncated: s.Truncated,
	}
	if s.Truncated {
		l.told = true
		to.Cursor = l.service.lists.key.encode(cursor{l.kept.id, l.walk.position})
	}
	return l.send(ctx, func() *netpoldv1.ListConnectionsResponse {
		to.Took = durationpb.New(time.Since(l.began))
		return &netpoldv1.ListConnectionsResponse{Item: &netpoldv1.ListConnectionsResponse_Summary{Summary: to}}
	}, nil)
}

func (l *listing) sendHeader(ctx context.Context) *wire.Failure {
	return l.send(ctx, func() *netpoldv1.ListConnectionsResponse {
		return &netpoldv1.ListConnectionsResponse{Item: &netpoldv1.ListConnectionsResponse_Header{
			Header: l.call.header(),
		}}
	}, nil)
}

// send sends a message while other audits compute. Then the caller is at now, if that is not nil.
func (l *listing) send(ctx context.Context, make func() *netpoldv1.ListConnectionsResponse,
	now *place) *wire.Failure {
	return deliver(ctx, l.call, l.out, make, func() {
		if now != nil {
			l.sent = *now
		}
	})
}

// progress returns how far the caller has got the list. It is called in a turn of out.
func (l *listing) progress() *netpoldv1.ListConnectionsResponse {
	l.told = true
	return &netpoldv1.ListConnectionsResponse{Item: &netpoldv1.ListConnectionsResponse_Progress{
		Progress: l.sent.message(l.service.lists.key.encode(cursor{l.kept.id, l.sent.position})),
	}}
}
