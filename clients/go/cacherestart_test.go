package netpold_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// A process is a server that is stopped and started again at the same address.
type process struct {
	t      *testing.T
	source *servertest.Source
	addr   string
	server *server.Server
	cancel context.CancelFunc
	ended  chan error
}

func startProcess(t *testing.T, source *servertest.Source) *process {
	t.Helper()
	p := &process{t: t, source: source, addr: "127.0.0.1:0"}
	p.start()
	p.addr = p.server.Addr()
	t.Cleanup(p.stop)
	return p
}

func (p *process) start() {
	config := server.Defaults()
	config.Source, config.Listen, config.AdminListen = p.source, p.addr, ""
	config.DrainDelay, config.DrainTimeout = 100*time.Millisecond, 2*time.Second
	var err error
	if p.server, err = server.New(config); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.ended = cancel, make(chan error, 1)
	go func() { p.ended <- p.server.Run(ctx) }()
}

// stop stops the server as SIGTERM does.
func (p *process) stop() {
	p.cancel()
	if err := <-p.ended; err != nil {
		p.t.Error(err)
	}
}

// cartFrom returns a change after which the cart takes ports from first on. A port that was denied once is denied
// for ever, so an answer that allows after a denial is an old one.
func cartFrom(first uint16) engine.Change {
	return engine.Change{Object: &engine.Policy{
		Namespace: "shop", Name: "cart", IsolatesIngress: true, Subject: app("cart"),
		Ingress: []engine.Rule{{Ports: []engine.Port{{Protocol: engine.TCP, First: first, Last: 9999}}}},
	}}
}

// The cluster of the tests below closes one port after the other.
const (
	firstPort = 8000
	changes   = 300
)

// Two replicas are restarted in turn while the cluster changes a hundred times a second. A client with deadlines of
// 2 s loses no question, with a cache or without. With a cache no answer is older than MaxAge allows, and none
// allows after a denial, even though one of the replicas is behind the other.
func TestP31ReplicasRestartedInTurn(t *testing.T) {
	t.Parallel()
	config := netpold.CacheConfig{MaxAge: 500 * time.Millisecond, Heartbeat: 100 * time.Millisecond}
	small := config
	small.Size = 50
	for name, test := range map[string]struct {
		options []netpold.Option
		behind  int
	}{
		"plain":                {nil, 0},
		"cached":               {[]netpold.Option{netpold.WithCache(config)}, 0},
		"cached, few":          {[]netpold.Option{netpold.WithCache(small)}, 0},
		"cached, one behind":   {[]netpold.Option{netpold.WithCache(config)}, 5},
		"few, one behind, too": {[]netpold.Option{netpold.WithCache(small)}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := []*servertest.Source{synced(shop()...), synced(shop()...)}
			for _, source := range sources {
				source.Apply(cartFrom(firstPort))
			}
			processes := []*process{startProcess(t, sources[0]), startProcess(t, sources[1])}
			client := dialAddresses(t, []string{processes[0].addr, processes[1].addr}, test.options...)
			r := &ratchet{client: client, cached: test.options != nil, maxAge: config.MaxAge}
			var asking sync.WaitGroup
			ctx, stop := context.WithCancel(t.Context())
			for i := range 4 {
				asking.Go(func() { r.ask(ctx, t, i) })
			}
			restarted := make(chan struct{})
			go func() {
				defer close(restarted)
				for i := range 4 {
					processes[i%2].stop()
					processes[i%2].start()
					untilAsked(ctx, client, processes[i%2].addr)
				}
			}()
			r.change(sources, test.behind)
			<-restarted
			stop()
			asking.Wait()
			t.Logf("%d questions, %+v", r.asked.Load(), client.CacheStats())
		})
	}
}

// untilAsked asks until a server gets a question, or ctx ends.
func untilAsked(ctx context.Context, client *netpold.Client, addr string) {
	for ctx.Err() == nil {
		var server peer.Peer
		_, err := client.Allowed(ctx, cartOn(8080), grpc.Peer(&server))
		if err == nil && server.Addr.String() == addr {
			return
		}
	}
}

// dialAddresses returns a client of several servers.
func dialAddresses(t *testing.T, list []string, options ...netpold.Option) *netpold.Client {
	t.Helper()
	addresses := manual.NewBuilderWithScheme("test")
	var state resolver.State
	for _, a := range list {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: a})
	}
	addresses.InitialState(state)
	return dial(t, "test:///servers", append(options, netpold.WithDialOptions(grpc.WithResolvers(addresses)))...)
}

// A ratchet closes ports, asks about them, and knows when each was closed.
type ratchet struct {
	client *netpold.Client
	cached bool
	maxAge time.Duration
	asked  atomic.Int64
	// closed has when each port was closed on both servers.
	closed [changes + 1]atomic.Pointer[time.Time]
}

// change closes ports, a hundred a second. The second source may be some changes behind.
func (r *ratchet) change(sources []*servertest.Source, behind int) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range changes + behind {
		if i < changes {
			sources[0].Apply(cartFrom(firstPort + uint16(i) + 1))
		}
		if i >= behind {
			sources[1].Apply(cartFrom(firstPort + uint16(i-behind) + 1))
			now := time.Now()
			r.closed[i-behind].Store(&now)
		}
		<-tick.C
	}
}

// ask asks until ctx ends. Each question has 2 s.
func (r *ratchet) ask(ctx context.Context, t *testing.T, number int) {
	denied := map[uint32]uint64{}
	for n := number; ctx.Err() == nil; n++ {
		port := uint32(n*11) % (changes + 1)
		question := &netpoldv1.AllowedRequest{
			Src: netpold.IP("10.0.1.4"), Dst: netpold.Pod("shop", "cart-0"), Port: firstPort + port,
		}
		asked := time.Now()
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		answer, err := r.client.Allowed(call, question)
		cancel()
		r.asked.Add(1)
		closed := r.closed[port].Load()
		switch {
		case err != nil:
			t.Errorf("port %d: lost after %v: %v", port, time.Since(asked), err)
			return
		case !answer.GetAllowed():
			denied[port] = answer.GetRevision()
		case r.cached && denied[port] > 0:
			t.Errorf("port %d: allowed at revision %d, after a denial at %d", port, answer.GetRevision(), denied[port])
			return
		case closed != nil && closed.Before(asked.Add(-r.maxAge)):
			t.Errorf("port %d: allowed %v after it was closed", port, asked.Sub(*closed))
			return
		}
	}
}
