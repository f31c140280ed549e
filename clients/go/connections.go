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
	return func(yield func(*netpoldv1.ListConnectionsResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var stream grpc.ServerStreamingClient[netpoldv1.ListConnectionsResponse]
		err := c.ask(func(conn *grpc.ClientConn, asked grpc.CallOption) (err error) {
			stream, err = netpoldv1.NewAuditServiceClient(conn).
				ListConnections(ctx, request, append(slices.Clip(options), asked)...)
			return err
		})
		complete := false
		for err == nil {
			var message *netpoldv1.ListConnectionsResponse
			if message, err = stream.Recv(); err == nil {
				complete = complete || message.GetSummary() != nil
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
