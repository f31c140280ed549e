package proxies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/server"
)

// patient, replaced in an example of Envoy, is for tests of answers: a busy machine may need more than the example's 0.2 s.
var patient = []string{"timeout: 0.2s", "timeout: 30s", "connect_timeout: 1s", "connect_timeout: 30s"}

// envoy runs deploy/examples/envoy/FILE before an application, and returns its address.
func envoy(t *testing.T, file, netpoldAddr, appAddr string, replace ...string) (string, *process) {
	t.Helper()
	bin := binary(t, "envoy")
	addr, admin := closedPort(t), closedPort(t)
	host := "127.0.0.1"
	if strings.HasPrefix(file, "udp") {
		host = ownIP(t)
	}
	path := example(t, "envoy/"+file, append([]string{
		"address: 0.0.0.0, port_value: 8000", "address: " + host + ", port_value: " + portOf(t, addr),
		"address: 127.0.0.1, port_value: 8080", "address: 127.0.0.1, port_value: " + portOf(t, appAddr),
		"address: netpold-headless.netpold.svc, port_value: 9480", "address: 127.0.0.1, port_value: " + portOf(t, netpoldAddr),
		"address: 127.0.0.1, port_value: 9901", "address: 127.0.0.1, port_value: " + portOf(t, admin),
	}, replace...)...)
	p := run(t, admin, bin, "--config-path", path, "--use-dynamic-base-id", "--concurrency", "1", "-l", "warning",
		"--file-flush-interval-msec", "50")
	waitFor(t, "Envoy to be live", func() bool {
		got, err := get(admin, "/ready", "")
		return err == nil && strings.Contains(got.body, "LIVE")
	})
	return net.JoinHostPort(host, portOf(t, addr)), p
}

// logged returns the line of the access log that has a text.
func (p *process) logged(t *testing.T, text string) map[string]any {
	t.Helper()
	var line map[string]any
	waitFor(t, "a line of the access log with "+text, func() bool {
		for l := range strings.Lines(p.log.String()) {
			if strings.HasPrefix(l, "{") && strings.Contains(l, text) && json.Unmarshal([]byte(l), &line) == nil {
				return true
			}
		}
		return false
	})
	return line
}

// TestP6P8P9P11EnvoyHTTP proves what passes the HTTP filter (P6 to P9, P11).
func TestP6P8P9P11EnvoyHTTP(t *testing.T) {
	app, n := application(t), serve(t, objects(), nil)
	addr, p := envoy(t, "http.yaml", n.Addr(), app.Listener.Addr().String(), patient...)
	for _, c := range []struct {
		what, path, preface string
		headers             []string
		want                int
	}{
		{"allowed", "/", proxied("10.0.0.1", "10.0.0.2", 8080), nil, 200},
		{"allowed, IPv6", "/", proxied("fd00::1", "fd00::2", 8080), nil, 200},
		{"denied", "/", proxied("10.0.0.3", "10.0.0.2", 8080), nil, 403},
		{"denied, another port", "/", proxied("10.0.0.1", "10.0.0.2", 8081), nil, 403},
		{"denied, from outside", "/", proxied("203.0.113.7", "10.0.0.2", 8080), nil, 403},
		{"a gateway, allowed", "/cart/1", proxied("10.0.0.1", "198.51.100.1", 443), nil, 200},
		{"a gateway, denied", "/cart/1", proxied("10.0.0.3", "198.51.100.1", 443), nil, 403},
		{"a probe", "/healthz", proxied("192.168.0.9", "10.0.0.2", 8080), nil, 200},
		{"forged headers", "/", proxied("10.0.0.3", "10.0.0.2", 8080), []string{
			"X-Forwarded-For", "10.0.0.1", "Netpold-Src", "10.0.0.1", "X-Netpold-Src", "shop/web-0", "Netpold-Shadow", "true",
			"X-Envoy-External-Address", "10.0.0.1", "X-Envoy-Downstream-Service-Cluster", "web", "Grpc-Timeout", "1n"}, 403},
		{"forged query and path", "/x/../cart?netpold.dst=svc/shop/dns", proxied("10.0.0.3", "10.0.0.2", 8080), nil, 403},
		{"the proxy does not know the client", "/", "PROXY UNKNOWN\r\n", nil, 503},
		{"a loopback client", "/", proxied("127.0.0.1", "10.0.0.2", 8080), nil, 503},
	} {
		got, err := get(addr, c.path, c.preface, c.headers...)
		if err != nil || got.status != c.want || app.reached() != map[bool]int{true: 1}[c.want == 200] {
			t.Errorf("%s: %+v, %v; want %d", c.what, got, err, c.want)
		}
		id := got.header.Get("X-Netpold-Decision-Id")
		if (id != "") != (got.status == 403) {
			t.Errorf("%s: the id is %q", c.what, id)
		}
		if got.status == 403 {
			if line := p.logged(t, id); line["verdict"] != "denied" || line["reason"] != "DENIED_AT_INGRESS" {
				t.Errorf("%s: the access log has %v", c.what, line)
			}
		}
	}
	if line := p.logged(t, `"policy":"shop/cart"`); line["verdict"] != "allowed" || line["reason"] != "ALLOWED_BY_RULE" {
		t.Errorf("the access log has %v", line)
	}
}

