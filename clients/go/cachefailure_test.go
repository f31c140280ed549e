package netpold_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Dial refuses a configuration that cannot keep its promise, and says what to give.
func TestP27DialRefuses(t *testing.T) {
	t.Parallel()
	for want, option := range map[string]netpold.Option{
		"WithCache: MaxAge 1s is below twice the heartbeat: give at least 2s, or a Heartbeat of at most 500ms": netpold.WithCache(netpold.CacheConfig{MaxAge: time.Second}),
		"WithCache: Heartbeat 50ms is out of range: give 100ms to 30s":                                         netpold.WithCache(netpold.CacheConfig{Heartbeat: 50 * time.Millisecond}),
		"WithCache: Size is negative: leave it out for the default":                                            netpold.WithCache(netpold.CacheConfig{Size: -1}),
		"WithCache: Idle is negative: leave it out for the default":                                            netpold.WithCache(netpold.CacheConfig{Idle: -1}),
		"FailLast has no answers to fall back to: give WithCache too":                                          netpold.WithFailureMode(netpold.FailLast(time.Minute)),
		"FailLast has a negative duration: give how old an answer may be, for example FailLast(time.Minute)":   netpold.WithFailureMode(netpold.FailLast(-1)),
	} {
		_, err := netpold.Dial("127.0.0.1:1", netpold.WithInsecure(), option)
		if err == nil || err.Error() != `netpold: dial "127.0.0.1:1": `+want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A scripted is a service whose watch a test writes. It allows all.
type scripted struct {
	netpoldv1.UnimplementedDecisionServiceServer
	watch func(stream netpoldv1.DecisionService_WatchAllowedServer) error
}

func (s *scripted) WatchAllowed(stream netpoldv1.DecisionService_WatchAllowedServer) error {
	return s.watch(stream)
}

func (s *scripted) Allowed(context.Context, *netpoldv1.AllowedRequest) (*netpoldv1.AllowedResponse, error) {
	return &netpoldv1.AllowedResponse{Allowed: true, Revision: 2}, nil
}

// Heartbeats do not make answers young: their age counts from the client's own message that the server has taken
// into account. So a server that hears nothing of the client, or heartbeats that waited in a buffer, do no harm.
func TestP27AgeCountsFromTheAcknowledgedMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deaf := &scripted{watch: func(stream netpoldv1.DecisionService_WatchAllowedServer) error {
			request, err := stream.Recv()
			if err != nil {
				return err
			}
			response := &netpoldv1.WatchAllowedResponse{Complete: true, Applied: 1}
			for _, q := range request.GetAdd() {
				response.Answers = append(response.Answers, &netpoldv1.WatchAnswer{Id: q.GetId(), Etag: 1,
					Answer: &netpoldv1.WatchAnswer_Response{Response: &netpoldv1.AllowedResponse{Allowed: true, Revision: 1}}})
			}
			for stream.Context().Err() == nil {
				if err := stream.Send(response); err != nil {
					return err
				}
				response = &netpoldv1.WatchAllowedResponse{Complete: true, Applied: 1}
				time.Sleep(100 * time.Millisecond) //nolint:forbidigo // of a fake clock
			}
			return stream.Context().Err()
		}}
		r := startReplica(t, synced(shop()...), deaf)
		client := dialReplicas(t, []*replica{r}, netpold.WithCache(netpold.CacheConfig{}))
		for age, revision := range []uint64{1, 1, 1, 2, 2} {
			for range 2 {
				if got := expect(t, client, cartOn(8080), true); got.GetRevision() != revision {
					t.Errorf("after %d s: revision %d", age, got.GetRevision())
				}
			}
			time.Sleep(time.Second + time.Millisecond) //nolint:forbidigo // of a fake clock
		}
		if s := client.CacheStats(); s.Age != 5*time.Second+5*time.Millisecond {
			t.Errorf("%+v", s)
		}
	})
}

