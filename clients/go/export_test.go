package netpold

import (
	"context"

	"google.golang.org/grpc/connectivity"
)

// AwaitHealthy blocks until questions go to a healthy server, or ctx ends.
func (c *Client) AwaitHealthy(ctx context.Context) {
	for state := c.healthy.GetState(); state != connectivity.Ready; state = c.healthy.GetState() {
		if !c.healthy.WaitForStateChange(ctx, state) {
			return
		}
	}
}
