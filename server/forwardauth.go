package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/forwardauth"
	"github.com/netpold/netpold/server/internal/overload"
	"github.com/netpold/netpold/server/internal/proxied"
)

// Limits of a connection of forward-auth. A request is small, and has no body that is read. How long writing may take, the
// gate's listener says.
const (
	forwardAuthTimeout     = 5 * time.Second
	forwardAuthIdleTimeout = 60 * time.Second
)

// A forwardAuth is the port at which proxies ask by HTTP.
type forwardAuth struct {
	*http.Server
	listener net.Listener
	gate     *overload.Gate
}

// register makes the server of an open port. It serves TLS with certificates of reloader, unless that is nil.
func (f *forwardAuth) register(source mirror.Source, options forwardauth.Options, reloader *tlsReloader) {
	f.Server = &http.Server{
		Handler:                      forwardauth.New(source, options),
		ConnContext:                  options.Gate.ConnContext,
		DisableGeneralOptionsHandler: true, // it would answer 200
		ReadTimeout:                  forwardAuthTimeout,
		IdleTimeout:                  forwardAuthIdleTimeout,
		MaxHeaderBytes:               forwardauth.MaxHeaderBytes,
		// Whoever connects can make these lines.
		ErrorLog: slog.NewLogLogger(options.Logger.Handler(), slog.LevelDebug),
	}
	if reloader != nil {
		f.TLSConfig = reloader.httpConfig()
	}
}

// serve serves until Shutdown or Close.
func (f *forwardAuth) serve() error {
	serve := f.Serve
	if f.TLSConfig != nil {
		serve = func(l net.Listener) error { return f.ServeTLS(l, "", "") }
	}
	if err := serve(f.gate.Listener(f.listener, false)); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving forward-auth on %s: %w", f.listener.Addr(), err)
	}
	return nil
}

// drain takes no new request, and blocks until those in progress are answered or ctx ends. It then cuts them.
func (f *forwardAuth) drain(ctx context.Context) {
	if f == nil {
		return
	}
	// What it could not finish in time is cut.
	_ = errors.Join(f.Shutdown(ctx), f.Close())
}

// registerForwardAuth makes the server of forward-auth, if it is on.
func (s *Server) registerForwardAuth(config *Config, options proxied.Options) {
	if s.forwardAuth == nil {
		return
	}
	// Validate has parsed it.
	proxies, _ := forwardauth.ParseProxies(config.TrustedProxies)
	s.warnings.everyProxy = proxies.Everybody()
	s.forwardAuth.gate = s.gate
	s.forwardAuth.register(config.Source, forwardauth.Options{
		Options:      options,
		Proxies:      proxies,
		ClientHeader: config.ClientIPHeader,
		Ready:        s.ready,
		Draining:     s.draining.Load,
	}, s.tls)
	if s.tracer != nil {
		s.forwardAuth.Handler = s.tracer.Handler(s.forwardAuth.Handler, forwardauth.PathQuestion, forwardauth.PathHealth)
	}
}

// ForwardAuthAddr returns the address of forward-auth; empty when it is off.
func (s *Server) ForwardAuthAddr() string {
	if s.forwardAuth == nil {
		return ""
	}
	return s.forwardAuth.listener.Addr().String()
}
