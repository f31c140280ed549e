package server

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/decisionlog"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/forwardauth"
	"github.com/netpold/netpold/server/internal/overload"
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

	// Listen is the gRPC address: HOST:PORT, or unix:///PATH. Port 0 takes a free one, which [Server.Addr] returns.
	// Beyond the loopback and Unix sockets [New] refuses it, unless callers are authenticated, by TLS.ClientCA or
	// KubeAuthz, or Insecure is set. Default: 127.0.0.1:9480.
	Listen string
	// Insecure lets everybody who can connect to a port beyond the loopback ask. It is logged as a warning.
	Insecure bool
	// AdminListen is the address of /metrics, /healthz, /readyz and /debug/pprof. They have no TLS and need no
	// credentials unless AdminTLS is set, so keep them on the loopback or on a private network of the cluster.
	// Without AdminTLS, /debug/pprof is served on the loopback alone. Empty turns them off. Default: 127.0.0.1:9481.
	AdminListen string
	// ForwardAuthListen is the address at which proxies ask by HTTP. Beyond the loopback it needs TLS.ClientCA or
	// Insecure. Empty turns it off. Default: off.
	ForwardAuthListen string
	// TrustedProxies are the addresses and CIDRs, with commas between them, of those who may ask there. They also
	// are the hops whose word on their clients counts. Default: 127.0.0.0/8,::1.
	TrustedProxies string
	// ClientIPHeader is the header in which they name their clients. Default: X-Forwarded-For.
	ClientIPHeader string
	// AdminTLS secures the admin pages with TLS too: whoever reads them shows a certificate as callers do. It needs
	// TLS. Default: plaintext.
	AdminTLS bool
	// TLS secures the gRPC port and that of forward-auth. Default: plaintext.
	TLS TLSFiles

	// AuthzPolicy is a file with a gRPC authorization policy (gRFC A43), which says by the URI of a client
	// certificate, else its DNS names, else its subject, what a caller may call. It needs TLS.ClientCA. It is looked
	// at every 5 s; if a changed file does not load, that is logged and counted, and the last good one stays in use.
	// Default: whoever can connect may call everything.
	AuthzPolicy string
	// KubeAuthz asks Reviewer whose the bearer token of each call is, and whether they have the right to ask: create
	// or watch decisions, create audits, or get status, of netpold.io. It needs TLS or the loopback, and excludes
	// AuthzPolicy. Default: no token is needed.
	KubeAuthz bool
	// Reviewer asks the API server. Required with KubeAuthz.
	Reviewer mirror.Reviewer
	// KubeAuthzAudience is the audience that a token must be for. Default: netpold.
	KubeAuthzAudience string
	// KubeAuthzTTL is how long answers of Reviewer are remembered. Open streams are judged again within 30 times
	// that. Default: 10 s.
	KubeAuthzTTL time.Duration

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

	// TracerProvider makes the spans of calls, with a provider of OpenTelemetry. Default: none are made.
	TracerProvider trace.TracerProvider

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
	// MaxInFlight limits the calls in progress; half as many may wait for at_least. A batch counts 1 for each 100
	// questions begun, a stream 1. Calls beyond are refused at once. Health, status and watches do not count. Default:
	// 0, which is 1,024 for each processor.
	MaxInFlight int
	// MaxInFlightPerCaller limits those of one caller: of a principal, else of an address. Default: 0, which is half
	// of MaxInFlight.
	MaxInFlightPerCaller int
	// MaxMemoryInFlight limits the bytes that large requests in progress take together, as they come and once they are
	// decoded, with their answers; 64 KiB of each are free. One caller may have half of it. Default: 0, which is a
	// quarter of GOMEMLIMIT, else 256 MiB.
	MaxMemoryInFlight int
	// MaxClientConnections limits the connections of callers, to gRPC and forward-auth together. One beyond takes the
	// place of an idle one, or is closed. Default: 10,000.
	MaxClientConnections int
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

	// messages makes every question and answer a message, for tests that compare.
	messages bool
}

// The bounds of Config.WatchHeartbeat.
const (
	MinWatchHeartbeat = wire.MinHeartbeat
	MaxWatchHeartbeat = wire.MaxHeartbeat
)

// MaxLimit is the largest Config.MaxInFlight, MaxInFlightPerCaller and MaxClientConnections.
const MaxLimit = overload.MaxLimit

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
		KubeAuthzAudience:     "netpold",
		KubeAuthzTTL:          10 * time.Second,
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
		MaxClientConnections:  overload.DefaultConnections,
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

// authenticates reports whether callers of the gRPC port have to show who they are.
func (c *Config) authenticates() bool {
	return c.TLS.ClientCA != "" || c.TLS.enabled() && c.KubeAuthz
}

