package server

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/netpold/netpold/mirror"
)

// WhenStale is what becomes of questions while the cluster's state is stale.
type WhenStale string

// The values of [WhenStale]; empty is AnswerWhenStale.
const (
	// AnswerWhenStale answers from the last state, and says in each response that it is stale.
	AnswerWhenStale WhenStale = "answer"
	// DenyWhenStale answers nothing: every question gets UNAVAILABLE, with the reason STALE.
	DenyWhenStale WhenStale = "deny"
)

// basis is what answers rest on: a state, and whether it is stale.
type basis struct {
	mirror.State
	stale bool
}

// present is the basis of answers now; a failure where there is none.
func (d *Decisions) present() (basis, *failure) {
	state, ok := d.source.State()
	if !ok {
		return basis{}, notSynced()
	}
	return d.on(state)
}

// on makes a state the basis of answers, unless stale ones are refused.
func (d *Decisions) on(state mirror.State) (basis, *failure) {
	stale := d.stale.now()
	if stale && d.whenStale == DenyWhenStale {
		return basis{}, staleRefused(d.source.Status().Resources)
	}
	return basis{State: state, stale: stale}, nil
}

// staleness remembers [mirror.Source.Stale] between its changes: a question pays for a load and a look at an open channel. It is safe
// for concurrent use.
type staleness struct {
	source mirror.Source
	last   atomic.Pointer[staleAnswer]
}

// staleAnswer is what Source.Stale answered.
type staleAnswer struct {
	stale   bool
	changed <-chan struct{}
}

func newStaleness(source mirror.Source) *staleness {
	s := &staleness{source: source}
	s.ask()
	return s
}

// now tells whether the state is stale.
func (s *staleness) now() bool {
	last := s.last.Load()
	select {
	case <-last.changed:
		return s.ask()
	default:
		return last.stale
	}
}

// ask asks the source. An answer that is stored after a newer one is found to have changed at the next look.
func (s *staleness) ask() bool {
	stale, changed := s.source.Stale()
	s.last.Store(&staleAnswer{stale: stale, changed: changed})
	return stale
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

// staleText names what is stale, and for how long nothing was heard of it: "pods (5m12s), nodes (5m12s)".
func staleText(resources []mirror.Resource) string {
	var parts []string
	for _, r := range resources {
		if r.Stale {
			parts = append(parts, fmt.Sprintf("%s (%v)", r.Name, r.Age.Round(time.Second)))
		}
	}
	return strings.Join(parts, ", ")
}
