package cli

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
)

// A verdictAsker answers batches of questions by address, in the order in which they were sent: a server by its
// packed stream, or this process. It is not safe for concurrent use. Errors are gRPC statuses.
type verdictAsker interface {
	// send asks a batch. The questions must not be changed until they are answered.
	send(ctx context.Context, questions []netpold.Question) error
	// receive returns the answers to the first batch that is not answered.
	receive(ctx context.Context) (flowVerdicts, error)
	close()
}

// A flowVerdicts answers a batch.
type flowVerdicts struct {
	// revision and token are those of the newest snapshot that answered.
	revision uint64
	token    string
	// at returns the answer to a question, and the token of its snapshot.
	at func(i int) (netpold.Verdict, string)
}

// newVerdictAsker returns what answers for an asker of single questions.
func (inv *invocation) newVerdictAsker(from asker) (verdictAsker, error) {
	switch a := from.(type) {
	case remote:
		return &streamVerdicts{client: a.client, patience: inv.config.Client.Timeout, atMost: flowsAtOnce}, nil
	case local:
		return &localVerdicts{service: a.Service}, nil
	}
	return nil, errors.New("nothing here answers flows; this is a defect of netpold")
}

// A localVerdicts answers in this process.
type localVerdicts struct {
	service  *decisions.Service
	sent     [][]netpold.Question
	response netpoldv1.StreamAllowedResponse
}

func (l *localVerdicts) send(_ context.Context, questions []netpold.Question) error {
	l.sent = append(l.sent, questions)
	return nil
}

func (l *localVerdicts) receive(ctx context.Context) (flowVerdicts, error) {
	questions := l.sent[0]
	l.sent = l.sent[1:]
	r := &l.response
	if err := l.service.AnswerBatch(ctx, columnsOf(questions), r); err != nil {
		return flowVerdicts{}, err
	}
	wrong := map[int]error{}
	for _, e := range r.GetErrors() {
		wrong[int(e.GetIndex())] = status.ErrorProto(e.GetError())
	}
	return flowVerdicts{r.GetRevision(), r.GetToken(), func(i int) (netpold.Verdict, string) {
		return netpold.Verdict{
			Allowed: r.GetAllowed()[i/8]&(1<<(i%8)) != 0, Reason: netpoldv1.Reason(r.GetReasons()[i]),
			Revision: r.GetRevision(), Stale: r.GetStale(), Err: wrong[i],
		}, r.GetToken()
	}}, nil
}

func (*localVerdicts) close() {}

// columnsOf packs questions, all addresses as IPv6.
func columnsOf(questions []netpold.Question) *netpoldv1.StreamAllowedRequest {
	n := len(questions)
	src, dst := make([]byte, 0, 16*n), make([]byte, 0, 16*n)
	ports, protocols := make([]byte, 0, 2*n), make([]byte, 0, n)
	for i := range questions {
		q := &questions[i]
		from, to := q.Src.As16(), q.Dst.As16()
		src, dst = append(src, from[:]...), append(dst, to[:]...)
		ports, protocols = binary.BigEndian.AppendUint16(ports, q.Port), append(protocols, byte(q.Protocol))
	}
	return &netpoldv1.StreamAllowedRequest{
		Src: &netpoldv1.StreamAllowedRequest_SrcIpv6{SrcIpv6: src}, Ports: ports, Protocols: protocols,
		Dst: &netpoldv1.StreamAllowedRequest_DstIpv6{DstIpv6: dst},
	}
}

// A streamVerdicts asks a server by StreamAllowed. A stream that breaks, as when a server drains or ends an old
// connection, is opened again, and asks again what it has not answered.
type streamVerdicts struct {
	client *netpold.Client
	// patience is how long the server may say nothing.
	patience time.Duration
	// atMost is how many questions are asked in one message: what the server accepts.
	atMost int

	stream *netpold.Stream
	// sent are the batches that are not answered. heard has the answers to parts of the first one.
	sent  [][]netpold.Question
	heard []*netpold.Answers
	// answers reports whether the present stream has answered anything.
	answers bool
}

func (s *streamVerdicts) send(ctx context.Context, questions []netpold.Question) error {
	s.sent = append(s.sent, questions)
	if s.stream == nil {
		return s.open(ctx)
	}
	s.ask(questions)
	return nil
}

// open opens a stream, and asks all that is not answered.
func (s *streamVerdicts) open(ctx context.Context) error {
	s.close()
	var err error
	if s.stream, err = s.client.Stream(ctx); err != nil {
		return err
	}
	s.answers, s.heard = false, nil
	for _, questions := range s.sent {
		s.ask(questions)
	}
	return nil
}

// ask sends a batch, in parts that the server accepts. Receiving returns its error.
func (s *streamVerdicts) ask(questions []netpold.Question) {
	for {
		n := min(len(questions), s.atMost)
		if s.stream.Send(questions[:n]) != nil {
			return
		}
		if questions = questions[n:]; len(questions) == 0 {
			return
		}
	}
}

func (s *streamVerdicts) receive(ctx context.Context) (flowVerdicts, error) {
	for parts := 1; len(s.heard) < parts; {
		parts = max(1, (len(s.sent[0])+s.atMost-1)/s.atMost)
		answers, err := s.next()
		again := s.answers && status.Code(err) == codes.Unavailable
		if status.Code(err) == codes.ResourceExhausted && s.atMost > 1 {
			s.atMost, again = takesAtMost(err, s.atMost), true
		}
		switch {
		case err == nil:
			s.heard, s.answers = append(s.heard, answers), true
		case !again || ctx.Err() != nil:
			return flowVerdicts{}, err
		default:
			if err := s.open(ctx); err != nil {
				return flowVerdicts{}, err
			}
		}
	}
	heard, each := s.heard, s.atMost
	s.sent, s.heard = s.sent[1:], nil
	last := heard[len(heard)-1]
	return flowVerdicts{last.Revision, last.Token, func(i int) (netpold.Verdict, string) {
		return heard[i/each].At(i % each), heard[i/each].Token
	}}, nil
}

// next receives answers, and gives up when none come for as long as patience.
func (s *streamVerdicts) next() (*netpold.Answers, error) {
	silence := time.AfterFunc(s.patience, s.stream.Close)
	answers, err := s.stream.Recv()
	if !silence.Stop() && err != nil {
		return nil, status.Error(codes.DeadlineExceeded, "it said nothing for that long")
	}
	return answers, err
}

func (s *streamVerdicts) close() {
	if s.stream != nil {
		s.stream.Close()
	}
}
