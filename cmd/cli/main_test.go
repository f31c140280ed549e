package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/netpold/netpold/cmd/cli"
)

// TestMain hides the clusters that the machine may know of.
func TestMain(m *testing.M) {
	empty, err := os.CreateTemp("", "kubeconfig")
	if err == nil {
		err = errors.Join(empty.Close(), os.Setenv("KUBECONFIG", empty.Name()),
			os.Unsetenv("KUBERNETES_SERVICE_HOST"))
	}
	if err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.Remove(empty.Name()) //nolint:errcheck // it is empty
		os.Exit(code)           //nolint:forbidigo // as goleak does where it is not told what to do
	}))
}

// patience bounds what a test waits for; nothing takes nearly as long.
const patience = 2 * time.Minute

// cluster is a small cluster: web may reach cart on the port that cart calls "http", and nothing else may
// reach it. web may send to cart and nowhere else. The rest is open.
const cluster = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Node
metadata: {name: node-1}
status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {nodeName: node-1, containers: [{name: c}]}
status: {phase: Running, podIPs: [{ip: 10.0.0.1}], hostIPs: [{ip: 192.0.2.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-0, namespace: shop, labels: {app: cart}}
spec: {nodeName: node-1, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
status: {phase: Running, podIPs: [{ip: 10.0.0.2}, {ip: "2001:db8::2"}], hostIPs: [{ip: 192.0.2.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: other-0, namespace: shop, labels: {app: other}}
spec: {nodeName: node-1, containers: [{name: c}]}
status: {phase: Running, podIPs: [{ip: 10.0.0.3}], hostIPs: [{ip: 192.0.2.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: done-0, namespace: shop, labels: {app: done}}
spec: {nodeName: node-1, containers: [{name: c}]}
status: {phase: Succeeded}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.96.0.2, clusterIPs: [10.96.0.2], selector: {app: cart}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec: {podSelector: {matchLabels: {app: cart}}, policyTypes: [Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: http}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - to: [{ipBlock: {cidr: 203.0.113.0/24}}]
  - to: [{podSelector: {matchLabels: {app: cart}}}]
`

// brokenPolicies have three problems in two documents.
const brokenPolicies = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: broken, namespace: shop}
spec:
  podSelector: {}
  ingress:
  - from: [{ipBlock: {cidr: 10.0.0.0/33}}]
    ports: [{port: 0}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: worse, namespace: shop}
spec: {podSelector: {}, policyTypes: [Sideways]}
`

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// result is what a run of the command printed, and its exit code.
type result struct {
	code           int
	stdout, stderr string
}

// netpold runs the command without an environment, and with nothing on standard input.
func netpold(t *testing.T, args ...string) result {
	t.Helper()
	return netpoldWith(t, nil, "", args...)
}

func netpoldWith(t *testing.T, env []string, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := cli.Run(ctx, args, strings.NewReader(stdin), &stdout, &stderr, env)
	return result{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// want checks the exit code, and that the outputs hold what they should; an output that should hold nothing
// is to be empty.
func (r result) want(t *testing.T, code int, stdout, stderr string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code is %d, want %d", r.code, code)
	}
	for name, output := range map[string][2]string{"stdout": {r.stdout, stdout}, "stderr": {r.stderr, stderr}} {
		if got, want := output[0], output[1]; !strings.Contains(got, want) ||
			want == "" && withoutNotes(got) != "" {
			t.Errorf("%s is\n%s\nwant in it\n%s", name, got, want)
		}
	}
}

// withoutNotes returns the lines of an output that are no notes of an answer.
func withoutNotes(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "netpold: note: ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// instance is a "serve" that runs in this process.
type instance struct {
	addr, adminAddr string
	log             *logWriter
	stop            context.CancelFunc
	code            chan int
}

// serve runs "netpold serve" on free ports until the test ends, and waits until it listens.
func serve(t *testing.T, args ...string) *instance {
	t.Helper()
	i := startRun(t, append([]string{"serve"}, withDefaults(args,
		"--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--drain-delay=0s", "--log-format=json")...)...)
	t.Cleanup(func() { i.end(t, 0) })
	started := regexp.MustCompile(`"serving","addr":"(.+)","admin_addr":"(.*)"|msg=serving addr=(\S+) admin_addr=(\S*)`)
	i.log.awaitText(t, func(text string) bool {
		match := started.FindStringSubmatch(text)
		if match != nil {
			i.addr, i.adminAddr = match[1]+match[3], match[2]+match[4]
		}
		return match != nil
	})
	return i
}

// withDefaults adds each default whose flag is not among args: a flag may be given once.
func withDefaults(args []string, defaults ...string) []string {
	for _, flag := range defaults {
		name, _, _ := strings.Cut(flag, "=")
		given := func(arg string) bool { return arg == name || strings.HasPrefix(arg, name+"=") }
		if !slices.ContainsFunc(args, given) {
			args = append(slices.Clip(args), flag)
		}
	}
	return args
}

// startRun runs the command until its end is asked for.
func startRun(t *testing.T, args ...string) *instance {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	i := &instance{log: newLogWriter(), stop: cancel, code: make(chan int, 1)}
	go func() { i.code <- cli.Run(ctx, args, strings.NewReader(""), i.log, i.log, nil) }()
	return i
}

// end stops the instance, and checks its exit code. It may be called again.
func (i *instance) end(t *testing.T, want int) {
	t.Helper()
	i.stop()
	select {
	case code := <-i.code:
		if code != want {
			t.Errorf("serve ended with exit code %d, want %d:\n%s", code, want, i.log)
		}
		i.code <- want
	case <-time.After(patience):
		t.Fatalf("serve does not end:\n%s", i.log)
	}
}

// logWriter holds what a server logs.
type logWriter struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newLogWriter() *logWriter { return &logWriter{changed: make(chan struct{})} }

func (w *logWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
	return w.text.Write(p)
}

func (w *logWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// awaitText waits until find finds what it looks for.
func (w *logWriter) awaitText(t *testing.T, find func(text string) bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		text, changed := w.text.String(), w.changed
		w.mu.Unlock()
		if find(text) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("what was waited for was not written:\n%s", text)
		}
	}
}

// await waits for a record in JSON.
func (w *logWriter) await(t *testing.T, message string) map[string]any {
	t.Helper()
	var record map[string]any
	w.awaitText(t, func(text string) bool {
		for line := range strings.Lines(text) {
			record = nil
			if json.Unmarshal([]byte(line), &record) == nil && record["msg"] == message {
				return true
			}
		}
		return false
	})
	return record
}
