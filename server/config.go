package server

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/decisionlog"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/forwardauth"
	"github.com/netpold/netpold/server/internal/proxied"
	"github.com/netpold/netpold/server/internal/watches"
	"github.com/netpold/netpold/server/internal/wire"
)

// Config holds the configuration of a [Server]. Start from [Defaults] and change fields. [New] uses every
// value as it is, and rejects each invalid one with a [FieldError].
type Config struct {
	// Source provides the cluster's state. Required.
	Source mirror.Source
	// Overlay reads the changes that audits lay over the state. Default: such audits are refused.
	Overlay mirror.OverlayReader
	// Logger gets the server's log records. Default: they are dropped.
	Logger *slog.Logger
	// Version is what GetStatus and the metric netpold_build_info show. Default: "dev".
	Version string

	// Listen is the gRPC address. Port 0 takes a free one, which [Server.Addr] returns. Default: 127.0.0.1:9480.
	Listen string
	// AdminListen is the address of /metrics, /healthz, /readyz and /debug/pprof. They have no TLS and need
	// no credentials, so keep them on the loopback or on a private network of the cluster. Empty turns them
	// off. Default: 127.0.0.1:9481.
	AdminListen string
	// ForwardAuthListen is the address at which proxies ask by HTTP. Empty turns it off. Default: off.
	ForwardAuthListen string
	// TrustedProxies are the addresses and CIDRs, with commas between them, of those who may ask there. They also
	// are the hops whose word on their clients counts. Default: 127.0.0.0/8,::1.
	TrustedProxies string
	// ClientIPHeader is the header in which they name their clients. Default: X-Forwarded-For.
	ClientIPHeader string
	// TLS secures the gRPC port and that of forward-auth. Default: plaintext.
	TLS TLSFiles

	// DecisionLog is where a record of each decision goes: the path of a file that is appended to, "-" for
	// Stdout, or [DecisionLogOTLP]. Default: there is no decision log.
	DecisionLog string
	// Stdout is what "-" stands for. Default: standard output.
	Stdout io.Writer
	// DecisionLogSample is the share of allowed answers that is written, 0 to 1. Denials and errors always are.
	// Default: 1.
	DecisionLogSample float64
	// DecisionLogDenialsOnly leaves out all allowed answers.
	DecisionLogDenialsOnly bool
	// DecisionLogQueue is how many records may wait to be written. Those beyond are dropped and counted.
	// Default: 65,536.
	DecisionLogQueue int

	// WhenStale says what happens to questions while [mirror.Source.Stale] reports true. Default: they are
	// answered, and each response says that the state is stale.
	WhenStale WhenStale

	// Shadow lets every client of a proxy through. What the answer would have been is in the metadata for the
	// access log, and in the metrics. Default: answers count.
	Shadow bool
	// DenyDetail says how much a denial tells the client behind a proxy. Default: nothing of the cluster.
	DenyDetail DenyDetail

	// MaxBatch limits the questions of one BatchAllowed call, and of one batch of StreamAllowed. Default:
	// 10,000.
	MaxBatch int
	// MaxWatched limits the questions that one stream of WatchAllowed watches, MaxWatchedTotal those of all
	// streams, at some 200 bytes each, and MaxWatches the streams. Default: 10,000, 1,000,000 and 1,000.
	MaxWatched, MaxWatchedTotal, MaxWatches int
	// WatchHeartbeat is how often such a stream says something at least, unless its caller asks for another
	// interval. Default: 1 s.
	WatchHeartbeat time.Duration
	// CacheSize is how many decisions about workloads and Services are remembered, at 0.6 KiB each. A
	// decision about many Pods counts as several. 0 remembers none. Default: 16,384.
	CacheSize int
	// MaxMessageBytes is the largest request, in bytes. Default: 16 MiB.
	MaxMessageBytes int
	// MaxStreams limits the calls in progress on one connection. Default: 1,000.
	MaxStreams uint32
	// MaxDeadline limits the time of a call. Callers without a deadline, or with a longer one, get this one.
	// It does not limit streams, only how long each of their batches waits for its at_least. Default: 30 s.
	MaxDeadline time.Duration
	// MaxAudits limits the calls of AuditService in progress. Default: 2.
	MaxAudits int
	// MaxAuditDeadline limits the time of a call of AuditService, as MaxDeadline limits that of others.
	// Default: 5 min.
	MaxAuditDeadline time.Duration
	// MaxConnections is after how many connections a list of AuditService stops, with a cursor, and after how many
	// changes a difference does. Default: 5,000,000.
	MaxConnections int
	// MaxConnectionAge is the age, plus or minus a tenth, at which a client is asked to reconnect, so that
	// clients spread over new replicas. Default: 30 min.
	MaxConnectionAge time.Duration
	// MaxConnectionAgeGrace is how long calls in progress may continue after that. Default: 30 s.
	MaxConnectionAgeGrace time.Duration

	// DrainDelay is how long calls are still answered after health has turned to NOT_SERVING, so that load
	// balancers see it first. Default: 3 s.
	DrainDelay time.Duration
	// DrainTimeout is how long calls in progress may continue after that before they are cut. Default: 15 s.
	DrainTimeout time.Duration
}

