package netpold

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"

	"google.golang.org/grpc"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Connections asks who may reach whom on what, and yields the messages of the answer as they come: a header,
// every group, connections with the sets that they name, exposures, and a summary. Progress may come at any
// place after the header.
//
//	for message, err := range client.Connections(ctx, &netpoldv1.ListConnectionsRequest{Dst: ends}) {
//		if err != nil {
//			return err // the list is incomplete
//		}
//		...
//	}
//
// An error is the last element. A list that ends without an error and without a summary does not happen. The
// list ends when the loop does. While the loop does not ask for more, the server waits, until ctx or its own
// limit of time ends the call. A list that broke off goes on with the cursor of its last progress in the
// same request, asked of the same server.
func (c *Client) Connections(
	ctx context.Context, request *netpoldv1.ListConnectionsRequest, options ...grpc.CallOption,
) iter.Seq2[*netpoldv1.ListConnectionsResponse, error] {
	return messages(c, ctx, func(
		ctx context.Context, audits netpoldv1.AuditServiceClient, asked grpc.CallOption,
	) (grpc.ServerStreamingClient[netpoldv1.ListConnectionsResponse], error) {
		return audits.ListConnections(ctx, request, append(slices.Clip(options), asked)...)
	}, func(m *netpoldv1.ListConnectionsResponse) bool { return m.GetSummary() != nil })
}

// messages yields the messages of a stream that call opens, and the error that ends it. The last message is a
// summary; a stream without one is broken.
func messages[M any](
	c *Client, ctx context.Context,
	call func(context.Context, netpoldv1.AuditServiceClient, grpc.CallOption) (grpc.ServerStreamingClient[M], error),
	isSummary func(*M) bool,
) iter.Seq2[*M, error] {
	return func(yield func(*M, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var stream grpc.ServerStreamingClient[M]
		err := c.ask(func(conn *grpc.ClientConn, asked grpc.CallOption) (err error) {
			stream, err = call(ctx, netpoldv1.NewAuditServiceClient(conn), asked)
			return err
		})
		complete := false
		for err == nil {
			var message *M
			if message, err = stream.Recv(); err == nil {
				complete = complete || isSummary(message)
				if !yield(message, nil) {
					return
				}
			}
		}
		switch {
		case !errors.Is(err, io.EOF):
			yield(nil, fromCall(err))
		case !complete:
			yield(nil, broken("no summary"))
		}
	}
}