// TestP6P8P9P11EnvoyNetwork proves what passes the network filter (P6 to P9, P11).
func TestP6P8P9P11EnvoyNetwork(t *testing.T) {
	app, n := echo(t), serve(t, objects(), nil)
	addr, p := envoy(t, "network.yaml", n.Addr(), app, patient...)
	for _, c := range []struct {
		what, preface string
		passes        bool
	}{
		{"allowed", proxied("10.0.0.1", "10.0.0.2", 8080), true},
		{"allowed, IPv6", proxied("fd00::1", "fd00::2", 8080), true},
		{"denied", proxied("10.0.0.3", "10.0.0.2", 8080), false},
		{"an unknown destination", proxied("10.0.0.1", "10.0.0.77", 8080), false},
		{"the proxy does not know the client", "PROXY UNKNOWN\r\n", false},
	} {
		if got := say(t, addr, c.preface); got != c.passes {
			t.Errorf("%s: passes %v", c.what, got)
		}
	}
	if line := p.logged(t, "DENIED_AT_INGRESS"); line["verdict"] != "denied" || line["decision_id"] == "" {
		t.Errorf("the access log has %v", line)
	}
}

// TestP6P8P9P11EnvoyUDP proves what passes the UDP session filter (P6 to P9, P11).
func TestP6P8P9P11EnvoyUDP(t *testing.T) {
	own := ownIP(t)
	app := echoUDP(t)
	n := serve(t, objects(pod("client", own)), nil)
	// A session is logged when it ends.
	addr, p := envoy(t, "udp.yaml", n.Addr(), app, append([]string{"            matcher:", "            idle_timeout: 1s\n            matcher:"},
		patient...)...)
	if !sayUDP(t, addr, true) {
		t.Error("allowed, and does not pass")
	}
	n.source.Apply(changes(pod("other", own))...)
	n.source.Apply(engine.Change{Object: &engine.Pod{Namespace: "shop", Name: "client-0"}, Delete: true})
	if sayUDP(t, addr, false) {
		t.Error("denied, and passes")
	}
	if line := p.logged(t, "DENIED_AT_INGRESS"); line["verdict"] != "denied" || line["decision_id"] == "" {
		t.Errorf("the access log has %v", line)
	}
}

// undecided are the ways to have no decision, by what Envoy asks.
func undecided(t *testing.T) map[string]string {
	t.Helper()
	stale := serve(t, objects(), func(c *server.Config) { c.WhenStale = server.DenyWhenStale })
	stale.source.SetStale(true)
	return map[string]string{
		"down":       closedPort(t),
		"slow":       fake(t, func(ctx context.Context, _ *authv3.CheckRequest) error { <-ctx.Done(); return ctx.Err() }),
		"silent":     silent(t),
		"not synced": serve(t, nil, nil).Addr(),
		"stale":      stale.Addr(),
		"overloaded": overloaded(t).Addr(),
	}
}

// fake serves an Authorization whose errors are those of check.
func fake(t *testing.T, check func(context.Context, *authv3.CheckRequest) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.WaitForHandlers(true))
	authv3.RegisterAuthorizationServer(s, &authorization{check: check})
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		s.Stop()
		serving.Wait()
	})
	return l.Addr().String()
}

