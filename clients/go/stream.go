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

// Stream asks batches of questions of one server, without waiting for one answer before the next question: the way for bulk
// work. [Client.AllowedMany] does so by itself.
//
// One goroutine may send while another receives; more than one at either are a mistake. Do receive: who only sends is stopped,
// by flow control, after some thousand questions. A Stream holds memory of the client's and the server's until Recv has
// returned an error, or [Stream.Close].
//
// A stream is never taken up again by itself, since only the caller knows what to do with a change of the cluster between two
// answers: when it breaks, open another, on which questions without an answer are asked anew. Before the first answer a server
// that is UNAVAILABLE is retried, as for every call.
type Stream struct {
	stream grpc.BidiStreamingClient[netpoldv1.StreamAllowedRequest, netpoldv1.StreamAllowedResponse]
	cancel context.CancelFunc

	// mu guards asked: the batches that have no answer yet.
	mu    sync.Mutex
	asked []asked
}

type asked struct {
	n     int
	wrong unsaid
}

// Stream opens a stream, which lasts until ctx ends at the latest. It waits for a connection to a server, as every call does, and
// not for the server's answer: the first Recv tells what is wrong with that.
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

// Send asks a batch, at most 10,000 questions unless the server was set up otherwise. It returns when the questions are on
// their way, and does not keep them. It waits while the server is behind with reading. An error says that the stream has
// ended; Recv tells why.
func (s *Stream) Send(questions []Question) error { return s.SendAtLeast(questions, "") }

// SendAtLeast is Send of a batch that is not answered from an older snapshot than the token names, as AllowedRequest.at_least.
func (s *Stream) SendAtLeast(questions []Question, token string) error {
	request, wrong := pack(questions)
	request.AtLeast = token
	// First, so that Recv knows it.
	s.mu.Lock()
	s.asked = append(s.asked, asked{len(questions), wrong})
	s.mu.Unlock()
	return s.stream.Send(request)
}

// CloseSend says that there are no more questions: Recv gives the answers that are left, and then [io.EOF].
func (s *Stream) CloseSend() error { return s.stream.CloseSend() }

// Recv waits for the answers to the next batch, in the order sent. Its error is io.EOF after CloseSend and the last answers; any
// other is an [*Error], and as many batches have answers as were received before.
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

// Close ends the stream at once, and frees what it holds. It may be called at any time, from any goroutine, and again.
func (s *Stream) Close() { s.cancel() }

// batchSize is how many questions AllowedMany puts in a batch: enough that a batch costs more than its message.
const batchSize = 1000

// AllowedMany asks questions over one stream, and gives the verdicts in their order while it goes on asking. Each batch of 1,000
// rests on one snapshot, which Verdict.Revision names. For a list, give slices.Values(list).
//
//	for verdict, err := range client.AllowedMany(ctx, slices.Values(questions)) {
//		if err != nil {
//			return err // no answer to this question, nor to those after it
//		}
//		...
//	}
//
// A question of its own that is wrong has Verdict.Err, and the others go on. An error of the iteration is its last element: the
// stream has broken. It is not taken up again by itself; see [Stream].
//
// questions is run in a goroutine of its own. When the loop ends early, the goroutine ends with the next question, which nobody is
// asked; the loop does not wait for it, since an iterator that blocks may do so for long. Such a one should heed a context that the
// caller cancels after the loop. A batch is sent when it is full or questions is at its end, so that the last questions of an
// iterator that pauses wait with it.
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

// sendAll sends all questions, or until the stream has ended: what receives knows why.
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
