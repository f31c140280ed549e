//go:build linux

package hostile

import (
	"context"
	"sync/atomic"
	"testing"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// unread are ways to ask for answers that nobody reads, with how many calls a connection has at once.
func unread(t *testing.T) map[string]struct {
	method string
	data   []byte
	end    bool
	calls  int
} {
	batch, watch := &netpoldv1.BatchAllowedRequest{}, &netpoldv1.WatchAllowedRequest{}
	all := questions()
	for i := range 500 {
		q := all[i%len(all)].request
		batch.Questions = append(batch.Questions, q)
		watch.Add = append(watch.Add, &netpoldv1.WatchQuestion{Id: uint64(i + 1), Question: q})
	}
	return map[string]struct {
		method string
		data   []byte
		end    bool
		calls  int
	}{
		"Allowed":         {netpoldv1.DecisionService_Allowed_FullMethodName, framed(encode(t, all[0].request), 0), true, 50},
		"BatchAllowed":    {netpoldv1.DecisionService_BatchAllowed_FullMethodName, framed(encode(t, batch), 0), true, 40},
		"WatchAllowed":    {netpoldv1.DecisionService_WatchAllowed_FullMethodName, framed(encode(t, watch), 0), false, 10},
		"GetStatus":       {netpoldv1.StatusService_GetStatus_FullMethodName, framed(nil, 0), true, 1000},
		"ListConnections": {netpoldv1.AuditService_ListConnections_FullMethodName, framed(nil, 0), true, 10},
	}
}

// Answers that nobody reads are not kept without end.
func TestUnreadAnswers(t *testing.T) {
	for name, way := range unread(t) {
		t.Run(name, func(t *testing.T) {
			n := start(t, writeCluster(t))
			var calls, answers, data, resets atomic.Int64
			n.besiege(t, attackTime, func(ctx context.Context) {
				each(ctx, attackers, func(ctx context.Context, from string) {
					c, err := n.openRaw(ctx, from, 0, true)
					if err != nil {
						return
					}
					c.closeWith(ctx)
					for range way.calls {
						if _, err := c.call(way.method, way.data, way.end); err != nil {
							break
						}
						calls.Add(1)
					}
					<-c.ended
					answers.Add(int64(c.answers))
					data.Add(int64(c.data))
					resets.Add(int64(c.resets))
				})
			})
			t.Logf("%d calls, %d answers of %d bytes, %d resets", calls.Load(), answers.Load(), data.Load(), resets.Load())
			if calls.Load() < attackers*int64(way.calls)/4 {
				t.Errorf("%d calls were made", calls.Load())
			}
		})
	}
}
