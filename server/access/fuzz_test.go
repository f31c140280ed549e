package access

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/internal/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An unread source is that of metrics that nobody reads.
type unread struct{ mirror.Source }

// A guarding is a server of any method behind a policy, and a connection to it.
type guarding struct {
	policy *Policy
	path   string
	conn   *grpc.ClientConn
}

const basePolicy = `{"name": "base", "allow_rules": [{"name": "a", "request": {"paths": ["/t.A/*"]}}]}`

// newGuarding starts one with basePolicy.
func newGuarding(t testing.TB) *guarding {
	t.Helper()
	g := &guarding{path: filepath.Join(t.TempDir(), "policy.json")}
	g.write(t, []byte(basePolicy))
	var err error
	if g.policy, err = NewPolicy(g.path, slog.New(slog.DiscardHandler), metrics.New(unread{}, "test")); err != nil {
		t.Fatal(err)
	}
	listener := bufconn.Listen(1 << 16)
	// The interceptor asks the policy at each call, so it may be replaced between two.
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		return stream.SendMsg(&emptypb.Empty{})
	}), grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return g.policy.Stream(srv, stream, info, handler)
	}))
	go s.Serve(listener) //nolint:errcheck // it ends with Stop
	t.Cleanup(s.Stop)
	g.conn, err = grpc.NewClient("passthrough:///policy", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.conn.Close() })
	return g
}

func (g *guarding) write(t testing.TB, content []byte) {
	t.Helper()
	if err := os.WriteFile(g.path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// verdicts returns what calls of some methods come to.
func (g *guarding) verdicts(t *testing.T) (all [3]codes.Code) {
	t.Helper()
	for i, method := range []string{"/t.A/X", "/t.A/Y", "/t.B/X"} {
		all[i] = status.Code(g.conn.Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{}))
	}
	return all
}

// FuzzPolicyReloads: whatever a file of a policy becomes, by several changes with 0 bytes between them, what counts is the
// last content with which a server would start. Nothing else opens or closes anything, and nothing panics (P35).
func FuzzPolicyReloads(f *testing.F) {
	const denies = `{"name": "d", "deny_rules": [{"name": "x", "request": {"paths": ["*/X"]}}], "allow_rules": [{"name": "all"}]}`
	for _, seed := range []string{
		basePolicy, denies, denies + "\x00" + basePolicy, denies + "\x00{", "\x00", "{}", "null", "[]", basePolicy + basePolicy,
		`{"name": "b", "allow_rules": [{"name": "b", "request": {"paths": ["/t.B/*"]}}]}` + "\x00nothing\x00" + denies,
		`{"name": "o", "allow_rules": [{"name": "b", "source": {"principals": ["*"]}}]}`,
		`{"name": "h", "allow_rules": [{"name": "b", "request": {"headers": [{"key": "a", "values": ["b"]}]}}]}`,
		`{"name": "u", "allow_rules": [{"name": "b"}], "unknown": 1}`,
	} {
		f.Add([]byte(seed))
	}
	reloaded, fresh := newGuarding(f), newGuarding(f)
	f.Fuzz(func(t *testing.T, contents []byte) {
		reloaded.write(t, []byte(basePolicy))
		reloaded.policy.Look()
		good := []byte(basePolicy)
		for i, content := range bytes.Split(contents, []byte{0}) {
			if i == 8 {
				break // more says no more
			}
			if _, err := parsePolicy(content); err == nil {
				good = content
			}
			reloaded.write(t, content)
			reloaded.policy.Look()
			fresh.write(t, good)
			started, err := NewPolicy(fresh.path, fresh.policy.log, fresh.policy.metrics)
			if err != nil {
				t.Fatalf("%q is taken once and then not: %v", good, err)
			}
			fresh.policy = started
			if got, want := reloaded.verdicts(t), fresh.verdicts(t); got != want {
				t.Errorf("after %q: %v, a new server says %v", contents, got, want)
			}
		}
	})
}
