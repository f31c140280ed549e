package decisionlog

import (
	"context"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/decisionid"
)

// The methods of DecisionService, as records name them.
const (
	methodAllowed = "Allowed"
	methodBatch   = "BatchAllowed"
	methodStream  = "StreamAllowed"
	methodWatch   = "WatchAllowed"
)

// UnaryInterceptor records the decisions of Allowed and BatchAllowed. It belongs around those that make
// errors of panics and of deadlines. An answer that is written has a decision_id in its metadata; one that
// sampling leaves out has none, and costs nothing.
func (l *Log) UnaryInterceptor(ctx context.Context, req any, info *grpc.UnaryServerInfo,
	handler grpc.UnaryHandler) (any, error) {
	switch info.FullMethod {
	case netpoldv1.DecisionService_Allowed_FullMethodName:
		return l.allowed(ctx, req, handler)
	case netpoldv1.DecisionService_BatchAllowed_FullMethodName:
		return l.batchAllowed(ctx, req, handler)
	}
	return handler(ctx, req)
}

func (l *Log) allowed(ctx context.Context, req any, handler grpc.UnaryHandler) (any, error) {
	started := time.Now()
	resp, err := handler(ctx, req)
	a, _ := resp.(*netpoldv1.AllowedResponse)
	if err == nil && !l.Wants(a.GetAllowed()) {
		return resp, nil
	}
	took := time.Since(started)
	q, _ := req.(*netpoldv1.AllowedRequest)
	id := decisionid.New()
	var failed *spb.Status
	if err != nil {
		failed, err = identified(err, id)
	}
	l.one(callOf(ctx, id, methodAllowed), started, took, q, a, failed)
	id.Send(ctx)
	return resp, err
}

func (l *Log) batchAllowed(ctx context.Context, req any, handler grpc.UnaryHandler) (any, error) {
	started := time.Now()
	resp, err := handler(ctx, req)
	took := time.Since(started)
	if err != nil {
		id := announce(ctx)
		failed, err := identified(err, id)
		l.failed(callOf(ctx, id, methodBatch), started, took, failed)
		return resp, err
	}
	q, _ := req.(*netpoldv1.BatchAllowedRequest)
	a, _ := resp.(*netpoldv1.BatchAllowedResponse)
	if chosen, n := l.chosenOf(a.GetAnswers()); n > 0 {
		id := announce(ctx)
		var info *anypb.Any
		for _, answer := range a.GetAnswers() {
			if e := answer.GetError(); e != nil {
				info = attach(e, id, info)
			}
		}
		l.batch(callOf(ctx, id, methodBatch), started, took, q, a, chosen, n)
	}
	return resp, nil
}

// announce returns a fresh ID, which is in the metadata of the response (G1).
func announce(ctx context.Context) decisionid.ID {
	id := decisionid.New()
	id.Announce(ctx)
	return id
}

// identified returns an error of a call with the id in its details (G1).
func identified(err error, id decisionid.ID) (*spb.Status, error) {
	st := status.Convert(err).Proto()
	attach(st, id, nil)
	return st, status.FromProto(st).Err()
}

// attach adds the id to the details of an error. It returns the detail, for other errors of the same call.
func attach(st *spb.Status, id decisionid.ID, info *anypb.Any) *anypb.Any {
	if info == nil {
		packed, err := anypb.New(&errdetails.RequestInfo{RequestId: id.String()})
		if err != nil {
			return nil
		}
		info = packed
	}
	st.Details = append(st.GetDetails(), info)
	return info
}

// StreamInterceptor records the decisions of StreamAllowed, and what ends a watch; [Log.RecordWatch] records its
// answers. The metadata of the response has the id of the first message; the id of each later one is higher by
// one.
func (l *Log) StreamInterceptor(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo,
	handler grpc.StreamHandler) error {
	switch info.FullMethod {
	case netpoldv1.DecisionService_StreamAllowed_FullMethodName:
	case netpoldv1.DecisionService_WatchAllowed_FullMethodName:
		return l.watch(srv, stream, handler)
	default:
		return handler(srv, stream)
	}
	ctx := stream.Context()
	s := &recorded{ServerStream: stream, log: l, call: callOf(ctx, announce(ctx), methodStream)}
	err := handler(srv, s)
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.current()
	failed, err := identified(err, c.id)
	if s.asked != nil {
		l.failed(c, s.started, time.Since(s.started), failed)
	}
	return err
}

// A recorded is a stream that works on one message at a time: each message received is answered by the next
// one sent. So when an answer is sent, its question is still in memory.
type recorded struct {
	grpc.ServerStream
	log  *Log
	call call

	// mu guards the rest: the handler may return while a message is being received.
	mu sync.Mutex
	// asked is the message that has no answer yet.
	asked   *netpoldv1.StreamAllowedRequest
	started time.Time
	// received counts messages.
	received uint64
}

// RecvMsg implements [grpc.ServerStream].
func (s *recorded) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, _ = m.(*netpoldv1.StreamAllowedRequest)
	s.started = time.Now()
	s.received++
	return nil
}

// SendMsg implements [grpc.ServerStream].
func (s *recorded) SendMsg(m any) error {
	s.mu.Lock()
	if resp, ok := m.(*netpoldv1.StreamAllowedResponse); ok && s.asked != nil {
		c := s.current()
		var info *anypb.Any
		for _, e := range resp.GetErrors() {
			info = attach(e.GetError(), c.id, info)
		}
		s.log.message(c, s.started, s.asked, resp)
		s.asked = nil
	}
	s.mu.Unlock()
	return s.ServerStream.SendMsg(m)
}

// current returns the call of the last message received.
func (s *recorded) current() call {
	c := s.call
	c.id = c.id.Plus(max(s.received, 1) - 1)
	return c
}
