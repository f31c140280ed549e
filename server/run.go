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
	s.log.Info("serving", "addr", s.Addr(), "admin_addr", s.AdminAddr())
	err := s.untilEnd(ctx, failed)
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
func (s *Server) untilEnd(ctx context.Context, failed <-chan error) error {
	ready := s.source.Ready()
	for {
		select {
		case <-ready:
			setHealth(s.health, healthv1.HealthCheckResponse_SERVING)
			s.log.Info("ready")
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
	if s.admin != nil {
		s.closeAdmin()
	}
}

// closeAdmin lets a page that is being read end, but not a profile.
func (s *Server) closeAdmin() {
	ctx, cancel := context.WithTimeout(context.Background(), adminCloseTimeout)
	defer cancel()
	if err := s.admin.Shutdown(ctx); err != nil {
		s.log.Debug("an admin page was still being read", "error", err)
	}
}
