package decisionlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// gather is how long records wait for others, so that they are written together.
	gather = 20 * time.Millisecond
	// chunk is how many bytes are written at once.
	chunk = 256 << 10
	// maxRecord is the largest record, in bytes: readers take no longer line (A8).
	maxRecord = 1 << 20
	// drainTime is how long the writer has for what is queued when the server ends.
	drainTime = 5 * time.Second
	// Between attempts to write to what fails.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 10 * time.Second
	// tellEvery is how often a failure that lasts is logged.
	tellEvery = time.Minute
)

// Run writes until ctx ends, and then what is queued, for some seconds at most (G4). It returns an error if
// records were left. Decisions that are made later are not recorded.
func (l *Log) Run(ctx context.Context) error {
	w := &writer{log: l, draining: ctx.Done(), giveUp: make(chan struct{})}
	w.encoder.each = w.line
	_, w.exports = l.sink.(*exportSink)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run()
	}()
	<-ctx.Done()
	limit := time.NewTimer(drainTime)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		close(w.giveUp)
		l.sink.interrupt()
		limit.Reset(stalled)
		select {
		case <-done:
		case <-limit.C: // a write to a dead disk cannot be interrupted: the process ends without it
		}
	}
	left := int(w.taken.Load())
	for _, e := range l.queue.take(nil) {
		left += e.n
	}
	if left == 0 {
		return nil
	}
	l.counts.dropped[writeFailed].Add(uint64(left))
	return fmt.Errorf("%d records of the decision log are lost: %s took no more of them", left, l.sink.target())
}

// A writer writes entries until the log ends.
type writer struct {
	log *Log
	// draining is closed when no entries come any more, giveUp when there is no time left.
	draining <-chan struct{}
	giveUp   chan struct{}
	// taken counts the records that were taken from the queue, and neither written nor dropped.
	taken atomic.Int64

	encoder encoder
	lines   lines
	// exports is set if the sink wants records one by one.
	exports bool
	// weight is what the entries weigh that are wholly in lines.
	weight int
	// over is set when no more is written.
	over bool
	// told is how many dropped records the lines so far have told of.
	told uint64
	// failing is set while the sink fails. tell is when to log that next.
	failing bool
	tell    time.Time
}

// run writes until the log drains and the queue is empty, or the sink fails after that.
func (w *writer) run() {
	var entries []*entry
	for !w.over {
		more := w.wait()
		entries = w.log.queue.take(entries)
		for _, e := range entries {
			w.taken.Add(int64(e.n))
		}
		w.tellDropped()
		for _, e := range entries {
			w.encoder.entry(e)
			w.weight += e.weight
			e.release()
		}
		w.flush()
		w.tellDropped() // of those that came too late for the lines above
		w.flush()
		if !more && w.log.queue.length() == 0 {
			break
		}
	}
	if err := w.log.sink.close(&w.lines); err != nil {
		w.log.log.Warn("closing the decision log", "error", err)
	}
}

// wait returns when there are entries. It lets them gather, unless there are many. It reports whether more
// entries may come after those in the queue.
func (w *writer) wait() bool {
	q := w.log.queue
	for waiting := true; waiting; {
		select {
		case <-q.soon:
			waiting = false
		case <-q.now:
			return true
		case <-w.log.reopen:
			w.reopen()
		case <-w.draining:
			return false
		}
	}
	timer := time.NewTimer(gather)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.now:
	case <-w.draining:
		return false
	}
	return true
}

// line takes a line that the encoder has appended.
func (w *writer) line(e *entry, denied bool, from int) {
	if to := len(w.encoder.b); to-from > maxRecord || w.over {
		w.encoder.b = w.encoder.b[:from]
		if !w.over {
			w.taken.Add(-1)
			w.log.counts.dropped[tooLarge].Add(1)
		}
		return
	}
	if w.exports {
		w.lines.records = append(w.lines.records, Record{Time: e.at, TraceParent: e.traceparent, Denied: denied,
			from: from, to: len(w.encoder.b) - 1})
	}
	if len(w.encoder.b) >= chunk {
		w.flush()
	}
}

