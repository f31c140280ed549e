package config

import (
	"math"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/netpold/netpold/mirror/live"
	"github.com/netpold/netpold/mirror/manifests"
	"github.com/netpold/netpold/server"
)

// ConfigFlag is the name of the one setting that a config file cannot have.
const ConfigFlag = "config"

func (c *Config) fileFlags() *pflag.FlagSet {
	f := newGroup()
	f.StringVar(&c.File, ConfigFlag, "", "YAML `FILE` of settings: each key is the name of a flag")
	return withEnv(f)
}

func (c *Config) stateFlags() *pflag.FlagSet {
	f := newGroup()
	s := &c.State
	f.Var(NewPaths(&s.Manifests), "manifests",
		"take the cluster's state from `PATH`: a YAML or JSON file, a directory of them, or - for standard input; "+
			"give it several times to read all as one")
	f.IntVar(&s.MaxManifestBytes, "max-manifest-bytes", manifests.DefaultMaxBytes,
		"read at most so many `BYTES` of manifests, all files together, and unpacked")
	f.StringVar(&s.Kubeconfig, "kubeconfig", "",
		"take it from the cluster that `FILE` tells how to reach (default: KUBECONFIG, ~/.kube/config, or the "+
			"cluster that this runs in)")
	f.StringVar(&s.Context, "context", "", "`NAME` of the context in the kubeconfig (default: its current one)")
	f.StringVarP(&s.Namespace, "namespace", "n", "",
		"mirror this one `NAMESPACE` of a cluster, where rights reach no further (default: all); "+
			"with --manifests, the namespace of objects that name none (default: default)")
	s.addMeaningFlags(f)
	limit(f, "namespace", orEmpty(wrongNamespace))
	Between(f, "max-manifest-bytes", 1, math.MaxInt64)
	return withEnv(f)
}

func (c *Config) clientFlags() *pflag.FlagSet {
	f := newGroup()
	s := &c.Client
	f.StringVar(&s.Server, "server", "", "ask the running netpold at `HOST:PORT`")
	f.DurationVar(&s.Timeout, "timeout", 10*time.Second,
		"`DURATION` that one call to the server may take (list, lint: for which it may say nothing; audit: also to "+
			"Hubble), or for which a cluster may fail to be read")
	f.BoolVar(&s.TLS, "tls", false, "ask the server over TLS; implied by the other --tls-* flags")
	f.StringVar(&s.CA, "tls-ca", "",
		"PEM `FILE` of the authorities that sign the server's certificate (default: the system's)")
	f.StringVar(&s.Cert, "tls-client-cert", "",
		"PEM `FILE` of the client's own certificate, where the server asks for one")
	f.StringVar(&s.Key, "tls-client-key", "", "PEM `FILE` of its private key")
	f.StringVar(&s.ServerName, "tls-server-name", "",
		"`NAME` that the server's certificate must bear (default: the host of --server)")
	f.StringVar(&s.BearerTokenFile, "bearer-token-file", "",
		"`FILE` with the bearer token of the caller, where the server asks for one (--kube-authz); read for each call")
	limit(f, "server", orEmpty(wrongServer))
	Positive(f, "timeout")
	return withEnv(f)
}

