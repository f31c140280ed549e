package proxied

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/cache"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/decide"
	"github.com/netpold/netpold/server/internal/decisionid"
	"github.com/netpold/netpold/server/internal/details"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/occasions"
	"github.com/netpold/netpold/server/internal/overload"
	"github.com/netpold/netpold/server/internal/wire"
)

// Options configure a [Door]. The zero value is right outside of a server.
type Options struct {
	// Cache remembers decisions about workloads and Services. Default: none.
	Cache *cache.Cache
	// RefuseStale refuses questions while the state is stale. Default: they are answered, and the answer says
	// so.
	RefuseStale bool
	// Gate has the turns of expensive questions. Default: they need none.
	Gate *overload.Gate
	// Shadow lets every client through, and says what the answer would have been (P12).
	Shadow bool
	// DenyDetail is how much a denial tells the client. Default: nothing of the cluster.
	DenyDetail DenyDetail
	// Metrics counts decisions. Default: nothing is counted.
	Metrics *metrics.Metrics
	// Record writes a decision to the decision log. Default: none is written.
	Record Recorder
	// Trace describes an outcome in the span of its context. Default: nothing is traced.
	Trace func(ctx context.Context, o *Outcome)
	// Logger gets panics. Default: they are dropped.
	Logger *slog.Logger
}

// A Recorder writes one decision of a method: its question, its answer or why it failed, when it came, and whether the
// client passes all the same (P12). None of them is modified afterwards. It is safe for concurrent use, and does not block.
type Recorder func(ctx context.Context, id decisionid.ID, method string, started time.Time,
	q *netpoldv1.AllowedRequest, a *netpoldv1.AllowedResponse, fail *spb.Status, shadow bool)

// A Door decides the questions of proxies, and counts and records what they come to. It is safe for concurrent
// use.
type Door struct {
	Options
	// method is what records call the door.
	method  string
	state   *current.Reader
	decider decide.Decider
	details *details.Source
	// failed has which kinds of errors were logged.
	failed *occasions.Occasions[string]
}

// NewDoor returns a door that answers from the states of source. Records name method.
func NewDoor(method string, source mirror.Source, options Options) Door {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	return Door{
		Options: options,
		method:  method,
		state:   current.NewReader(source, current.Options{RefuseStale: options.RefuseStale}),
		decider: decide.New(options.Cache, options.Gate),
		details: details.NewSource(source),
		failed:  new(occasions.Occasions[string]),
	}
}

// Tell logs an outcome without a decision, each kind at warn now and then: a proxy tells its client nothing of it, and
// keeps no more than the id.
func (d *Door) Tell(ctx context.Context, o *Outcome) {
	if o.Failure == nil || o.Failure.Code == codes.Canceled { // who asked has gone
		return
	}
	level := d.failed.Level(time.Now(), o.Failure.Code.String()+o.Failure.Reason)
	if !d.Logger.Enabled(ctx, level) {
		return
	}
	d.Logger.Log(ctx, level, "a proxy's question has no decision", "method", d.method, "code", o.Failure.Code.String(),
		"reason", o.Failure.Reason, "error", o.Failure.Message, "decision_id", o.DecisionID, "shadow", o.Shadow)
}

// Decide returns what a question comes to, or the failure to read it. It waits for nothing but the
// turns of an expensive question. besides is called after the
// policies were asked, and may deny more; nil for nothing more. A question came at started, and is decided once: the
// outcome is part of it.
func (d *Door) Decide(
	ctx context.Context, started time.Time, id decisionid.ID, q *Question, fail *wire.Failure,
	besides func(*current.State, *Outcome),
) *Outcome {
	o := &q.outcome
	*o = Outcome{DecisionID: id.String(), Failure: fail, Shadow: q.Shadow || d.Shadow}
	d.decide(ctx, q, o, besides)
	d.count(o)
	if o.Failure != nil {
		own := *o.Failure // some are shared
		own.DecisionID, o.Failure = o.DecisionID, &own
	}
	if d.Record != nil {
		answer, failed := o.Record()
		d.Record(ctx, id, d.method, started, &q.Request, answer, failed, o.Shadow)
	}
	if d.Trace != nil {
		d.Trace(ctx, o)
	}
	return o
}

// Release gives back a question of [TakeQuestion], with its outcome. Those that are recorded are written later, and
// kept.
func (d *Door) Release(q *Question) {
	if d.Record == nil {
		*q = Question{}
		unused.Put(q)
	}
}

// decide writes what a question comes to. A panic is an error like others, and of this question alone (P43).
func (d *Door) decide(ctx context.Context, q *Question, o *Outcome, besides func(*current.State, *Outcome)) {
	defer func() {
		if p := recover(); p != nil {
			d.Metrics.Panicked()
			d.Logger.ErrorContext(ctx, "call panicked", "method", d.method, "panic", p, "stack", string(debug.Stack()))
			o.Denied, o.Response, o.Failure = "", nil, wire.Panicked()
		}
	}()
	// Before the first full sync nothing is answered, not even that the question is wrong (S26).
	state, fail := d.state.Present()
	if fail != nil {
		o.Failure = fail
		return
	}
	o.Revision, o.Stale = state.Snapshot.Revision(), state.Stale
	switch {
	case o.Failure != nil:
	case q.BadSource:
		o.Denied = BadSource
	default:
		d.ask(ctx, q, &state, o)
		if besides != nil {
			shared := state // allocated here alone
			besides(&shared, o)
		}
	}
}

// ask asks the policies, after what must be known.
func (d *Door) ask(ctx context.Context, q *Question, state *current.State, o *Outcome) {
	if q.KnownSrc {
		o.Failure = UnknownAddress(state.Snapshot, q.Query.Src, "src", q.Src)
		if o.Failure != nil && q.SrcByClient { // any client could write an unknown address (P3)
			o.Failure, o.Denied = nil, BadSource
		}
	}
	if o.Failure != nil || o.Denied != "" {
		return
	}
	var decision engine.Decision
	var fail *wire.Failure
	// Nearly all are between single addresses. These neither wait nor are remembered.
	if !state.Snapshot.DecideAddresses(q.Query.Src.IP(), q.Query.Dst.IP(), q.Query.Port, q.Query.Protocol, &decision) {
		decision, fail = d.inTurn(ctx, q, *state)
	}
	if fail == nil && q.KnownDst {
		fail = UnknownAddress(state.Snapshot, q.Query.Dst, "dst", q.Dst)
	}
	if o.Failure = fail; fail == nil {
		o.Response = state.Fill(&q.answer, &decision)
		o.Decided = decision.Reason
	}
}

// inTurn decides a question that may have to wait for its turn.
func (d *Door) inTurn(ctx context.Context, q *Question, state current.State) (engine.Decision, *wire.Failure) {
	detailer := d.details.Of(&state)
	var call decide.Call
	defer call.End()
	return d.decider.Decide(ctx, &call, &state, &detailer, q.Query, &q.Request, func(err error) *wire.Failure {
		return wire.EngineErrorAt(err, q.locate)
	})
}

// count counts the outcome, as a decision or as an error (P47).
func (d *Door) count(o *Outcome) {
	switch {
	case o.Verdict() == Error:
		d.Metrics.Failed(o.Failure)
	case o.Denied != "":
		d.Metrics.Denied(string(o.Denied))
	default:
		d.Metrics.Decided(o.Decided, 1)
	}
}
