package hubble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/cilium/cilium/api/v1/observer"
	"github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/audit/flows"
)

// Flows follows the flows of one Hubble. One goroutine may call Next while others call Counts.
type Flows struct {
	options Options
	cursor  cursor
	// current is the connection; nil while there is none.
	current *connection
	// first was received by Open.
	first *observer.GetFlowsResponse
	// proven means that flows were once sent: from then on whatever goes wrong is tried again.
	proven bool
	// failures counts the connections since the last flow or lost event.
	failures int
	line     int
	// told is how many lost events an event has told.
	told   uint64
	counts struct{ records, repeated, lost, reconnects atomic.Uint64 }
}

// Counts are totals since Open.
type Counts struct {
	// Records were yielded by Next.
	Records uint64
	// Repeated were received again after a break, and left out.
	Repeated uint64
	// Lost are events that Hubble said to have lost.
	Lost uint64
	// Reconnects are connections after the first.
	Reconnects uint64
}

// An Error is why flows cannot be followed.
type Error struct {
	// Code is gRPC's. DeadlineExceeded means that the server was connected but did not answer.
	Code codes.Code
	// Message says what went wrong.
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Open connects to a Hubble and returns when it has answered. If it does not, or is none, the error is an
// [*Error]: breaks are mended later, but a mistake in an address should be told. ctx limits Open alone.
func Open(ctx context.Context, options Options) (*Flows, error) {
	f := &Flows{options: options, cursor: cursor{start: options.Since}}
	if f.options.timing == (timing{}) {
		f.options.timing = defaultTiming
		if options.Timeout > 0 {
			f.options.timing.answer = options.Timeout
		}
	}
	var err error
	// The stream outlives ctx.
	if f.current, err = f.connect(context.WithoutCancel(ctx)); err != nil {
		return nil, &Error{codes.InvalidArgument, cause(err)}
	}
	if err := f.awaitFirst(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// awaitFirst waits for the first sign of life: a message, or an answer of ServerStatus, since a Hubble that
// sees no flows sends nothing.
func (f *Flows) awaitFirst(ctx context.Context) error {
	probing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	probed := f.current.probe(probing, f.options.timing.answer)
	defer func() {
		cancel()
		drain(probed)
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case message, ok := <-f.current.messages:
		if !ok && !errors.Is(f.current.err, io.EOF) {
			return fatal(f.current.err)
		}
		f.first, f.proven = message, true
		return nil
	case err := <-probed:
		if !answers(err) {
			return fatal(err)
		}
		// Whatever it answered, its stream tells whether it is a Hubble.
		return nil
	}
}

// fatal returns the error for what ends everything.
func fatal(err error) error { return &Error{status.Code(err), cause(err)} }

// lasting reports whether trying again would bring the same error.
func lasting(err error) bool {
	switch status.Code(err) {
	case codes.Unimplemented, codes.Unauthenticated, codes.PermissionDenied, codes.InvalidArgument:
		return true
	default:
		return false
	}
}

// ended reports whether the stream ended because all that was wanted has come.
func (f *Flows) ended(err error) bool {
	return errors.Is(err, io.EOF) && !f.options.Until.IsZero() && !f.options.Until.After(time.Now())
}

// Next returns the next record: of a flow, or of another event, which is no question (flows.NotAFlow). It
// waits for as long as there is none, and connects anew when the connection broke. It returns [io.EOF] after
// Until, and ctx's error when ctx has ended; it can then be called again. An [*Error] means that the server
// is no Hubble after all.
//
// What is not read stays at the server: Flows holds no more than a few dozen messages.
func (f *Flows) Next(ctx context.Context) (flows.Record, error) {
	for {
		message, err := f.receive(ctx)
		if err != nil {
			return flows.Record{}, err
		}
		if !f.accept(message) {
			f.counts.repeated.Add(1)
			continue
		}
		f.counts.records.Add(1)
		f.line++
		r := record(message)
		r.File, r.Line = f.options.Target, f.line
		return r, nil
	}
}

// Waits reports whether Next may have to wait, because nothing is received that it could return. It is called
// where Next is.
func (f *Flows) Waits() bool {
	return f.first == nil && (f.current == nil || len(f.current.messages) == 0)
}

// Counts returns totals. It is safe for concurrent use.
func (f *Flows) Counts() Counts {
	return Counts{
		Records: f.counts.records.Load(), Repeated: f.counts.repeated.Load(),
		Lost: f.counts.lost.Load(), Reconnects: f.counts.reconnects.Load(),
	}
}

// Close ends the connection. Next must not be called meanwhile or afterwards.
func (f *Flows) Close() {
	if f.current != nil {
		f.current.close()
		f.current = nil
	}
}

// receive returns the next message, of this connection or another.
func (f *Flows) receive(ctx context.Context) (*observer.GetFlowsResponse, error) {
	if message := f.first; message != nil {
		f.first = nil
		return message, nil
	}
	for {
		if f.current == nil {
			if err := f.reconnect(ctx); err != nil {
				return nil, err
			}
		}
		message, err := f.await(ctx)
		switch {
		case err == nil:
			return message, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case f.ended(err):
			return nil, io.EOF
		case !f.proven && lasting(err):
			return nil, fatal(err)
		}
		f.Close()
		if f.failures == 0 {
			f.event(Event{Kind: Disconnected, Message: cause(err)})
		}
		f.failures++
	}
}

// await returns the next message of the connection. While there is none it asks now and then whether the
// server still answers: one that hangs sends nothing either.
func (f *Flows) await(ctx context.Context) (*observer.GetFlowsResponse, error) {
	c := f.current
	select {
	case message, ok := <-c.messages:
		return f.received(c, message, ok)
	default:
	}
	silence := time.NewTimer(f.options.timing.silence)
	defer silence.Stop()
	var over <-chan time.Time
	if until := f.options.Until; c.follows && !until.IsZero() {
		timer := time.NewTimer(time.Until(until) + f.options.timing.late)
		defer timer.Stop()
		over = timer.C
	}
	probing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var probed <-chan error
	defer func() {
		cancel()
		drain(probed)
	}()
	for {
		select {
		case message, ok := <-c.messages:
			return f.received(c, message, ok)
		case <-silence.C:
			probed = c.probe(probing, f.options.timing.answer)
		case err := <-probed:
			if !answers(err) {
				return nil, status.Error(status.Code(err), "it does not answer: "+cause(err))
			}
			probed = nil
			silence.Reset(f.options.timing.silence)
		case <-over:
			return nil, io.EOF
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *Flows) received(c *connection, m *observer.GetFlowsResponse,
	ok bool) (*observer.GetFlowsResponse, error) {
	if !ok {
		return nil, c.err
	}
	f.proven = true
	return m, nil
}

// reconnect waits a while and connects anew.
func (f *Flows) reconnect(ctx context.Context) error {
	pause := time.NewTimer(f.pause())
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	f.counts.reconnects.Add(1)
	f.cursor.resumed()
	var err error
	if f.current, err = f.connect(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("%s: %w", f.options.Target, err)
	}
	return nil
}

// pause returns how long to wait before the next connection.
func (f *Flows) pause() time.Duration {
	limit := f.options.timing.firstPause
	for range f.failures - 1 {
		if limit *= 2; limit >= f.options.timing.longestPause {
			limit = f.options.timing.longestPause
			break
		}
	}
	return rand.N(limit)
}

// accept reports whether a message is new, and takes note of it.
func (f *Flows) accept(m *observer.GetFlowsResponse) bool {
	if s := m.GetNodeStatus(); s != nil {
		f.heardOfNodes(m, s)
		return true
	}
	if f.failures > 0 {
		f.failures = 0
		f.event(Event{Kind: Reconnected})
	}
	name := m.GetNodeName()
	if name == "" {
		name = m.GetFlow().GetNodeName()
	}
	if lost := m.GetLostEvents(); lost != nil {
		if f.cursor.seen.repeats(identify(m)) {
			return false
		}
		f.lost(lost.GetNumEventsLost(), lost.GetSource().String())
		return true
	}
	return f.cursor.accept(name, timeOf(m.GetFlow().GetTime()), identify(m), time.Now())
}

func (f *Flows) heardOfNodes(m *observer.GetFlowsResponse, s *relay.NodeStatusEvent) {
	if f.cursor.base.IsZero() {
		f.cursor.base = timeOf(m.GetTime())
	}
	if s.GetStateChange() == relay.NodeState_NODE_ERROR {
		// Relay tries it again, from where this connection began.
		f.cursor.replays(s.GetNodeNames())
	}
	f.event(nodesEvent(s))
}

// lost counts lost events, and tells when there are twice as many.
func (f *Flows) lost(n uint64, source string) {
	if total := f.counts.lost.Add(n); total >= 2*f.told {
		f.told = total
		f.event(Event{Kind: EventsLost, Count: total, Message: source})
	}
}

func (f *Flows) event(e Event) {
	if f.options.Event != nil {
		f.options.Event(e)
	}
}
