package cli

import (
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
)

// The escape sequences of colours (ECMA-48, SGR).
const (
	green       = "\x1b[1;32m"
	red         = "\x1b[1;31m"
	plainColour = "\x1b[0m"
)

// colours reports whether output to w may have colours: w is a terminal with colours, and NO_COLOR
// (no-color.org) is not set.
func colours(w io.Writer, environ []string) bool {
	set := func(name string) string {
		at := slices.IndexFunc(environ, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
		if at < 0 {
			return ""
		}
		return environ[at][len(name)+1:]
	}
	file, ok := w.(*os.File)
	return ok && set("NO_COLOR") == "" && set("TERM") != "dumb" &&
		term.IsTerminal(int(file.Fd())) //nolint:gosec // a file descriptor is small
}

// painted returns text with coloured verdicts at the beginnings of lines, if the output may have colours.
func (inv *invocation) painted(text string) string {
	if !inv.colours {
		return text
	}
	return paint(text)
}

func paint(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "allowed", "ok":
			line = green + word + plainColour + " " + rest
		case "denied", "FAIL", "ERROR":
			line = red + word + plainColour + " " + rest
		}
		b.WriteString(line)
	}
	return b.String()
}