func (c *Config) serverFlags() *pflag.FlagSet {
	f := newGroup()
	s := &c.Server
	f.StringVar(&s.Listen, "listen", s.Listen, "gRPC `HOST:PORT`, or unix:///PATH; port 0 takes a free one")
	f.BoolVar(&s.Insecure, "insecure", s.Insecure,
		"let everybody who can connect ask, also beyond the loopback, where callers are otherwise authenticated")
	f.StringVar(&s.AdminListen, "admin-listen", s.AdminListen,
		"`HOST:PORT` of /metrics, /healthz, /readyz and, on the loopback or with --admin-tls, /debug/pprof; empty "+
			"turns them off")
	f.BoolVar(&s.AdminTLS, "admin-tls", s.AdminTLS, "secure the admin pages with the same TLS files, too")
	f.StringVar(&s.ForwardAuthListen, "forward-auth-listen", s.ForwardAuthListen,
		"`HOST:PORT`, or unix:///PATH, at which nginx, Caddy, Traefik or HAProxy ask by HTTP (default: not at all)")
	f.StringVar(&s.TrustedProxies, "trusted-proxies", s.TrustedProxies,
		"`CIDRS` of those who may ask there, with commas between them: what they say of their clients counts; at a Unix "+
			"socket whoever may open it may ask")
	f.StringVar(&s.ClientIPHeader, "client-ip-header", s.ClientIPHeader,
		"`HEADER` in which they name their clients")
	f.StringVar(&s.TLS.Cert, "tls-cert", "",
		"PEM `FILE` of the server's certificate; read again when it changes")
	f.StringVar(&s.TLS.Key, "tls-key", "", "PEM `FILE` of its private key")
	f.StringVar(&s.TLS.ClientCA, "tls-client-ca", "",
		"PEM `FILE` of authorities: a client must then show a certificate that they signed")
	addCallerFlags(f, c)
	f.DurationVar(&c.State.ManifestsSettle, "manifests-settle", 10*time.Second,
		"`DURATION` that a manifest must stand still which was written in place and lost policies, or everything; 0s for "+
			"not at all")
	f.DurationVar(&c.State.MaxStaleness, "max-staleness", live.DefaultMaxStaleness,
		"`DURATION` without a sign of life from a cluster after which the state is stale; 0s for never")
	f.Var(NewChoice((*string)(&s.WhenStale), string(server.AnswerWhenStale), string(server.DenyWhenStale)),
		"when-stale",
		"while stale: answer and set stale=true, or return UNAVAILABLE")
	f.BoolVar(&s.Shadow, "shadow", s.Shadow,
		"let every client of a proxy through, and only tell what the answer would have been")
	f.Var(NewChoice((*string)(&s.DenyDetail), string(server.DenyNone), string(server.DenyReason),
		string(server.DenyPolicy)), "deny-detail",
		"what a denial tells the client behind a proxy: nothing of the cluster, the reason, or the policies too")
	addLimitFlags(f, s)
	addDecisionLogFlags(f, s)
	f.Var(NewChoice(&c.Tracing, TracingNone, TracingOTLP), "tracing",
		"make a span of each call, and export it by OpenTelemetry as the OTEL_* variables say")
	c.Log = Log{Level: "info", Format: "auto"}
	f.Var(NewChoice(&c.Log.Level, "debug", "info", "warn", "error"), "log-level", "least level that is logged")
	f.Var(NewChoice(&c.Log.Format, "auto", "text", "json"), "log-format",
		"how logs are written; auto is text on a terminal and JSON elsewhere")
	limitServer(f)
	return withEnv(f)
}

// addLimitFlags adds the flags that bound what the server does, and for how long.
func addLimitFlags(f *pflag.FlagSet, s *server.Config) {
	f.IntVar(&s.MaxBatch, "max-batch", s.MaxBatch,
		"most questions (`N`) in one BatchAllowed call, and in one batch of a stream")
	f.IntVar(&s.MaxWatched, "max-watched", s.MaxWatched, "most questions (`N`) that one watch may watch")
	f.IntVar(&s.MaxWatchedTotal, "max-watched-total", s.MaxWatchedTotal,
		"most questions (`N`) that all watches may watch")
	f.IntVar(&s.MaxWatches, "max-watches", s.MaxWatches, "most watches (`N`) that may be open")
	f.DurationVar(&s.WatchHeartbeat, "watch-heartbeat", s.WatchHeartbeat,
		"`DURATION` after which a watch says that nothing has changed, 100ms to 30s; a caller may ask for another")
	f.IntVar(&s.CacheSize, "cache-size", s.CacheSize,
		"decisions (`N`) about workloads and Services that are remembered while they hold; 0 for none")
	f.IntVar(&s.MaxMessageBytes, "max-message-bytes", s.MaxMessageBytes, "largest request taken, in `BYTES`")
	f.Uint32Var(&s.MaxStreams, "max-streams", s.MaxStreams, "most calls (`N`) in progress on one connection")
	f.IntVar(&s.MaxInFlight, "max-in-flight", s.MaxInFlight,
		"most calls (`N`) in progress, of which half may wait for at_least; a batch counts 1 for each 100 questions "+
			"(default: 1024 for each processor)")
	f.IntVar(&s.MaxInFlightPerCaller, "max-in-flight-per-caller", s.MaxInFlightPerCaller,
		"most of them (`N`) of one caller: a principal, else an address (default: half of --max-in-flight)")
	f.IntVar(&s.MaxMemoryInFlight, "max-memory-in-flight", s.MaxMemoryInFlight,
		"most memory, in `BYTES`, that large requests in progress take; one caller may have half (default: a quarter of "+
			"GOMEMLIMIT, else 268435456)")
	f.IntVar(&s.MaxClientConnections, "max-client-connections", s.MaxClientConnections,
		"most connections (`N`) of callers; one beyond takes the place of an idle one, or is closed")
	f.DurationVar(&s.MaxDeadline, "max-deadline", s.MaxDeadline,
		"longest `DURATION` of a call; one without a deadline, or with a longer one, gets this")
	f.IntVar(&s.MaxAudits, "max-audits", s.MaxAudits,
		"most audits (`N`) in progress, such as explanations; decisions go before them")
	f.DurationVar(&s.MaxAuditDeadline, "max-audit-deadline", s.MaxAuditDeadline,
		"longest `DURATION` of an audit")
	f.IntVar(&s.MaxConnections, "max-connections", s.MaxConnections,
		"connections (`N`) after which a list of who may reach whom stops, with a cursor to go on, and changes after which "+
			"a difference does")
	f.DurationVar(&s.MaxConnectionAge, "max-connection-age", s.MaxConnectionAge,
		"`DURATION` after which a connection is asked to go elsewhere, so that clients spread over new replicas")
	f.DurationVar(&s.MaxConnectionAgeGrace, "max-connection-age-grace", s.MaxConnectionAgeGrace,
		"`DURATION` that calls in progress may then still take")
	f.DurationVar(&s.DrainDelay, "drain-delay", s.DrainDelay,
		"on SIGTERM, `DURATION` for which calls are still answered after health says NOT_SERVING")
	f.DurationVar(&s.DrainTimeout, "drain-timeout", s.DrainTimeout,
		"`DURATION` that calls in progress may take after that")
}

