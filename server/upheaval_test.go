package server_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// The upheaval lasts ten seconds: so many changes of the cluster, one each interval. Every so many of them something else
// happens, too.
const (
	upheavalChanges  = 1000
	upheavalInterval = 10 * time.Millisecond
	rotateEach       = 13
	reloadEach       = 17
	killEach         = 120
	firstClosed      = 8000
)

// A replica is a server that is killed and started again at its address.
type replica struct {
	t      *testing.T
	config server.Config
	*server.Server
	ended chan error
}

func (r *replica) start() {
	s, err := server.New(r.config)
	if err != nil {
		r.t.Error(err)
		return
	}
	r.Server, r.config.Listen, r.ended = s, s.Addr(), make(chan error, 1)
	ended := r.ended
	go func() { ended <- s.Run(context.Background()) }()
}

// kill cuts what is in progress.
func (r *replica) kill() {
	r.Stop()
	if err := <-r.ended; err != nil {
		r.t.Error(err)
	}
}

// A closing cluster closes one port of the cart after the other.
type closing struct {
	source *servertest.Source
	// begun is how many ports are being closed or are, and done how many are. at has when each was.
	begun, done atomic.Int64
	at          [upheavalChanges]atomic.Pointer[time.Time]
}

func (c *closing) close(port int) {
	c.begun.Store(int64(port) + 1)
	c.source.Apply(engine.Change{Object: &engine.Policy{
		Namespace: "shop", Name: "cart", IsolatesIngress: true, Subject: app("cart"),
		Ingress: []engine.Rule{{Ports: []engine.Port{{
			Protocol: engine.TCP, First: uint16(firstClosed + port + 1), Last: firstClosed + upheavalChanges,
		}}}},
	}})
	now := time.Now()
	c.at[port].Store(&now)
	c.done.Store(int64(port) + 1)
}

// ask asks about ports until ctx ends, and judges each answer. age is how old one may be.
func (c *closing) ask(ctx context.Context, t *testing.T, client *netpold.Client, number int, age time.Duration) (asked int) {
	for n := number; ctx.Err() == nil; n++ {
		port := n * 37 % upheavalChanges
		began := time.Now()
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		answer, err := client.Allowed(call, &netpoldv1.AllowedRequest{
			Src: netpold.IP("10.0.1.4"), Dst: netpold.Pod("shop", "cart-0"), Port: uint32(firstClosed + port),
		})
		cancel()
		asked++
		closed := c.at[port].Load()
		switch {
		case err != nil:
			t.Errorf("port %d: lost after %v: %v", port, time.Since(began), err)
			return asked
		case answer.GetAllowed() && closed != nil && closed.Before(began.Add(-age)):
			t.Errorf("port %d: allowed %v after it was closed", port, began.Sub(*closed))
			return asked
		case !answer.GetAllowed() && int64(port) >= c.begun.Load():
			t.Errorf("port %d: denied, and it is open", port)
			return asked
		}
	}
	return asked
}

