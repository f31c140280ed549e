package cli_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc"

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

// --timeout bounds for how long a server may say nothing.
func TestLintGivesUpOnASilentServer(t *testing.T) {
	t.Parallel()
	got := netpold(t, "lint", "--server", serveAudits(t, silentAudits{}), "--timeout", "100ms")
	got.want(t, 2, "", "no answer within --timeout 100ms: it said nothing for that long")
}