// The bounds of Config.WatchHeartbeat.
const (
	MinWatchHeartbeat = wire.MinHeartbeat
	MaxWatchHeartbeat = wire.MaxHeartbeat
)

// MaxCacheSize is the largest Config.CacheSize: some 10 GiB.
const MaxCacheSize = 1 << 24

// MaxDecisionLogQueue is the largest Config.DecisionLogQueue: some 20 GiB when it is full.
const MaxDecisionLogQueue = 1 << 24

// Defaults returns the configuration of a server on the loopback without TLS. Source has no default.
func Defaults() Config {
	return Config{
		Logger:                slog.New(slog.DiscardHandler),
		Version:               "dev",
		Listen:                "127.0.0.1:9480",
		AdminListen:           "127.0.0.1:9481",
		TrustedProxies:        "127.0.0.0/8,::1",
		ClientIPHeader:        "X-Forwarded-For",
		DecisionLogSample:     decisionlog.DefaultSample,
		DecisionLogQueue:      decisionlog.DefaultQueue,
		WhenStale:             AnswerWhenStale,
		DenyDetail:            DenyNone,
		MaxBatch:              decisions.DefaultMaxBatch,
		MaxWatched:            watches.DefaultMaxWatched,
		MaxWatchedTotal:       watches.DefaultMaxWatchedTotal,
		MaxWatches:            watches.DefaultMaxWatches,
		WatchHeartbeat:        decisions.DefaultWatchHeartbeat,
		CacheSize:             16384,
		MaxMessageBytes:       16 << 20,
		MaxStreams:            1000,
		MaxDeadline:           30 * time.Second,
		MaxAudits:             audits.DefaultMaxAudits,
		MaxAuditDeadline:      audits.DefaultMaxDeadline,
		MaxConnections:        audits.DefaultMaxConnections,
		MaxConnectionAge:      30 * time.Minute,
		MaxConnectionAgeGrace: 30 * time.Second,
		DrainDelay:            3 * time.Second,
		DrainTimeout:          15 * time.Second,
	}
}

