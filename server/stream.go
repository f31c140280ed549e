package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// StreamAllowed answers batches of questions by IP in the order in which they come, each from one snapshot of its own (S25).
//
// A stream works on one batch at a time: it reads the next one when the answers to this one are under way, so that a caller who
// does not read them is not read from, and what a stream holds does not grow with its length. At a drain it answers the batch
// in hand, and ends.
func (d *Decisions) StreamAllowed(
	stream grpc.BidiStreamingServer[netpoldv1.StreamAllowedRequest, netpoldv1.StreamAllowedResponse],
) error {
	untilDrain, release := d.untilDrain(stream.Context())
	defer release()
	s := &answering{decisions: d, stream: stream, ctx: untilDrain}
	ended := make(chan error, 1)
	// Only the end of the handler ends a Recv, so that what receives cannot be the handler.
	go func() { ended <- s.run() }()
	err := error(nil)
	select {
	case err = <-ended:
	case <-untilDrain.Done():
		if s.phase.CompareAndSwap(receiving, over) {
			return endedStream(untilDrain).err()
		}
		err = <-ended
	}
	if p, ok := errors.AsType[*panicError](err); ok {
		panic(p) // to be recovered as any call's
	}
	return err
}

// The phases of a stream.
const (
	receiving int32 = iota
	deciding
	over
)

// answering is one stream in progress. Its request and response are used again for each batch.
type answering struct {
	decisions *Decisions
	stream    grpc.ServerStream
	// ctx ends at the drain, too.
	ctx context.Context //nolint:containedctx // this is the stream
	// phase keeps the handler from leaving while a batch is in hand.
	phase atomic.Int32

	request  netpoldv1.StreamAllowedRequest
	response netpoldv1.StreamAllowedResponse
}

// run answers until the caller half-closes, the drain, or an error.
func (s *answering) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	for {
		if err := s.stream.RecvMsg(&s.request); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if !s.phase.CompareAndSwap(receiving, deciding) {
			return nil // nobody hears it
		}
		if err := s.batch(); err != nil {
			return err
		}
		s.phase.Store(receiving)
		if s.ctx.Err() != nil {
			return endedStream(s.ctx).err()
		}
	}
}

// batch answers the request. Its error ends the stream.
func (s *answering) batch() error {
	d := s.decisions
	questions, fail := readColumns(&s.request, d.maxBatch)
	if fail != nil {
		return d.failed(fail)
	}
	on, fail := d.present()
	if fail != nil {
		return d.failed(fail)
	}
	d.metrics.batch(methodStreamAllowed, questions.n)
	if token := s.request.GetAtLeast(); token != "" && token != on.Token {
		if on, fail = s.wait(token); fail != nil {
			return d.failed(fail.placed(alone))
		}
	}
	started := time.Now()
	if fail := s.answer(&questions, &on); fail != nil {
		return d.failed(fail)
	}
	d.metrics.took(methodStreamAllowed, time.Since(started))
	return s.stream.SendMsg(&s.response)
}

// wait is [Decisions.wait] for as long as a call may take.
func (s *answering) wait(token string) (basis, *failure) {
	ctx, cancel := context.WithTimeout(s.ctx, s.decisions.maxWait)
	defer cancel()
	return s.decisions.wait(ctx, token)
}

// answer fills the response. It fails only when the stream has ended.
func (s *answering) answer(questions *columns, on *basis) *failure {
	r := &s.response
	r.Allowed, r.Reasons, r.Errors = zeroed(r.Allowed, (questions.n+7)/8), zeroed(r.Reasons, questions.n), nil
	r.Revision, r.Token, r.Stale = on.Snapshot.Revision(), on.Token, on.stale
	var decided decisionCounts
	for i := range questions.n {
		q, fail := questions.question(i)
		if fail == nil {
			reason, plain := on.Snapshot.BetweenPlain(q.src, q.dst, q.port, q.protocol)
			if !plain {
				reason, fail = s.general(on, &q)
			}
			if fail == nil {
				decided.add(reason)
				r.Reasons[i] = byte(protoReason(reason))
				if reason.Allowed() {
					r.Allowed[i/8] |= 1 << (i % 8)
				}
				continue
			}
			if s.stream.Context().Err() != nil { // not the drain: a batch in hand is answered
				return endedStream(s.stream.Context())
			}
		}
		s.decisions.metrics.failed(fail)
		r.Errors = append(r.Errors, &netpoldv1.QuestionError{Index: uint32(i), Error: fail.proto()})
	}
	s.decisions.metrics.decidedMany(&decided)
	return nil
}

// general asks for the few pairs that take longer.
func (s *answering) general(on *basis, q *byIP) (engine.Reason, *failure) {
	decision, err := s.decisions.decider.AllowedUntil(s.stream.Context().Done(), on.Snapshot, q.query())
	if err != nil {
		return engine.Unknown, unaskedByIP(err)
	}
	return decision.Reason, nil
}

// zeroed is n bytes of 0, in b's memory where there is enough of it.
func zeroed(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	b = b[:n]
	clear(b)
	return b
}

// endedStream is the failure of a stream whose own context ended.
func endedStream(ctx context.Context) *failure {
	f := ended(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && !errors.Is(context.Cause(ctx), errShuttingDown) {
		f.message = "the stream's deadline passed before it was half-closed; give it longer, or none"
	}
	return f
}

// panicError carries a panic to the stream's handler, with where it was.
type panicError struct {
	value any
	stack []byte
}

// Error is the panic's value and the stack.
func (p *panicError) Error() string { return fmt.Sprintf("%v\n%s", p.value, p.stack) }
