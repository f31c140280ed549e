package netpold

import (
	"context"
	"iter"
	"slices"

	"google.golang.org/grpc"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Lint asks what is wrong with the policies, and yields the messages of the answer as they come: a header, the
// findings in order, and a summary. An error is the last element, as with [Client.Connections].
func (c *Client) Lint(
	ctx context.Context, request *netpoldv1.LintRequest, options ...grpc.CallOption,
) iter.Seq2[*netpoldv1.LintResponse, error] {
	return messages(c, ctx, func(
		ctx context.Context, audits netpoldv1.AuditServiceClient, asked grpc.CallOption,
	) (grpc.ServerStreamingClient[netpoldv1.LintResponse], error) {
		return audits.Lint(ctx, request, append(slices.Clip(options), asked)...)
	}, func(m *netpoldv1.LintResponse) bool { return m.GetSummary() != nil })
}
