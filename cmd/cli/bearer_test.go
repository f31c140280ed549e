package cli_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netpold/netpold/cmd/cli"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// A reviewer knows one token, which may be renewed.
type reviewer struct{ good atomic.Pointer[string] }

func knows(token string) *reviewer {
	r := new(reviewer)
	r.good.Store(&token)
	return r
}

func (r *reviewer) ReviewToken(_ context.Context, token, audience string) (mirror.TokenReview, error) {
	return mirror.TokenReview{Authenticated: token == *r.good.Load(), User: mirror.User{Name: "on-call"},
		Audiences: []string{audience}}, nil
}

func (*reviewer) ReviewAccess(context.Context, *mirror.User, mirror.Right) (bool, error) {
	return true, nil
}

// withTokens serves source to callers with the token that a reviewer knows, and returns the address.
func withTokens(t *testing.T, source *servertest.Source, r *reviewer, listen string) string {
	t.Helper()
	source.Apply(engine.Change{Object: &engine.Namespace{Name: "shop"}})
	at, stop := serveOn(t, source, listen, func(c *server.Config) {
		c.KubeAuthz, c.Reviewer, c.KubeAuthzTTL = true, r, 5*time.Millisecond
	})
	t.Cleanup(stop)
	return at
}

// TestP36BearerToken proves that each verb can ask a server with --kube-authz, and that a token is never sent where others
// could read it.
func TestP36BearerToken(t *testing.T) {
	t.Parallel()
	good := "--bearer-token-file=" + writeFile(t, "good", "the.good-token\n")
	for _, listen := range []string{"127.0.0.1:0", "unix://" + filepath.Join(t.TempDir(), "s")} {
		at := "--server=" + withTokens(t, servertest.NewSource(), knows("the.good-token"), listen)
		for _, c := range []struct {
			args []string
			code int
		}{
			{[]string{"status"}, 0},
			{[]string{"check", "10.0.0.1", "10.0.0.2", "-p80"}, 0},
			{[]string{"check", "--explain", "10.0.0.1", "10.0.0.2", "-p80"}, 0},
			{[]string{"list"}, 0},
			{[]string{"lint"}, 0},
		} {
			if got := netpold(t, slices.Concat(c.args, []string{at, good})...); got.code != c.code {
				t.Errorf("%v: exit code %d: %s", c.args, got.code, got.stderr)
			}
			netpold(t, append(c.args, at)...).want(t, 2, "", "the caller sends no bearer token")
		}
		bad := "--bearer-token-file=" + writeFile(t, "bad", "other")
		netpold(t, "status", at, bad).want(t, 2, "", "does not take the bearer token")
	}
	for name, c := range map[string]struct{ server, file, text, want string }{
		"plaintext to others": {"192.0.2.1:9480", "good", "x", "others on the way to --server could read the token: ask over TLS"},
		"a name":              {"dns:///netpold:9480", "good", "x", "others on the way"},
		"localhost":           {"localhost:9480", "good", "x", "others on the way"},
		"empty":               {"127.0.0.1:1", "none", "\n", "it has no bearer token, or more than one: give a file with one"},
		"two":                 {"127.0.0.1:1", "two", "a\nb\n", "it has no bearer token, or more than one"},
	} {
		t.Run(name, func(t *testing.T) {
			netpold(t, "status", "--server="+c.server, "--bearer-token-file="+writeFile(t, c.file, c.text)).want(t, 2, "", c.want)
		})
	}
	netpold(t, "status", "--server=127.0.0.1:1", "--bearer-token-file=/nowhere/token").
		want(t, 2, "", "--bearer-token-file: open /nowhere/token: no such file or directory: give a file with one")
	netpold(t, "status", "--server=127.0.0.1:1", "--bearer-token-file="+t.TempDir()).want(t, 2, "", "it is no regular file")
	netpold(t, "status", "--server=127.0.0.1:1", "--bearer-token-file=eyJhbGciOiJSUzI1NiJ9.secret").
		want(t, 2, "", "--bearer-token-file: that is a token itself: give a file with one")
	netpold(t, "check", "--manifests="+writeFile(t, "cluster.yaml", cluster), good, "10.0.0.1", "10.0.0.2", "-p80").
		want(t, 2, "", "--bearer-token-file")
}

// TestP39WatchGoesOnWithARenewedToken proves that a watch whose token expires goes on with the one that the file has by then.
func TestP39WatchGoesOnWithARenewedToken(t *testing.T) {
	t.Parallel()
	source, r, file := servertest.NewSource(), knows("one"), writeFile(t, "token", "one")
	at := withTokens(t, source, r, "127.0.0.1:0")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stdout, stderr, ended := newLogWriter(), newLogWriter(), make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, []string{"watch", "--server", at, "--bearer-token-file", file, "shop/web-0", "192.0.2.2", "-p80"},
			strings.NewReader(""), stdout, stderr, nil)
	}()
	stdout.awaitText(t, func(text string) bool { return strings.Contains(text, "shop/web-0") })
	if err := os.WriteFile(file, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	renewed := "two"
	r.good.Store(&renewed)
	stderr.awaitText(t, func(text string) bool { return strings.Contains(text, "resuming in") })
	source.Apply(engine.Change{Object: &engine.Pod{Namespace: "shop", Name: "web-0", IPs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}})
	stdout.awaitText(t, func(text string) bool { return strings.Contains(text, "allowed") })
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d", code)
	}
}
