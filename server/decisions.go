package server

import (
	"context"
	"time"

	"github.com/netpold/netpold/cache"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// DefaultMaxBatch is the most questions in one batch, unless [Limits] says otherwise.
const DefaultMaxBatch = 10_000

// Limits bound what one call may ask.
type Limits struct {
	// MaxBatch is the most questions in one BatchAllowed call, and in one batch of StreamAllowed. Default: [DefaultMaxBatch].
	MaxBatch int
	// CacheSize is how many decisions about workloads and Services are remembered ([cache.Cache]). Default: none.
	CacheSize int
}

// Decisions is netpold.v1.DecisionService. It needs no network: calling its methods gives the answers, and the errors with
// their google.rpc details, that a client would get. It is safe for concurrent use.
type Decisions struct {
	netpoldv1.UnimplementedDecisionServiceServer

	source mirror.Source
	// decider asks a state's snapshot: cache where there is one, and else the engine straight.
	decider   cache.Decider
	cache     *cache.Cache
	stale     *staleness
	whenStale WhenStale
	maxBatch  int
	// maxWait bounds how long a batch of a stream waits for its at_least; a call has its deadline.
	maxWait time.Duration
	// metrics is nil outside of a Server.
	metrics *metrics
	// untilDrain gives a context that also ends when the server drains, and its release.
	untilDrain func(context.Context) (context.Context, func())
}

// NewDecisions answers from source's states.
func NewDecisions(source mirror.Source, limits Limits) *Decisions {
	if limits.MaxBatch <= 0 {
		limits.MaxBatch = DefaultMaxBatch
	}
	d := &Decisions{
		source:     source,
		decider:    cache.Engine{},
		stale:      newStaleness(source),
		maxBatch:   limits.MaxBatch,
		maxWait:    defaultMaxDeadline,
		untilDrain: func(ctx context.Context) (context.Context, func()) { return ctx, func() {} },
	}
	if limits.CacheSize > 0 {
		d.cache = cache.New(limits.CacheSize)
		d.decider = d.cache
	}
	return d
}

// Allowed answers one question. Its error is a gRPC status, as the proto's service comment lists them.
func (d *Decisions) Allowed(ctx context.Context, req *netpoldv1.AllowedRequest) (*netpoldv1.AllowedResponse, error) {
	on, fail := d.present()
	if fail != nil {
		return nil, d.failed(fail)
	}
	started := time.Now()
	r := reading{at: alone}
	query := r.query(req)
	if token := req.GetAtLeast(); token != "" && token != on.Token {
		if len(r.violations) > 0 {
			// The question is wrong, so only whether the token is, too, is of interest.
			ctx = endedContext(ctx)
		}
		newer, fail := d.wait(ctx, token)
		switch {
		case fail == nil:
			on, started = newer, time.Now()
		case fail == errMalformed:
			r.reject("at_least", malformedToken)
		case len(r.violations) == 0:
			return nil, d.failed(fail.placed(alone))
		}
	}
	if len(r.violations) > 0 {
		return nil, d.failed(invalid(r.violations))
	}
	decision, err := d.decider.AllowedUntil(ctx.Done(), on.Snapshot, query)
	if err != nil && ctx.Err() != nil {
		return nil, d.failed(ended(ctx))
	} else if err != nil {
		return nil, d.failed(unasked(alone, req, err))
	}
	d.metrics.decided(decision.Reason, 1)
	response := new(answer).fill(&decision, &on)
	d.metrics.took(methodAllowed, time.Since(started))
	return response, nil
}

// BatchAllowed answers many questions from one snapshot (S25), in the order asked, and each one's own error in its place (S28).
//
// The snapshot satisfies the batch's at_least, or the call fails; and that of every question that can be met within the
// call's deadline, while a question whose at_least cannot be met fails alone.
func (d *Decisions) BatchAllowed(
	ctx context.Context, req *netpoldv1.BatchAllowedRequest,
) (*netpoldv1.BatchAllowedResponse, error) {
	questions := req.GetQuestions()
	if len(questions) > d.maxBatch {
		return nil, d.failed(batchTooLarge("questions", len(questions), d.maxBatch))
	}
	on, fail := d.present()
	if fail != nil {
		return nil, d.failed(fail)
	}
	d.metrics.batch(methodBatchAllowed, len(questions))
	if token := req.GetAtLeast(); token != "" && token != on.Token {
		newer, fail := d.wait(ctx, token)
		if fail != nil {
			return nil, d.failed(fail.placed(alone))
		}
		on = newer
	}
	on, unmet := d.waitEach(ctx, questions, on)
	started := time.Now()
	response, err := d.answers(ctx, questions, &on, unmet)
	if err != nil {
		return nil, err
	}
	d.metrics.took(methodBatchAllowed, time.Since(started))
	return response, nil
}

// answers answers a batch from one basis. unmet are the tokens that cannot be had, and why.
func (d *Decisions) answers(
	ctx context.Context, questions []*netpoldv1.AllowedRequest, on *basis, unmet map[string]*failure,
) (*netpoldv1.BatchAllowedResponse, error) {
	slab := make([]batchAnswer, len(questions))
	answers := make([]*netpoldv1.BatchAnswer, len(questions))
	var decided decisionCounts
	for i, question := range questions {
		b := &slab[i]
		answers[i] = &b.place
		decision, fail := d.decide(ctx, place(i), question, on, unmet)
		if ctx.Err() != nil { // the question may have been given up for it
			return nil, d.failed(ended(ctx))
		}
		if fail != nil {
			d.metrics.failed(fail)
			b.place.Answer = &netpoldv1.BatchAnswer_Error{Error: fail.proto()}
			continue
		}
		decided.add(decision.Reason)
		b.response.Response = b.fill(&decision, on)
		b.place.Answer = &b.response
	}
	d.metrics.decidedMany(&decided)
	return &netpoldv1.BatchAllowedResponse{
		Answers: answers, Revision: on.Snapshot.Revision(), Token: on.Token, Stale: on.stale,
	}, nil
}

// decide answers one question of a batch.
func (d *Decisions) decide(
	ctx context.Context, at place, question *netpoldv1.AllowedRequest, on *basis, unmet map[string]*failure,
) (engine.Decision, *failure) {
	r := reading{at: at}
	query := r.query(question)
	// An empty token is never unmet.
	noToken := unmet[question.GetAtLeast()]
	if noToken == errMalformed {
		r.reject("at_least", malformedToken)
	}
	if len(r.violations) > 0 {
		return engine.Decision{}, invalid(r.violations)
	}
	if noToken != nil {
		return engine.Decision{}, noToken.placed(at)
	}
	decision, err := d.decider.AllowedUntil(ctx.Done(), on.Snapshot, query)
	if err != nil {
		return engine.Decision{}, unasked(at, question, err)
	}
	return decision, nil
}

// failed counts a failure and makes it the call's error.
func (d *Decisions) failed(f *failure) error {
	d.metrics.failed(f)
	return f.err()
}
