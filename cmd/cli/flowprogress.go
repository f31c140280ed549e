package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// A progressLine tells people on a terminal how far an audit is.
type progressLine struct {
	ended chan struct{}
	done  sync.WaitGroup
}

// progressEvery is how often the line changes.
const progressEvery = 500 * time.Millisecond

// startProgress prints a line on standard error until it is stopped, if that is a terminal and nothing else is
// printed there. quiet means that no records are printed.
func (inv *invocation) startProgress(from flowInput, quiet bool) *progressLine {
	p := &progressLine{ended: make(chan struct{})}
	if inv.quiet || !isTerminal(inv.stderr) || isTerminal(inv.stdout) && !quiet {
		return p
	}
	p.done.Go(func() { p.print(inv.stderr, from) })
	return p
}

func (p *progressLine) stop() {
	close(p.ended)
	p.done.Wait()
}

func (p *progressLine) print(out io.Writer, from flowInput) {
	started := time.Now()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			fmt.Fprint(out, "\r\x1b[K")
			return
		case <-tick.C:
			records, done, total := from.progress()
			fmt.Fprintf(out, "\r\x1b[K%s", progressText(records, done, total, time.Since(started)))
		}
	}
}

// progressText says how far an audit is. total is 0 if nobody knows.
func progressText(records, done, total int64, took time.Duration) string {
	seconds := max(took.Seconds(), 0.001)
	text := fmt.Sprintf("%d records, %.0f a second", records, float64(records)/seconds)
	if total <= 0 || done <= 0 {
		return text
	}
	left := time.Duration(float64(took) * float64(max(total-done, 0)) / float64(done)).Round(time.Second)
	return fmt.Sprintf("%s, %.0f%%, %v left", text, 100*min(float64(done)/float64(total), 1), left)
}

func isTerminal(w any) bool {
	if out, ok := w.(*outputWriter); ok {
		w = out.w
	}
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) //nolint:gosec // a file descriptor is small
}
