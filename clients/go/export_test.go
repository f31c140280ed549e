package netpold

import (
	"context"

	"google.golang.org/grpc/connectivity"
)

// AwaitHealthy waits until decisions are asked of a healthy server, or ctx ends.
func (c *Client) AwaitHealthy(ctx context.Context) {
	for state := c.healthy.GetState(); state != connectivity.Ready; state = c.healthy.GetState() {
		if !c.healthy.WaitForStateChange(ctx, state) {
			return
		}
	}
}
