package netpold

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Lint asks what is wrong with the policies, and calls got with each message as it comes: a header, the
// findings in order, and a summary. Without the summary the lint is incomplete. It ends at the first error of
// got, which it returns.
func (c *Client) Lint(
	ctx context.Context, request *netpoldv1.LintRequest, got func(*netpoldv1.LintResponse) error,
	options ...grpc.CallOption,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := netpoldv1.NewAuditServiceClient(c.every).Lint(ctx, request, options...)
	if err != nil {
		return fromCall(err)
	}
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fromCall(err)
		}
		if err := got(m); err != nil {
			return err
		}
	}
}
