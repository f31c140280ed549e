package server

import (
	"time"

	"google.golang.org/grpc"
)

// SetAfter replaces the clock of s's drain.
func SetAfter(s *Server, after func(time.Duration) <-chan time.Time) { s.after = after }

// SetNoteTicks replaces the clock by which s looks at the notes of the state.
func SetNoteTicks(s *Server, ticks <-chan time.Time) { s.noteTicks = ticks }

// SetPolicyTicks replaces the clock by which s looks at its policy of callers.
func SetPolicyTicks(s *Server, ticks <-chan time.Time) { s.policyTicks = ticks }

// CloseListener closes the gRPC port under s.
func CloseListener(s *Server) { _ = s.grpcListener.Close() }

// Register adds a service to s, before it runs.
func Register(s *Server, desc *grpc.ServiceDesc, service any) { s.grpc.RegisterService(desc, service) }
