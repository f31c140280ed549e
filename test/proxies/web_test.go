package proxies

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
)

// A way is a proxy that asks by HTTP. start runs its example before an application, with texts replaced, and returns its
// address. A test's client brings its address in X-Test-Client or X-Forwarded-For, header. failures has what the client gets
// without a decision, as docs/proxies.md tells it. With patient replaced the proxy waits longer for netpold.
type way struct {
	start    func(t *testing.T, netpoldAddr, appAddr string, replace ...string) string
	header   string
	failures failures
	patient  []string
}

// failures are the statuses of a proxy whose netpold is down, is slow, answers 503, and answers 400.
type failures struct{ down, slow, undecided, wrong int }

// theQuestion is that of each example.
const theQuestion = "dst=svc/shop/cart&port=80"

// ways are the proxies that can run here.
var ways = map[string]way{
	"nginx": {func(t *testing.T, netpoldAddr, appAddr string, replace ...string) string {
		addr, bin := closedPort(t), binary(t, "nginx")
		path := example(t, "nginx/nginx.conf", append(replace, "netpold.netpold.svc:9482", netpoldAddr, "127.0.0.1:8080", appAddr,
			"listen 8000", "listen "+addr, "192.168.0.0/16", "127.0.0.1", "real_ip_header   X-Forwarded-For",
			"real_ip_header X-Test-Client", "worker_processes auto;", "daemon off; master_process off;",
			"events {}", "events {}\npid nginx.pid;", "http {\n", "http {\naccess_log off;\n"+temporary)...)
		run(t, addr, bin, "-p", filepath.Dir(path), "-e", "stderr", "-c", path)
		return addr
	}, "X-Test-Client", failures{down: 500, slow: 500, undecided: 500, wrong: 500}, []string{"200ms", "30s"}},
	"Caddy": {func(t *testing.T, netpoldAddr, appAddr string, replace ...string) string {
		addr, bin := closedPort(t), binary(t, "caddy")
		path := example(t, "caddy/Caddyfile", append(replace, "netpold.netpold.svc:9482", netpoldAddr, "127.0.0.1:8080", appAddr,
			":8000", "http://:"+portOf(t, addr), "192.168.0.0/16", "127.0.0.1/32")...)
		run(t, addr, bin, "run", "--config", path, "--adapter", "caddyfile")
		return addr
	}, "X-Forwarded-For", failures{down: 502, slow: 504, undecided: 503, wrong: 400}, []string{"200ms", "30s"}},
	"HAProxy": {func(t *testing.T, netpoldAddr, appAddr string, replace ...string) string {
		addr, bin := closedPort(t), binary(t, "haproxy")
		lua := example(t, "haproxy/netpold.lua", append(replace, "netpold.netpold.svc:9482", netpoldAddr)...)
		path := example(t, "haproxy/haproxy.cfg", "lua-load netpold.lua", "lua-load "+lua, "127.0.0.1:8080", appAddr,
			"bind :8000", "bind "+addr, "192.168.0.0/16", "127.0.0.1")
		run(t, addr, bin, "-db", "-f", path)
		return addr
	}, "X-Forwarded-For", failures{down: 503, slow: 503, undecided: 503, wrong: 503}, []string{"timeout = 200,", "timeout = 30000,"}},
}

// temporary keeps nginx's files under its own folder.
const temporary = "client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;\n"

