package server

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/decisions"
)

// Config is how a [Server] is set up. Start from [Defaults] and change what should differ: [New] takes every value as it is
// and refuses those that make no sense. The flag that sets a field is given in parentheses.
type Config struct {
	// Source is where the cluster's state comes from. Required.
	Source mirror.Source
	// Logger takes the server's records. Default: none are kept.
	Logger *slog.Logger
	// Version is what GetStatus and the metric netpold_build_info show. Default: "dev".
	Version string

	// Listen is the gRPC address (--listen). Port 0 takes a free one, which [Server.Addr] tells. Default: 127.0.0.1:9480.
	Listen string
	// AdminListen is the address of /metrics, /healthz, /readyz and /debug/pprof (--admin-listen). They are served without
	// TLS and without asking who is there, so keep it on the loopback or on a network of the cluster's own. Empty turns them
	// off. Default: 127.0.0.1:9481.
	AdminListen string
	// TLS secures the gRPC port. Default: plaintext.
	TLS TLSFiles

	// WhenStale is what becomes of questions while [mirror.Source.Stale] says that the state may be too old (--when-stale). Default:
	// they are answered, and each response says so.
	WhenStale WhenStale

	// MaxBatch is the most questions in one BatchAllowed call, and in one batch of StreamAllowed (--max-batch). Default: 10,000.
	MaxBatch int
	// CacheSize is how many decisions about workloads and Services are remembered, at 0.6 KiB each, those about many Pods counting for several; 0 for none
	// (--cache-size). Default: 16,384.
	CacheSize int
	// MaxMessageBytes is the largest request taken, in bytes (--max-message-bytes). Default: 16 MiB.
	MaxMessageBytes int
	// MaxStreams is the most calls in progress on one connection (--max-streams). Default: 1,000.
	MaxStreams uint32
	// MaxDeadline is the longest that a call may take: callers that give no deadline, or a longer one, get this one
	// (--max-deadline). It does not bound streams, only how long each of their batches waits for its at_least. Default: 30 s.
	MaxDeadline time.Duration
	// MaxConnectionAge is when a connection is asked to go elsewhere, give or take a tenth, so that clients spread over new
	// replicas (--max-connection-age). Default: 30 min.
	MaxConnectionAge time.Duration
	// MaxConnectionAgeGrace is how long calls in progress may then still take (--max-connection-age-grace). Default: 30 s.
	MaxConnectionAgeGrace time.Duration

	// DrainDelay is how long calls are still answered after health has turned to NOT_SERVING, so that load balancers see it
	// first (--drain-delay). Default: 3 s.
	DrainDelay time.Duration
	// DrainTimeout is how long calls in progress may take after that before they are cut (--drain-timeout). Default: 15 s.
	DrainTimeout time.Duration
}

// MaxCacheSize is the largest Config.CacheSize: some 10 GiB.
const MaxCacheSize = 1 << 24

// Defaults is the configuration of a server on the loopback, without TLS. Source has no default.
func Defaults() Config {
	return Config{
		Logger:                slog.New(slog.DiscardHandler),
		Version:               "dev",
		Listen:                "127.0.0.1:9480",
		AdminListen:           "127.0.0.1:9481",
		WhenStale:             AnswerWhenStale,
		MaxBatch:              decisions.DefaultMaxBatch,
		CacheSize:             16384,
		MaxMessageBytes:       16 << 20,
		MaxStreams:            1000,
		MaxDeadline:           30 * time.Second,
		MaxConnectionAge:      30 * time.Minute,
		MaxConnectionAgeGrace: 30 * time.Second,
		DrainDelay:            3 * time.Second,
		DrainTimeout:          15 * time.Second,
	}
}

// Validate names every value that makes no sense, with its remedy.
func (c *Config) Validate() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(c.Source == nil, "no source of the cluster's state: set Config.Source")
	refuse(c.Listen == "", `--listen "": give HOST:PORT, for example 127.0.0.1:9480; port 0 takes a free one`)
	refuse(c.WhenStale != "" && c.WhenStale != AnswerWhenStale && c.WhenStale != DenyWhenStale,
		"--when-stale %q: give %s or %s", c.WhenStale, AnswerWhenStale, DenyWhenStale)
	refuse(c.MaxBatch < 1, "--max-batch %d: give 1 or more; the default is %d", c.MaxBatch, decisions.DefaultMaxBatch)
	refuse(c.CacheSize < 0 || c.CacheSize > MaxCacheSize, "--cache-size %d: give 0 to %d; the default is 16384", c.CacheSize, MaxCacheSize)
	refuse(c.MaxMessageBytes < 1 || c.MaxMessageBytes > math.MaxInt32,
		"--max-message-bytes %d: give 1 to %d; the default is %d", c.MaxMessageBytes, math.MaxInt32, 16<<20)
	refuse(c.MaxStreams < 1, "--max-streams 0: give 1 or more; the default is 1000")
	refuse(c.MaxDeadline <= 0, "--max-deadline %v: give a positive duration, for example 30s", c.MaxDeadline)
	refuse(c.MaxConnectionAge <= 0, "--max-connection-age %v: give a positive duration, for example 30m", c.MaxConnectionAge)
	refuse(c.MaxConnectionAgeGrace <= 0,
		"--max-connection-age-grace %v: give a positive duration, for example 30s", c.MaxConnectionAgeGrace)
	refuse(c.DrainDelay < 0, "--drain-delay %v: give 0s or more", c.DrainDelay)
	refuse(c.DrainTimeout < 0, "--drain-timeout %v: give 0s or more", c.DrainTimeout)
	errs = append(errs, c.TLS.validate())
	return errors.Join(errs...)
}
