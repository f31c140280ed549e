package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// Run serves until ctx ends, and then drains, in this order:
//
//  1. health turns to NOT_SERVING and /readyz to 503, so that no new callers are sent here;
//  2. calls are answered for Config.DrainDelay more, until those who send callers have seen it;
//  3. streams, and calls that wait for at_least, end with UNAVAILABLE: they would not end by themselves;
//  4. no new call is taken, and those in progress get Config.DrainTimeout before they are cut;
//  5. the admin pages go last, so that the drain can be watched.
//
// It returns nil after a drain, and after [Server.Stop], which cuts a drain short; else why it could not serve on.
func (s *Server) Run(ctx context.Context) error {
	s.log.Info("serving", "addr", s.Addr(), "admin_addr", s.AdminAddr())
	ready := s.source.Ready()
	select {
	case <-ready:
		// So that a server that is ready from the start says so to its first caller.
		s.turnReady()
		ready = nil
	default:
	}
	parts := []func() error{s.serveGRPC}
	if s.admin != nil {
		parts = append(parts, s.serveAdmin)
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
	err := s.untilEnd(ctx, ready, failed)
	s.drainCalls()
	s.Stop()
	running.Wait()
	s.log.Info("stopped")
	return err
}

func (s *Server) serveGRPC() error {
	if err := s.grpc.Serve(s.grpcListener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serving gRPC on %s: %w", s.Addr(), err)
	}
	return nil
}

func (s *Server) serveAdmin() error {
	if err := s.admin.Serve(s.adminListener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the admin pages on %s: %w", s.AdminAddr(), err)
	}
	return nil
}

// untilEnd turns health to SERVING at the first full sync (S26), and returns when serving is to end.
func (s *Server) untilEnd(ctx context.Context, ready <-chan struct{}, failed <-chan error) error {
	for {
		select {
		case <-ready:
			s.turnReady()
			ready = nil
		case <-ctx.Done():
			return nil
		case <-s.stopped:
			return nil
		case err := <-failed:
			return err
		}
	}
}

func (s *Server) turnReady() {
	setHealth(s.health, healthv1.HealthCheckResponse_SERVING)
	s.log.Info("ready")
}

// drainCalls lets go of callers, as [Server.Run] says.
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
	s.endStreams(errShuttingDown)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	select {
	case <-done:
	case <-s.stopped:
	case <-s.after(s.drain.timeout):
		s.log.Warn("calls still in progress after the drain timeout are cut", "timeout", s.drain.timeout)
	}
	s.grpc.Stop()
	<-done
}
