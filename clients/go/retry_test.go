package netpold_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// P30: a call that gets UNAVAILABLE is made again no sooner than the server advises, four times in all. If that is
// beyond its deadline, it fails at once, with what the server said.
func TestP30RetriesAsAdvised(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startReplica(t, synced(shop()...), nil)
		advised, err := status.New(codes.Unavailable, "not now").WithDetails(
			errorInfo("NOT_SYNCED", nil), retryInfo(10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		r.calls.Store(advised)
		client := dialReplicas(t, []*replica{r})
		for name, call := range map[string]func(ctx context.Context) error{
			"Allowed": func(ctx context.Context) error { _, err := client.Allowed(ctx, cartOn(8080)); return err },
			"BatchAllowed": func(ctx context.Context) error {
				_, err := client.BatchAllowed(ctx, &netpoldv1.BatchAllowedRequest{})
				return err
			},
		} {
			for _, test := range []struct {
				within   time.Duration
				calls    int64
				least    time.Duration
				lessThan time.Duration
			}{
				{within: 2 * time.Second, calls: 1, lessThan: time.Second},
				{within: 15 * time.Second, calls: 2, least: 10 * time.Second, lessThan: 11 * time.Second},
				{within: time.Hour, calls: 4, least: 30 * time.Second, lessThan: 35 * time.Second},
			} {
				before, began := r.asked.Load(), time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), test.within)
				err := call(ctx)
				cancel()
				took, calls := time.Since(began), r.asked.Load()-before
				e := errorOf(t, err, netpold.ErrUnavailable)
				if e.Reason != "NOT_SYNCED" || calls != test.calls || took < test.least || took >= test.lessThan {
					t.Errorf("%s within %v: %v after %d calls and %v", name, test.within, err, calls, took)
				}
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		_, err = client.Allowed(ctx, cartOn(8080))
		_ = errorOf(t, err, context.Canceled)
		time.AfterFunc(5*time.Second, func() { r.calls.Store(nil) })
		if _, err := client.Allowed(t.Context(), cartOn(8080)); err != nil {
			t.Error(err)
		}
	})
}

// Delays grow from 0.1 s to 5 s at most, are random, and begin anew after Reset.
func TestP30Backoff(t *testing.T) {
	t.Parallel()
	var b netpold.Backoff
	for range 2 {
		seen := map[time.Duration]bool{}
		for i, bound := 0, 100*time.Millisecond; i < 30; i++ {
			delay := b.Next(&netpold.Error{RetryAfter: time.Minute})
			if delay < time.Minute || delay >= time.Minute+bound {
				t.Errorf("delay %d is %v, beyond a minute and %v", i, delay, bound)
			}
			seen[delay] = true
			bound = min(2*bound, 5*time.Second)
		}
		if len(seen) < 25 {
			t.Errorf("%d different delays of 30", len(seen))
		}
		b.Reset()
	}
}
