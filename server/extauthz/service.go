// Package extauthz implements envoy.service.auth.v3.Authorization, by which Envoy asks for each request, each
// connection or each UDP session whether it may pass (P1 to P12).
//
// A question's way, from Envoy and back:
//
//	CheckRequest, gRPC metadata ── read ──> question, or what is wrong in the proxy's configuration
//	question ── decide ──> proxied.Outcome: allowed, denied or error, never mixed (P2)
//	proxied.Outcome ── response ──> CheckResponse;  an error ──> gRPC status, which obeys failure_mode_allow (P9)
//
// The addresses of the connection count. Nothing that a client can write does, unless the proxy's configuration
// names a header for it (P6, P7). What a client makes wrong is denied; what configuration, cluster or server make
// wrong is an error: so no client chooses the proxy's failure mode (P3).
package extauthz

import (
	"context"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/decisionid"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/proxied"
)

// Name is the name of the service, as gRPC's reflection and health have it.
const Name = "envoy.service.auth.v3.Authorization"

// Service is envoy.service.auth.v3.Authorization. It is safe for concurrent use.
type Service struct {
	authv3.UnimplementedAuthorizationServer

	door proxied.Door
}

// Register registers a service that answers from the states of source.
func Register(with grpc.ServiceRegistrar, source mirror.Source, options proxied.Options) {
	authv3.RegisterAuthorizationServer(with, New(source, options))
}

// New returns a service that answers from the states of source.
func New(source mirror.Source, options proxied.Options) *Service {
	return &Service{door: proxied.NewDoor("ext_authz", source, options)}
}

// Check answers whether a request, a connection or a UDP session may pass (P9). Only an expensive question waits, for its
// turn. Denied is an answer. The error is a gRPC status: there is no decision; in shadow there is none (P12).
func (s *Service) Check(ctx context.Context, req *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	started := time.Now()
	md, _ := metadata.FromIncomingContext(ctx)
	q, fail := read(req, md)
	id := decisionid.New()
	id.Announce(ctx)
	stands := q.principal.standing
	o := s.door.Decide(ctx, started, id, &q.Question, fail, func(state *current.State, o *proxied.Outcome) {
		stands = q.stands(state, o)
	})
	verdict := o.Verdict()
	s.door.Metrics.Checked(q.http, string(verdict), o.Shadow)
	if verdict == proxied.Error {
		s.door.Tell(ctx, o)
		if !o.Shadow {
			return nil, o.Failure.Err()
		}
	}
	response := s.response(q, o, stands)
	s.door.Metrics.Took(metrics.Check, time.Since(started))
	return response, nil
}

// stands returns how the principal stands to the source, and denies what is demanded of it and missing (P10).
func (q *question) stands(state *current.State, o *proxied.Outcome) standing {
	stands, err := q.principal.of(state.Snapshot, q.Query.Src)
	switch {
	case q.principal.missing():
		o.Denied = proxied.PrincipalMissing
	case err != nil, o.Denied != "": // o has the failure of the source already
	case q.KnownSrc && proxied.UnknownAddress(state.Snapshot, q.Query.Src, "src", q.Src) != nil:
		// A new Pod's address is not known yet, so nothing can be said of its principal.
	case q.principal.demand == demandMatch && stands != matches:
		o.Denied = proxied.PrincipalMismatch
	}
	return stands
}
