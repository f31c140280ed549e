package netpold

import (
	"context"
	"iter"
	"slices"

	"google.golang.org/grpc"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Simulate asks what changes would change, and yields the messages of the answer as they come: a header, the
// groups of both states, changes with the sets that they name, answers to the questions, and a summary. Progress
// may come at any place after the header. An error is the last element, as with [Client.Connections].
//
// A summary with truncated set ends a difference that the server cut at its limit: it is not all.
func (c *Client) Simulate(
	ctx context.Context, request *netpoldv1.SimulateRequest, options ...grpc.CallOption,
) iter.Seq2[*netpoldv1.SimulateResponse, error] {
	return messages(c, ctx, func(
		ctx context.Context, audits netpoldv1.AuditServiceClient, asked grpc.CallOption,
	) (grpc.ServerStreamingClient[netpoldv1.SimulateResponse], error) {
		return audits.Simulate(ctx, request, append(slices.Clip(options), asked)...)
	}, func(m *netpoldv1.SimulateResponse) bool { return m.GetSummary() != nil })
}
