package servertest

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// tokenPrefix distinguishes the tokens of a [Source] from those of others.
const tokenPrefix = "servertest"

// A Source is a [mirror.Source] whose cluster a test changes. Its tokens are "servertest:" and the revision.
// A token with another word before the colon belongs to another source. A token without a colon and a number
// is malformed.
type Source struct {
	cluster *engine.Cluster
	ready   chan struct{}

	// mu guards the rest. It is held while the cluster changes, so that states are published in order of
	// revision.
	mu      sync.Mutex
	state   mirror.State
	changed chan struct{}
	status  mirror.Status
	stale   bool
	// turned is closed when stale changes next.
	turned chan struct{}
}

// NewSource returns a source of an empty cluster. It is synced after the first Apply (S26).
func NewSource() *Source {
	return &Source{
		cluster: engine.NewCluster(engine.Options{}),
		ready:   make(chan struct{}),
		changed: make(chan struct{}),
		turned:  make(chan struct{}),
		status:  mirror.Status{Source: tokenPrefix},
	}
}

// Apply makes changes and publishes the cluster as one state.
func (s *Source) Apply(changes ...engine.Change) mirror.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot := s.cluster.Apply(changes...)
	s.state = mirror.State{
		Snapshot:  snapshot,
		Token:     tokenPrefix + ":" + strconv.FormatUint(snapshot.Revision(), 10),
		Published: time.Now(),
	}
	close(s.changed)
	s.changed = make(chan struct{})
	if !s.status.Ready {
		s.status.Ready = true
		close(s.ready)
	}
	return s.state
}

// SetStatus sets the result of Status, except Ready.
func (s *Source) SetStatus(status mirror.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status.Ready = s.status.Ready
	s.status = status
}

// SetStale sets the result of Stale. The ages of the resources are set by SetStatus.
func (s *Source) SetStale(stale bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale == stale {
		return
	}
	s.stale = stale
	close(s.turned)
	s.turned = make(chan struct{})
}

// Stale implements [mirror.Source].
func (s *Source) Stale() (stale bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stale, s.turned
}

// State implements [mirror.Source].
func (s *Source) State() (mirror.State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.status.Ready
}

// Changed implements [mirror.Source].
func (s *Source) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Ready implements [mirror.Source].
func (s *Source) Ready() <-chan struct{} { return s.ready }

// Status implements [mirror.Source].
func (s *Source) Status() mirror.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Wait implements [mirror.Source].
func (s *Source) Wait(ctx context.Context, token string) (mirror.State, error) {
	prefix, number, _ := strings.Cut(token, ":")
	revision, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return mirror.State{}, mirror.ErrTokenMalformed
	}
	if prefix != tokenPrefix {
		return mirror.State{}, mirror.ErrTokenUnknown
	}
	for {
		s.mu.Lock()
		state, ready, changed := s.state, s.status.Ready, s.changed
		s.mu.Unlock()
		if ready && state.Snapshot.Revision() >= revision {
			return state, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return mirror.State{}, ctx.Err()
		}
	}
}