// TestP14P15P16ForwardAuth proves for each proxy that allowed passes, denied is 403, and that a client which forges headers and
// query gets nowhere (P14 to P17).
func TestP14P15P16ForwardAuth(t *testing.T) {
	for name, w := range ways {
		t.Run(name, func(t *testing.T) {
			app, n := application(t), serve(t, objects(), nil)
			addr := w.start(t, n.ForwardAuthAddr(), app.Listener.Addr().String(), w.patient...)
			for _, c := range []struct {
				what, path, client string
				headers            []string
				want               int
			}{
				{"allowed", "/", "10.0.0.1", nil, 200},
				{"allowed, IPv6", "/", "fd00::1", nil, 200},
				{"denied", "/", "10.0.0.3", nil, 403},
				{"denied, from outside", "/", "203.0.113.7", nil, 403},
				{"forged headers", "/", "10.0.0.3", []string{"X-Netpold-Src", "10.0.0.1", "X-Netpold-Shadow", "true",
					"X-Original-URI", "/authz?src=10.0.0.1", "X-Real-IP", "10.0.0.1", "Forwarded", "for=10.0.0.1",
					"X-Client-IP", "10.0.0.1", "True-Client-IP", "10.0.0.1"}, 403},
				{"a forged query", "/?src=10.0.0.1&dst=svc/shop/dns&port=53&shadow=true", "10.0.0.3", nil, 403},
				{"a forged path", "/authz/..%2f?shadow=true", "10.0.0.3", nil, 403},
				{"a long path that is allowed", "/" + strings.Repeat("x", 5000), "10.0.0.1", nil, 200},
			} {
				got, err := get(addr, c.path, "", append([]string{w.header, c.client}, c.headers...)...)
				if err != nil || got.status != c.want || app.reached() != map[bool]int{true: 1}[c.want == 200] {
					t.Errorf("%s: %+v, %v; want %d", c.what, got, err, c.want)
				}
			}
			if w.header != "X-Forwarded-For" { // the chain is the client's, and its address is appended
				if got, err := get(addr, "/", "", w.header, "10.0.0.3", "X-Forwarded-For", "10.0.0.1"); err != nil || got.status != 403 {
					t.Errorf("a forged chain: %+v, %v", got, err)
				}
			}
			if got, err := get(addr, "/_netpold", "", w.header, "10.0.0.3"); err != nil || got.status == 200 || app.reached() > 0 {
				t.Errorf("asking netpold itself: %+v, %v", got, err)
			}
			// The proxy is on the loopback, and so is a client that nobody names: no decision.
			if got, err := get(addr, "/", ""); err != nil || got.status == 200 || app.reached() > 0 {
				t.Errorf("a client on the loopback: %+v, %v", got, err)
			}
		})
	}
}

// overloaded serves a netpold that does as much as its limits allow.
func overloaded(t *testing.T) *netpold {
	t.Helper()
	n := serve(t, objects(), func(c *server.Config) { c.MaxInFlight, c.MaxDeadline = 1, time.Hour })
	conn, err := grpc.NewClient(n.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	waitFor(t, "netpold to have enough to do", func() bool {
		// A call whose question never comes. The question below may have its place, so that it is refused: then another is made.
		if _, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true},
			netpoldv1.DecisionService_Allowed_FullMethodName); err != nil {
			t.Error(err)
		}
		got, err := get(n.ForwardAuthAddr(), "/authz?"+theQuestion, "", "X-Forwarded-For", "10.0.0.1")
		return err == nil && got.status == http.StatusServiceUnavailable
	})
	return n
}

// TestP17ForwardAuthFailures proves that without a decision nobody passes, whatever the proxy, and what its client gets, as
// the table of docs/proxies.md has it (P2, P16, P17, P41).
func TestP17ForwardAuthFailures(t *testing.T) {
	for name, w := range ways {
		t.Run(name, func(t *testing.T) {
			stale := serve(t, objects(), func(c *server.Config) { c.WhenStale = server.DenyWhenStale })
			stale.source.SetStale(true)
			answering := serve(t, objects(), nil)
			answering.source.SetStale(true)
			for what, test := range map[string]struct {
				netpoldAddr string
				replace     []string
				want        int
			}{
				"down":                  {netpoldAddr: closedPort(t), want: w.failures.down},
				"silent":                {netpoldAddr: silent(t), want: w.failures.slow},
				"not synced":            {netpoldAddr: serve(t, nil, nil).ForwardAuthAddr(), want: w.failures.undecided},
				"stale":                 {netpoldAddr: stale.ForwardAuthAddr(), want: w.failures.undecided},
				"overloaded":            {netpoldAddr: overloaded(t).ForwardAuthAddr(), want: w.failures.undecided},
				"asked wrongly":         {answering.ForwardAuthAddr(), []string{theQuestion, "dst=svc/shop/cart&port=0"}, w.failures.wrong},
				"stale, and it is told": {netpoldAddr: answering.ForwardAuthAddr(), want: 200},
				"a proxy that is not trusted": {serve(t, objects(), func(c *server.Config) {
					c.TrustedProxies = "192.0.2.9"
				}).ForwardAuthAddr(), nil, 403},
			} {
				if what != "silent" { // there the example's own timeout counts
					test.replace = append(test.replace, w.patient...)
				}
				app := application(t)
				addr := w.start(t, test.netpoldAddr, app.Listener.Addr().String(), test.replace...)
				got, err := get(addr, "/", "", w.header, "10.0.0.1")
				if err != nil || got.status != test.want || app.reached() != map[bool]int{true: 1}[test.want == 200] {
					t.Errorf("%s: %+v, %v; want %d", what, got, err, test.want)
				}
			}
			app, shadow := application(t), serve(t, objects(), func(c *server.Config) { c.Shadow = true })
			addr := w.start(t, shadow.ForwardAuthAddr(), app.Listener.Addr().String(), w.patient...)
			if got, err := get(addr, "/", "", w.header, "10.0.0.3"); err != nil || got.status != 200 {
				t.Errorf("in shadow: %+v, %v", got, err)
			}
		})
	}
}

