package hubble

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A connection is one stream of flows. Each has a connection of its own, so that a name is resolved anew.
type connection struct {
	conn   *grpc.ClientConn
	client observer.ObserverClient
	cancel context.CancelFunc
	// follows means that the server sends what comes later too, and ends at Until only if it sees a flow then.
	follows bool
	// messages are those received, in order. It is closed at the end, and err then says why.
	messages chan *observer.GetFlowsResponse
	err      error
}

const (
	// ahead is how many messages are received before they are read. Behind them HTTP/2 holds the server.
	ahead = 64
	// window is how many bytes the server may send ahead of what is received. It is fixed, because gRPC would
	// let it grow to 16 MiB. It is enough for 20 MB/s over a distance of 50 ms.
	window = 1 << 20
	// maxMessage is more than Relay would pass on.
	maxMessage = 16 << 20
)

// connect opens a connection and begins to receive. It does not wait for the server.
func (f *Flows) connect(ctx context.Context) (*connection, error) {
	security := insecure.NewCredentials()
	if f.options.TLS != nil {
		security = credentials.NewTLS(f.options.TLS)
	}
	conn, err := grpc.NewClient(f.options.Target,
		grpc.WithTransportCredentials(security),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithInitialWindowSize(window),
		grpc.WithInitialConnWindowSize(window),
		// The pauses between connections are this package's. This limits one attempt.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.DefaultConfig, MinConnectTimeout: f.options.timing.answer,
		}))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	request := f.request()
	c := &connection{
		conn: conn, client: observer.NewObserverClient(conn), cancel: cancel, follows: request.GetFollow(),
		messages: make(chan *observer.GetFlowsResponse, ahead),
	}
	go c.receive(ctx, request)
	return c, nil
}

// request returns what to ask for now.
func (f *Flows) request() *observer.GetFlowsRequest {
	request := &observer.GetFlowsRequest{Follow: true}
	if since := f.cursor.since(); !since.IsZero() {
		request.Since = timestamppb.New(since)
	}
	if !f.options.Until.IsZero() {
		request.Until = timestamppb.New(f.options.Until)
		request.Follow = f.options.Until.After(time.Now())
	}
	return request
}

// receive receives until the stream ends.
func (c *connection) receive(ctx context.Context, request *observer.GetFlowsRequest) {
	defer close(c.messages)
	stream, err := c.client.GetFlows(ctx, request)
	if err != nil {
		c.err = err
		return
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			c.err = err
			return
		}
		select {
		case c.messages <- message:
		case <-ctx.Done():
			c.err = ctx.Err()
			return
		}
	}
}

// probe asks the server whether it answers at all: any answer is one, an error too. The channel gets the error
// and is closed. A deadline of ctx would look like a server that does not answer, so there must be none.
func (c *connection) probe(ctx context.Context, within time.Duration) <-chan error {
	probed := make(chan error, 1)
	go func() {
		defer close(probed)
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		_, err := c.client.ServerStatus(ctx, &observer.ServerStatusRequest{})
		probed <- err
	}()
	return probed
}

// drain waits until a probe has ended. probed may be nil.
func drain(probed <-chan error) {
	if probed != nil {
		for range probed {
		}
	}
}

// close ends the connection and waits until nothing of it runs.
func (c *connection) close() {
	c.cancel()
	_ = c.conn.Close() // It fails if it is closed already.
	for range c.messages {
	}
}

// answers reports whether an error of probe is an answer.
func answers(err error) bool {
	switch status.Code(err) {
	case codes.DeadlineExceeded, codes.Unavailable, codes.Canceled:
		return false
	default:
		return true
	}
}

// cause returns what went wrong for people, on one line and without the layers that gRPC puts around it.
func cause(err error) string {
	if errors.Is(err, io.EOF) {
		return "the server ended the stream"
	}
	message := status.Convert(err).Message()
	if cut := strings.LastIndex(message, "desc = "); cut >= 0 {
		message = strings.Trim(message[cut+len("desc = "):], `"`)
	}
	return oneLine(strings.TrimPrefix(message, "transport: "))
}
