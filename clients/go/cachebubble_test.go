package netpold_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
)

// A replica is a server inside a bubble, where time is not real. A test decides which calls it refuses.
type replica struct {
	source   *servertest.Source
	listener *bufconn.Listener
	health   *health.Server
	// calls and watches are the errors of calls and of watches; nil for none. asked and watched count them.
	calls, watches atomic.Pointer[status.Status]
	asked, watched atomic.Int64
	// received counts messages of watches, and removed the questions that they take back.
	received, removed atomic.Int64
	// foreign makes the replica refuse every token, as one of other files does.
	foreign atomic.Bool
	// cut ends the watch that was opened last.
	cut atomic.Pointer[context.CancelFunc]
}

// refuse makes calls fail; codes.OK makes them succeed again.
func refuse(what *atomic.Pointer[status.Status], code codes.Code, why string) {
	what.Store(status.New(code, why))
}

// setStale makes the state stale, and the server report itself unhealthy, as a real one does.
func (r *replica) setStale(stale bool) {
	r.source.SetStale(stale)
	serving := healthv1.HealthCheckResponse_SERVING
	if stale {
		serving = healthv1.HealthCheckResponse_NOT_SERVING
	}
	r.health.SetServingStatus("netpold.v1.DecisionService", serving)
}

// cutWatch ends the watch that was opened last.
func (r *replica) cutWatch() { (*r.cut.Load())() }

// startReplica starts a replica of source, with another service than the real one if service is not nil.
func startReplica(t *testing.T, source *servertest.Source, service netpoldv1.DecisionServiceServer) *replica {
	t.Helper()
	r := &replica{source: source, listener: bufconn.Listen(1 << 20), health: health.NewServer()}
	r.setStale(false)
	if service == nil {
		service = decisions.New(&tokens{Source: source, foreign: &r.foreign}, decisions.Options{})
	}
	s := grpc.NewServer(
		grpc.WaitForHandlers(true),
		grpc.UnaryInterceptor(func(
			ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
		) (any, error) {
			r.asked.Add(1)
			if err := r.calls.Load().Err(); err != nil {
				return nil, err
			}
			return handle(ctx, req)
		}),
		grpc.StreamInterceptor(func(
			srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler,
		) error {
			if info.FullMethod != netpoldv1.DecisionService_WatchAllowed_FullMethodName {
				return handle(srv, stream)
			}
			r.watched.Add(1)
			if err := r.watches.Load().Err(); err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(stream.Context())
			defer cancel()
			r.cut.Store(&cancel)
			err := handle(srv, &cuttable{stream, ctx, r})
			if ctx.Err() != nil {
				err = status.Error(codes.Unavailable, "cut")
			}
			return err
		}),
	)
	netpoldv1.RegisterDecisionServiceServer(s, service)
	healthv1.RegisterHealthServer(s, r.health)
	served := make(chan error, 1)
	go func() { served <- s.Serve(r.listener) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
	return r
}

// A tokens is a source that may know no token.
type tokens struct {
	*servertest.Source
	foreign *atomic.Bool
}

func (s *tokens) Wait(ctx context.Context, token string) (mirror.State, error) {
	if s.foreign.Load() {
		return mirror.State{}, mirror.ErrTokenUnknown
	}
	return s.Source.Wait(ctx, token)
}

// limited returns a service that watches five questions and takes two at once.
func limited(source *servertest.Source) *decisions.Service {
	options := decisions.Options{MaxBatch: 2}
	options.Watches.Questions = 5
	return decisions.New(source, options)
}

// A cuttable is a stream with a context that a test can end.
type cuttable struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // what Context returns
	of  *replica
}

func (c *cuttable) Context() context.Context { return c.ctx }

func (c *cuttable) RecvMsg(m any) error {
	err := c.ServerStream.RecvMsg(m)
	if request, ok := m.(*netpoldv1.WatchAllowedRequest); ok && err == nil {
		c.of.received.Add(1)
		c.of.removed.Add(int64(len(request.GetRemove())))
	}
	return err
}

// dialReplicas returns a client of replicas.
func dialReplicas(t *testing.T, replicas []*replica, options ...netpold.Option) *netpold.Client {
	t.Helper()
	addresses := manual.NewBuilderWithScheme("test")
	var state resolver.State
	for i := range replicas {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: string(rune('0' + i))})
	}
	addresses.InitialState(state)
	return dial(t, "test:///replicas", append(options, netpold.WithDialOptions(grpc.WithResolvers(addresses),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return replicas[address[0]-'0'].listener.DialContext(ctx)
		})))...)
}

// bubble runs a test with a replica of a shop and a client with a cache, where time passes when all wait.
func bubble(t *testing.T, config netpold.CacheConfig, run func(*testing.T, *replica, *netpold.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := startReplica(t, synced(shop()...), nil)
		run(t, r, dialReplicas(t, []*replica{r}, netpold.WithCache(config)))
	})
}

// synced returns a source of a cluster of objects.
func synced(objects ...engine.Object) *servertest.Source {
	source := servertest.NewSource()
	for _, o := range objects {
		source.Apply(engine.Change{Object: o})
	}
	return source
}

// cartOn returns a question about the cart, by another spelling for each port.
func cartOn(port uint32) *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{Src: netpold.IP("10.0.1.4"), Dst: netpold.Pod("shop", "cart-0"), Port: port}
}

// openCart allows all to the cart, or no longer.
func openCart(source *servertest.Source, open bool) {
	source.Apply(engine.Change{Delete: !open, Object: &engine.Policy{
		Namespace: "shop", Name: "open", IsolatesIngress: true, Subject: app("cart"), Ingress: []engine.Rule{{}},
	}})
}

// expect asks and expects an answer.
func expect(t *testing.T, client *netpold.Client, q *netpoldv1.AllowedRequest, allowed bool) *netpoldv1.AllowedResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := client.Allowed(ctx, q)
	if err != nil || got.GetAllowed() != allowed {
		t.Errorf("%v: %v, %v; want allowed %v", q, got, err, allowed)
	}
	return got
}

// expectStats expects how many questions were answered locally and how many not, so far.
func expectStats(t *testing.T, client *netpold.Client, hits, misses uint64) {
	t.Helper()
	if got := client.CacheStats(); got.Hits != hits || got.Misses != misses {
		t.Errorf("%+v, want %d hits and %d misses", got, hits, misses)
	}
}