// A denial that a server gave while there was no stream is not followed by an older permission, even if the stream
// comes back on a replica that is behind. Questions that nobody asked meanwhile are not held up.
func TestP28NoPermissionAfterADenial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind, ahead := startReplica(t, synced(shop()...), nil), startReplica(t, synced(shop()...), nil)
		refuse(&ahead.watches, codes.Unavailable, "no watch here")
		refuse(&behind.calls, codes.Unavailable, "no calls here")
		client := dialReplicas(t, []*replica{behind, ahead}, netpold.WithCache(netpold.CacheConfig{}))
		// The first attempts of a call may all have been made where there are none.
		expect := func(t *testing.T, client *netpold.Client, q *netpoldv1.AllowedRequest, allowed bool) {
			t.Helper()
			got, err := client.Allowed(soon(t), q)
			for err != nil && t.Context().Err() == nil {
				got, err = client.Allowed(soon(t), q)
			}
			if got.GetAllowed() != allowed {
				t.Errorf("%v, want allowed %v", got, allowed)
			}
		}
		untilHit := func(q *netpoldv1.AllowedRequest, allowed bool) {
			t.Helper()
			for before := client.CacheStats().Hits; client.CacheStats().Hits == before; {
				expect(t, client, q, allowed)
				time.Sleep(10 * time.Millisecond) //nolint:forbidigo // of a fake clock
			}
		}
		untilHit(cartOn(8080), true)
		refuse(&behind.watches, codes.Unavailable, "no watch here")
		behind.cutWatch()
		closed := engine.Change{Object: &engine.Policy{Namespace: "shop", Name: "cart", IsolatesIngress: true,
			Subject: app("cart")}}
		ahead.source.Apply(closed)
		time.Sleep(time.Minute) //nolint:forbidigo // of a fake clock
		expect(t, client, cartOn(8080), false)
		refuse(&behind.watches, codes.OK, "")
		for range 1000 {
			expect(t, client, cartOn(8080), false)
			time.Sleep(10 * time.Millisecond) //nolint:forbidigo // of a fake clock
		}
		behind.source.Apply(closed)
		untilHit(cartOn(8080), false)
		if client.CacheStats().Age > 3*time.Second {
			t.Errorf("%+v", client.CacheStats())
		}
	})
}

// Without a server the failure mode says what is returned. It allows only what was allowed, and never after a
// denial.
func TestP29FailureModes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mode  netpold.FailureMode
		check func(t *testing.T, got *netpoldv1.AllowedResponse, err error, age time.Duration)
	}{
		"error": {netpold.FailError, func(t *testing.T, got *netpoldv1.AllowedResponse, err error, _ time.Duration) {
			if got != nil || !errors.Is(err, netpold.ErrUnavailable) {
				t.Errorf("%v, %v", got, err)
			}
		}},
		"deny": {netpold.FailDeny, func(t *testing.T, got *netpoldv1.AllowedResponse, err error, _ time.Duration) {
			if err != nil || got.GetAllowed() || !got.GetStale() || got.GetReason() != netpoldv1.Reason_REASON_UNSPECIFIED {
				t.Errorf("%v, %v", got, err)
			}
		}},
		"last": {netpold.FailLast(time.Minute),
			func(t *testing.T, got *netpoldv1.AllowedResponse, err error, age time.Duration) {
				if age > time.Minute {
					if got != nil || !errors.Is(err, netpold.ErrUnavailable) {
						t.Errorf("%v: %v, %v", age, got, err)
					}
				} else if err != nil || !got.GetAllowed() || !got.GetStale() || got.GetRevision() != 5 {
					t.Errorf("%v: %v, %v", age, got, err)
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := startReplica(t, synced(shop()...), nil)
				client := dialReplicas(t, []*replica{r}, netpold.WithCache(netpold.CacheConfig{}),
					netpold.WithFailureMode(test.mode))
				expect(t, client, cartOn(8080), true)
				absent := &netpoldv1.AllowedRequest{Src: netpold.Pod("shop", "no"), Dst: netpold.IP("10.0.3.7"), Port: 1}
				if _, err := client.Allowed(soon(t), absent); !errors.Is(err, netpold.ErrNotFound) {
					t.Errorf("%v", err)
				}
				synctest.Wait()
				refuse(&r.calls, codes.Unavailable, "no calls here")
				refuse(&r.watches, codes.Unavailable, "no watch here")
				lost := time.Now()
				r.cutWatch()
				expect(t, client, cartOn(8080), true) // still fresh
				for range 5 {
					time.Sleep(15 * time.Second) //nolint:forbidigo // of a fake clock
					got, err := client.Allowed(soon(t), cartOn(8080))
					test.check(t, got, err, time.Since(lost))
				}
				// The error of a question is an answer, whatever the mode; of one that is not known, nothing is.
				got, err := client.Allowed(soon(t), cartOn(9999))
				test.check(t, got, err, time.Hour)
				refuse(&r.calls, codes.OK, "")
				openCart(r.source, true)
				expect(t, client, cartOn(9999), true)
				openCart(r.source, false)
				expect(t, client, cartOn(9999), false)
				refuse(&r.calls, codes.Unavailable, "no calls here")
				time.Sleep(5 * time.Second) //nolint:forbidigo // of a fake clock
				if got, err := client.Allowed(soon(t), cartOn(9999)); got.GetAllowed() {
					t.Errorf("after a denial: %v, %v", got, err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if _, err := client.Allowed(ctx, cartOn(8080)); !errors.Is(err, context.Canceled) {
					t.Errorf("a call that was given up: %v", err)
				}
			})
		})
	}
}

