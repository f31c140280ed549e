package cli

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"github.com/netpold/netpold/cmd/config"
)

// textLogs reports whether logs are for people.
func textLogs(w io.Writer, format string) bool {
	if format != "auto" {
		return format == "text"
	}
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) //nolint:gosec // a file descriptor is small
}

// newLogger returns a logger within its level, which can be changed later.
func newLogger(w io.Writer, settings config.Log) *logLevel {
	l := &logLevel{now: new(slog.LevelVar), settled: settings.SlogLevel()}
	l.now.Set(l.settled)
	options := &slog.HandlerOptions{Level: l.now}
	if textLogs(w, settings.Format) {
		l.log = slog.New(slog.NewTextHandler(w, options))
		return l
	}
	options.ReplaceAttr = readableDuration
	l.log = slog.New(slog.NewJSONHandler(w, options))
	return l
}

// readableDuration writes a duration as text logs do, "3s". As JSON, slog would write 3000000000.
func readableDuration(_ []string, attr slog.Attr) slog.Attr {
	if attr.Value.Kind() == slog.KindDuration {
		attr.Value = slog.StringValue(attr.Value.Duration().String())
	}
	return attr
}
