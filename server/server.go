package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/netpold/netpold/cache"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/decisionlog"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/extauthz"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/overload"
	"github.com/netpold/netpold/server/internal/proxied"
	"github.com/netpold/netpold/server/internal/watches"
	"github.com/netpold/netpold/server/internal/wire"
	"github.com/netpold/netpold/server/tracing"
)

// Connection limits that are not configurable.
const (
	// pingAfter and pingTimeout detect clients that are gone without closing the connection.
	pingAfter   = 2 * time.Minute
	pingTimeout = 20 * time.Second
	// minPingInterval is how often a client may ping. The 5 minutes of grpc are longer than what clients are
	// advised to set.
	minPingInterval  = 10 * time.Second
	handshakeTimeout = 20 * time.Second
	maxHeaderBytes   = 64 << 10
	// streamWindow is how much of a stream may come before it is read, which is memory that nothing else counts.
	// Windows that grow by themselves reach 16 MiB for each stream. connectionWindow is how much of all streams of a
	// connection may be on its way.
	streamWindow     = 64 << 10
	connectionWindow = 1 << 20
	// readBuffer is what each connection has to read into, and writeBuffer what one has while it writes. gRPC's default of
	// 32 KiB each was most of what a connection takes. Larger messages are read past the former.
	readBuffer  = 8 << 10
	writeBuffer = 8 << 10
	// workersPerProcessor goroutines for each processor are kept for calls. More calls at once get new ones.
	workersPerProcessor = 32
)

// A Server answers questions from one [mirror.Source] on one gRPC port, and serves the admin pages on
// another. Its methods are safe for concurrent use. It serves once: after [Server.Run] returns it is of no
// further use.
type Server struct {
	source    mirror.Source
	log       *slog.Logger
	drain     drainTimes
	tls       *tlsReloader     // nil for plaintext
	decisions *decisionlog.Log // nil when off
	tracer    *tracing.Tracer  // nil when off
	callers   callers
	gate      *overload.Gate
	whenStale WhenStale
	warnings  warnings
	// after is time.After, unless a test replaces the clock.
	after func(time.Duration) <-chan time.Time
	// noteTicks says when to look at the notes of the state; nil means every noteInterval.
	noteTicks <-chan time.Time
	// policyTicks says when to look at the policy of callers; nil means every 5 s.
	policyTicks <-chan time.Time

	grpc          *grpc.Server
	health        *health.Server
	grpcListener  net.Listener
	admin         *http.Server // nil when off, as adminListener is
	adminListener net.Listener
	forwardAuth   *forwardAuth // nil when off

	// endStreams ends streams and waits for at_least.
	endStreams context.CancelCauseFunc
	draining   atomic.Bool
	// running is set by Run, which then closes the decision log.
	running  atomic.Bool
	stopOnce sync.Once
	stopped  chan struct{}
}

type drainTimes struct{ delay, timeout time.Duration }

// New opens the ports and returns a server on them. It returns an error for an invalid configuration, TLS
// files that do not load, and a port that cannot be opened. Serve with [Server.Run]; to close the ports
// without serving call [Server.Stop].
func New(config Config) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Version == "" {
		config.Version = "dev"
	}
	m := metrics.New(config.Source, config.Version)
	creds, reloader, err := transport(&config, m)
	if err != nil {
		return nil, err
	}
	s := &Server{
		source:    config.Source,
		log:       config.Logger,
		drain:     drainTimes{delay: config.DrainDelay, timeout: config.DrainTimeout},
		whenStale: config.WhenStale,
		warnings:  warnings{insecure: config.Insecure, shadow: config.Shadow},
		after:     time.After,
		tls:       reloader,
		health:    newHealth(),
		stopped:   make(chan struct{}),
	}
	if s.callers, err = openCallers(&config, m); err != nil {
		return nil, err
	}
	s.gate = openGate(&config, &s.callers, m)
	if s.decisions, err = openDecisionLog(&config); err != nil {
		s.callers.close()
		return nil, err
	}
	if err := s.listen(&config); err != nil {
		s.callers.close()
		return nil, errors.Join(err, s.closeDecisionLog())
	}
	// It is ended by the drain or by Stop, whichever is first.
	streams, endStreams := context.WithCancelCause(context.Background())
	s.endStreams = endStreams
	options := grpcOptions(&config, s.gate, creds)
	if config.TracerProvider != nil {
		s.tracer = tracing.New(config.TracerProvider, config.Version)
		options = append(options, s.tracer.ServerOptions()...)
	}
	s.grpc = grpc.NewServer(append(options,
		interceptors(m, s.log, s.callers.guard(), s.decisions, streams)...)...)
	s.register(&config, m, streams)
	if s.adminListener != nil {
		s.admin = newAdmin(m.Registry, s.log, s.ready, config.AdminTLS || !beyondLoopback(s.AdminAddr()))
		if config.AdminTLS {
			s.admin.TLSConfig = reloader.httpConfig()
		}
	}
	return s, nil
}

