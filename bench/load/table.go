package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"time"
)

// row is what was measured of one kind of call at one rate.
type row struct {
	// stream says that it was StreamAllowed at full speed, in batches.
	stream bool
	// batch is how many questions a call asks; with 0 it is Allowed, which asks one.
	batch int
	// lists are the lists that were taken at the same time.
	lists int
	// asked and achieved are calls a second; achieved are those answered without an error.
	asked, achieved float64
	// p50, p95 and p99 are of the calls that were answered.
	p50, p95, p99 time.Duration
	errors        int
	// failure is the commonest error.
	failure string
	// cores is the server's CPU, resident its memory in bytes.
	cores, resident float64
}

const (
	// slowest is the p99 from which on a server counts as saturated.
	slowest = 100 * time.Millisecond
	// least is the part of the rate asked for that a server answers which is not saturated.
	least = 0.95
)

// limit says why the server is saturated, and nothing when it is not.
func (r *row) limit() string {
	switch {
	case r.stream:
		return ""
	case r.errors > 0:
		return "errors: " + r.failure
	case r.achieved < least*r.asked:
		return fmt.Sprintf("below %.0f%% of the rate", 100*least)
	case r.p99 > slowest:
		return fmt.Sprintf("p99 above %v", slowest)
	}
	return ""
}

func (r *row) method() string {
	switch {
	case r.stream:
		return fmt.Sprintf("StreamAllowed, by %s", thousands(float64(r.batch)))
	case r.lists > 0:
		return fmt.Sprintf("Allowed, beside %d lists", r.lists)
	case r.batch == 0:
		return "Allowed"
	default:
		return fmt.Sprintf("BatchAllowed of %s", thousands(float64(r.batch)))
	}
}

func (r *row) progress() string {
	text := fmt.Sprintf("%s: %s calls/s", r.method(), thousands(r.achieved))
	if !r.stream {
		text += fmt.Sprintf(" of %s, p99 %s ms", thousands(r.asked), milliseconds(r.p99))
	}
	if why := r.limit(); why != "" {
		text += ", saturated: " + why
	}
	return text
}

// writeTable writes rows in Markdown, with what one must know of them.
func writeTable(w io.Writer, s settings, rows []row) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(w, "%v, %v a rate, %d connections, client and server on the same %d CPUs (%s/%s), %s. Latencies in ms.\n\n",
		s.size, s.step, s.connections, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	fmt.Fprintln(w, "| method | asked calls/s | answered calls/s | questions/s | p50 | p95 | p99 | errors | server CPU, cores | server memory, MiB | saturated |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|")
	for i := range rows {
		r := &rows[i]
		asked, p50, p95, p99 := thousands(r.asked), milliseconds(r.p50), milliseconds(r.p95), milliseconds(r.p99)
		if r.stream {
			asked, p50, p95, p99 = "full speed", "", "", ""
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %.2f | %.0f | %s |\n", r.method(), asked, thousands(r.achieved),
			thousands(r.achieved*float64(max(r.batch, 1))), p50, p95, p99, thousands(float64(r.errors)), r.cores, r.resident/(1<<20), r.limit())
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

// milliseconds has three digits that count.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms == 0:
		return "-"
	case ms < 1:
		return strconv.FormatFloat(ms, 'f', 2, 64)
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 1, 64)
	default:
		return strconv.FormatFloat(ms, 'f', 0, 64)
	}
}
