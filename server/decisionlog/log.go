package decisionlog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"
)

// DefaultQueue is the default of [Options.Queue].
const DefaultQueue = 65_536

// DefaultSample is the share of allowed answers that is written unless another is asked for.
const DefaultSample = 1.0

// Stdout is the path that stands for standard output.
const Stdout = "-"

// Options configure a [Log].
type Options struct {
	// Path is the file to append to, which is made if there is none; [Stdout] for standard output. It may be a
	// FIFO, which is waited for until somebody reads it.
	Path string
	// Stdout is what [Stdout] stands for.
	Stdout io.Writer
	// Exporter gets the records in place of a file. Default: none.
	Exporter Exporter
	// Sample is the share of allowed answers that is written, 0 to 1. Denials and errors always are.
	Sample float64
	// DenialsOnly writes no allowed answer.
	DenialsOnly bool
	// Queue is how many records may wait for the writer. Default: [DefaultQueue].
	Queue int
	// Logger gets what happens to the log itself. Default: it is dropped.
	Logger *slog.Logger
}

// An Exporter sends records elsewhere than to a file. Only one of its methods runs at a time.
type Exporter interface {
	// Export sends records. After an error none of them counts as sent, and they are sent again. Those that
	// were rejected for good are not. It returns when ctx ends.
	Export(ctx context.Context, records []Record) (rejected int, err error)
	// Shutdown releases what the exporter holds.
	Shutdown(ctx context.Context) error
	// Target returns where records go, for people.
	Target() string
}

// A Record is one line of the log.
type Record struct {
	// Time is when the question came.
	Time time.Time
	// TraceParent is what the caller sent as traceparent; "" for nothing.
	TraceParent string
	// Denied is set for denials and errors.
	Denied bool
	// JSON is the line without its end. It is valid until Export returns.
	JSON []byte

	// from and to say where the line is.
	from, to int
}

// A Log writes one record for each decision (G1 to G4). Its methods are safe for concurrent use. Records that
// come before [Log.Run] wait in the queue.
type Log struct {
	choose chooser
	queue  *queue
	sink   sink
	log    *slog.Logger

	// reopen asks the writer to open the path again.
	reopen chan struct{}
	counts counts
	// failure is why the sink does not take records; nil while it does.
	failure atomic.Pointer[string]
}

// Why records are dropped, as values of the label why.
const (
	// queueFull: the writer did not keep up.
	queueFull = iota
	// writeFailed: the queue was full, or the server ended, while the file did not take records.
	writeFailed
	// tooLarge: a record longer than a reader takes.
	tooLarge
	// rejected: the endpoint does not want it.
	rejected
	reasons
)

// whys are the texts of the reasons.
var whys = [reasons]string{"queue-full", "write-failed", "too-large", "rejected"}

type counts struct {
	written atomic.Uint64
	dropped [reasons]atomic.Uint64
}

// all returns how many records were dropped.
func (c *counts) all() uint64 {
	n := uint64(0)
	for i := range c.dropped {
		n += c.dropped[i].Load()
	}
	return n
}

// Open opens the path. Its error says what to do about it. Call [Log.Run] to write, or else [Log.Close].
func Open(options Options) (*Log, error) {
	if options.Queue <= 0 {
		options.Queue = DefaultQueue
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		choose: newChooser(options.Sample, options.DenialsOnly),
		queue:  newQueue(options.Queue),
		log:    options.Logger,
		reopen: make(chan struct{}, 1),
	}
	switch {
	case options.Exporter != nil:
		l.sink = newExportSink(options.Exporter, func(n int) {
			l.counts.dropped[rejected].Add(uint64(n))
		})
	case options.Path == Stdout:
		l.sink = &file{path: Stdout, w: options.Stdout}
	default:
		f := &file{path: options.Path}
		if err := f.open(); err != nil && !errors.Is(err, errNoReader) {
			return nil, err
		} else if err != nil {
			text := err.Error()
			l.failure.Store(&text)
		}
		l.sink = f
	}
	return l, nil
}

// Reopen opens the path again, after a rotation has moved the file away (G4). It does not block. Records that
// are queued are written to the new file, none is lost or cut.
func (l *Log) Reopen() { signal(l.reopen) }

// Status is what GetStatus and the metrics say of the log.
type Status struct {
	// Target is the path, or where else records go.
	Target string
	// Written and Dropped count records; Queued is how much of the queue is in use.
	Written, Dropped uint64
	Queued           int
	// Failure is why records cannot be written at present; "" if they can.
	Failure string
}

// Status returns the present status.
func (l *Log) Status() Status {
	s := Status{Target: l.sink.target(), Written: l.counts.written.Load(), Dropped: l.counts.all(),
		Queued: l.queue.length()}
	if failure := l.failure.Load(); failure != nil {
		s.Failure = *failure
	}
	return s
}

// add queues an entry, or counts its records as dropped.
func (l *Log) add(e *entry) {
	n := e.n
	fit := l.queue.add(e) // the writer has it now
	if fit < n {
		l.drop(n - fit)
	}
	if fit == 0 {
		e.release()
	}
}

// drop counts records for which there is no room.
func (l *Log) drop(n int) {
	why := queueFull
	if l.failure.Load() != nil {
		why = writeFailed
	}
	l.counts.dropped[why].Add(uint64(n))
}

// Close closes the path of a log that never ran.
func (l *Log) Close() error { return l.sink.close(&lines{}) }
