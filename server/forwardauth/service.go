// Package forwardauth answers proxies that ask by HTTP whether a request may pass: nginx, Caddy, Traefik, HAProxy
// (P13 to P17).
//
// A question's way, from the proxy and back:
//
//	query, X-Forwarded-For ── read ──> proxied.Question, or what is wrong in the proxy's configuration
//	proxied.Question ── decide ──> proxied.Outcome: allowed, denied or error, never mixed (P2)
//	proxied.Outcome ── write ──> 200, 403, 400 or 503
//
// The proxy's configuration writes the query. Of the headers one counts, and of it only what trusted proxies wrote:
// everything else a client could have sent.
package forwardauth

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/internal/decisionid"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/occasions"
	"github.com/netpold/netpold/server/internal/proxied"
	"github.com/netpold/netpold/server/internal/wire"
)

// defaultWriteTimeout is the default of Options.WriteTimeout.
const defaultWriteTimeout = 10 * time.Second

// The limits of a request (P13), in bytes.
const (
	maxURL    = 8 << 10
	maxHeader = 64 << 10
)

// MaxHeaderBytes is what a server must read of a request, so that the limits are the handler's.
const MaxHeaderBytes = maxURL + maxHeader

// The paths.
const (
	// PathQuestion is where questions are asked, and so is every path below it.
	PathQuestion = "/authz"
	// PathHealth is where the server's readiness is asked for.
	PathHealth = "/healthz"
)

// Options configure a [Service].
type Options struct {
	proxied.Options
	// Proxies are those whose word on their clients counts (P15).
	Proxies Proxies
	// ClientHeader is the header in which they name their clients.
	ClientHeader string
	// WriteTimeout is how long a stream of HTTP/2 may wait for its client to take the answer. Default: 10 s.
	WriteTimeout time.Duration
	// Ready reports whether questions are answered, and why not.
	Ready func() (ok bool, why string)
	// Draining reports whether connections are to go elsewhere (P45).
	Draining func() bool
}

// Service answers proxies by HTTP. It is safe for concurrent use.
type Service struct {
	door     proxied.Door
	options  Options
	revision revision
	refused  occasions.Occasions[string]
}

// New returns a service that answers from the states of source.
func New(source mirror.Source, options Options) *Service {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.WriteTimeout <= 0 {
		options.WriteTimeout = defaultWriteTimeout
	}
	options.ClientHeader = http.CanonicalHeaderKey(options.ClientHeader)
	return &Service{door: proxied.NewDoor("forward_auth", source, options.Options), options: options}
}

// ServeHTTP implements [http.Handler].
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.recovered(w, r)
	w.Header()["Cache-Control"] = noStore
	if r.ProtoMajor >= 2 { // a stream may wait for its client while nothing is written to the connection
		// Writers of tests may have no deadline.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.options.WriteTimeout))
	}
	if s.options.Draining() {
		w.Header().Set("Connection", "close")
	}
	path := r.URL.Path
	question := path == PathQuestion || strings.HasPrefix(path, PathQuestion+"/")
	switch {
	case question && !s.fromProxy(r):
		s.refuseCaller(w, r)
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace:
		s.refuse(w, http.StatusMethodNotAllowed)
	case len(r.RequestURI) > maxURL:
		s.refuse(w, http.StatusRequestURITooLong)
	case sizeOf(r.Header) > maxHeader:
		s.refuse(w, http.StatusRequestHeaderFieldsTooLarge)
	case path == PathHealth:
		s.health(w)
	case !question:
		s.refuse(w, http.StatusNotFound)
	default:
		s.answer(w, r)
	}
}

// recovered answers a request whose handler panics: it fails alone (P43).
func (s *Service) recovered(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	s.door.Metrics.Panicked()
	s.options.Logger.ErrorContext(r.Context(), "request of forward-auth panicked", "panic", p, "stack",
		string(debug.Stack()))
	s.undecided(w, r, &proxied.Outcome{Failure: wire.Panicked(), Shadow: s.door.Shadow})
}

// undecided answers a request that fails without the door.
func (s *Service) undecided(w http.ResponseWriter, r *http.Request, o *proxied.Outcome) {
	o.DecisionID = decisionid.New().String()
	s.door.Metrics.ForwardAuth(s.write(w, o))
	s.door.Tell(r.Context(), o)
}

var noStore = []string{"no-store"}

// refuse writes a status without a decision.
func (s *Service) refuse(w http.ResponseWriter, code int) {
	s.door.Metrics.ForwardAuth(code)
	w.WriteHeader(code)
}

// health answers as /readyz of the admin pages does.
func (s *Service) health(w http.ResponseWriter) {
	code := http.StatusOK
	ok, why := s.options.Ready()
	if !ok {
		code = http.StatusServiceUnavailable
	}
	writeBody(w, code, "text/plain; charset=utf-8", why+"\n")
}

// fromProxy reports whether the HTTP peer is a trusted proxy. Who may open a Unix socket is.
func (s *Service) fromProxy(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		return local != nil && local.Network() == "unix"
	}
	return s.options.Proxies.Has(peer.Addr().Unmap().WithZone(""))
}

// refuseCaller refuses a caller that is no proxy, whatever it says (P15).
func (s *Service) refuseCaller(w http.ResponseWriter, r *http.Request) {
	s.door.Metrics.CallerRefused("forward_auth", wire.ReasonCallerNotAllowed)
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	if s.refused.Due(time.Now(), host) {
		s.options.Logger.Warn("a caller of forward-auth is refused: its address is not in --trusted-proxies",
			"reason", wire.ReasonCallerNotAllowed, "peer", host)
	}
	s.refuse(w, http.StatusForbidden)
}

// answer answers a question.
func (s *Service) answer(w http.ResponseWriter, r *http.Request) {
	place, refused := s.options.Gate.EnterHTTP(r)
	if refused != nil {
		s.undecided(w, r, &proxied.Outcome{Failure: refused.Failure})
		return
	}
	defer place.Leave()
	started := time.Now()
	q, fail := s.read(r.URL.RawQuery, r.Header[s.options.ClientHeader])
	defer s.door.Release(q)
	id := decisionid.New()
	o := s.door.Decide(s.callerOf(r), started, id, q, fail, nil)
	s.door.Metrics.ForwardAuth(s.write(w, o))
	if o.Verdict() != proxied.Error {
		s.door.Metrics.Took(metrics.ForwardAuth, time.Since(started))
		return
	}
	s.door.Tell(r.Context(), o)
}

// callerOf returns the context of a request. For the decision log it says who asks, and what the proxy calls the
// request, as that of a gRPC call does.
func (s *Service) callerOf(r *http.Request) context.Context {
	ctx := r.Context()
	if s.door.Record == nil {
		return ctx
	}
	p := &peer.Peer{}
	if addr, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		p.Addr = net.TCPAddrFromAddrPort(addr)
	}
	if r.TLS != nil {
		p.AuthInfo = credentials.TLSInfo{State: *r.TLS}
	}
	md := metadata.MD{}
	for _, name := range []string{"Traceparent", "X-Request-Id"} {
		if values := r.Header[name]; len(values) > 0 {
			md[strings.ToLower(name)] = values
		}
	}
	return metadata.NewIncomingContext(peer.NewContext(ctx, p), md)
}

// sizeOf returns the size of the headers as HTTP/1.1 writes them.
func sizeOf(h http.Header) (size int) {
	for name, values := range h {
		for _, value := range values {
			size += len(name) + len(": ") + len(value) + len("\r\n")
		}
	}
	return size
}
