package cli

import (
	"context"
	"errors"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/live"
	"github.com/netpold/netpold/server"
)

// mirrored is what every mirror offers.
type mirrored interface {
	State() (mirror.State, bool)
	Wait(ctx context.Context, token string) (mirror.State, error)
	Status() mirror.Status
	// Run follows the state until ctx ends.
	Run(ctx context.Context) error
}

// source is a mirror as the server wants it.
type source struct {
	mirrored
	ready <-chan struct{}
	stale func() (bool, <-chan struct{})
}

// filesSource adapts manifests that are read already. What is wrong with them is told by their status; they are never stale, for
// to read them again would not help.
func filesSource(m mirrored) source {
	ready := make(chan struct{})
	close(ready)
	return source{mirrored: m, ready: ready, stale: func() (bool, <-chan struct{}) { return false, nil }}
}

// clusterSource adapts a running cluster.
func clusterSource(s *live.Source) source {
	return source{mirrored: s, ready: s.Ready(), stale: s.Stale}
}

func (s source) Ready() <-chan struct{} { return s.ready }

func (s source) Stale() (stale bool, changed <-chan struct{}) { return s.stale() }

func (s source) State() (server.State, bool) {
	state, ok := s.mirrored.State()
	return server.State(state), ok
}

func (s source) Wait(ctx context.Context, token string) (server.State, error) {
	state, err := s.mirrored.Wait(ctx, token)
	lag, lags := errors.AsType[*live.LagError](err)
	switch {
	case errors.Is(err, mirror.ErrTokenMalformed):
		err = server.ErrTokenMalformed
	case errors.Is(err, mirror.ErrTokenUnknown):
		err = server.ErrTokenUnknown
	case lags:
		err = lagging{lag}
	}
	return server.State(state), err
}

// lagging is an error of waiting as the server wants it.
type lagging struct{ *live.LagError }

// Lagging names the resources that are older than the token.
func (l lagging) Lagging() []string { return l.Resources }

func (s source) Status() server.Status {
	status := s.mirrored.Status()
	out := server.Status{
		Source: status.Source, Ready: status.Ready, IgnoredKinds: status.IgnoredKinds,
		Resources: make([]server.Resource, len(status.Resources)),
		Problems:  make([]server.Problem, len(status.Problems)),
	}
	for i, r := range status.Resources {
		out.Resources[i] = server.Resource{
			Name: r.Resource, Synced: r.Synced, Objects: r.Objects, Age: r.Age, Stale: r.Stale, Error: r.Error,
		}
	}
	for i, p := range status.Problems {
		out.Problems[i] = server.Problem(p)
	}
	return out
}
