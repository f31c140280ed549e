package audits

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/server/internal/wire"
)

// errClosed ends a stream whose handler has returned.
var errClosed = errors.New("the call has ended")

// A sender sends the messages of one stream, from several goroutines one after another. A send blocks while
// the caller does not read (flow control), and then only the end of the handler unblocks it.
type sender[M any] struct {
	stream interface{ Send(M) error }
	// turn has a value during a send.
	turn chan struct{}

	// mu guards the rest.
	mu              sync.Mutex
	sending, closed bool
}

func newSender[M any](stream interface{ Send(M) error }) *sender[M] {
	return &sender[M]{stream: stream, turn: make(chan struct{}, 1)}
}

// send sends what message returns, when it is its turn, and then calls sent.
func (s *sender[M]) send(ctx context.Context, message func() M, sent func()) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return errClosed
	}
	defer func() { <-s.turn }()
	if !s.begin(ctx) {
		return errClosed
	}
	defer s.ended()
	if err := s.stream.Send(message()); err != nil {
		return err
	}
	sent()
	return nil
}

// progressEvery is how often an audit tells its caller how far it is.
const progressEvery = time.Second / 2

// tell sends what message returns now and then, until the returned function is called. It may be called twice.
func (s *sender[M]) tell(ctx context.Context, message func() M) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if s.send(ctx, message, func() {}) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// inTurn calls f while nothing is sent.
func (s *sender[M]) inTurn(f func()) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	f()
}

// begin reports whether the stream is still open. Then a send is in progress until ended is called.
func (s *sender[M]) begin(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending = !s.closed && ctx.Err() == nil
	return s.sending
}

func (s *sender[M]) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending = false
}

// close lets no send begin, and reports whether one is in progress.
func (s *sender[M]) close() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.sending
}

// answerStream answers a call of method with the messages that answer sends. It ends at the server's limit of
// time, also while the caller does not read.
func answerStream[M any](
	s *Service, method string, stream grpc.ServerStreamingServer[M],
	answer func(ctx context.Context, out *sender[*M]) *wire.Failure,
) error {
	ctx, cancel := context.WithTimeoutCause(stream.Context(), s.maxDeadline, errTooLong)
	defer cancel()
	out := newSender[*M](stream)
	return runUntil(ctx, out, func() error {
		if fail := answer(ctx, out); fail != nil {
			return s.failed(method, fail)
		}
		return nil
	}, func() *wire.Failure { return s.ended(ctx) })
}

// deliver sends what message returns while other audits compute, and then calls sent.
func deliver[M any](
	ctx context.Context, c *call, out *sender[M], message func() M, sent func(),
) *wire.Failure {
	return c.waiting(ctx, func() *wire.Failure {
		err := out.send(ctx, message, sent)
		switch {
		case err == nil:
			return nil
		case ctx.Err() == nil:
			return &wire.Failure{Code: status.Code(err), Message: "sending: " + status.Convert(err).Message()}
		default:
			return c.service.ended(ctx)
		}
	})
}

// runUntil runs f in a goroutine of its own and returns its error. If ctx ends while a send of f is in
// progress, runUntil returns at once, which unblocks the send: a caller that does not read cannot hold an
// audit beyond its deadline.
func runUntil[M any](ctx context.Context, to *sender[M], f func() error, late func() *wire.Failure) error {
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				ended <- &panicError{value: p, stack: debug.Stack()}
			}
		}()
		ended <- f()
	}()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		if to.close() {
			return late().Err()
		}
		err = <-ended
	}
	if p, ok := errors.AsType[*panicError](err); ok {
		panic(p) // for the interceptor that recovers
	}
	return err
}

// panicError carries a panic and its stack to the handler of a stream.
type panicError struct {
	value any
	stack []byte
}

// Error returns the value of the panic and its stack.
func (p *panicError) Error() string { return fmt.Sprintf("%v\n%s", p.value, p.stack) }
