package servertest_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pod(name, ip string) *engine.Pod {
	return &engine.Pod{Namespace: "shop", Name: name, IPs: []netip.Addr{netip.MustParseAddr(ip)}}
}

func question() *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.IP("10.0.3.7"),
		Port: 8080}
}

// A started server is ready, and answers from the cluster as it was last changed.
func TestStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	instance := servertest.Start(t, pod("frontend-0", "10.0.1.4"), pod("cart-0", "10.0.3.7"))
	client := instance.Client()
	answer, err := client.Allowed(ctx, question())
	if err != nil || !answer.GetAllowed() {
		t.Errorf("%v, %v", answer, err)
	}
	token := instance.Apply(engine.Change{Object: &engine.Policy{Namespace: "shop", Name: "default-deny",
		IsolatesIngress: true}})
	answer, err = client.Allowed(ctx, question())
	if err != nil || answer.GetAllowed() || answer.GetToken() != token {
		t.Errorf("after the change to %q: %v, %v", token, answer, err)
	}
	health, err := healthv1.NewHealthClient(instance.Conn()).Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil || health.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", health, err)
	}
}

// A client with a cache follows the cluster as a real one does: Apply, and then wait for its answer to change.
func TestP26CachedClient(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	instance := servertest.Start(t, pod("frontend-0", "10.0.1.4"), pod("cart-0", "10.0.3.7"))
	client := instance.Client(netpold.WithCache(netpold.CacheConfig{}))
	answer, err := client.Allowed(ctx, question())
	if err != nil || !answer.GetAllowed() {
		t.Fatalf("%v, %v", answer, err)
	}
	instance.Apply(engine.Change{Object: &engine.Policy{Namespace: "shop", Name: "default-deny",
		IsolatesIngress: true}})
	for answer.GetAllowed() {
		if answer, err = client.Allowed(ctx, question()); err != nil {
			t.Fatal(err)
		}
	}
	if s := client.CacheStats(); s.Hits == 0 || s.Misses > s.Hits && s.Misses > 1 || s.Entries != 1 {
		t.Errorf("%+v", s)
	}
}

// Source keeps the promises of mirror.Source.
func TestSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := servertest.NewSource()
		if state, ok := source.State(); ok || source.Status().Ready {
			t.Errorf("before the first Apply: %v", state)
		}
		waited := make(chan mirror.State, 1)
		go func() {
			state, err := source.Wait(t.Context(), "servertest:2")
			if err != nil {
				t.Error(err)
			}
			waited <- state
		}()
		source.Apply()
		<-source.Ready()
		synctest.Wait()
		if len(waited) != 0 {
			t.Errorf("came too early: %v", <-waited)
		}
		second := source.Apply()
		if got := <-waited; got != second || got.Snapshot.Revision() != 2 {
			t.Errorf("%v", got)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for token, want := range map[string]error{
			"servertest:1": nil, "servertest:2": nil, "servertest:3": context.Canceled,
			"other:1": mirror.ErrTokenUnknown, "": mirror.ErrTokenMalformed, "servertest": mirror.ErrTokenMalformed,
			"servertest:-1": mirror.ErrTokenMalformed,
		} {
			state, err := source.Wait(ended, token)
			if !errors.Is(err, want) || (want == nil && state != second) {
				t.Errorf("%q: %v, %v", token, state, err)
			}
		}
	})
}

// In a test of your own, t is the test's.
func ExampleStart() {
	test := func(t *testing.T) {
		instance := servertest.Start(t,
			&engine.Pod{Namespace: "shop", Name: "frontend-0", IPs: []netip.Addr{netip.MustParseAddr("10.0.1.4")}},
			&engine.Pod{Namespace: "shop", Name: "cart-0", IPs: []netip.Addr{netip.MustParseAddr("10.0.3.7")}},
		)
		// Pass instance.Addr() to the program under test, or ask here.
		answer, err := instance.Client().Allowed(t.Context(), &netpoldv1.AllowedRequest{
			Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.IP("10.0.3.7"), Port: 8080,
		})
		if err != nil || !answer.GetAllowed() {
			t.Errorf("the frontend does not reach the cart: %v, %v", answer, err)
		}
		// Then change the cluster, and check what the program does.
		instance.Apply(engine.Change{
			Object: &engine.Policy{Namespace: "shop", Name: "default-deny", IsolatesIngress: true},
		})
	}
	ok := testing.RunTests(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "TestFrontend", F: test}})
	fmt.Println(ok)
	// Output: true
}
