package decisionlog

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A watched is a stream of WatchAllowed. Its context has it, so that [Log.RecordWatch] finds it.
type watched struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a grpc.ServerStream is where a stream's context lives
	// call has the id of the next response. The handler alone uses it.
	call call
}

// watchedKey is the key of a watched in a context.
type watchedKey struct{}

// Context implements [grpc.ServerStream].
func (w *watched) Context() context.Context { return w.ctx }

// watch calls the handler of WatchAllowed. A request that was refused as a whole, and so ended the watch, is
// recorded. The drain, the caller's own end and lost rights are no decisions.
func (l *Log) watch(srv any, stream grpc.ServerStream, handler grpc.StreamHandler) error {
	ctx, started := stream.Context(), time.Now()
	w := &watched{ServerStream: stream, call: callOf(ctx, announce(ctx), methodWatch)}
	w.ctx = context.WithValue(ctx, watchedKey{}, w)
	err := handler(srv, w)
	switch status.Code(err) {
	case codes.InvalidArgument, codes.ResourceExhausted, codes.Internal:
		failed, err := identified(err, w.call.id)
		l.failed(w.call, started, time.Since(started), failed)
		return err
	default:
		return err
	}
}

// RecordWatch records the answers of a response of WatchAllowed that is about to be sent, to questions that have
// been asked since started: those that [Log.Wants], and the others nil or missing. It adds the id to errors.
// Neither questions nor answers may be modified afterwards. ctx is that of the stream. It is called for every
// response, since each has an id: it is higher by one than that of the response before.
func (l *Log) RecordWatch(ctx context.Context, started time.Time, questions []*netpoldv1.AllowedRequest,
	response *netpoldv1.WatchAllowedResponse) {
	w, ok := ctx.Value(watchedKey{}).(*watched)
	if !ok {
		return
	}
	c := w.call
	w.call.id = w.call.id.Plus(1)
	if len(questions) == 0 {
		return
	}
	answers, chosen := make([]*netpoldv1.BatchAnswer, len(questions)), make([]uint32, 0, len(questions))
	var info *anypb.Any
	for i, question := range questions {
		if question == nil {
			continue
		}
		answer := response.GetAnswers()[i]
		chosen = append(chosen, uint32(i))
		if e := answer.GetError(); e != nil {
			info = attach(e, c.id, info)
			answers[i] = &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: e}}
		} else {
			answers[i] = &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: answer.GetResponse()}}
		}
	}
	l.batch(c, started, time.Since(started), &netpoldv1.BatchAllowedRequest{Questions: questions},
		&netpoldv1.BatchAllowedResponse{Answers: answers}, chosen, len(chosen))
}