// Validate returns a [FieldError] with a remedy for each invalid value, joined.
func (c *Config) Validate() error {
	var errs []error
	reject := func(bad bool, field string, value any, remedy string) {
		if bad {
			errs = append(errs, fieldError(field, fmt.Sprint(value), errors.New(remedy)))
		}
	}
	if c.Source == nil {
		errs = append(errs, fieldError("Source", "", errors.New("give the source of the cluster's state")))
	}
	const positive = "give a positive duration, for example "
	reject(c.Listen == "", "Listen", `""`, "give HOST:PORT, for example 127.0.0.1:9480; port 0 takes a free one")
	reject(c.WhenStale != "" && c.WhenStale != AnswerWhenStale && c.WhenStale != DenyWhenStale,
		"WhenStale", strconv.Quote(string(c.WhenStale)),
		fmt.Sprintf("give %s or %s", AnswerWhenStale, DenyWhenStale))
	reject(!(c.DecisionLogSample >= 0 && c.DecisionLogSample <= 1), "DecisionLogSample", c.DecisionLogSample,
		"give 0 to 1; the default is 1")
	reject(c.DecisionLogQueue < 1 || c.DecisionLogQueue > MaxDecisionLogQueue, "DecisionLogQueue",
		c.DecisionLogQueue, fmt.Sprintf("give 1 to %d; the default is %d", MaxDecisionLogQueue,
			decisionlog.DefaultQueue))
	reject(c.DenyDetail != "" && c.DenyDetail != DenyNone && c.DenyDetail != DenyReason &&
		c.DenyDetail != DenyPolicy, "DenyDetail", strconv.Quote(string(c.DenyDetail)),
		fmt.Sprintf("give %s, %s or %s", DenyNone, DenyReason, DenyPolicy))
	reject(c.MaxBatch < 1, "MaxBatch", c.MaxBatch,
		fmt.Sprintf("give 1 or more; the default is %d", decisions.DefaultMaxBatch))
	for _, limit := range []struct {
		field        string
		n, byDefault int
	}{
		{"MaxWatched", c.MaxWatched, watches.DefaultMaxWatched},
		{"MaxWatchedTotal", c.MaxWatchedTotal, watches.DefaultMaxWatchedTotal},
		{"MaxWatches", c.MaxWatches, watches.DefaultMaxWatches},
	} {
		reject(limit.n < 1 || limit.n > math.MaxInt32, limit.field, limit.n,
			fmt.Sprintf("give 1 to %d; the default is %d", math.MaxInt32, limit.byDefault))
	}
	reject(c.WatchHeartbeat < MinWatchHeartbeat || c.WatchHeartbeat > MaxWatchHeartbeat,
		"WatchHeartbeat", c.WatchHeartbeat, fmt.Sprintf("give %v to %v", MinWatchHeartbeat, MaxWatchHeartbeat))
	reject(c.CacheSize < 0 || c.CacheSize > MaxCacheSize, "CacheSize", c.CacheSize,
		fmt.Sprintf("give 0 to %d; the default is 16384", MaxCacheSize))
	reject(c.MaxMessageBytes < 1 || c.MaxMessageBytes > math.MaxInt32, "MaxMessageBytes", c.MaxMessageBytes,
		fmt.Sprintf("give 1 to %d; the default is %d", math.MaxInt32, 16<<20))
	reject(c.MaxStreams < 1, "MaxStreams", c.MaxStreams, "give 1 or more; the default is 1000")
	reject(c.MaxDeadline <= 0, "MaxDeadline", c.MaxDeadline, positive+"30s")
	reject(c.MaxAudits < 1, "MaxAudits", c.MaxAudits,
		fmt.Sprintf("give 1 or more; the default is %d", audits.DefaultMaxAudits))
	reject(c.MaxAuditDeadline <= 0, "MaxAuditDeadline", c.MaxAuditDeadline, positive+"5m")
	reject(c.MaxConnections < 1, "MaxConnections", c.MaxConnections,
		fmt.Sprintf("give 1 or more; the default is %d", audits.DefaultMaxConnections))
	reject(c.MaxConnectionAge <= 0, "MaxConnectionAge", c.MaxConnectionAge, positive+"30m")
	reject(c.MaxConnectionAgeGrace <= 0, "MaxConnectionAgeGrace", c.MaxConnectionAgeGrace, positive+"30s")
	reject(c.DrainDelay < 0, "DrainDelay", c.DrainDelay, "give 0s or more")
	reject(c.DrainTimeout < 0, "DrainTimeout", c.DrainTimeout, "give 0s or more")
	if c.ForwardAuthListen != "" {
		if _, err := forwardauth.ParseProxies(c.TrustedProxies); err != nil {
			errs = append(errs, fieldError("TrustedProxies", "", err))
		}
		reject(!proxied.IsHeader(c.ClientIPHeader), "ClientIPHeader", strconv.Quote(c.ClientIPHeader),
			"give the name of a header, for example X-Forwarded-For")
	}
	errs = append(errs, c.TLS.validate())
	return errors.Join(errs...)
}
