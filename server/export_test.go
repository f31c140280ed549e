package server

import "time"

// SetAfter replaces the clock of s's drain.
func SetAfter(s *Server, after func(time.Duration) <-chan time.Time) { s.after = after }

// CloseListener closes the gRPC port under s.
func CloseListener(s *Server) { _ = s.grpcListener.Close() }