// quoted returns a value for an error; an empty one is to be seen.
func quoted(value string) string {
	if value == "" {
		return `""`
	}
	return value
}

// Validate returns a [FieldError] with a remedy for each invalid value, joined.
func (c *Config) Validate() error {
	var errs []error
	reject := rejection(func(bad bool, field string, value any, remedy string) {
		if bad {
			errs = append(errs, fieldError(field, fmt.Sprint(value), errors.New(remedy)))
		}
	})
	if c.Source == nil {
		errs = append(errs, fieldError("Source", "", errors.New("give the source of the cluster's state")))
	}
	wrong := wrongListen(c.Listen)
	reject(wrong != "", "Listen", quoted(c.Listen), wrong)
	reject(!c.authenticates() && !c.Insecure && beyondLoopback(c.Listen), "Listen", c.Listen, whoMayAsk)
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
	c.validateLimits(reject)
	if c.ForwardAuthListen != "" {
		reject(c.TLS.ClientCA == "" && !c.Insecure && beyondLoopback(c.ForwardAuthListen), "ForwardAuthListen",
			c.ForwardAuthListen, whoMayAskByHTTP)
		if _, err := forwardauth.ParseProxies(c.TrustedProxies); err != nil {
			errs = append(errs, fieldError("TrustedProxies", "", err))
		}
		reject(!proxied.IsHeader(c.ClientIPHeader), "ClientIPHeader", strconv.Quote(c.ClientIPHeader),
			"give the name of a header, for example X-Forwarded-For")
		reject(forwardauth.NeverRead(c.ClientIPHeader), "ClientIPHeader", strconv.Quote(c.ClientIPHeader),
			"headers named X-Netpold-* are never read, since most proxies pass on what a client sent: give another, for "+
				"example X-Forwarded-For")
		reject(forwardauth.Unreadable(c.ClientIPHeader), "ClientIPHeader", strconv.Quote(c.ClientIPHeader),
			"its values are no addresses of clients, as those of X-Forwarded-For are: give another, for example X-Forwarded-For")
	}
	c.validateCallers(reject)
	errs = append(errs, c.TLS.validate())
	return errors.Join(errs...)
}

// A rejection adds the error of a field if its value is bad.
type rejection func(bad bool, field string, value any, remedy string)

// positive is the remedy for a duration, before an example.
const positive = "give a positive duration, for example "

// validateLimits rejects limits and durations that are out of range.
func (c *Config) validateLimits(reject rejection) {
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
	reject(c.MaxInFlight < 0 || c.MaxInFlight > MaxLimit, "MaxInFlight", c.MaxInFlight,
		fmt.Sprintf("give 1 to %d, or 0 for 1024 for each processor", MaxLimit))
	reject(c.MaxInFlightPerCaller < 0 || c.MaxInFlightPerCaller > MaxLimit, "MaxInFlightPerCaller",
		c.MaxInFlightPerCaller, fmt.Sprintf("give 1 to %d, or 0 for half of MaxInFlight", MaxLimit))
	reject(c.MaxMemoryInFlight < 0, "MaxMemoryInFlight", c.MaxMemoryInFlight,
		"give a number of bytes, or 0 for a quarter of GOMEMLIMIT")
	reject(c.MaxClientConnections < 1 || c.MaxClientConnections > MaxLimit, "MaxClientConnections",
		c.MaxClientConnections, fmt.Sprintf("give 1 to %d; the default is %d", MaxLimit, overload.DefaultConnections))
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
}

// validateCallers rejects settings of who may ask that do not go together.
func (c *Config) validateCallers(reject rejection) {
	reject(c.AuthzPolicy != "" && c.TLS.ClientCA == "", "AuthzPolicy", c.AuthzPolicy,
		"it is about client certificates: give --tls-client-ca too")
	reject(c.AuthzPolicy != "" && c.KubeAuthz, "AuthzPolicy", c.AuthzPolicy,
		"it excludes --kube-authz: give one of both, for only one can say who may ask")
	reject(c.KubeAuthz && !c.TLS.enabled() && beyondLoopback(c.Listen), "KubeAuthz", c.KubeAuthz,
		"tokens would cross the network in plaintext: give --tls-cert and --tls-key, or listen on 127.0.0.1 or "+
			"unix:///PATH")
	reject(c.KubeAuthz && c.KubeAuthzAudience == "", "KubeAuthzAudience", `""`, "give a name; the default is netpold")
	reject(c.KubeAuthz && c.KubeAuthzTTL <= 0, "KubeAuthzTTL", c.KubeAuthzTTL, positive+"10s")
	reject(c.KubeAuthz && c.Reviewer == nil, "Reviewer", "", "give what asks the API server")
	reject(c.AdminTLS && !c.TLS.enabled(), "AdminTLS", c.AdminTLS, "it needs --tls-cert and --tls-key: give both")
}
