package cli

import (
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/netpold/netpold/server"
)

// hangups returns channels of SIGHUPs, and of signals to debug. Until stop is called, they do not end the process.
func hangups() (hups, debugs <-chan os.Signal, stop func()) {
	hup, debug := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	notifyDebug(debug)
	return hup, debug, func() {
		signal.Stop(hup)
		signal.Stop(debug)
	}
}

// A reloadable is a source that can be read again.
type reloadable interface {
	// Reload makes the source read again. It does not block.
	Reload()
}

// reload reads again, on SIGHUP, what can change without a restart. It logs each result.
func (inv *invocation) reload(srv *server.Server, from followed, level *logLevel) {
	log := level.log
	log.Info("SIGHUP: settings, TLS files and manifests are read again")
	srv.ReopenDecisionLog() // first: whoever rotates logs waits for it
	next, err := inv.config.Reread(inv.environ)
	if err != nil {
		log.Error("changed settings rejected; the present ones stay in use", "error", err)
	} else {
		applySettings(next.Log.SlogLevel(), inv.config.Differences(next), level)
	}
	if !srv.ReloadTLS() {
		log.Debug("no TLS files to read again")
	}
	srv.ReloadAuthzPolicy()
	if files, ok := from.(reloadable); ok {
		files.Reload()
	}
}

// applySettings sets the log level, the only setting that can change without a restart.
func applySettings(to slog.Level, changed []string, level *logLevel) {
	level.settle(to)
	changed = slices.DeleteFunc(changed, func(name string) bool { return name == "log-level" })
	if len(changed) > 0 {
		level.log.Warn("changed settings count from the next start", "settings", changed)
	}
}
