package server_test

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/netpold/netpold/server"
)

// P13, P15: proxies ask forward-auth over a Unix socket too, where --trusted-proxies does not count: a caller has no
// address. Of a caller outside of that list by TCP, questions are refused, and health and paths that do not exist are
// not.
func TestP13P15ForwardAuthUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	for name, test := range map[string]struct {
		listen string
		asked  int
	}{
		"over a Unix socket": {"unix://" + path, http.StatusOK},
		"by TCP":             {"127.0.0.1:0", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, synced(shop()...), func(c *server.Config) {
				c.ForwardAuthListen, c.TrustedProxies = test.listen, "192.0.2.1"
			})
			transport := &http.Transport{}
			base := "http://" + r.ForwardAuthAddr()
			if test.listen != "127.0.0.1:0" {
				base = "http://netpold"
				transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "unix", path)
				}
			}
			t.Cleanup(transport.CloseIdleConnections)
			client := &http.Client{Transport: transport, Timeout: patience}
			for url, want := range map[string]int{
				question:   test.asked,
				"/healthz": http.StatusOK,
				"/nope":    http.StatusNotFound,
			} {
				if response, body := fetch(t, client, base+url); response.StatusCode != want {
					t.Errorf("GET %s is %d %q, want %d", url, response.StatusCode, body, want)
				}
			}
		})
	}
}
