package cli

import (
	"log/slog"
	"time"
)

// debugFor is how long SIGUSR1 lowers the level of the log to debug (P46).
const debugFor = 10 * time.Minute

// A logLevel is the level of a log, which can be debug for a while. It is not safe for concurrent use; the log reads
// its level safely.
type logLevel struct {
	now *slog.LevelVar
	log *slog.Logger
	// settled is the level of the settings, which counts again when debugging ends.
	settled slog.Level
	// debugging fires when it does; nil outside of that time.
	debugging <-chan time.Time
}

// settle sets the level of the settings, now or when debugging ends.
func (l *logLevel) settle(to slog.Level) {
	if l.settled == to {
		return
	}
	l.log.Info("log level changed", "from", l.settled, "to", to)
	l.settled = to
	if l.debugging == nil {
		l.now.Set(to)
	}
}

// debug lowers the level to debug, from now for debugFor.
func (l *logLevel) debug() {
	l.now.Set(slog.LevelDebug)
	l.debugging = time.After(debugFor)
	l.log.Info("SIGUSR1: the log level is debug for a while", "for", debugFor, "then", l.settled)
}

// endDebug sets the level of the settings again.
func (l *logLevel) endDebug() {
	l.debugging = nil
	l.log.Info("the log level is that of the settings again", "level", l.settled)
	l.now.Set(l.settled)
}
