package cli

import (
	"bytes"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netpold/netpold/cmd/config"
)

// P46: SIGUSR1 is debug for ten minutes, counted from the last one. Then the level of the settings counts, also one
// that came meanwhile.
func TestP46DebugForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLogger(new(bytes.Buffer), config.Log{Level: "warn"})
		pass := func(d time.Duration) {
			select {
			case <-l.debugging:
				l.endDebug()
			case <-time.After(d):
			}
		}
		is := func(want slog.Level, when string) {
			t.Helper()
			if got := l.now.Level(); got != want {
				t.Errorf("%s the level is %v, want %v", when, got, want)
			}
		}
		is(slog.LevelWarn, "before")
		l.debug()
		pass(9 * time.Minute)
		is(slog.LevelDebug, "after 9 min")
		l.debug()
		pass(9 * time.Minute)
		is(slog.LevelDebug, "9 min after another signal")
		l.settle(slog.LevelError)
		is(slog.LevelDebug, "after other settings")
		pass(2 * time.Minute)
		is(slog.LevelError, "after 11 min")
		l.settle(slog.LevelInfo)
		is(slog.LevelInfo, "outside of that time")
	})
}
