package netpold

import (
	"context"
	"slices"

	"google.golang.org/grpc"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A Watch is a stream of questions and of their answers: each once, and again whenever it changes. It says what
// WatchAllowed of netpold.v1.DecisionService does.
//
// One goroutine may send while another receives; no more than one may do either. It holds memory of the client
// and the server until Recv returns an error or the context of [Client.Watch] ends.
//
// A Watch that ends is not reopened. Open another, and send all questions with if_not, the etag of the last
// answer, and at_least, the token of the last response: what did not change is not sent again.
type Watch struct {
	stream grpc.BidiStreamingClient[netpoldv1.WatchAllowedRequest, netpoldv1.WatchAllowedResponse]
}

// Watch opens a watch, which lasts until ctx ends at the latest. It waits for a connection to a server, but not
// for the server's answer: the first Recv returns its error.
func (c *Client) Watch(ctx context.Context, options ...grpc.CallOption) (*Watch, error) {
	w := &Watch{}
	err := c.decide(func(from netpoldv1.DecisionServiceClient, asked grpc.CallOption) (err error) {
		w.stream, err = from.WatchAllowed(ctx, append(slices.Clip(options), asked)...)
		return err
	})
	if err != nil {
		return nil, fromCall(err)
	}
	return w, nil
}

// Send changes what is watched. It blocks while the server has not read earlier requests, which it does not
// while answers are not received. An error means that the watch has ended; Recv returns why.
func (w *Watch) Send(request *netpoldv1.WatchAllowedRequest) error { return w.stream.Send(request) }

// CloseSend ends the requests. The watch goes on.
func (w *Watch) CloseSend() error { return w.stream.CloseSend() }

// Recv blocks until a response comes, which takes the heartbeat at most, as long as the server is there. The
// error is always an [*Error], and no response follows.
func (w *Watch) Recv() (*netpoldv1.WatchAllowedResponse, error) {
	response, err := w.stream.Recv()
	if err != nil {
		return nil, fromCall(err)
	}
	return response, nil
}