// transport returns the credentials of the gRPC port. The reloader is nil for plaintext.
func transport(config *Config, m *metrics.Metrics) (credentials.TransportCredentials, *tlsReloader, error) {
	if !config.TLS.enabled() {
		return insecure.NewCredentials(), nil, nil
	}
	reloader, err := newTLSReloader(config.TLS, config.Logger, m.TLSReload)
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(reloader.config()), reloader, nil
}

// ReloadTLS loads changed TLS files now, not at the next connection, and logs the result. It reports whether
// the server has TLS files.
func (s *Server) ReloadTLS() bool {
	if s.tls == nil {
		return false
	}
	s.tls.reload()
	return true
}

// listen opens all ports, or none.
func (s *Server) listen(config *Config) (err error) {
	var opened []net.Listener
	defer func() {
		if err != nil {
			for _, listener := range opened {
				err = errors.Join(err, listener.Close())
			}
		}
	}()
	open := func(field, address string) (net.Listener, error) {
		listener, err := listen(field, address)
		if err == nil {
			opened = append(opened, listener)
		}
		return listener, err
	}
	// Validate has looked at the addresses too, but a name may have become another one since.
	exposed := func(listener net.Listener) bool { return !config.Insecure && beyondLoopback(textOf(listener)) }
	if s.grpcListener, err = open("Listen", config.Listen); err != nil {
		return err
	}
	if !config.authenticates() && exposed(s.grpcListener) {
		return fieldError("Listen", config.Listen, errors.New(whoMayAsk))
	}
	if config.AdminListen != "" {
		if s.adminListener, err = open("AdminListen", config.AdminListen); err != nil {
			return err
		}
	}
	if config.ForwardAuthListen != "" {
		listener, err := open("ForwardAuthListen", config.ForwardAuthListen)
		if err != nil {
			return err
		}
		if config.TLS.ClientCA == "" && exposed(listener) {
			return fieldError("ForwardAuthListen", config.ForwardAuthListen, errors.New(whoMayAskByHTTP))
		}
		s.forwardAuth = &forwardAuth{listener: listener}
	}
	return nil
}

func grpcOptions(config *Config, gate *overload.Gate, creds credentials.TransportCredentials) []grpc.ServerOption {
	return append(transportOptions(config, gate), grpc.Creds(gate.Credentials(creds)), grpc.InTapHandle(gate.Tap),
		// The outermost one: it reads the stream itself.
		grpc.ChainStreamInterceptor(gate.Stream))
}

// transportOptions returns what connections are like.
func transportOptions(config *Config, gate *overload.Gate) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(gate.Codec(wire.Codec(config.MaxBatch))),
		grpc.MaxRecvMsgSize(config.MaxMessageBytes),
		grpc.MaxConcurrentStreams(config.MaxStreams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.WaitForHandlers(true),
		grpc.ReadBufferSize(readBuffer),
		grpc.WriteBufferSize(writeBuffer),
		// A call on a goroutine of its own grows its stack anew, which is a tenth of what Allowed costs.
		grpc.NumStreamWorkers(uint32(workersPerProcessor * runtime.GOMAXPROCS(0))),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge:      config.MaxConnectionAge,
			MaxConnectionAgeGrace: config.MaxConnectionAgeGrace,
			Time:                  pingAfter,
			Timeout:               pingTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(
			keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}),
	}
}

