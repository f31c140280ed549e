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

// newLogger returns a logger, and its level, which can be changed later.
func newLogger(w io.Writer, settings config.Log) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(settings.SlogLevel())
	options := &slog.HandlerOptions{Level: level}
	if textLogs(w, settings.Format) {
		return slog.New(slog.NewTextHandler(w, options)), level
	}
	options.ReplaceAttr = readableDuration
	return slog.New(slog.NewJSONHandler(w, options)), level
}

// readableDuration writes a duration as text logs do, "3s". As JSON, slog would write 3000000000.
func readableDuration(_ []string, attr slog.Attr) slog.Attr {
	if attr.Value.Kind() == slog.KindDuration {
		attr.Value = slog.StringValue(attr.Value.Duration().String())
	}
	return attr
}