// tellDropped appends the line about records that were dropped since the last one (G3).
func (w *writer) tellDropped() {
	dropped := w.log.counts.all()
	if dropped == w.told || w.over {
		return
	}
	from := len(w.encoder.b)
	now := time.Now()
	w.encoder.appendDropped(now, dropped-w.told)
	end := len(w.encoder.b)
	w.lines.dropped = append(w.lines.dropped, end)
	if w.exports {
		w.lines.records = append(w.lines.records, Record{Time: now, Denied: true, from: from, to: end - 1})
	}
	w.told = dropped
}

// flush writes the lines, for as long as that takes. When there is no more time, over is set.
func (w *writer) flush() {
	select {
	case <-w.log.reopen:
		w.reopen()
	default:
	}
	if w.over {
		return
	}
	if len(w.encoder.b) == 0 {
		w.free()
		return
	}
	w.lines.text, w.lines.sent, w.lines.rejected = w.encoder.b, 0, 0
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		last := isClosed(w.draining)
		err := w.log.sink.write(&w.lines)
		if err == nil {
			w.recovered()
			break
		}
		w.failed(err)
		// At the end a slow reader may still come to it, or another process to the end of its line. What else fails
		// then is not tried again.
		if last && !errors.Is(err, errStalled) && !errors.Is(err, errLocked) || !w.pause(retry) {
			w.over = true // the sink takes off what was cut, of the lines as they are
			w.count()
			return
		}
	}
	w.count()
	w.encoder.b = w.encoder.b[:0]
	clear(w.lines.records)
	w.lines = lines{records: w.lines.records[:0], dropped: w.lines.dropped[:0]}
	w.free()
}

// free gives the queue room for what was written.
func (w *writer) free() {
	w.log.queue.free(w.weight)
	w.weight = 0
}

// count counts the records of the lines that were written.
func (w *writer) count() {
	n := bytes.Count(w.lines.text[:w.lines.sent], newline)
	for _, end := range w.lines.dropped {
		if end <= w.lines.sent {
			n--
		}
	}
	w.taken.Add(int64(-n))
	w.log.counts.written.Add(uint64(max(n-w.lines.rejected, 0)))
}

// newline ends a line. Text in JSON has none.
var newline = []byte{'\n'}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// pause waits before the next attempt. It reports false if there is none.
func (w *writer) pause(retry time.Duration) bool {
	if isClosed(w.giveUp) {
		return false
	}
	timer := time.NewTimer(retry)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.log.reopen:
		w.reopen()
	case <-w.draining:
	}
	return true
}

// reopen opens the path again (G4).
func (w *writer) reopen() {
	if err := w.log.sink.reopen(&w.lines); err != nil {
		w.log.log.Error("the decision log is not opened again; the present file stays in use", "target",
			w.log.sink.target(), "error", err)
		return
	}
	w.log.log.Info("the decision log is opened again", "target", w.log.sink.target())
}

// failed stores a failure for GetStatus, and logs it now and then.
func (w *writer) failed(err error) {
	text := err.Error()
	w.log.failure.Store(&text)
	now := time.Now()
	if w.failing && now.Before(w.tell) {
		return
	}
	w.failing, w.tell = true, now.Add(tellEvery)
	w.log.log.Warn("the decision log is not written; it is tried again", "target", w.log.sink.target(), "error",
		err, "queued", w.log.queue.length(), "dropped", w.log.counts.all())
}

// recovered takes back a failure.
func (w *writer) recovered() {
	if w.log.failure.Swap(nil) != nil {
		w.failing = false
		w.log.log.Info("the decision log is written again", "target", w.log.sink.target(), "dropped",
			w.log.counts.all())
	}
}
