package access

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/peer"

	"github.com/netpold/netpold/server/internal/wire"
)

const (
	// quiet is how long a refusal of a principal at a service is not logged again.
	quiet = 10 * time.Second
	// maxTold bounds how many principals and services are remembered. When there are more within quiet, those beyond
	// are counted, and not logged.
	maxTold = 1024
)

// A refusal is whom what refused; the principal is empty if it is not known.
type refusal struct{ principal, service string }

// refusals logs refusals. It is safe for concurrent use.
type refusals struct {
	log *slog.Logger

	// mu guards last, when each was logged.
	mu   sync.Mutex
	last map[refusal]time.Time
}

// tell logs a refusal, unless it was logged within quiet.
func (r *refusals) tell(ctx context.Context, now time.Time, of refusal, f *wire.Failure) {
	if !r.due(now, of) {
		return
	}
	address := ""
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		address = p.Addr.String()
	}
	r.log.WarnContext(ctx, "caller refused", "reason", f.Reason, "principal", of.principal, "service", of.service,
		"peer", address, "error", f.Message)
}

// due reports whether a refusal is to be logged, and remembers that it is.
func (r *refusals) due(now time.Time, of refusal) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, told := r.last[of]; told && now.Sub(last) < quiet {
		return false
	}
	if len(r.last) >= maxTold {
		for old, at := range r.last {
			if now.Sub(at) >= quiet {
				delete(r.last, old)
			}
		}
		if len(r.last) >= maxTold {
			return false
		}
	}
	r.last[of] = now
	return true
}
