package cli_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// reviewer knows one token.
type reviewer struct{}

func (reviewer) ReviewToken(_ context.Context, token, audience string) (mirror.TokenReview, error) {
	return mirror.TokenReview{Authenticated: token == "the.good-token", User: mirror.User{Name: "on-call"},
		Audiences: []string{audience}}, nil
}

func (reviewer) ReviewAccess(context.Context, *mirror.User, mirror.Right) (bool, error) {
	return true, nil
}

// withTokens serves a cluster to callers with tokens.
func withTokens(t *testing.T, listen string) *server.Server {
	t.Helper()
	source := servertest.NewSource()
	source.Apply(engine.Change{Object: &engine.Namespace{Name: "shop"}})
	config := server.Defaults()
	config.Source, config.Listen, config.AdminListen, config.DrainDelay = source, listen, "", 0
	config.KubeAuthz, config.Reviewer = true, reviewer{}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return s
}

// TestP36BearerToken proves that each verb can ask a server with --kube-authz, and that a token is never sent where others
// could read it.
func TestP36BearerToken(t *testing.T) {
	t.Parallel()
	good := "--bearer-token-file=" + writeFile(t, "good", "the.good-token\n")
	for _, s := range []*server.Server{
		withTokens(t, "127.0.0.1:0"), withTokens(t, "unix://"+filepath.Join(t.TempDir(), "s")),
	} {
		at := "--server=" + s.Addr()
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
		"empty":               {"127.0.0.1:1", "none", "\n", "it has no bearer token, or more than one: give a file with one"},
		"two":                 {"127.0.0.1:1", "two", "a\nb\n", "it has no bearer token, or more than one"},
	} {
		t.Run(name, func(t *testing.T) {
			netpold(t, "status", "--server="+c.server, "--bearer-token-file="+writeFile(t, c.file, c.text)).want(t, 2, "", c.want)
		})
	}
	netpold(t, "status", "--server=127.0.0.1:1", "--bearer-token-file=/nowhere/token").
		want(t, 2, "", "--bearer-token-file: open /nowhere/token: no such file or directory: give a file with one")
	netpold(t, "check", "--manifests="+writeFile(t, "cluster.yaml", cluster), good, "10.0.0.1", "10.0.0.2", "-p80").
		want(t, 2, "", "--bearer-token-file")
}
