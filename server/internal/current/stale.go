package current

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/internal/wire"
)

// A staleness remembers the result of [mirror.Source.Stale] until it changes. So a question costs one atomic
// load and one look at an open channel. It is safe for concurrent use.
type staleness struct {
	source mirror.Source
	last   atomic.Pointer[staleAnswer]
}

// staleAnswer is a result of Source.Stale.
type staleAnswer struct {
	stale   bool
	changed <-chan struct{}
}

func newStaleness(source mirror.Source) *staleness {
	s := &staleness{source: source}
	s.ask()
	return s
}

// now reports whether the state is stale.
func (s *staleness) now() bool {
	last := s.last.Load()
	select {
	case <-last.changed:
		return s.ask()
	default:
		return last.stale
	}
}

// ask asks the source. A late result may overwrite a newer one; its closed channel makes the next call ask
// again.
func (s *staleness) ask() bool {
	stale, changed := s.source.Stale()
	s.last.Store(&staleAnswer{stale: stale, changed: changed})
	return stale
}

// notSynced refuses everything before the first full sync (S26).
func notSynced() *wire.Failure {
	return &wire.Failure{
		Code: codes.Unavailable, Reason: wire.ReasonNotSynced,
		Message: "the first full sync of the cluster's state is not complete; retry, or see " +
			"netpold.v1.StatusService/GetStatus",
	}
}

// refuseStale refuses everything because resources are stale.
func refuseStale(resources []mirror.Resource) *wire.Failure {
	f := &wire.Failure{Code: codes.Unavailable, Reason: wire.ReasonStale}
	names := staleNames(resources)
	what := "some resource"
	if len(names) > 0 { // empty if it has just become current again
		what = StaleText(resources)
		f.Metadata = map[string]string{"resources": strings.Join(names, ",")}
	}
	f.Message = "the cluster's state is stale, and the server refuses to answer from it (--when-stale=deny): " +
		"nothing was heard of " +
		what + "; retry, or see netpold.v1.StatusService/GetStatus"
	return f
}

func staleNames(resources []mirror.Resource) []string {
	var names []string
	for _, r := range resources {
		if r.Stale {
			names = append(names, r.Name)
		}
	}
	return names
}

// StaleText names the stale resources with their ages. Example: "pods (5m12s), nodes (5m12s)".
func StaleText(resources []mirror.Resource) string {
	var parts []string
	for _, r := range resources {
		if r.Stale {
			parts = append(parts, fmt.Sprintf("%s (%v)", r.Name, r.Age.Round(time.Second)))
		}
	}
	return strings.Join(parts, ", ")
}
