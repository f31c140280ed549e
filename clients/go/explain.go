package netpold

import (
	"context"
	"slices"

	"google.golang.org/grpc"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Explain asks why a question has its answer: what every policy and rule that concerns it says, and for a
// denial the rules that one change would make allow. The response's Text says it for people. Its answer is the
// one that [Client.Allowed] gets from the same state; a denial is not an error.
func (c *Client) Explain(
	ctx context.Context, request *netpoldv1.ExplainRequest, options ...grpc.CallOption,
) (*netpoldv1.ExplainResponse, error) {
	var response *netpoldv1.ExplainResponse
	err := c.ask(func(conn *grpc.ClientConn, asked grpc.CallOption) (err error) {
		response, err = netpoldv1.NewAuditServiceClient(conn).
			Explain(ctx, request, append(slices.Clip(options), asked)...)
		return err
	})
	return response, fromCall(err)
}
