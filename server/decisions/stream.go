package decisions

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
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/decide"
	"github.com/netpold/netpold/server/internal/details"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/wire"
)

// StreamAllowed answers batches of questions by IP in order, each from one snapshot of its own (S25).
//
// A stream works on one batch at a time, and reads the next one after sending the answers. So a caller that
// does not read answers is not read from either, and the memory of a stream does not grow with its length.
// When the server drains, the stream answers the batch that it has read, and ends.
func (s *Service) StreamAllowed(
	stream grpc.BidiStreamingServer[netpoldv1.StreamAllowedRequest, netpoldv1.StreamAllowedResponse],
) error {
	untilDrain, release := s.state.UntilDrain(stream.Context())
	defer release()
	a := &answering{service: s, stream: stream, ctx: untilDrain}
	ended := make(chan error, 1)
	// A Recv ends only when the handler returns. So the handler itself must not receive.
	go func() { ended <- a.run() }()
	err := error(nil)
	select {
	case err = <-ended:
	case <-untilDrain.Done():
		if a.phase.CompareAndSwap(receiving, over) {
			return endedStream(untilDrain).Err()
		}
		err = <-ended
	}
	if p, ok := errors.AsType[*panicError](err); ok {
		panic(p) // for the interceptor that recovers
	}
	return err
}

// The phases of a stream.
const (
	receiving int32 = iota
	deciding
	over
)

// answering is one stream in progress. Every batch reuses its request and response.
type answering struct {
	service *Service
	stream  grpc.ServerStream
	// ctx also ends when the server drains.
	ctx context.Context //nolint:containedctx // this is the stream
	// phase keeps the handler from returning while a batch is being answered.
	phase atomic.Int32

	request  netpoldv1.StreamAllowedRequest
	response netpoldv1.StreamAllowedResponse
}

// run answers until the caller half-closes, the drain, or an error.
func (a *answering) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	for {
		if err := a.stream.RecvMsg(&a.request); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if !a.phase.CompareAndSwap(receiving, deciding) {
			return nil // the handler has returned
		}
		if err := a.batch(); err != nil {
			return err
		}
		a.phase.Store(receiving)
		if a.ctx.Err() != nil {
			return endedStream(a.ctx).Err()
		}
	}
}

// batch answers the request. Its error ends the stream.
func (a *answering) batch() error {
	s := a.service
	questions, fail := wire.ReadColumns(&a.request, s.maxBatch)
	if fail != nil {
		return s.failed(fail)
	}
	state, fail := s.state.Present()
	if fail != nil {
		return s.failed(fail)
	}
	s.metrics.Batch(metrics.StreamAllowed, questions.N)
	if token := a.request.GetAtLeast(); token != "" && token != state.Token {
		if state, fail = a.wait(token); fail != nil {
			return s.failed(fail.AtLeast(wire.Alone))
		}
	}
	started := time.Now()
	if fail := a.answer(&questions, &state); fail != nil {
		return s.failed(fail)
	}
	s.metrics.Took(metrics.StreamAllowed, time.Since(started))
	return a.stream.SendMsg(&a.response)
}

// wait waits for token, for as long as a batch may wait.
func (a *answering) wait(token string) (current.State, *wire.Failure) {
	ctx, cancel := context.WithTimeout(a.ctx, a.service.maxWait)
	defer cancel()
	return a.service.state.Wait(ctx, token)
}

// answer fills the response. It fails only if the stream has ended. Its places are free before the answer is sent, since
// the caller may not read it.
func (a *answering) answer(questions *wire.Columns, state *current.State) *wire.Failure {
	place := a.service.gate.Batch(a.ctx, questions.N)
	defer place.Leave()
	// The drain does not matter here: a batch that was read is answered.
	return a.service.answerColumns(a.stream.Context(), questions, state, &a.response)
}

// AnswerBatch answers one batch of questions by IP outside of a stream, from the present state. It fills
// response, whose columns it uses again. Its error is a gRPC status, as that of a stream.
func (s *Service) AnswerBatch(
	ctx context.Context, request *netpoldv1.StreamAllowedRequest, response *netpoldv1.StreamAllowedResponse,
) error {
	questions, fail := wire.ReadColumns(request, s.maxBatch)
	if fail != nil {
		return s.failed(fail)
	}
	state, fail := s.state.Present()
	if fail != nil {
		return s.failed(fail)
	}
	if fail := s.answerColumns(ctx, &questions, &state, response); fail != nil {
		return s.failed(fail)
	}
	return nil
}

// answerColumns answers a batch from one state. It fails only if ctx has ended.
func (s *Service) answerColumns(
	ctx context.Context, questions *wire.Columns, state *current.State, r *netpoldv1.StreamAllowedResponse,
) *wire.Failure {
	r.Allowed, r.Reasons, r.Errors = zeroed(r.Allowed, (questions.N+7)/8), zeroed(r.Reasons, questions.N), nil
	r.Revision, r.Token, r.Stale = state.Snapshot.Revision(), state.Token, state.Stale
	var decided metrics.DecisionCounts
	var told errorBytes
	detailer := s.details.Of(state)
	call := decide.Call{InProgress: true}
	defer call.End()
	for i := range questions.N {
		q, fail := questions.Question(i)
		if fail == nil {
			reason, direct := state.Snapshot.AllowedDirect(q.Src, q.Dst, q.Port, q.Protocol)
			if !direct {
				reason, fail = s.general(ctx, &call, state, &detailer, &q)
			}
			if fail == nil {
				decided.Add(reason)
				r.Reasons[i] = byte(wire.ProtoReason(reason))
				if reason.Allowed() {
					r.Allowed[i/8] |= 1 << (i % 8)
				}
				continue
			}
			if ctx.Err() != nil {
				return endedStream(ctx)
			}
		}
		s.metrics.Failed(fail)
		r.Errors = append(r.Errors, &netpoldv1.QuestionError{Index: uint32(i), Error: told.proto(fail)})
	}
	s.metrics.DecidedMany(&decided)
	return nil
}

// general decides a question that AllowedDirect cannot decide.
func (s *Service) general(
	ctx context.Context, call *decide.Call, state *current.State, d *details.Detailer, q *wire.IPQuery,
) (engine.Reason, *wire.Failure) {
	decision, fail := s.decider.Decide(ctx, call, state, d, q.Query(), nil, wire.EngineErrorByIP)
	return decision.Reason, fail
}

// zeroed returns n zero bytes, in the memory of b if it is large enough.
func zeroed(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	b = b[:n]
	clear(b)
	return b
}

// endedStream returns the failure of a stream whose own context ended.
func endedStream(ctx context.Context) *wire.Failure {
	f := current.Ended(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) &&
		!errors.Is(context.Cause(ctx), current.ErrShuttingDown) {
		f.Message = "the stream's deadline passed before it was half-closed; give it longer, or none"
	}
	return f
}

// panicError carries a panic and its stack to the handler of the stream.
type panicError struct {
	value any
	stack []byte
}

// Error returns the value of the panic and its stack.
func (p *panicError) Error() string { return fmt.Sprintf("%v\n%s", p.value, p.stack) }