type authorization struct {
	authv3.UnimplementedAuthorizationServer
	check func(context.Context, *authv3.CheckRequest) error
}

func (a *authorization) Check(ctx context.Context, req *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	if err := a.check(ctx, req); err != nil {
		return nil, err
	}
	return &authv3.CheckResponse{Status: &spb.Status{}}, nil
}

// TestP9P44EnvoyFailures proves that without a decision failure_mode_allow and status_on_error decide, for each filter, and
// that nobody passes as the examples have them (P2, P9, P44).
func TestP9P44EnvoyFailures(t *testing.T) {
	app, tcpApp, udpApp := application(t), echo(t), echoUDP(t)
	for what, netpoldAddr := range undecided(t) {
		t.Run(what, func(t *testing.T) {
			for _, allow := range []bool{false, true} {
				replace := []string{"failure_mode_allow: false", fmt.Sprintf("failure_mode_allow: %v", allow)}
				addr, _ := envoy(t, "http.yaml", netpoldAddr, app.Listener.Addr().String(), replace...)
				want := map[bool]int{false: 503, true: 200}[allow]
				if got, err := get(addr, "/", proxied("10.0.0.1", "10.0.0.2", 8080)); err != nil || got.status != want {
					t.Errorf("HTTP, failure_mode_allow %v: %+v, %v", allow, got, err)
				}
				addr, _ = envoy(t, "network.yaml", netpoldAddr, tcpApp, replace...)
				if got := say(t, addr, proxied("10.0.0.1", "10.0.0.2", 8080)); got != allow {
					t.Errorf("network, failure_mode_allow %v: passes %v", allow, got)
				}
				addr, _ = envoy(t, "udp.yaml", netpoldAddr, udpApp, replace...)
				if got := sayUDP(t, addr, allow); got != allow {
					t.Errorf("UDP, failure_mode_allow %v: passes %v", allow, got)
				}
			}
		})
	}
	// Without status_on_error it is the status of a denial.
	addr, _ := envoy(t, "http.yaml", closedPort(t), app.Listener.Addr().String(),
		"status_on_error: {code: ServiceUnavailable}", "")
	if got, err := get(addr, "/", proxied("10.0.0.1", "10.0.0.2", 8080)); err != nil || got.status != 403 {
		t.Errorf("without status_on_error: %+v, %v", got, err)
	}
}

// TestEnvoyUnderChange asks 200 times a second while policies change, and expects no wrong answer and none lost.
func TestEnvoyUnderChange(t *testing.T) {
	app, n := application(t), serve(t, objects(), nil)
	addr, _ := envoy(t, "http.yaml", n.Addr(), app.Listener.Addr().String(), patient...)
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() {
		ticks := time.NewTicker(10 * time.Millisecond)
		defer ticks.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			p := &engine.Policy{Namespace: "shop", Name: fmt.Sprint("other-", i%7), IsolatesIngress: true, IsolatesEgress: true,
				Subject: engine.Selector{{Key: "app", Operator: engine.In, Values: []string{fmt.Sprint(i % 5)}}}}
			n.source.Apply(engine.Change{Object: p, Delete: i%3 == 0})
			n.source.Apply(changes(pod(fmt.Sprint(i%5), fmt.Sprintf("10.1.0.%d", 1+i%200)))...)
			<-ticks.C
		}
	})
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	limit := make(chan struct{}, 64)
	var asking sync.WaitGroup
	for i := range 600 {
		limit <- struct{}{}
		asking.Go(func() {
			defer func() { <-limit }()
			src, want := "10.0.0.1", 200
			if i%2 == 1 {
				src, want = "10.0.0.3", 403
			}
			if got, err := get(addr, "/", proxied(src, "10.0.0.2", 8080)); err != nil || got.status != want {
				t.Errorf("%s: %+v, %v", src, got, err)
			}
		})
		<-ticks.C
	}
	asking.Wait()
	stop()
	working.Wait()
}