// register registers the services. Reflection is registered in v1, and in v1alpha for older tools.
func (s *Server) register(config *Config, m *metrics.Metrics, streams context.Context) {
	options := decisions.Options{
		MaxBatch:    config.MaxBatch,
		MaxWait:     config.MaxDeadline,
		RefuseStale: config.WhenStale == DenyWhenStale,
		UntilDrain:  current.UntilDrain(streams),
		Gate:        s.gate,
		Metrics:     m,
		Watches: watches.Limits{
			Questions: config.MaxWatched, Total: config.MaxWatchedTotal, Watches: config.MaxWatches,
		},
		WatchHeartbeat: config.WatchHeartbeat,
	}
	if s.decisions != nil {
		m.Registry.MustRegister(s.decisions)
		options.WatchLog = s.decisions
	}
	if config.CacheSize > 0 {
		options.Cache = cache.New(config.CacheSize)
		m.RegisterCache(options.Cache)
	}
	services := s.gate.Registrar(s.grpc, withoutPlaces)
	if service := decisions.New(config.Source, options); s.decisions != nil || config.messages {
		netpoldv1.RegisterDecisionServiceServer(services, service) // the log wants messages
	} else {
		decisions.Register(services, service)
	}
	netpoldv1.RegisterStatusServiceServer(services, decisions.NewStatus(config.Source, config.Version, s.decisionLogStatus()))
	netpoldv1.RegisterAuditServiceServer(services, audits.New(config.Source, audits.Options{
		MaxAudits:      config.MaxAudits,
		MaxDeadline:    config.MaxAuditDeadline,
		MaxConnections: config.MaxConnections,
		RefuseStale:    options.RefuseStale,
		UntilDrain:     options.UntilDrain,
		Gate:           s.gate,
		Overlay:        config.Overlay,
		Metrics:        m,
	}))
	var record proxied.Recorder
	if s.decisions != nil {
		record = s.decisions.Record
	}
	asked := proxied.Options{
		Cache:       options.Cache,
		Gate:        s.gate,
		RefuseStale: options.RefuseStale,
		Shadow:      config.Shadow,
		DenyDetail:  config.DenyDetail.proxied(),
		Record:      record,
		Metrics:     m,
		Logger:      config.Logger,
	}
	if s.tracer != nil {
		asked.Trace = s.tracer.Outcome
	}
	extauthz.Register(services, config.Source, asked)
	s.registerForwardAuth(config, asked)
	healthv1.RegisterHealthServer(services, s.health)
	reflection.Register(reflected{services, s.grpc})
	m.GRPC.InitializeMetrics(s.grpc)
}

// Addr returns the gRPC address, with the actual port; of a Unix socket, unix:///PATH.
func (s *Server) Addr() string { return textOf(s.grpcListener) }

// AdminAddr returns the address of the admin pages; empty when they are off.
func (s *Server) AdminAddr() string {
	if s.adminListener == nil {
		return ""
	}
	return s.adminListener.Addr().String()
}

// Stop ends [Server.Run] immediately, even during its drain, and cuts calls in progress. It also closes the
// ports of a server that never ran. It blocks until no call is left.
func (s *Server) Stop() {
	s.stopOnce.Do(func() {
		s.draining.Store(true)
		s.health.Shutdown()
		close(s.stopped)
		s.endStreams(current.ErrShuttingDown)
		s.grpc.Stop()
		s.callers.close()
		s.close(s.grpcListener)
		if s.forwardAuth != nil {
			s.close(s.forwardAuth)
			s.close(s.forwardAuth.listener)
		}
		if s.admin != nil {
			s.close(s.admin)
			s.close(s.adminListener)
		}
		if !s.running.Load() {
			if err := s.closeDecisionLog(); err != nil {
				s.log.Warn("closing the decision log", "error", err)
			}
		}
	})
}

// close closes c, which may be closed already.
func (s *Server) close(c io.Closer) {
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Warn("closing a port", "error", err)
	}
}