// Overload is an error of its own. The client does not ask again, and comes back with a watch no sooner than the
// server advises.
func TestP30Overload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startReplica(t, synced(shop()...), nil)
		overloaded, err := status.New(codes.ResourceExhausted, "enough").WithDetails(
			errorInfo("OVERLOADED", map[string]string{"limit": "in_flight"}), retryInfo(10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		r.calls.Store(overloaded)
		r.watches.Store(overloaded)
		client := dialReplicas(t, []*replica{r}, netpold.WithCache(netpold.CacheConfig{}))
		for n := range int64(3) {
			_, err := client.Allowed(soon(t), cartOn(8080))
			e := errorOf(t, err, netpold.ErrOverloaded)
			if e.RetryAfter != 10*time.Second || e.Metadata["limit"] != "in_flight" || r.asked.Load() != n+1 {
				t.Errorf("%+v after %d calls", e, r.asked.Load())
			}
		}
		time.Sleep(5 * time.Minute) //nolint:forbidigo // of a fake clock
		// Each time 10 s and up to 5 s more.
		if n := r.watched.Load(); n < 20 || n > 31 {
			t.Errorf("%d watches in 5 minutes", n)
		}
		other, err := status.New(codes.ResourceExhausted, "not you").WithDetails(errorInfo("CALLER_OVER_LIMIT", nil))
		if err != nil {
			t.Fatal(err)
		}
		r.calls.Store(other)
		_, err = client.Allowed(soon(t), cartOn(8080))
		_ = errorOf(t, err, netpold.ErrOverloaded)
		refuse(&r.calls, codes.ResourceExhausted, "a large message")
		_, err = client.Allowed(soon(t), cartOn(8080))
		_ = errorOf(t, err, netpold.ErrTooLarge)
	})
}

// Without advice a client comes back after a random time, which grows from 0.1 s to 5 s at most.
func TestP30ReconnectsBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startReplica(t, synced(shop()...), nil)
		refuse(&r.watches, codes.Unavailable, "no watch here")
		client := dialReplicas(t, []*replica{r}, netpold.WithCache(netpold.CacheConfig{}))
		expect(t, client, cartOn(8080), true)
		time.Sleep(10 * time.Minute) //nolint:forbidigo // of a fake clock
		// 2.5 s in the mean: 240 times, with a deviation of 9.
		if n := r.watched.Load(); n < 180 || n > 320 {
			t.Errorf("%d watches in 10 minutes", n)
		}
		if client.CacheStats().Connected {
			t.Error("connected")
		}
	})
}

