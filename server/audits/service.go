// Package audits implements AuditService of netpold.v1.
//
// Every method begins an audit, and ends it whatever happens:
//
//	request ── its own reader ──> what to ask, or the violations
//	[Service.begin] ──> a call: admitted, with its deadline and the one state that it rests on (A1, A5)
//	call.yield between pieces of work, call.waiting around everything that may block
//	results ──> messages;  an error ── wire.Failure ──> status
package audits

import (
	"context"
	"runtime"
	"time"

	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/details"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/overload"
)

const (
	// DefaultMaxAudits is the default of [Options.MaxAudits].
	DefaultMaxAudits = 2
	// DefaultMaxDeadline is the default of [Options.MaxDeadline].
	DefaultMaxDeadline = 5 * time.Minute
)

// Options configure a [Service]. The zero value is right outside of a server.
type Options struct {
	// MaxAudits is the most audits in progress. Default: [DefaultMaxAudits].
	MaxAudits int
	// MaxDeadline is how long an audit may take at most. Default: [DefaultMaxDeadline].
	MaxDeadline time.Duration
	// MaxConnections is the most connections of one list. Default: [DefaultMaxConnections].
	MaxConnections int
	// RefuseStale refuses audits while the state is stale. Default: they are answered, and say so.
	RefuseStale bool
	// UntilDrain returns a context that also ends when the server drains, and a function that releases it.
	// Default: nothing drains.
	UntilDrain func(context.Context) (context.Context, func())
	// Gate limits the calls that wait for at_least. Default: it does not.
	Gate *overload.Gate
	// Overlay reads the changes that requests lay over the state. Default: requests with changes are refused.
	Overlay mirror.OverlayReader
	// Metrics counts audits, and says what decisions take: audits rest for as long. Default: nothing is
	// counted, and audits rest for nobody.
	Metrics *metrics.Metrics
}

// Service is netpold.v1.AuditService. Its unary methods need no network: they return the answers, and the
// errors with their google.rpc details, that a client would get. It is safe for concurrent use.
type Service struct {
	netpoldv1.UnimplementedAuditServiceServer

	source  mirror.Source
	overlay mirror.OverlayReader
	state   *current.Reader
	details *details.Source
	// slots has a place for each audit in progress. processors has one for each that computes.
	slots          chan struct{}
	processors     chan *processor
	maxDeadline    time.Duration
	maxConnections int
	// turnTime and progressEvery are the constants of these names, and others in tests.
	turnTime, progressEvery time.Duration
	lists                   *keptLists
	metrics                 *metrics.Metrics
}

// New returns a service that answers from the states of source.
func New(source mirror.Source, options Options) *Service {
	if options.MaxAudits <= 0 {
		options.MaxAudits = DefaultMaxAudits
	}
	if options.MaxDeadline <= 0 {
		options.MaxDeadline = DefaultMaxDeadline
	}
	if options.MaxConnections <= 0 {
		options.MaxConnections = DefaultMaxConnections
	}
	return &Service{
		source: source, overlay: options.Overlay,
		state: current.NewReader(source,
			current.Options{RefuseStale: options.RefuseStale, UntilDrain: options.UntilDrain, Gate: options.Gate}),
		details: details.NewSource(source),
		slots:   make(chan struct{}, options.MaxAudits),
		// One processor is left to decisions. A processor without work waits on the network, so that a
		// question is answered at once; if all compute, the Go scheduler looks at the network every 10 ms.
		processors:     newProcessors(max(1, runtime.GOMAXPROCS(0)-1), options.Metrics),
		maxDeadline:    options.MaxDeadline,
		maxConnections: options.MaxConnections,
		turnTime:       turnTime,
		progressEvery:  progressEvery,
		lists:          newKeptLists(),
		metrics:        options.Metrics,
	}
}
