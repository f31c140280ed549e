// Package overload refuses what is more than a server does at once, before it costs anything (P40, P41).
//
// A call's way:
//
//	[Gate.Tap], in the connection's own goroutine ──> refused at once while the limits are reached, or a share while too
//	                                                  many calls wait
//	[Gate.Register]ed handler, before the request is read ──> a place of the caller, then one of all
//	the handler ends ──> the places are free again
//
// Health and status have no places and are never refused. A watch has none either: watches have a limit of their own.
package overload

import (
	"context"
	"log/slog"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/occasions"
	"github.com/netpold/netpold/server/internal/wire"
)

const (
	// inFlightPerProcessor is the default of Limits.InFlight, for each processor.
	inFlightPerProcessor = 1024
	// DefaultConnections is the default of Limits.Connections.
	DefaultConnections = 10_000
	// questionsPerPlace is how many questions of a batch count as one call.
	questionsPerPlace = 100
)

// Limits are what a server does at once. The zero value has the defaults.
type Limits struct {
	// InFlight is the most calls in progress. Default: 1,024 for each processor.
	InFlight int
	// PerCaller is the most of them that one caller may have. Default: half of InFlight.
	PerCaller int
	// Connections is the most connections of clients. Default: [DefaultConnections].
	Connections int
	// Memory is what large requests in progress may take together, in bytes. Default: [DefaultMemory].
	Memory int64
}

// withDefaults returns the limits with defaults in place of 0.
func (l Limits) withDefaults() Limits {
	if l.InFlight <= 0 {
		l.InFlight = inFlightPerProcessor * runtime.GOMAXPROCS(0)
	}
	if l.PerCaller <= 0 {
		l.PerCaller = max(1, l.InFlight/2)
	}
	if l.Memory <= 0 {
		l.Memory = DefaultMemory()
	}
	if l.Connections <= 0 {
		l.Connections = DefaultConnections
	}
	return l
}

// Options configure a [Gate]. The zero value is right outside of a server.
type Options struct {
	Limits Limits
	// Messages says what requests may be like. Without a codec gRPC reads them.
	Messages Messages
	// Deadline returns how long a call of a method may take at most; 0 for no limit. A request that does not come to its
	// end is over then too.
	Deadline func(method string) time.Duration
	// Unfinished is how long a message of a stream may take to come to its end; 0 for no limit.
	Unfinished time.Duration
	// Questions has the methods whose calls count by their questions, and how many a request has.
	Questions map[string]func(request any) int
	// Known returns who the caller of the metadata is, if that is known without asking. Default: callers are told
	// apart by their certificates, else by their addresses.
	Known func(metadata.MD) (principal string, ok bool)
	// Metrics counts what is refused.
	Metrics *metrics.Metrics
	// Panicked makes the error of a call of a panic that no interceptor sees. Required for [Gate.Registrar].
	Panicked func(ctx context.Context, p any) error
	// Log is told of callers beyond their limit. Default: nothing is told.
	Log *slog.Logger
}

// A Gate counts what is in progress, and refuses what is beyond the limits. A nil *Gate refuses nothing. It is safe
// for concurrent use.
type Gate struct {
	limits    Limits
	messages  Messages
	memory    *memory
	unread    unread
	deadline  func(method string) time.Duration
	within    time.Duration
	questions map[string]func(any) int
	known     func(metadata.MD) (string, bool)
	metrics   *metrics.Metrics
	panicked  func(context.Context, any) error
	log       *slog.Logger

	inFlight, waiting atomic.Int64
	// streaming are the streams that are open: see openStream.
	streaming   atomic.Int64
	queued      queued
	accounts    accounts
	connections connections
	slots       *slots
	// methods has those that have places. It is complete before the first call.
	methods map[string]bool
	// streams has the methods that are streams, of the caller or of the server.
	streams map[string]bool
	// small has the methods without places whose callers send one message: those for health and status.
	small map[string]bool

	// single has the unary methods that ask one question, of which a share is refused while too many wait.
	single  map[string]bool
	shedder shedder

	full, fullLine, fullCaller, fullWaiting, fullExempt refusal
	told                                                occasions.Occasions[key]
}