// Ten seconds of load, with mutual TLS and a policy of callers, while certificates rotate, the policy is reloaded (also as a
// broken file), connections are renewed, two servers are killed in turn and started again, and the cluster changes a
// hundred times a second: no answer is wrong, and a client with retries loses none, with a cache or without (P1, P27, P31,
// P33, P35). It runs in a process of its own, whose memory is bounded, and which fails for goroutines that are left.
func TestP31UpheavalUnderLoad(t *testing.T) {
	t.Parallel()
	if os.Getenv(upheavalProcess) != "" {
		upheaval(t)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestP31UpheavalUnderLoad$", "-test.v")
	child.Env = append(os.Environ(), upheavalProcess+"=1")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// upheavalProcess makes the test's own program the one in which all that happens. upheavalMemory is what it may take, in MiB:
// two servers, two clients and what asks are in it.
const (
	upheavalProcess = "NETPOLD_TEST_UPHEAVAL"
	upheavalMemory  = 160
)

// judgeMemory judges the most memory that this process ever had. What the system tells its parent will not do: that is what
// the parent had, if it was more.
func judgeMemory(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	told, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, told, found := bytes.Cut(told, []byte("VmHWM:"))
	var peak int
	if _, err := fmt.Sscan(string(told), &peak); err != nil || !found {
		t.Fatalf("the peak of memory is not told: %v", err)
	}
	most := upheavalMemory
	if enginetest.UnderRace {
		most *= 4
	}
	if t.Logf("%d MiB at the peak", peak>>10); peak>>10 > most {
		t.Errorf("%d MiB of memory at the peak, want at most %d", peak>>10, most)
	}
}

// upheaval is the test, in the process of its own.
func upheaval(t *testing.T) {
	t.Helper()
	defer judgeMemory(t)
	ca, files := newAuthority(t, "all"), tlsFiles(t)
	cert, key := ca.issue(1, time.Now().Add(time.Hour))
	policy := tlsFiles(t).Cert + ".json"
	policies := []string{
		`{"name": "all", "allow_rules": [{"name": "all"}]}`, `{"name": "broken"`,
		`{"name": "decisions", "allow_rules": [{"name": "d", "request": {"paths": ["/netpold.v1.DecisionService/*"]}}]}`,
	}
	write(t, map[string][]byte{files.Cert: cert, files.Key: key, files.ClientCA: ca.pem, policy: []byte(policies[0])})
	c := &closing{source: synced(shop()...)}
	c.close(0)
	addresses := manual.NewBuilderWithScheme("upheaval")
	var state resolver.State
	replicas := make([]*replica, 2)
	for i := range replicas {
		config := server.Defaults()
		config.Source, config.Listen, config.AdminListen = c.source, "127.0.0.1:0", ""
		config.TLS, config.AuthzPolicy, config.MaxConnectionAge = files, policy, 700*time.Millisecond
		replicas[i] = &replica{t: t, config: config}
		replicas[i].start()
		state.Addresses = append(state.Addresses, resolver.Address{Addr: replicas[i].config.Listen, ServerName: "127.0.0.1"})
	}
	addresses.InitialState(state)

	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	var asked [2]atomic.Int64
	cached := netpold.CacheConfig{MaxAge: time.Second, Heartbeat: 200 * time.Millisecond}
	for i, options := range [][]netpold.Option{nil, {netpold.WithCache(cached)}} {
		client, err := netpold.Dial("upheaval:///servers", append(options, netpold.WithTLS(ca.client(ca)),
			netpold.WithDialOptions(grpc.WithResolvers(addresses)))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		for number := range 3 {
			asking.Go(func() { asked[i].Add(int64(c.ask(ctx, t, client, number, time.Duration(i)*cached.MaxAge))) })
		}
	}
	tick := time.NewTicker(upheavalInterval)
	defer tick.Stop()
	// disk is held by whoever writes files or starts a server: one that starts takes no half of a pair, and no broken policy.
	var disk sync.Mutex
	put := func(files map[string][]byte) {
		disk.Lock()
		defer disk.Unlock()
		write(t, files)
		for _, r := range replicas {
			r.ReloadTLS()
			r.ReloadAuthzPolicy()
		}
	}
	for change := 1; change < upheavalChanges && !t.Failed(); change++ {
		<-tick.C
		c.close(change)
		if change%rotateEach == 0 {
			cert, key := ca.issue(int64(change), time.Now().Add(time.Hour))
			put(map[string][]byte{files.Cert: cert, files.Key: key})
		}
		if change%reloadEach == 0 {
			put(map[string][]byte{policy: []byte(policies[change/reloadEach%len(policies)])})
		}
		if change%killEach == 0 {
			asking.Go(func() {
				disk.Lock()
				defer disk.Unlock()
				r := replicas[change/killEach%2]
				r.kill()
				write(t, map[string][]byte{policy: []byte(policies[2])})
				r.start()
			})
		}
	}
	stop()
	asking.Wait()
	for _, r := range replicas {
		r.kill()
	}
	if asked[0].Load() == 0 || asked[1].Load() == 0 {
		t.Error("nothing was asked")
	}
	t.Logf("%d questions without a cache, %d with one", asked[0].Load(), asked[1].Load())
}
