package server

import (
	"time"

	"google.golang.org/grpc"
)

// SetAfter replaces the clock of s's drain.
func SetAfter(s *Server, after func(time.Duration) <-chan time.Time) { s.after = after }

// CloseListener closes the gRPC port under s.
func CloseListener(s *Server) { _ = s.grpcListener.Close() }

// Register adds a service to s, before it runs.
func Register(s *Server, desc *grpc.ServiceDesc, service any) { s.grpc.RegisterService(desc, service) }
