package server

import (
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/netpold/netpold/cache"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/internal/overload"
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

// RegisterGated adds a service whose calls need places to s, before it runs.
func RegisterGated(s *Server, desc *grpc.ServiceDesc, service any) {
	s.gate.Registrar(s.grpc, nil).RegisterService(desc, service)
}

// Bare returns a server of DecisionService on the port of config without limits, without a policy and without metrics.
func Bare(config *Config) (*grpc.Server, error) {
	reloader, err := newTLSReloader(config.TLS, config.Logger, func(error) {})
	if err != nil {
		return nil, err
	}
	recovered := recovery.UnaryServerInterceptor()
	s := grpc.NewServer(append(transportOptions(config, overload.New(overload.Options{})),
		grpc.Creds(credentials.NewTLS(reloader.config())),
		grpc.ChainUnaryInterceptor(unary(config.Logger, nil, nil, recovered)))...)
	netpoldv1.RegisterDecisionServiceServer(s, decisions.New(config.Source, decisions.Options{
		Cache: cache.New(config.CacheSize),
	}))
	return s, nil
}

// BareTransport returns a gRPC server with the connections of a server, and nothing else.
func BareTransport() *grpc.Server {
	config := Defaults()
	return grpc.NewServer(transportOptions(&config, overload.New(overload.Options{}))...)
}

// SetBeforeTLSLook makes s call before at each look at its TLS files.
func SetBeforeTLSLook(s *Server, before func()) { s.tls.before = before }

// WithMessages makes a server read and write Allowed and BatchAllowed with messages.
func WithMessages(c *Config) { c.messages = true }

// WithinFiles is withinFiles.
var WithinFiles = withinFiles
