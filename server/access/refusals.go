package access

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc/peer"

	"github.com/netpold/netpold/server/internal/occasions"
	"github.com/netpold/netpold/server/internal/wire"
)

// A refusal is whom what refused; the principal is empty if it is not known.
type refusal struct{ principal, service string }

// refusals logs refusals, each now and then. It is safe for concurrent use.
type refusals struct {
	log       *slog.Logger
	occasions occasions.Occasions[refusal]
}

// tell logs a refusal, unless it was logged a moment ago.
func (r *refusals) tell(ctx context.Context, now time.Time, of refusal, f *wire.Failure) {
	if !r.occasions.Due(now, of) {
		return
	}
	address := ""
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		address = p.Addr.String()
	}
	r.log.WarnContext(ctx, "caller refused", "reason", f.Reason, "principal", of.principal, "service", of.service,
		"peer", address, "error", f.Message)
}