// TestP6P7P8EnvoySends records what Envoy sends, for the tables of docs/proxies.md (P6 to P8).
func TestP6P7P8EnvoySends(t *testing.T) {
	asked := make(chan *authv3.CheckRequest, 10)
	mds := make(chan metadata.MD, 10)
	addr := fake(t, func(ctx context.Context, req *authv3.CheckRequest) error {
		md, _ := metadata.FromIncomingContext(ctx)
		mds <- md
		asked <- req
		return nil
	})
	app := application(t)
	at, _ := envoy(t, "http.yaml", addr, app.Listener.Addr().String(), patient...)
	if _, err := get(at, "/cart", proxied("10.0.0.1", "10.0.0.2", 8080), "Cookie", "secret", "X-Request-Id", "1"); err != nil {
		t.Fatal(err)
	}
	req, md := <-asked, <-mds
	a := req.GetAttributes()
	if got := a.GetSource().GetAddress().GetSocketAddress(); got.GetAddress() != "10.0.0.1" || got.GetPortValue() != 4711 {
		t.Errorf("source %v", got)
	}
	if got := a.GetDestination().GetAddress().GetSocketAddress(); got.GetAddress() != "10.0.0.2" || got.GetPortValue() != 8080 {
		t.Errorf("destination %v", got)
	}
	if got := a.GetContextExtensions(); len(got) != 2 || got["netpold.dst"] != "svc/shop/cart" || got["netpold.port"] != "80" {
		t.Errorf("context_extensions %v", got)
	}
	for name := range a.GetRequest().GetHttp().GetHeaders() {
		if name != "x-request-id" && !strings.HasPrefix(name, ":") {
			t.Errorf("the header %s is sent too", name)
		}
	}
	if _, ok := md["x-request-id"]; ok || len(md["cookie"]) > 0 {
		t.Errorf("headers of the client are in the gRPC metadata: %v", md)
	}
	t.Logf("HTTP: %v\nmetadata %v", req, md)
	at, _ = envoy(t, "network.yaml", addr, echo(t), patient...)
	say(t, at, proxied("10.0.0.1", "10.0.0.2", 8080))
	req, md = <-asked, <-mds
	a = req.GetAttributes()
	if a.GetRequest().GetHttp() != nil || len(a.GetContextExtensions()) > 0 ||
		a.GetDestination().GetAddress().GetSocketAddress().GetAddress() != "10.0.0.2" || len(md["netpold-require-known"]) != 1 {
		t.Errorf("network: %v, metadata %v", req, md)
	}
	t.Logf("network: %v\nmetadata %v", req, md)
	at, _ = envoy(t, "udp.yaml", addr, echoUDP(t), patient...)
	sayUDP(t, at, true)
	req, md = <-asked, <-mds
	a = req.GetAttributes()
	if a.GetRequest().GetHttp() != nil || a.GetSource().GetAddress().GetSocketAddress().GetAddress() != ownIP(t) ||
		a.GetDestination().GetAddress().GetSocketAddress().GetProtocol() != corev3.SocketAddress_TCP ||
		len(md["netpold-dst"]) != 1 { // of the destination this filter does not say that it is UDP
		t.Errorf("UDP: %v, metadata %v", req, md)
	}
	t.Logf("UDP: %v\nmetadata %v", req, md)
}

// echo serves an application that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// say reports whether what is said on a connection comes back; if not, the connection is closed.
func say(t *testing.T, addr, preface string) bool {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, preface+"hello"); err != nil {
		return false
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	_, err = io.ReadFull(conn, got)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.Error("the connection stays open, and says nothing")
	}
	return err == nil && string(got) == "hello"
}

// echoUDP serves an application that sends datagrams back.
func echoUDP(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(b[:n], from)
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		serving.Wait()
	})
	return conn.LocalAddr().String()
}

// sayUDP reports whether a datagram of a new session comes back. What is not expected to, gets a second.
func sayUDP(t *testing.T, addr string, expected bool) bool {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	wait := time.Second
	if expected {
		wait = patience
	}
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	_, err = io.ReadFull(conn, got)
	return err == nil && string(got) == "hello"
}

// ownIP returns an address of this machine that is no loopback's: netpold takes none of those (P5).
func ownIP(t *testing.T) string {
	t.Helper()
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	t.Skip("THIS MACHINE HAS THE LOOPBACK ALONE: UDP IS NOT TESTED")
	return ""
}
