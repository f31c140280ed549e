package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"google.golang.org/grpc"

	"github.com/netpold/netpold/server/internal/current"
)

// Run serves until ctx ends, and then drains, in this order:
//
//  1. health turns to NOT_SERVING and /readyz to 503, so that no new callers are sent here;
//  2. calls are answered for Config.DrainDelay more, until those who send callers have seen it;
//  3. streams, and calls that wait for at_least, end with UNAVAILABLE: they would not end by themselves;
//  4. no new call is taken, and those in progress get Config.DrainTimeout before they are cut;
//  5. the admin pages go last, so that the drain can be watched;
//  6. what is queued of the decision log is written.
//
// It returns nil after a drain, and after [Server.Stop], which cuts a drain short. Otherwise it returns why
// it could not continue to serve.
func (s *Server) Run(ctx context.Context) error {
	unmeasured, err := s.gate.ShedWaiting()
	if err != nil {
		s.Stop()
		return fmt.Errorf("measuring how many calls wait: %w", err)
	}
	defer unmeasured()
	serving := []any{"addr", s.Addr(), "admin_addr", s.AdminAddr()}
	if s.forwardAuth != nil {
		serving = append(serving, "forward_auth_addr", s.ForwardAuthAddr())
	}
	s.log.Info("serving", serving...)
	s.warn()
	// A server that is ready from the start must say so to its first caller.
	health := s.turnHealth(turn{ready: s.source.Ready()})
	s.running.Store(true)
	endDecisions := s.writeDecisions()
	parts := []func() error{s.serveGRPC}
	if s.admin != nil {
		parts = append(parts, s.serveAdmin)
	}
	if s.forwardAuth != nil {
		parts = append(parts, s.forwardAuth.serve)
	}
	failed := make(chan error, len(parts))
	var running sync.WaitGroup
	for _, part := range parts {
		running.Go(func() {
			if err := part(); err != nil {
				failed <- err
			}
		})
	}
	followed, endNotes := context.WithCancel(context.WithoutCancel(ctx))
	running.Go(func() { s.followNotes(followed) })
	running.Go(func() { s.callers.follow(followed, s) })
	err = s.untilEnd(ctx, health, failed)
	endNotes()
	s.drainCalls()
	s.Stop()
	running.Wait()
	endDecisions()
	s.log.Info("stopped")
	return err
}

func (s *Server) serveGRPC() error {
	if err := s.grpc.Serve(s.gate.Listener(s.grpcListener, true)); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serving gRPC on %s: %w", s.Addr(), err)
	}
	return nil
}

func (s *Server) serveAdmin() error {
	serve := s.admin.Serve
	if s.admin.TLSConfig != nil {
		serve = func(l net.Listener) error { return s.admin.ServeTLS(l, "", "") }
	}
	if err := serve(s.adminListener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the admin pages on %s: %w", s.AdminAddr(), err)
	}
	return nil
}

// untilEnd turns health at the first full sync (S26) and when the state becomes stale or current again, and
// returns when serving is to end.
func (s *Server) untilEnd(ctx context.Context, health turn, failed <-chan error) error {
	for {
		select {
		case <-health.ready:
			health = s.turnHealth(health)
		case <-health.staleChanged:
			health = s.turnHealth(health)
		case <-ctx.Done():
			return nil
		case <-s.stopped:
			return nil
		case err := <-failed:
			return err
		}
	}
}

// A turn is what health was last set from, and the channels that say when to set it again.
type turn struct {
	// ready is closed at the first full sync; nil after it.
	ready        <-chan struct{}
	stale        bool
	staleChanged <-chan struct{}
}

// turnHealth sets health from the present state, and logs what has changed since last.
func (s *Server) turnHealth(last turn) turn {
	next := turn{ready: last.ready}
	next.stale, next.staleChanged = s.source.Stale()
	select {
	case <-next.ready:
		next.ready = nil
	default:
	}
	setHealth(s.health, next.ready == nil, next.stale, s.whenStale)
	if last.ready != nil && next.ready == nil {
		s.log.Info("ready")
	}
	switch {
	case next.stale && !last.stale:
		s.log.Warn("the cluster's state is stale: the health of DecisionService is NOT_SERVING", "when_stale",
			s.whenStale,
			"resources", current.StaleText(s.source.Status().Resources))
	case last.stale && !next.stale:
		s.log.Info("the cluster's state is current again")
	}
	return next
}

// drainCalls does steps 1 to 4 of [Server.Run].
func (s *Server) drainCalls() {
	s.draining.Store(true)
	s.health.Shutdown()
	if s.drain.delay > 0 {
		s.log.Info("draining", "delay", s.drain.delay, "timeout", s.drain.timeout)
		select {
		case <-s.after(s.drain.delay):
		case <-s.stopped:
		}
	}
	s.endStreams(current.ErrShuttingDown)
	done := make(chan struct{})
	inTime, end := context.WithCancel(context.Background())
	defer end()
	go func() {
		defer close(done)
		var finishing sync.WaitGroup
		finishing.Go(func() { s.forwardAuth.drain(inTime) })
		s.grpc.GracefulStop()
		finishing.Wait()
	}()
	select {
	case <-done:
	case <-s.stopped:
	case <-s.after(s.drain.timeout):
		s.log.Warn("calls still in progress after the drain timeout are cut", "timeout", s.drain.timeout)
	}
	end()
	s.grpc.Stop()
	<-done
}
