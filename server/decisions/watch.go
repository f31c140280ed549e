package decisions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/watches"
	"github.com/netpold/netpold/server/internal/wire"
)

// DefaultWatchHeartbeat is the default of [Options.WatchHeartbeat].
const DefaultWatchHeartbeat = time.Second

// WatchAllowed answers the questions that the caller adds, and answers again whenever an answer changes (P18).
//
// One goroutine receives, and waits for at_least. The handler does the rest: it applies requests, and asks the
// queued questions when their answers can be sent. So a caller that does not read costs no more than its
// questions (P22). No more requests are taken from it either.
func (s *Service) WatchAllowed(
	stream grpc.BidiStreamingServer[netpoldv1.WatchAllowedRequest, netpoldv1.WatchAllowedResponse],
) error {
	watch, fail := s.watches.Open()
	if fail != nil {
		s.metrics.Shed(fail)
		return s.failed(fail)
	}
	defer watch.Close()
	untilDrain, release := s.state.UntilDrain(stream.Context())
	defer release()
	ctx, cancel := context.WithCancel(untilDrain)
	defer cancel()
	w := &watching{
		service: s, stream: stream, ctx: ctx, watch: watch, interval: s.watchHeartbeat,
		requests: make(chan *netpoldv1.WatchAllowedRequest), done: make(chan struct{}, 1), ended: make(chan error, 1),
	}
	// A Recv ends only when the handler returns. So the handler itself must not receive.
	go func() {
		if err := w.receive(); err != nil {
			w.ended <- err
		}
	}()
	err := w.run()
	if p, ok := errors.AsType[*panicError](err); ok {
		panic(p) // for the interceptor that recovers
	}
	return err
}

// watching is one stream of WatchAllowed in progress.
type watching struct {
	service *Service
	stream  grpc.BidiStreamingServer[netpoldv1.WatchAllowedRequest, netpoldv1.WatchAllowedResponse]
	// ctx also ends when the server drains, and when the handler returns.
	ctx   context.Context //nolint:containedctx // this is the stream
	watch *watches.Watch

	// requests has requests whose at_least is reached, and done says that one is applied. ended gets why no more can be
	// received.
	requests chan *netpoldv1.WatchAllowedRequest
	done     chan struct{}
	ended    chan error

	// interval is that between heartbeats. verdictsOnly is that of the first request.
	interval     time.Duration
	verdictsOnly bool
	// applied counts requests.
	applied uint64
	// owes reports whether a complete response is due even if it has no answer (P21).
	owes bool
	// stale is that of the last response.
	stale     bool
	heartbeat *time.Timer

	// state is the one that questions are being asked of; the zero State while nothing is asked.
	state current.State
	// questions and marshalled are reused.
	questions  []watches.Question
	marshalled []byte
	// recorded has the questions of the answers so far that the decision log wants, at the same index.
	recorded []*netpoldv1.AllowedRequest
}

// receive passes requests on until the caller half-closes, or the stream ends. It waits for the at_least of each
// first, as a batch of StreamAllowed does.
func (w *watching) receive() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	for {
		req, err := w.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if token := req.GetAtLeast(); token != "" {
			if fail := w.wait(token); fail != nil {
				return w.service.failed(fail.AtLeast(wire.Alone))
			}
		}
		select {
		case w.requests <- req:
		case <-w.ctx.Done():
			return nil
		}
		select {
		case <-w.done: // the memory of a request counts until the next one is received
		case <-w.ctx.Done():
			return nil
		}
	}
}

// wait waits until the present state is not older than token.
func (w *watching) wait(token string) *wire.Failure {
	if state, fail := w.service.state.Present(); fail == nil && state.Token == token {
		return nil
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.service.maxWait)
	defer cancel()
	_, fail := w.service.state.Wait(ctx, token)
	return fail
}

// run answers until the stream ends. The error says why; there is always one (P24).
func (w *watching) run() error {
	w.heartbeat = time.NewTimer(w.interval)
	defer w.heartbeat.Stop()
	for {
		requests := w.requests
		if w.watch.Refused() > 0 {
			requests = nil // so that errors of a caller that does not read do not pile up
		}
		select {
		case req := <-requests:
			if fail := w.apply(req); fail != nil {
				return w.service.failed(fail)
			}
		case <-w.watch.Wake():
		case <-w.heartbeat.C:
			w.owes = true
		case err := <-w.ended:
			return err
		case <-w.ctx.Done():
			return w.service.failed(w.over())
		}
		if err := w.answerAll(); err != nil {
			return err
		}
	}
}

// apply changes what is watched as a request says. Its failure ends the stream.
func (w *watching) apply(req *netpoldv1.WatchAllowedRequest) (fail *wire.Failure) {
	if w.applied == 0 {
		w.verdictsOnly = req.GetVerdictsOnly()
		w.interval, fail = wire.ReadHeartbeat(req.GetHeartbeat(), w.service.watchHeartbeat)
	} else {
		fail = wire.OnlyFirst(req)
	}
	if fail == nil && len(req.GetAdd()) > w.service.maxBatch {
		fail = wire.BatchTooLarge("add", len(req.GetAdd()), w.service.maxBatch)
	}
	if fail != nil {
		return fail
	}
	w.watch.Remove(req.GetRemove())
	w.watch.Add(req.GetAdd())
	w.applied++
	w.owes = true
	w.done <- struct{}{} // it has room: nothing is received meanwhile
	return nil
}

// over returns the failure of the stream after its context ended.
func (w *watching) over() *wire.Failure {
	f := current.Ended(w.ctx)
	if f.Code == codes.DeadlineExceeded {
		f.Message = "the deadline of the watch passed; give it none, or open another and resume with if_not and at_least"
	}
	return f
}

// answerAll sends what is new to the caller until nothing is left, and takes requests in between.
func (w *watching) answerAll() error {
	for {
		more, err := w.respond()
		if err != nil || !more {
			return err
		}
		if w.watch.Refused() > 0 {
			continue
		}
		select {
		case req := <-w.requests:
			if fail := w.apply(req); fail != nil {
				return w.service.failed(fail)
			}
		case <-w.ctx.Done():
			return w.service.failed(w.over())
		default:
		}
	}
}

// send sends a response.
func (w *watching) send(r *netpoldv1.WatchAllowedResponse) error {
	r.Applied, r.Heartbeat = w.applied, durationpb.New(w.interval)
	if err := w.stream.Send(r); err != nil {
		return fmt.Errorf("sending answers: %w", err)
	}
	w.stale = r.Stale
	w.heartbeat.Reset(w.interval)
	return nil
}
