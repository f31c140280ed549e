package audits

import (
	"context"
	"errors"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/wire"
)

// A place is how far a list or a difference is.
type place struct {
	position, connections uint64
	progress              audit.Progress
}

// message returns the place as progress. cursor is empty for what cannot be gone on with.
func (p *place) message(cursor string) *netpoldv1.ListProgress {
	return &netpoldv1.ListProgress{
		Cursor:      cursor,
		Connections: p.connections,
		SourcesDone: uint32(p.progress.SourcesDone), SourcesTotal: uint32(p.progress.SourcesTotal),
	}
}

// filterFailure returns the failure for an error of what a request with filters asks of a snapshot.
func (s *Service) filterFailure(
	ctx context.Context, snapshot *engine.Snapshot, req wire.Filtered, err error,
) *wire.Failure {
	if wrong, ok := errors.AsType[*audit.RequestError](err); ok {
		return wire.FilterError(snapshot, req, wrong)
	}
	if ctx.Err() != nil {
		return s.ended(ctx)
	}
	return wire.EngineError(wire.Alone, nil, err)
}
