package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/netpold/netpold/server/internal/current"
)

const adminIndex = `netpold

/metrics       Prometheus metrics
/healthz       200 while the process is alive
/readyz        200 while questions are answered, else 503 and why not
`

const profilesIndex = `/debug/pprof/  profiles: heap, goroutine, profile?seconds=10, ...
`

// newAdmin returns a server of the admin pages. ready reports whether questions are answered, and why not. Profiles
// show what is in memory, so they are served only if asked for (P33).
func newAdmin(registry *prometheus.Registry, log *slog.Logger, ready func() (bool, string),
	profiles bool) *http.Server {
	mux := http.NewServeMux()
	index := adminIndex
	if profiles {
		index += profilesIndex
	}
	mux.HandleFunc("GET /{$}", text(func() (int, string) { return http.StatusOK, index }))
	mux.HandleFunc("GET /healthz", text(func() (int, string) { return http.StatusOK, "ok\n" }))
	mux.HandleFunc("GET /readyz", text(func() (int, string) {
		ok, why := ready()
		if !ok {
			return http.StatusServiceUnavailable, why + "\n"
		}
		return http.StatusOK, why + "\n"
	}))
	errorLog := slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry,
		promhttp.HandlerOpts{ErrorLog: errorLog, Registry: registry}))
	if profiles {
		// Not /debug/pprof/cmdline: it would show the arguments of the process.
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		// No WriteTimeout: a CPU profile takes as long as it was asked to.
		ErrorLog: errorLog,
	}
}

// text returns a handler that serves a short text. It must never be cached.
func text(page func() (code int, body string)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		code, body := page()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(code)
		// If writing fails, the reader is gone, and nobody else needs to know.
		_, _ = w.Write([]byte(body))
	}
}

// ready reports whether questions are answered, with the state that they are answered from or the reason why
// not.
func (s *Server) ready() (bool, string) {
	if s.draining.Load() {
		return false, "not ready: the server is shutting down"
	}
	state, ok := s.source.State()
	switch stale, _ := s.source.Stale(); {
	case ok && stale && s.whenStale == DenyWhenStale:
		return false, "not ready: the state is stale, and nothing is answered from it (--when-stale=deny): " +
			current.StaleText(s.source.Status().Resources)
	case ok && stale:
		return true, fmt.Sprintf("ready: revision %d, which is stale: %s", state.Snapshot.Revision(),
			current.StaleText(s.source.Status().Resources))
	case ok:
		return true, fmt.Sprintf("ready: revision %d", state.Snapshot.Revision())
	}
	var waiting []string
	for _, r := range s.source.Status().Resources {
		switch {
		case r.Error != "":
			waiting = append(waiting, r.Name+" ("+r.Error+")")
		case !r.Synced:
			waiting = append(waiting, r.Name)
		}
	}
	if len(waiting) == 0 {
		return false, "not ready: the first full sync is not complete"
	}
	return false, "not ready: the first full sync is not complete; waiting for " + strings.Join(waiting, ", ")
}