// New returns a gate.
func New(options Options) *Gate {
	limits := options.Limits.withDefaults()
	line := lineOf(limits.InFlight)
	g := &Gate{
		limits: limits, messages: options.Messages, memory: newMemory(limits.Memory), deadline: options.Deadline,
		within:    options.Unfinished,
		questions: options.Questions, known: options.Known, metrics: options.Metrics, log: options.Log,
		panicked:    options.Panicked,
		methods:     map[string]bool{},
		streams:     map[string]bool{},
		small:       map[string]bool{},
		single:      map[string]bool{},
		fullExempt:  newRefusal(tooManyExempt),
		full:        newRefusal(func() *wire.Failure { return tooManyCalls(limits.InFlight) }),
		fullLine:    newRefusal(func() *wire.Failure { return tooManyInLine(line) }),
		fullCaller:  newRefusal(func() *wire.Failure { return tooManyOfCaller(limits.PerCaller) }),
		fullWaiting: newRefusal(func() *wire.Failure { return tooManyWaiting(limits.InFlight / 2) }),
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.accounts.all = map[key]*account{}
	g.shedder.limit = float64(line)
	g.slots = newSlots(limits.InFlight)
	g.connections.open = map[*Connection]struct{}{}
	g.unread.init(limits.Memory)
	g.metrics.RegisterInFlight(g.InFlight)
	g.metrics.RegisterExpensive(g.slots.counts)
	return g
}

// InFlight returns the number of places that are taken.
func (g *Gate) InFlight() int { return int(g.inFlight.Load()) }

// A Place is what a call in progress has of the limits. The zero Place has nothing.
type Place struct {
	gate       *Gate
	connection *Connection
	account    *account
	// held says that account is dropped with the place.
	held bool
	n    int64
	// paused says that the call is in progress without a place.
	paused bool
}

// Enter takes a place for the call of ctx, or returns why there is none. The caller's own limit comes first, so
// that a call beyond it takes no place of others.
func (g *Gate) Enter(ctx context.Context) (Place, *Refused) {
	if g == nil {
		return Place{}, nil
	}
	p := Place{gate: g, connection: connectionOf(ctx)}
	p.account, p.held = g.accountOf(ctx, p.connection)
	if refused := p.more(1); refused != nil {
		p.Leave()
		return Place{}, refused
	}
	if c := p.connection; c != nil {
		c.calls.Add(1)
	}
	return p, nil
}

// more takes n places more, or none.
func (p *Place) more(n int64) *Refused {
	g := p.gate
	if p.account != nil && !take(&p.account.inFlight, n, g.share(g.inFlight.Load()+n)-p.account.resting.Load()) {
		return g.refuseCaller(p.account)
	}
	if !take(&g.inFlight, n, int64(g.limits.InFlight)) {
		if p.account != nil {
			p.account.inFlight.Add(-n)
		}
		return g.refuse(&g.full)
	}
	p.n += n
	return nil
}

// take adds n to count unless that would exceed limit, and reports whether it did.
func take(count *atomic.Int64, n, limit int64) bool {
	if count.Add(n) > limit {
		count.Add(-n)
		return false
	}
	return true
}

// placesOf returns how many calls questions count as: one for each 100 begun, and never more than one caller may have.
func (g *Gate) placesOf(questions int) int64 {
	places := (questions + questionsPerPlace - 1) / questionsPerPlace
	return int64(min(max(1, places), g.limits.PerCaller, g.limits.InFlight))
}

// Leave gives the place back.
func (p *Place) Leave() {
	if p.gate == nil {
		return
	}
	if p.n > 0 {
		p.gate.inFlight.Add(-p.n)
		if p.account != nil {
			p.account.inFlight.Add(-p.n)
		}
	}
	if (p.n > 0 || p.paused) && p.connection != nil {
		p.connection.ended()
	}
	if p.held {
		p.gate.accounts.drop(p.account)
	}
	*p = Place{}
}

// pause gives the place back, and keeps the account and the connection.
func (p *Place) pause() {
	p.gate.inFlight.Add(-p.n)
	if p.account != nil {
		p.account.inFlight.Add(-p.n)
	}
	p.paused, p.n = true, 0
}

// beside returns what may take places besides the one that the call of ctx has.
func (g *Gate) beside(ctx context.Context) Place {
	p := Place{gate: g}
	p.account, p.held = g.accountOf(ctx, connectionOf(ctx))
	return p
}

// Batch takes places for a batch of a stream, whose call has one already. It takes as many as are free: what is in
// progress is not refused.
func (g *Gate) Batch(ctx context.Context, questions int) Place {
	if g == nil || questions <= questionsPerPlace {
		return Place{}
	}
	p := g.beside(ctx)
	n := g.placesOf(questions) - 1
	if p.account != nil {
		n = takeUpTo(&p.account.inFlight, n, g.limits.PerCaller)
	}
	p.n = takeUpTo(&g.inFlight, n, g.limits.InFlight)
	if p.account != nil {
		p.account.inFlight.Add(p.n - n)
	}
	return p
}

// takeUpTo adds n to count, or less so that it does not exceed limit, and returns what it added.
func takeUpTo(count *atomic.Int64, n int64, limit int) int64 {
	over := count.Add(n) - int64(limit)
	if over <= 0 {
		return n
	}
	over = min(over, n)
	count.Add(-over)
	return n - over
}

// Wait takes a place among the calls that wait for at_least, of which there are at most half as many as calls in
// progress. It reports whether there was one; if so it must be given back with Waited.
func (g *Gate) Wait() bool {
	if g == nil {
		return true
	}
	return take(&g.waiting, 1, int64(max(1, g.limits.InFlight/2)))
}

// Waited gives back what Wait took.
func (g *Gate) Waited() {
	if g != nil {
		g.waiting.Add(-1)
	}
}

// RefuseWaiting returns why a call may not wait, and counts it.
func (g *Gate) RefuseWaiting() *wire.Failure {
	f := g.fullWaiting.pick().Failure
	g.metrics.Shed(f)
	return f
}

// refuse returns one of the errors of a limit, and counts it.
func (g *Gate) refuse(r *refusal) *Refused {
	picked := r.pick()
	g.metrics.Shed(picked.Failure)
	g.metrics.Failed(picked.Failure)
	return picked
}

// refuseCaller refuses a call beyond the limit of its caller, and names that in the log now and then.
func (g *Gate) refuseCaller(of *account) *Refused {
	if g.told.Due(time.Now(), of.key) {
		g.log.Warn("a caller has as many calls in progress as one may have; more are refused", "caller", of.key.String(),
			"limit", g.limits.PerCaller)
	}
	return g.refuse(&g.fullCaller)
}

// MaxLimit is the largest value of each of the [Limits].
const MaxLimit = math.MaxInt32
