package netpold_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

// A question asked before is answered locally, and the answer follows the cluster.
func TestP26AskedBeforeIsAnsweredLocally(t *testing.T) {
	t.Parallel()
	bubble(t, netpold.CacheConfig{}, func(t *testing.T, r *replica, client *netpold.Client) {
		first := expect(t, client, cartOn(8080), true)
		if again := expect(t, client, cartOn(8080), true); again != first {
			t.Error("the response is not shared")
		}
		expect(t, client, cartOn(9090), false)
		expectStats(t, client, 1, 2)
		openCart(r.source, true)
		synctest.Wait()
		if got := expect(t, client, cartOn(9090), true); got.GetRevision() != 6 || got.GetToken() != "servertest:6" {
			t.Errorf("%v", got)
		}
		expect(t, client, cartOn(8080), true)
		time.Sleep(time.Minute) //nolint:forbidigo // of a fake clock; and it stays fresh
		expect(t, client, cartOn(9090), true)
		expectStats(t, client, 4, 2)
		if r.asked.Load() != 0 || r.watched.Load() != 1 {
			t.Errorf("%d calls and %d watches: first questions go over the watch (P28)", r.asked.Load(), r.watched.Load())
		}
		if s := client.CacheStats(); s.Entries != 2 || !s.Connected || s.Age > 2*time.Second || s.Evictions != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A local answer allocates nothing, whatever names its ends. It is not parallel: it counts what all goroutines allocate.
func TestP26AHitAllocatesNothing(t *testing.T) {
	client := servertest.Start(t, shop()...).Client(netpold.WithCache(netpold.CacheConfig{}))
	for name, q := range map[string]*netpoldv1.AllowedRequest{
		"addresses": {Src: netpold.IP("10.0.1.4"), Dst: netpold.IP("10.0.3.7"), Port: 8080},
		"names": {Src: netpold.Workload("shop", "Deployment", "frontend"), Dst: netpold.Pod("shop", "cart-0"), Port: 8080,
			Details: true},
		"an error": {Src: netpold.Pod("shop", "nobody"), Dst: netpold.IP("10.0.3.7"), Port: 8080},
	} {
		ctx := soon(t)
		_, _ = client.Allowed(ctx, q)
		hits := client.CacheStats().Hits
		// What the connection does meanwhile is less than one allocation for each.
		if n := testing.AllocsPerRun(10_000, func() { _, _ = client.Allowed(ctx, q) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if after := client.CacheStats().Hits; after < hits+9_900 {
			t.Errorf("%s: %d local answers", name, after-hits)
		}
	}
}

// Errors that the watch keeps are remembered too, until there is an answer. Others are not.
func TestP26Errors(t *testing.T) {
	t.Parallel()
	bubble(t, netpold.CacheConfig{}, func(t *testing.T, r *replica, client *netpold.Client) {
		absent := &netpoldv1.AllowedRequest{Src: netpold.Pod("shop", "new"), Dst: netpold.IP("10.0.3.7"), Port: 8080}
		for range 3 {
			if _, err := client.Allowed(soon(t), absent); !errors.Is(err, netpold.ErrNotFound) {
				t.Errorf("%v", err)
			}
		}
		expectStats(t, client, 2, 1)
		r.source.Apply(engine.Change{Object: &engine.Pod{Namespace: "shop", Name: "new"}})
		synctest.Wait()
		expect(t, client, absent, false)
		expectStats(t, client, 3, 1)
		for range 2 {
			_, err := client.Allowed(soon(t), cartOn(0))
			if e := errorOf(t, err, netpold.ErrInvalidQuestion); len(e.Violations) != 1 || e.Violations[0].Field != "port" {
				t.Errorf("%+v", e)
			}
		}
		expectStats(t, client, 3, 3)
		if s := client.CacheStats(); s.Entries != 1 || r.asked.Load() != 0 {
			t.Errorf("%+v after %d calls", s, r.asked.Load())
		}
	})
}

// What must not be remembered goes to a server each time: so does what could break the stream for all others.
func TestP26NotRemembered(t *testing.T) {
	t.Parallel()
	bubble(t, netpold.CacheConfig{}, func(t *testing.T, r *replica, client *netpold.Client) {
		ctx := soon(t)
		after := cartOn(8080)
		after.AtLeast = "servertest:1"
		newer := cartOn(8080)
		newer.GetDst().ProtoReflect().SetUnknown([]byte{0x98, 0x06, 0x01}) // field 99
		for range 2 {
			expect(t, client, after, true)
			expect(t, client, newer, true)
			expect(t, client, &netpoldv1.AllowedRequest{
				Src: netpold.Labels("shop", map[string]string{"app": "frontend"}), Dst: netpold.IP("10.0.3.7"), Port: 8080,
			}, true)
			if _, err := client.Allowed(ctx, cartOn(8080), grpc.WaitForReady(true)); err != nil {
				t.Error(err)
			}
			if _, err := client.Allowed(ctx, nil); !errors.Is(err, netpold.ErrInvalidQuestion) {
				t.Errorf("%v", err)
			}
			batch := &netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{cartOn(8080)}}
			if _, err := client.BatchAllowed(ctx, batch); err != nil {
				t.Error(err)
			}
		}
		if r.asked.Load() != 12 || client.CacheStats() != (netpold.CacheStats{}) {
			t.Errorf("%d calls, %+v", r.asked.Load(), client.CacheStats())
		}
		expect(t, client, cartOn(8080), true)
		for name, bad := range map[string]string{"no text": "\xff", "too long": string(make([]byte, 1<<22))} {
			q := cartOn(8080)
			q.Src = netpold.Pod("shop", bad)
			if _, err := client.Allowed(ctx, q); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		expect(t, client, cartOn(8080), true)
		if s := client.CacheStats(); s.Hits != 1 || s.Entries != 1 || r.watched.Load() != 1 {
			t.Errorf("%+v, %d watches", s, r.watched.Load())
		}
	})
}

// All that can be asked is in the key: a question that differs in anything is another.
func TestP26EveryFieldCounts(t *testing.T) {
	t.Parallel()
	bubble(t, netpold.CacheConfig{}, func(t *testing.T, _ *replica, client *netpold.Client) {
		questions := []*netpoldv1.AllowedRequest{
			cartOn(8080), cartOn(8081),
			{Src: netpold.IP("10.0.1.4"), Dst: netpold.Pod("shop", "cart-0"), Port: 8080, Details: true},
			{Src: netpold.IP("10.0.1.4"), Dst: netpold.Pod("shop", "cart-0"), Port: 8080,
				Protocol: netpoldv1.Protocol_PROTOCOL_UDP},
			{Src: netpold.IP("10.0.3.7"), Dst: netpold.Pod("shop", "cart-0"), Port: 8080},
			{Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.Pod("shop", "cart-0"), Port: 8080},
			{Src: netpold.Pod("shopfrontend", "-0"), Dst: netpold.Pod("shop", "cart-0"), Port: 8080},
			{Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.Service("shop", "cart-0"), Port: 8080},
			{Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.Workload("shop", "Job", "cart-0"), Port: 8080},
			{Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.Workload("shop", "CronJob", "cart-0"), Port: 8080},
			{Src: netpold.Pod("shop", "cart-0"), Dst: netpold.Pod("shop", "frontend-0"), Port: 8080},
		}
		for round := range uint64(2) {
			for _, q := range questions {
				_, _ = client.Allowed(soon(t), q)
			}
			expectStats(t, client, round*uint64(len(questions)), uint64(len(questions)))
		}
		// What the caller does to its question afterwards does not change what is watched.
		q := cartOn(8080)
		expect(t, client, q, true)
		q.GetDst().GetPod().Name = "nobody"
		expect(t, client, cartOn(8080), true)
	})
}

// The least recently asked question goes first, and the server forgets it. So do those that nobody asks.
func TestP30Evictions(t *testing.T) {
	t.Parallel()
	config := netpold.CacheConfig{Size: 2, Idle: time.Minute}
	bubble(t, config, func(t *testing.T, r *replica, client *netpold.Client) {
		ask := func(port uint32) {
			t.Helper()
			expect(t, client, cartOn(port), port == 8080)
			time.Sleep(2 * time.Millisecond) //nolint:forbidigo // of a fake clock
		}
		ask(1)
		ask(2)
		ask(1) // a hit
		ask(3) // in place of 2
		ask(1) // a hit
		ask(2) // in place of 3
		ask(1) // a hit
		expectStats(t, client, 3, 4)
		synctest.Wait()
		if s := client.CacheStats(); s.Entries != 2 || s.Evictions != 2 || r.removed.Load() != 2 {
			t.Errorf("%+v, and the server is told to forget %d", s, r.removed.Load())
		}
		for range 4 {
			time.Sleep(30 * time.Second) //nolint:forbidigo // of a fake clock
			ask(1)
		}
		if s := client.CacheStats(); s.Entries != 1 || s.Evictions != 3 || s.Misses != 4 || r.removed.Load() != 3 {
			t.Errorf("after a while: %+v, and the server is told to forget %d", s, r.removed.Load())
		}
		time.Sleep(2 * time.Minute) //nolint:forbidigo // of a fake clock
		if s := client.CacheStats(); s.Entries != 0 || s.Evictions != 4 || s.Connected {
			t.Errorf("with nothing to remember: %+v", s)
		}
		ask(8080)
		ask(8080)
		expectStats(t, client, 8, 5)
		if r.asked.Load() != 0 || r.watched.Load() != 2 {
			t.Errorf("%d calls, %d watches", r.asked.Load(), r.watched.Load())
		}
	})
}

// While the server's state is stale, local answers say so. They are right again when it is.
func TestP26Stale(t *testing.T) {
	t.Parallel()
	bubble(t, netpold.CacheConfig{}, func(t *testing.T, r *replica, client *netpold.Client) {
		expect(t, client, cartOn(8080), true)
		for _, stale := range []bool{true, false, true, false} {
			r.setStale(stale)
			time.Sleep(20 * time.Second) //nolint:forbidigo // of a fake clock
			for range 2 {
				if got := expect(t, client, cartOn(8080), true); got.GetStale() != stale {
					t.Errorf("stale %v, want %v", got.GetStale(), stale)
				}
			}
		}
	})
}

// A call whose context has ended fails, as without a cache; and nothing is answered after Close.
func TestP26EndedCalls(t *testing.T) {
	t.Parallel()
	bubble(t, netpold.CacheConfig{}, func(t *testing.T, _ *replica, client *netpold.Client) {
		expect(t, client, cartOn(8080), true)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := client.Allowed(ctx, cartOn(8080)); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		_, err := client.Allowed(t.Context(), cartOn(8080))
		if e := errorOf(t, err, context.Canceled); e.Code != codes.Canceled {
			t.Errorf("%v", err)
		}
	})
}
