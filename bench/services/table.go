package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// writeDecisions writes what each way manages, with the first as the yardstick.
func writeDecisions(w io.Writer, s *settings, list []*measured) {
	fmt.Fprintf(w, "%v, %s questions, batches of %d; %d callers on %d connections of gRPC or as many of HTTP; client and "+
		"services on the same %d CPUs; the best of %d rounds of %v.\n\n", s.size, thousands(float64(s.questions)), s.batch,
		s.callers, s.connections, runtime.NumCPU(), s.rounds, s.step)
	fmt.Fprintln(w, "| service | asked by | decisions a second | its CPU seconds for a million | over netpold's |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	var one, many *measured
	for _, m := range list {
		if _, ours := m.of.(*netpold); ours && one == nil && !m.many {
			one = m
		} else if ours && many == nil && m.many {
			many = m
		}
	}
	for _, m := range list {
		name, base := m.name, one
		if m.many {
			name, base = fmt.Sprintf("%s, %d at once", m.name, s.batch), many
		}
		over := ""
		if base != nil && base.cpu > 0 {
			over = digits(float64(m.cpu) / float64(base.cpu))
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", m.service, name, thousands(m.rate), digits(m.cpu.Seconds()*1e6), over)
	}
}

// A lag is how long changes took to show in answers.
type lag struct {
	name  string
	times []time.Duration
}

func writeLags(w io.Writer, lags []lag) {
	fmt.Fprintln(w, "\n| from a change to a changed answer | least | median | most |\n|---|---|---|---|")
	for _, l := range lags {
		slices.Sort(l.times)
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", l.name, milliseconds(l.times[0]), milliseconds(l.times[len(l.times)/2]),
			milliseconds(l.times[len(l.times)-1]))
	}
}

// A held is what a service holds in memory, in bytes.
type held struct {
	name             string
	loaded, measured int64
	// took is how long it took to start and to take its data.
	took time.Duration
}

func writeHeld(w io.Writer, list []held) {
	fmt.Fprintln(w, "\n| resident memory | with its data | after all rounds | started and loaded in |\n|---|---|---|---|")
	for _, h := range list {
		fmt.Fprintf(w, "| %s | %d MiB | %d MiB | %.1f s |\n", h.name, h.loaded>>20, h.measured>>20, h.took.Seconds())
	}
}

// thousands is a whole number with commas, as 12,345.
func thousands(f float64) string {
	text := strconv.FormatFloat(math.Round(f), 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// digits has two that count, or all before the point.
func digits(f float64) string {
	switch {
	case f < 1:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f < 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return thousands(f)
}

func milliseconds(d time.Duration) string {
	return digits(float64(d)/float64(time.Millisecond)) + " ms"
}