// A server that watches or takes fewer questions than the client remembers is not an error: the client remembers
// fewer, and sends fewer at once.
func TestP30ServersWithLowLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := synced(shop()...)
		r := startReplica(t, source, limited(source))
		client := dialReplicas(t, []*replica{r}, netpold.WithCache(netpold.CacheConfig{}))
		refuse(&r.watches, codes.Unavailable, "no watch yet")
		for port := range uint32(20) {
			expect(t, client, cartOn(8080+port), port == 0)
		}
		refuse(&r.watches, codes.OK, "")
		time.Sleep(time.Minute) //nolint:forbidigo // of a fake clock
		for range 3 {
			for port := range uint32(20) {
				expect(t, client, cartOn(8080+port), port == 0)
			}
		}
		for range 10 {
			expect(t, client, cartOn(8080), true)
		}
		if s := client.CacheStats(); s.Entries > 5 || s.Hits < 9 || !s.Connected {
			t.Errorf("%+v", s)
		}
	})
}

// A server of other files does not know the tokens of the one before. The client goes on without.
func TestP28TokensOfAnotherSource(t *testing.T) {
	t.Parallel()
	bubble(t, netpold.CacheConfig{}, func(t *testing.T, r *replica, client *netpold.Client) {
		expect(t, client, cartOn(8080), true)
		r.foreign.Store(true)
		r.cutWatch()
		time.Sleep(10 * time.Second) //nolint:forbidigo // of a fake clock
		for range 20 {
			expect(t, client, cartOn(8080), true)
			time.Sleep(time.Second) //nolint:forbidigo // of a fake clock
		}
		if s := client.CacheStats(); s.Hits < 15 || !s.Connected {
			t.Errorf("%+v", s)
		}
	})
}

// After a long outage, while a server answered and the cluster changed, a stream is resumed by a few messages.
func TestP28ResumedAfterALongOutage(t *testing.T) {
	t.Parallel()
	bubble(t, netpold.CacheConfig{}, func(t *testing.T, r *replica, client *netpold.Client) {
		expect(t, client, cartOn(8080), true)
		expect(t, client, cartOn(9090), false)
		synctest.Wait()
		refuse(&r.watches, codes.Unavailable, "no watch here")
		r.cutWatch()
		for i := range 200 {
			time.Sleep(5 * time.Second) //nolint:forbidigo // of a fake clock
			openCart(r.source, i%2 == 0)
			expect(t, client, cartOn(9090), i%2 == 0)
		}
		refuse(&r.watches, codes.OK, "")
		r.received.Store(0)
		for client.CacheStats().Age > 3*time.Second {
			time.Sleep(100 * time.Millisecond) //nolint:forbidigo // of a fake clock
		}
		if n := r.received.Load(); n > 25 {
			t.Errorf("%d messages", n)
		}
		before := client.CacheStats().Hits
		expect(t, client, cartOn(9090), false)
		expect(t, client, cartOn(8080), true)
		if got := client.CacheStats().Hits; got != before+2 {
			t.Errorf("%d hits", got-before)
		}
	})
}

// A stream on which nothing comes any more is given up: the client opens another, and asks meanwhile.
func TestP29SilentServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		silent := &scripted{watch: func(stream netpoldv1.DecisionService_WatchAllowedServer) error {
			<-stream.Context().Done()
			return stream.Context().Err()
		}}
		r := startReplica(t, synced(shop()...), silent)
		client := dialReplicas(t, []*replica{r}, netpold.WithCache(netpold.CacheConfig{}))
		asked := time.Now()
		expect(t, client, cartOn(8080), true)
		if waited := time.Since(asked); waited > time.Second {
			t.Errorf("waited %v for the watch", waited)
		}
		asked = time.Now()
		expect(t, client, cartOn(8081), true)
		if waited := time.Since(asked); waited > 0 {
			t.Errorf("waited again, %v", waited)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // of a fake clock
		if n := r.watched.Load(); n < 6 {
			t.Errorf("%d watches in a minute", n)
		}
	})
}
