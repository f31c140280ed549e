package netpold_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// An overtaken service stands for two replicas. Its first answer is that of the replica behind, and waits until it is
// let go. Later ones are as old as the question permits, after one that is new.
type overtaken struct {
	netpoldv1.UnimplementedDecisionServiceServer

	calls atomic.Int64
	let   chan struct{}
}

func (o *overtaken) Allowed(_ context.Context, q *netpoldv1.AllowedRequest) (*netpoldv1.AllowedResponse, error) {
	before := &netpoldv1.AllowedResponse{Allowed: true, Token: "before"}
	after := &netpoldv1.AllowedResponse{Token: "after"}
	switch n := o.calls.Add(1); {
	case n == 1:
		<-o.let
		return before, nil
	case n == 2 || q.GetAtLeast() == "after":
		return after, nil
	default:
		return before, nil
	}
}

// P25, P28: without a stream, an answer that was asked for earlier and comes later does not take the place of a newer
// one. Otherwise a denial could be followed by an older permission.
func TestP28OvertakenAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &overtaken{let: make(chan struct{})}
		r := startReplica(t, synced(shop()...), service)
		refuse(&r.watches, codes.Unavailable, "no watch here")
		client := dialReplicas(t, []*replica{r}, netpold.WithCache(netpold.CacheConfig{}))
		late := make(chan bool)
		go func() {
			answer, err := client.Allowed(t.Context(), cartOn(8080))
			if err != nil {
				t.Error(err)
			}
			late <- answer.GetAllowed()
		}()
		for service.calls.Load() == 0 {
			synctest.Wait()
		}
		expect(t, client, cartOn(8080), false)
		close(service.let)
		if <-late {
			t.Error("the late answer allows, after a denial of the same client")
		}
		expect(t, client, cartOn(8080), false)
	})
}
