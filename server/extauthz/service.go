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
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/netpold/netpold/cache"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/decide"
	"github.com/netpold/netpold/server/internal/decisionid"
	"github.com/netpold/netpold/server/internal/details"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/proxied"
	"github.com/netpold/netpold/server/internal/wire"
)

// Name is the name of the service, as gRPC's reflection and health have it.
const Name = "envoy.service.auth.v3.Authorization"

// Options configure a [Service]. The zero value is right outside of a server.
type Options struct {
	// Cache remembers decisions about workloads and Services. Default: none.
	Cache *cache.Cache
	// RefuseStale refuses questions while the state is stale. Default: they are answered, and the metadata says
	// so.
	RefuseStale bool
	// Shadow lets every client through, and says in the metadata what the answer would have been (P12).
	Shadow bool
	// DenyDetail is how much a denial tells the client. Default: nothing of the cluster.
	DenyDetail proxied.DenyDetail
	// Metrics counts decisions. Default: nothing is counted.
	Metrics *metrics.Metrics
	// Record writes a decision to the decision log. Default: none is written.
	Record Recorder
}

// A Recorder writes one decision of a method: its question, its answer or why it failed, and when it came. None of
// them is modified afterwards. It is safe for concurrent use, and does not block.
type Recorder func(ctx context.Context, id decisionid.ID, method string, started time.Time,
	q *netpoldv1.AllowedRequest, a *netpoldv1.AllowedResponse, fail *spb.Status)

// recordedAs is the method that records name.
const recordedAs = "ext_authz"

// Service is envoy.service.auth.v3.Authorization. It is safe for concurrent use.
type Service struct {
	authv3.UnimplementedAuthorizationServer

	state      *current.Reader
	decider    decide.Decider
	details    *details.Source
	shadow     bool
	denyDetail proxied.DenyDetail
	metrics    *metrics.Metrics
	record     Recorder
}

// Register registers a service that answers from the states of source.
func Register(with grpc.ServiceRegistrar, source mirror.Source, options Options) {
	authv3.RegisterAuthorizationServer(with, New(source, options))
}

// New returns a service that answers from the states of source.
func New(source mirror.Source, options Options) *Service {
	return &Service{
		state:      current.NewReader(source, current.Options{RefuseStale: options.RefuseStale}),
		decider:    decide.New(options.Cache),
		details:    details.NewSource(source),
		shadow:     options.Shadow,
		denyDetail: options.DenyDetail,
		metrics:    options.Metrics,
		record:     options.Record,
	}
}

// Check answers whether a request, a connection or a UDP session may pass (P9). It never waits. Denied is an
// answer. The error is a gRPC status, and means that there is no decision; in shadow there is none (P12).
func (s *Service) Check(ctx context.Context, req *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	started := time.Now()
	md, _ := metadata.FromIncomingContext(ctx)
	q, fail := read(req, md)
	id := decisionid.New()
	o := proxied.Outcome{DecisionID: id.String(), Failure: fail, Shadow: q.shadow || s.shadow}
	stands := q.principal.standing
	// Before the first full sync nothing is answered, not even that the question is wrong (S26).
	if state, fail := s.state.Present(); fail != nil {
		o.Failure = fail
	} else {
		o.Revision, o.Stale = state.Snapshot.Revision(), state.Stale
		if o.Failure == nil {
			stands = s.decide(ctx, q, &state, &o)
		}
	}
	s.count(q, &o)
	if o.Failure != nil {
		own := *o.Failure // some are shared
		own.DecisionID, o.Failure = o.DecisionID, &own
	}
	if s.record != nil {
		answer, failed := o.Record()
		s.record(ctx, id, recordedAs, started, &q.request, answer, failed)
	}
	if o.Verdict() == proxied.Error && !o.Shadow {
		return nil, o.Failure.Err()
	}
	response := s.response(q, &o, stands)
	s.metrics.Took(metrics.Check, time.Since(started))
	return response, nil
}

// decide writes the outcome of a question, and returns how the principal stands to the source.
func (s *Service) decide(
	ctx context.Context, q *question, state *current.State, o *proxied.Outcome,
) standing {
	if q.badSource {
		o.Denied = proxied.BadSource
		return q.principal.standing
	}
	s.ask(ctx, q, state, o)
	stands, err := q.principal.of(state.Snapshot, q.query.Src)
	switch {
	case q.principal.missing():
		o.Denied = proxied.PrincipalMissing
	case err != nil, o.Denied != "": // o has the failure of the source already
	case q.knownSrc && proxied.UnknownAddress(state.Snapshot, q.query.Src, "src", q.src) != nil:
		// A new Pod's address is not known yet, so nothing can be said of its principal.
	case q.principal.demand == demandMatch && stands != matches:
		o.Denied = proxied.PrincipalMismatch
	}
	return stands
}

// ask asks the policies, after what must be known.
func (s *Service) ask(ctx context.Context, q *question, state *current.State, o *proxied.Outcome) {
	if q.knownSrc {
		o.Failure = proxied.UnknownAddress(state.Snapshot, q.query.Src, "src", q.src)
		if o.Failure != nil && q.srcByClient { // any client could write an unknown address (P3)
			o.Failure, o.Denied = nil, proxied.BadSource
		}
	}
	if o.Failure != nil || o.Denied != "" {
		return
	}
	detailer := s.details.Of(state)
	decision, fail := s.decider.Decide(ctx, state, &detailer, q.query, &q.request, func(err error) *wire.Failure {
		return wire.EngineErrorAt(err, q.locate)
	})
	if fail == nil && q.knownDst {
		fail = proxied.UnknownAddress(state.Snapshot, q.query.Dst, "dst", q.dst)
	}
	if o.Failure = fail; fail == nil {
		o.Response = state.Fill(new(wire.Answer), &decision)
		o.Decided = decision.Reason
	}
}

// locate returns what errors call an end, and the field that it comes from.
func (q *question) locate(dst bool) (endpoint, field string) {
	if dst {
		return "dst", q.dst
	}
	return "src", q.src
}

// count counts the outcome, as a decision or as an error (P47).
func (s *Service) count(q *question, o *proxied.Outcome) {
	verdict := o.Verdict()
	s.metrics.Checked(q.http, string(verdict), o.Shadow)
	switch {
	case verdict == proxied.Error:
		s.metrics.Failed(o.Failure)
	case o.Denied != "":
		s.metrics.Denied(string(o.Denied))
	default:
		s.metrics.Decided(o.Decided, 1)
	}
}
