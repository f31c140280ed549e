package test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kindTools are the programs that examples/kind/run.sh calls.
var kindTools = []string{"docker", "kind", "kubectl", "helm", "go"}

// runKind runs the script of "make kind" in a copy of its surroundings, with stand-ins for the tools. Each
// stand-in records its call. It returns what the script printed, the calls in order, and the error of the
// script.
func runKind(t *testing.T, tools []string, fails string) (output, calls string, err error) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	root := t.TempDir()
	script, err := os.ReadFile("../examples/kind/run.sh")
	if err != nil {
		t.Fatal(err)
	}
	log, bin := filepath.Join(root, "calls"), filepath.Join(root, "tools")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(root, "examples/kind/run.sh"), string(script))
	standIn := "#!" + bash + "\necho \"${0##*/} $*\" >>'" + log + "'\n" +
		"[[ -z '" + fails + "' || \"${0##*/} $*\" != '" + fails + "'* ]]\n"
	for _, tool := range tools {
		write(filepath.Join(bin, tool), standIn)
	}
	// Answers denied, by its exit code.
	write(filepath.Join(root, "bin/netpold"), "#!"+bash+"\necho \"netpold $*\" >>'"+log+"'\nexit 1\n")
	for _, tool := range []string{"dirname", "grep", "seq", "sleep"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Skipf("no %s", tool)
		}
		if err := os.Symlink(path, filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	})
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bash, filepath.Join(root, "examples/kind/run.sh"))
	cmd.Env = []string{"PATH=" + bin, "NETPOLD_PORT=" + port}
	text, err := cmd.CombinedOutput()
	recorded, _ := os.ReadFile(log) // none where nothing was called
	return string(text), strings.ReplaceAll(string(recorded), port, "PORT"), err
}

func TestKindAsksBothQuestions(t *testing.T) {
	output, calls, err := runKind(t, kindTools, "")
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	at := 0
	for _, want := range []string{
		"kind create cluster --name netpold --config examples/kind/kind.yaml",
		"docker build", "kind load docker-image netpold:kind", "helm upgrade --install netpold deploy/helm/netpold",
		"kubectl --context kind-netpold apply -f examples/kind/shop.yaml",
		"netpold check deploy/shop/frontend svc/shop/cart -p 80 --server 127.0.0.1:PORT",
		"netpold check deploy/netpold/netpold svc/shop/cart -p 80 --server 127.0.0.1:PORT",
	} {
		found := strings.Index(calls[at:], want)
		if found < 0 {
			t.Fatalf("no %q, in order, among the calls:\n%s", want, calls)
		}
		at += found
	}
}

func TestKindNamesWhatIsMissing(t *testing.T) {
	output, calls, err := runKind(t, []string{"docker", "kubectl", "go"}, "")
	if err == nil || !strings.Contains(output, "needs kind helm, which cannot be found") || calls != "" {
		t.Errorf("%v, calls %q: %s", err, calls, output)
	}
	output, _, err = runKind(t, kindTools, "docker info")
	if err == nil || !strings.Contains(output, "start it, or serve manifests") {
		t.Errorf("without a daemon: %v: %s", err, output)
	}
}

func TestKindStopsAtTheFirstFailure(t *testing.T) {
	output, calls, err := runKind(t, kindTools, "helm upgrade")
	if err == nil || strings.Contains(calls, "netpold check") {
		t.Errorf("%v: asks although netpold was not installed: %s\n%s", err, calls, output)
	}
}
