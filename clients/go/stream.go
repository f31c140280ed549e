package netpold

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"sync"

	"google.golang.org/grpc"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A Stream asks one server batches of questions, without waiting for answers before the next batch. It is the
// way for bulk work. [Client.AllowedMany] is simpler and uses one.
//
// One goroutine may send while another receives; no more than one may do either. Receive while you send:
// otherwise flow control blocks after some thousand questions. A Stream holds memory of the client and the
// server until Recv returns an error or [Stream.Close] is called.
//
// A broken stream is not reopened, because only the caller knows what to do if the cluster changed between
// two answers. Open another, and ask the questions without an answer again. Before the first answer
// UNAVAILABLE is retried, as for every call.
type Stream struct {
	stream grpc.BidiStreamingClient[netpoldv1.StreamAllowedRequest, netpoldv1.StreamAllowedResponse]
	cancel context.CancelFunc

	// mu guards asked, the batches without an answer.
	mu    sync.Mutex
	asked []asked
}

type asked struct {
	n     int
	wrong unsaid
}

// Stream opens a stream, which lasts until ctx ends at the latest. It waits for a connection to a server, as
// every call does, but not for the server's answer: the first Recv returns its error.
func (c *Client) Stream(ctx context.Context, options ...grpc.CallOption) (*Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &Stream{cancel: cancel}
	err := c.decide(func(from netpoldv1.DecisionServiceClient, asked grpc.CallOption) (err error) {
		s.stream, err = from.StreamAllowed(ctx, append(slices.Clip(options), asked)...)
		return err
	})
	if err != nil {
		cancel()
		return nil, fromCall(err)
	}
	return s, nil
}

// Send asks a batch of questions, by default at most 10,000. It returns when they are on their way, and does
// not keep them. It blocks while the server has not read earlier ones. An error means that the stream has
// ended; Recv returns why.
func (s *Stream) Send(questions []Question) error { return s.SendAtLeast(questions, "") }

// SendAtLeast is Send, but the batch is not answered from an older snapshot than token names, as with
// AllowedRequest.at_least.
func (s *Stream) SendAtLeast(questions []Question, token string) error {
	request, wrong := pack(questions)
	request.AtLeast = token
	// Before the batch is sent, so that Recv knows it.
	s.mu.Lock()
	s.asked = append(s.asked, asked{len(questions), wrong})
	s.mu.Unlock()
	return s.stream.Send(request)
}

// CloseSend ends the questions. Recv returns the remaining answers, and then [io.EOF].
func (s *Stream) CloseSend() error { return s.stream.CloseSend() }

// Recv blocks until the answers to the next batch arrive, in the order sent. After CloseSend and the last
// answers it returns io.EOF. Any other error is an [*Error], and later batches have no answers.
func (s *Stream) Recv() (*Answers, error) {
	response, err := s.stream.Recv()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, io.EOF) && len(s.asked) == 0:
		return nil, io.EOF
	case errors.Is(err, io.EOF):
		return nil, broken("no answers to the last batches")
	case err != nil:
		return nil, fromCall(err)
	case len(s.asked) == 0:
		s.cancel()
		return nil, broken("answers that nobody asked for")
	}
	next := s.asked[0]
	s.asked = s.asked[1:]
	answers, err := unpack(response, next.n, next.wrong)
	if err != nil {
		s.cancel()
	}
	return answers, err
}

// Close ends the stream immediately and frees its memory. It is safe for concurrent use and may be called
// again.
func (s *Stream) Close() { s.cancel() }

// batchSize is the number of questions in a batch of AllowedMany: enough that deciding costs more than the
// message.
const batchSize = 1000

// AllowedMany asks questions over one stream and yields the verdicts in order, while it continues to ask.
// Each batch of 1,000 is answered from one snapshot, which Verdict.Revision names. For a slice, pass
// slices.Values(list).
//
//	for verdict, err := range client.AllowedMany(ctx, slices.Values(questions)) {
//		if err != nil {
//			return err // no answer to this question, nor to those after it
//		}
//		...
//	}
//
// An invalid question has Verdict.Err, and the others continue. An error of the iteration is its last
// element: the stream is broken. It is not reopened; see [Stream].
//
// questions runs in its own goroutine. If the loop ends early, the goroutine ends at the next question, which
// is not asked. The loop does not wait for that, because an iterator may block for long. Such an iterator
// should watch a context that the caller cancels after the loop. A batch is sent when it is full or questions
// ends, so an iterator that pauses delays its last questions.
func (c *Client) AllowedMany(
	ctx context.Context, questions iter.Seq[Question], options ...grpc.CallOption,
) iter.Seq2[Verdict, error] {
	return func(yield func(Verdict, error) bool) {
		stream, err := c.Stream(ctx, options...)
		if err != nil {
			yield(Verdict{}, err)
			return
		}
		defer stream.Close()
		go stream.sendAll(questions)
		for {
			answers, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				yield(Verdict{}, err)
				return
			}
			for i := range answers.Len() {
				if !yield(answers.At(i), nil) {
					return
				}
			}
		}
	}
}

// sendAll sends all questions, or stops when the stream has ended: the receiver gets the error.
func (s *Stream) sendAll(questions iter.Seq[Question]) {
	batch := make([]Question, 0, batchSize)
	for question := range questions {
		if s.stream.Context().Err() != nil {
			return
		}
		if batch = append(batch, question); len(batch) < batchSize {
			continue
		}
		if s.Send(batch) != nil {
			return
		}
		batch = batch[:0]
	}
	if len(batch) > 0 && s.Send(batch) != nil {
		return
	}
	if s.CloseSend() != nil {
		s.Close()
	}
}
