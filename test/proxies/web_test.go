package proxies

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netpold/netpold/server"
)

// A way is a proxy that asks by HTTP. start runs its example before an application, and returns its address. What the
// proxy makes of an error is onError. A test's client brings its address in X-Test-Client or X-Forwarded-For, header.
type way struct {
	start   func(t *testing.T, netpoldAddr, appAddr string) string
	header  string
	onError int
}

// ways are the proxies that can run here.
var ways = map[string]way{
	"nginx": {func(t *testing.T, netpoldAddr, appAddr string) string {
		addr, bin := closedPort(t), binary(t, "nginx")
		path := example(t, "nginx/nginx.conf", "netpold.netpold.svc:9482", netpoldAddr, "127.0.0.1:8080", appAddr,
			"listen 8000", "listen "+addr, "192.168.0.0/16", "127.0.0.1", "real_ip_header   X-Forwarded-For",
			"real_ip_header X-Test-Client", "worker_processes auto;", "daemon off; master_process off;",
			"events {}", "events {}\npid nginx.pid;", "http {\n", "http {\naccess_log off;\n"+temporary)
		run(t, addr, bin, "-p", filepath.Dir(path), "-e", "stderr", "-c", path)
		return addr
	}, "X-Test-Client", 500},
	"Caddy": {func(t *testing.T, netpoldAddr, appAddr string) string {
		addr, bin := closedPort(t), binary(t, "caddy")
		path := example(t, "caddy/Caddyfile", "netpold.netpold.svc:9482", netpoldAddr, "127.0.0.1:8080", appAddr,
			":8000", "http://:"+portOf(t, addr), "192.168.0.0/16", "127.0.0.1/32")
		run(t, addr, bin, "run", "--config", path, "--adapter", "caddyfile")
		return addr
	}, "X-Forwarded-For", 503},
	"HAProxy": {func(t *testing.T, netpoldAddr, appAddr string) string {
		addr, bin := closedPort(t), binary(t, "haproxy")
		lua := example(t, "haproxy/netpold.lua", "netpold.netpold.svc:9482", netpoldAddr)
		path := example(t, "haproxy/haproxy.cfg", "lua-load netpold.lua", "lua-load "+lua, "127.0.0.1:8080", appAddr,
			"bind :8000", "bind "+addr, "192.168.0.0/16", "127.0.0.1")
		run(t, addr, bin, "-db", "-f", path)
		return addr
	}, "X-Forwarded-For", 503},
}

// temporary keeps nginx's files under its own folder.
const temporary = "client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;\n"

// TestForwardAuth proves for each proxy that allowed passes, denied is 403, and that a client which forges headers and
// query gets nowhere (P14 to P17).
func TestForwardAuth(t *testing.T) {
	for name, w := range ways {
		t.Run(name, func(t *testing.T) {
			app, n := application(t), serve(t, objects(), nil)
			addr := w.start(t, n.ForwardAuthAddr(), app.Listener.Addr().String())
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

// TestP17ForwardAuthFailures proves that without a decision nobody passes, whatever the proxy (P2, P16, P17).
func TestP17ForwardAuthFailures(t *testing.T) {
	for name, w := range ways {
		t.Run(name, func(t *testing.T) {
			stale := serve(t, objects(), func(c *server.Config) { c.WhenStale = server.DenyWhenStale })
			stale.source.SetStale(true)
			distrusted := serve(t, objects(), func(c *server.Config) { c.TrustedProxies = "192.0.2.9" })
			for what, netpoldAddr := range map[string]string{
				"down": closedPort(t), "silent": silent(t), "not synced": serve(t, nil, nil).ForwardAuthAddr(),
				"stale": stale.ForwardAuthAddr(), "a proxy that is not trusted": distrusted.ForwardAuthAddr(),
			} {
				app := application(t)
				addr := w.start(t, netpoldAddr, app.Listener.Addr().String())
				got, err := get(addr, "/", "", w.header, "10.0.0.1")
				if err != nil || got.status < 400 || app.reached() > 0 {
					t.Errorf("%s: %+v, %v", what, got, err)
				}
				t.Logf("%s: %d", what, got.status)
				if (what == "not synced" || what == "stale") && got.status != w.onError {
					t.Errorf("%s: %d, want %d", what, got.status, w.onError)
				}
			}
			app, shadow := application(t), serve(t, objects(), func(c *server.Config) { c.Shadow = true })
			addr := w.start(t, shadow.ForwardAuthAddr(), app.Listener.Addr().String())
			if got, err := get(addr, "/", "", w.header, "10.0.0.3"); err != nil || got.status != 200 {
				t.Errorf("in shadow: %+v, %v", got, err)
			}
		})
	}
}

// TestTraefik replays what Traefik's middleware sends for the question of the example: GET, its own X-Forwarded-*, the
// client's address last, and the client's other headers (P14, P15).
func TestTraefik(t *testing.T) {
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
