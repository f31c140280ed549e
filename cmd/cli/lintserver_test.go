package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// lintFiles are policies that select nothing: in several documents, in a List, and after a comment.
var lintFiles = map[string]string{
	"many.yaml": `# policies
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: first, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
# the second

apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: second, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress]}
`,
	"deep/list.yaml": `---
apiVersion: v1
kind: List
items:
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: third, namespace: shop}
  spec: {podSelector: {}, policyTypes: [Ingress]}
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: fourth, namespace: shop}
  spec: {podSelector: {}, policyTypes: [Ingress]}
`,
}

// writeLintFiles writes them into a directory.
func writeLintFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range lintFiles {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A6: with a server and without, lint prints the same bytes in every form, but for what differs between runs.
func TestA6LintWithServerAndWithout(t *testing.T) {
	dir := writeLintFiles(t)
	server := serve(t, "--manifests", dir).addr
	runs := regexp.MustCompile(`"(revision|token|snapshotTime|took)":"[^"]*"`)
	for _, form := range []string{"table", "json", "sarif", "markdown"} {
		near := netpold(t, "lint", "--manifests", dir, "-o", form)
		far := netpold(t, "lint", "--server", server, "-o", form)
		if near.code != 1 || far.code != 1 {
			t.Errorf("%s: exit codes %d and %d\n%s%s", form, near.code, far.code, near.stderr, far.stderr)
		}
		a, b := runs.ReplaceAllString(near.stdout, ""), runs.ReplaceAllString(far.stdout, "")
		if a != b || a == "" {
			t.Errorf("-o %s prints\n%s\nand with a server\n%s", form, near.stdout, far.stdout)
		}
	}
}

// A policy's file, document and first line are those of --manifests, also of several documents and of a List.
func TestLintNamesFileAndLine(t *testing.T) {
	t.Parallel()
	dir := writeLintFiles(t)
	got := netpold(t, "lint", "--manifests", dir, "-o", "json", "--code", "selects-nothing")
	at := map[string]string{}
	for line := range strings.Lines(got.stdout) {
		var m struct {
			Finding struct {
				Policy struct {
					Name, File     string
					Document, Line json.Number
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if p := m.Finding.Policy; p.Name != "" {
			at[p.Name] = strings.Join([]string{strings.TrimPrefix(p.File, dir+"/"), p.Document.String(), p.Line.String()}, ":")
		}
	}
	for name, want := range map[string]string{
		"first": "many.yaml:1:2", "second": "many.yaml:2:9", "third": "deep/list.yaml:1:2", "fourth": "deep/list.yaml:1:2",
	} {
		if at[name] != want {
			t.Errorf("%s is at %s, want %s", name, at[name], want)
		}
	}
}

// serveAudits serves audits until the test ends, and returns the address.
func serveAudits(t *testing.T, audits netpoldv1.AuditServiceServer) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	netpoldv1.RegisterAuditServiceServer(server, audits)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// A silentAudits says nothing after the header of a lint.
type silentAudits struct {
	netpoldv1.UnimplementedAuditServiceServer
}

func (silentAudits) Lint(_ *netpoldv1.LintRequest, to grpc.ServerStreamingServer[netpoldv1.LintResponse]) error {
	if err := to.Send(&netpoldv1.LintResponse{
		Item: &netpoldv1.LintResponse_Header{Header: &netpoldv1.AuditHeader{}},
	}); err != nil {
		return err
	}
	<-to.Context().Done()
	return to.Context().Err()
}

// A fullAudits has too many audits, and room after two calls.
type fullAudits struct {
	netpoldv1.UnimplementedAuditServiceServer
	calls atomic.Int32
}

func (f *fullAudits) Explain(context.Context, *netpoldv1.ExplainRequest) (*netpoldv1.ExplainResponse, error) {
	if f.calls.Add(1) > 2 {
		answer := &netpoldv1.AllowedResponse{Allowed: true}
		return &netpoldv1.ExplainResponse{Answer: answer, Text: "allowed at last\n"}, nil
	}
	st, err := status.New(codes.ResourceExhausted, "too many audits").WithDetails(
		&errdetails.ErrorInfo{Reason: "TOO_MANY_AUDITS"},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)})
	return nil, errors.Join(err, st.Err())
}

// A5: check --explain asks again when a server with too many audits says so, on a command line and for a line of a
// file, and no longer than --timeout.
func TestA5ExplainWaitsForRoom(t *testing.T) {
	t.Parallel()
	line := `{"src":{"ip":"10.0.0.1"},"dst":{"ip":"10.0.0.2"},"port":1}` + "\n"
	for _, args := range [][]string{{"10.0.0.1", "10.0.0.2", "-p=1"}, {"-f=-"}} {
		audits := new(fullAudits)
		got := netpoldWith(t, nil, line, append([]string{"check", "--server", serveAudits(t, audits), "--explain"}, args...)...)
		if got.code != 0 || got.stdout != "allowed at last\n" || audits.calls.Load() != 3 {
			t.Errorf("%v: exit code %d after %d calls: %s%s", args, got.code, audits.calls.Load(), got.stdout, got.stderr)
		}
	}
}

// A wrong token is told by the name of its flag, and by its field if a line of a file has it.
func TestTokenIsNamedByItsFlag(t *testing.T) {
	t.Parallel()
	line := `{"src":{"ip":"10.0.0.1"},"dst":{"ip":"10.0.0.2"},"port":1}` + "\n"
	withToken := `{"src":{"ip":"10.0.0.1"},"dst":{"ip":"10.0.0.2"},"port":1,"at_least":"bogus"}` + "\n"
	for _, test := range []struct {
		in, want string
		args     []string
	}{
		{"", "--at-least: ", []string{"check", "10.0.0.1", "10.0.0.2", "-p=1", "--at-least=bogus"}},
		{"", "--at-least: ", []string{"check", "10.0.0.1", "10.0.0.2", "-p=1", "--at-least=bogus", "--explain"}},
		{"", "--at-least: ", []string{"lint", "--at-least=bogus"}},
		{line, "--at-least: ", []string{"check", "-f=-", "--at-least=bogus"}},
		{line, "--at-least: ", []string{"check", "-f=-", "--at-least=bogus", "--explain"}},
		{withToken, "at_least: ", []string{"check", "-f=-"}},
		{withToken, "at_least: ", []string{"check", "-f=-", "--explain"}},
	} {
		got := netpoldWith(t, nil, test.in, append(test.args, "--manifests", writeFile(t, "cluster.yaml", lintBase))...)
		text := got.stdout + got.stderr
		if got.code != 2 || !strings.Contains(text, test.want) ||
			strings.Contains(text, "--at-least: ") != (test.want == "--at-least: ") {
			t.Errorf("%v: exit code %d: %s", test.args, got.code, text)
		}
	}
}

// --timeout bounds for how long a server may say nothing.
func TestLintGivesUpOnASilentServer(t *testing.T) {
	t.Parallel()
	got := netpold(t, "lint", "--server", serveAudits(t, silentAudits{}), "--timeout", "100ms")
	got.want(t, 2, "", "no answer within --timeout 100ms: it said nothing for that long")
}