// TestP45ProxiesDuringTheDrain proves that each proxy, Envoy too, gets the answers of a netpold that drains, and that nobody
// passes once it is gone.
func TestP45ProxiesDuringTheDrain(t *testing.T) {
	all := map[string]way{"Envoy": {
		start: func(t *testing.T, netpoldAddr, appAddr string, replace ...string) string {
			addr, _ := envoy(t, "http.yaml", netpoldAddr, appAddr, replace...)
			return addr
		},
		failures: failures{down: 503},
		patient:  patient,
	}}
	maps.Copy(all, ways)
	for name, w := range all {
		t.Run(name, func(t *testing.T) {
			app, n := application(t), serve(t, objects(), func(c *server.Config) { c.DrainDelay = time.Hour })
			netpoldAddr := n.ForwardAuthAddr()
			ask := func(addr, client string) (reply, error) { return get(addr, "/", "", w.header, client) }
			if name == "Envoy" {
				netpoldAddr = n.Addr()
				ask = func(addr, client string) (reply, error) { return get(addr, "/", proxied(client, "10.0.0.2", 8080)) }
			}
			addr := w.start(t, netpoldAddr, app.Listener.Addr().String(), w.patient...)
			want := func(when, client string, status int) {
				t.Helper()
				if got, err := ask(addr, client); err != nil || got.status != status ||
					app.reached() != map[bool]int{true: 1}[status == 200] {
					t.Errorf("%s: %s: %+v, %v; want %d", when, client, got, err, status)
				}
			}
			want("before", "10.0.0.1", 200)
			n.drain()
			waitFor(t, "the drain", func() bool {
				got, err := get(n.ForwardAuthAddr(), "/healthz", "")
				return err == nil && got.status == http.StatusServiceUnavailable
			})
			for range 3 {
				want("during the drain", "10.0.0.1", 200)
				want("during the drain", "10.0.0.3", 403)
			}
			n.Stop()
			want("afterwards", "10.0.0.1", w.failures.down)
		})
	}
}

// TestP14P15Traefik replays what Traefik's middleware sends for the question of the example: GET, its own X-Forwarded-*, the
// client's address last, and the client's other headers (P14, P15).
func TestP14P15Traefik(t *testing.T) {
	n := serve(t, objects(), nil)
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "examples", "traefik", "dynamic.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, path, found := strings.Cut(string(text), "address: http://netpold.netpold.svc:9482")
	path, _, _ = strings.Cut(path, "\n")
	if !found {
		t.Fatal("the example has no address")
	}
	for client, want := range map[string]int{"10.0.0.1": http.StatusOK, "10.0.0.3": http.StatusForbidden} {
		for _, forged := range []string{"", "10.0.0.1, "} {
			got, err := get(n.ForwardAuthAddr(), path, "", "X-Forwarded-For", forged+client, "X-Forwarded-Method", "POST",
				"X-Forwarded-Proto", "https", "X-Forwarded-Host", "shop.example", "X-Forwarded-Uri", "/cart?src=10.0.0.1",
				"X-Netpold-Shadow", "true", "Cookie", "secret")
			if err != nil || got.status != want {
				t.Errorf("%s: %+v, %v", client, got, err)
			}
		}
	}
}