// addCallerFlags adds the flags that say who may ask (P35, P36).
func addCallerFlags(f *pflag.FlagSet, c *Config) {
	s := &c.Server
	f.StringVar(&s.AuthzPolicy, "authz-policy", s.AuthzPolicy,
		"JSON `FILE` of a gRPC authorization policy: what a caller may call, by its client certificate; read again when "+
			"it changes")
	f.BoolVar(&s.KubeAuthz, "kube-authz", s.KubeAuthz,
		"ask the API server whose the bearer token of a call is, and whether they may ask")
	f.StringVar(&s.KubeAuthzAudience, "kube-authz-audience", s.KubeAuthzAudience,
		"`NAME` of the audience that tokens must be for")
	f.DurationVar(&s.KubeAuthzTTL, "kube-authz-ttl", s.KubeAuthzTTL,
		"`DURATION` for which answers about callers are remembered, also refusals")
	f.StringVar(&c.KubeAuthzKubeconfig, "kube-authz-kubeconfig", "",
		"kubeconfig `FILE` of the API server that is asked about callers (default: the one of the Pod that this runs in)")
	Positive(f, "kube-authz-ttl")
}

// addDecisionLogFlags adds the flags of the decision log (G1 to G4).
func addDecisionLogFlags(f *pflag.FlagSet, s *server.Config) {
	f.StringVar(&s.DecisionLog, "decision-log", s.DecisionLog,
		"append a line of JSON for each decision to the file at `PATH`; - is standard output, otlp an endpoint of "+
			"OpenTelemetry that the OTEL_* variables name (default: no log)")
	f.Float64Var(&s.DecisionLogSample, "decision-log-sample", s.DecisionLogSample,
		"`SHARE` of allowed answers that is written, 0 to 1; denials and errors always are")
	f.BoolVar(&s.DecisionLogDenialsOnly, "decision-log-denials-only", s.DecisionLogDenialsOnly,
		"write no allowed answer to the decision log")
	f.IntVar(&s.DecisionLogQueue, "decision-log-queue", s.DecisionLogQueue,
		"records (`N`) that may wait to be written; those beyond are dropped and counted, decisions never wait")
	limit(f, "decision-log-sample", wrongShare)
	Between(f, "decision-log-queue", 1, server.MaxDecisionLogQueue)
}

// limitServer makes flags reject invalid values when they are set, so that errors name where. The server also
// checks settings that depend on each other.
func limitServer(f *pflag.FlagSet) {
	limit(f, "listen", wrongListen)
	limit(f, "admin-listen", orEmpty(wrongPort))
	limit(f, "forward-auth-listen", orEmpty(wrongPort))
	limit(f, "trusted-proxies", wrongProxies)
	Between(f, "max-batch", 1, math.MaxInt64)
	Between(f, "max-watched", 1, math.MaxInt32)
	Between(f, "max-watched-total", 1, math.MaxInt32)
	Between(f, "max-watches", 1, math.MaxInt32)
	Positive(f, "watch-heartbeat")
	Between(f, "cache-size", 0, server.MaxCacheSize)
	Between(f, "max-message-bytes", 1, math.MaxInt32)
	Between(f, "max-streams", 1, math.MaxUint32)
	Between(f, "max-in-flight", 0, server.MaxLimit)
	Between(f, "max-in-flight-per-caller", 0, server.MaxLimit)
	Between(f, "max-memory-in-flight", 0, math.MaxInt64)
	Between(f, "max-client-connections", 1, server.MaxLimit)
	Between(f, "max-audits", 1, math.MaxInt32)
	Between(f, "max-connections", 1, math.MaxUint32)
	Positive(f, "max-deadline", "max-audit-deadline", "max-connection-age", "max-connection-age-grace")
	notNegative(f, "manifests-settle", "max-staleness", "drain-delay", "drain-timeout")
}

func newGroup() *pflag.FlagSet {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.SortFlags = false
	return f
}

// withEnv adds the environment variable to each usage.
func withEnv(f *pflag.FlagSet) *pflag.FlagSet {
	f.VisitAll(func(flag *pflag.Flag) { flag.Usage += " [" + EnvName(flag.Name) + "]" })
	return f
}

// EnvName returns the environment variable of a flag.
func EnvName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}
