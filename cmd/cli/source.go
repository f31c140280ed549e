package cli

import (
	"context"
	"errors"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server"
)

// mirrored is what every mirror offers.
type mirrored interface {
	State() (mirror.State, bool)
	Wait(ctx context.Context, token string) (mirror.State, error)
	Status() mirror.Status
}

// source is a mirror as the server wants it.
type source struct {
	mirrored
	ready chan struct{}
}

// newSource adapts a mirror whose first full sync is complete.
func newSource(m mirrored) source {
	ready := make(chan struct{})
	close(ready)
	return source{mirrored: m, ready: ready}
}

func (s source) Ready() <-chan struct{} { return s.ready }

func (s source) State() (server.State, bool) {
	state, ok := s.mirrored.State()
	return server.State(state), ok
}

func (s source) Wait(ctx context.Context, token string) (server.State, error) {
	state, err := s.mirrored.Wait(ctx, token)
	switch {
	case errors.Is(err, mirror.ErrTokenMalformed):
		err = server.ErrTokenMalformed
	case errors.Is(err, mirror.ErrTokenUnknown):
		err = server.ErrTokenUnknown
	}
	return server.State(state), err
}

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
