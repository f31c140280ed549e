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

// OpenBatches returns how many batches of Verdict have no answer.
func (c *Client) OpenBatches() (n int) {
	g := c.gatherer
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.lanes {
		n += len(l.batches)
	}
	return n
}
