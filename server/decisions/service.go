// Package decisions implements DecisionService and StatusService of netpold.v1.
//
// A question's way, from the request to the engine and back:
//
//	current.Reader.Present, once a call ──> current.State                       (S25, S26)
//	request ── wire.RequestReader ──> engine.Query, or the violations           (S28)
//	engine.Query ── cache, engine ──> engine.Decision, or why there is none     (S29)
//	engine.Decision ── wire.Answer ──> response;  an error ── wire.Failure ──> status
package decisions

import (
	"context"
	"time"

	"github.com/netpold/netpold/cache"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/decide"
	"github.com/netpold/netpold/server/internal/details"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/overload"
	"github.com/netpold/netpold/server/internal/watches"
	"github.com/netpold/netpold/server/internal/wire"
)

const (
	// DefaultMaxBatch is the default of [Options.MaxBatch].
	DefaultMaxBatch = 10_000
	// DefaultMaxWait is the default of [Options.MaxWait].
	DefaultMaxWait = 30 * time.Second
)

// Options configure a [Service]. The zero value is right outside of a server.
type Options struct {
	// MaxBatch is the most questions in one BatchAllowed call, and in one batch of StreamAllowed. Default:
	// [DefaultMaxBatch].
	MaxBatch int
	// MaxWait is how long a batch of a stream waits for its at_least. A call waits until its deadline. Default:
	// [DefaultMaxWait].
	MaxWait time.Duration
	// WatchHeartbeat is how often a watch says something at least, unless the caller asks for another interval.
	// Default: [DefaultWatchHeartbeat].
	WatchHeartbeat time.Duration
	// Watches limits watches and what they watch.
	Watches watches.Limits
	// Cache remembers decisions about workloads and Services. Default: none.
	Cache *cache.Cache
	// RefuseStale refuses questions while the state is stale. Default: they are answered, and the answers say
	// so.
	RefuseStale bool
	// UntilDrain returns a context that also ends when the server drains, and a function that releases it.
	// Default: nothing drains.
	UntilDrain func(context.Context) (context.Context, func())
	// Gate limits the calls that wait for at_least, counts the batches of streams, and has the turns of expensive
	// questions. Default: none of these.
	Gate *overload.Gate
	// Metrics counts decisions. Default: nothing is counted.
	Metrics *metrics.Metrics
	// WatchLog writes the answers of WatchAllowed to the decision log. Default: none are written. Those of
	// other methods are seen by an interceptor.
	WatchLog WatchLog
}

// A WatchLog writes answers of WatchAllowed to the decision log. Its methods do not block.
type WatchLog interface {
	// Wants reports whether to write an answer. It is called once for each.
	Wants(allowed bool) bool
	// RecordWatch writes the answers of a response that is about to be sent: those to questions, of the same
	// indices, that have been asked since started. A question that is nil or missing is left out. It is called
	// for every response, and adds the decision_id to errors. Afterwards none of the answers is modified.
	RecordWatch(ctx context.Context, started time.Time, questions []*netpoldv1.AllowedRequest,
		response *netpoldv1.WatchAllowedResponse)
}

// Service is netpold.v1.DecisionService. It needs no network: its methods return the answers, and the errors
// with their google.rpc details, that a client would get. It is safe for concurrent use.
type Service struct {
	netpoldv1.UnimplementedDecisionServiceServer

	state    *current.Reader
	gate     *overload.Gate
	decider  decide.Decider
	maxBatch int
	maxWait  time.Duration
	metrics  *metrics.Metrics
	details  *details.Source
	// watches has what the streams of WatchAllowed watch, watchHeartbeat is their default.
	watches        *watches.Hub
	watchHeartbeat time.Duration
	watchLog       WatchLog
}

// New returns a service that answers from the states of source.
func New(source mirror.Source, options Options) *Service {
	s := &Service{
		state: current.NewReader(source,
			current.Options{RefuseStale: options.RefuseStale, UntilDrain: options.UntilDrain, Gate: options.Gate}),
		gate:     options.Gate,
		decider:  decide.New(options.Cache, options.Gate),
		maxBatch: options.MaxBatch,
		maxWait:  options.MaxWait,
		metrics:  options.Metrics,
		details:  details.NewSource(source),

		watchHeartbeat: options.WatchHeartbeat,
		watchLog:       options.WatchLog,
	}
	s.watches = watches.NewHub(s.state, options.Watches)
	s.metrics.RegisterWatches(s.watches.Counts)
	if s.watchHeartbeat <= 0 {
		s.watchHeartbeat = DefaultWatchHeartbeat
	}
	if s.maxBatch <= 0 {
		s.maxBatch = DefaultMaxBatch
	}
	if s.maxWait <= 0 {
		s.maxWait = DefaultMaxWait
	}
	return s
}

// Allowed answers one question. Its error is a gRPC status: the comments of the proto's service list them.
func (s *Service) Allowed(ctx context.Context,
	req *netpoldv1.AllowedRequest) (*netpoldv1.AllowedResponse, error) {
	state, fail := s.state.Present()
	if fail != nil {
		return nil, s.failed(fail)
	}
	started := time.Now()
	r := wire.RequestReader{Index: wire.Alone}
	query := r.Query(req)
	if token := req.GetAtLeast(); token != "" && token != state.Token {
		if state, fail = s.waitUnlessWrong(ctx, &r, token); fail != nil {
			return nil, s.failed(fail)
		}
		started = time.Now()
	}
	if len(r.Violations) > 0 {
		return nil, s.failed(wire.Invalid(r.Violations))
	}
	detailer := s.details.Of(&state)
	var call decide.Call
	defer call.End()
	decision, fail := s.decider.Decide(ctx, &call, &state, &detailer, query, req,
		func(err error) *wire.Failure { return wire.EngineError(wire.Alone, req, err) })
	if fail != nil {
		return nil, s.failed(fail)
	}
	s.metrics.Decided(decision.Reason, 1)
	response := state.Fill(new(wire.Answer), &decision)
	if req.GetDetails() {
		s.decider.Details(ctx, &call, state.Snapshot, &detailer, response, query)
	}
	s.metrics.Took(metrics.Allowed, time.Since(started))
	return response, nil
}

// waitUnlessWrong waits for token. If the question has violations, or the token is malformed, it does not
// wait: then r has the violations, and the state does not matter.
func (s *Service) waitUnlessWrong(ctx context.Context, r *wire.RequestReader,
	token string) (current.State, *wire.Failure) {
	if len(r.Violations) > 0 {
		if !s.state.WellFormed(ctx, token) {
			r.RejectToken()
		}
		return current.State{}, nil
	}
	state, fail := s.state.Wait(ctx, token)
	switch {
	case fail == wire.MalformedToken:
		r.RejectToken()
		return current.State{}, nil
	case fail != nil:
		return current.State{}, fail.AtLeast(wire.Alone)
	}
	return state, nil
}

// failed counts a failure and returns it as the error of a call.
func (s *Service) failed(f *wire.Failure) error {
	s.metrics.Failed(f)
	return f.Err()
}
