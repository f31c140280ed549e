package cli_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/netpold/netpold/cmd/cli"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

func TestServeCalledWrongly(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	manifests := "--manifests=" + file
	free := []string{manifests, "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"a word": {[]string{"examples/shop"},
			`netpold: "examples/shop": serve takes no words, only flags; see 'netpold serve --help'`},
		"flag of another verb": {[]string{"--server=x:1"}, "netpold: unknown flag --server"},
		"unreadable manifests": {[]string{"--manifests=/nowhere/m"}, "/nowhere/m"},
		"empty directory": {[]string{"--manifests=" + t.TempDir()},
			"there is no *.yaml, *.yml or *.json file in it"},
		"port in use": {[]string{manifests, "--admin-listen=", "--listen=" + taken.Addr().String()},
			"another process has the port: stop it, or give another one"},
		"admin port in use": {[]string{manifests, "--listen=127.0.0.1:0",
			"--admin-listen=" + taken.Addr().String()}, "--admin-listen " + taken.Addr().String()},
		"no port": {[]string{manifests, "--listen=localhost"},
			`--listen: "localhost" is not an address to listen on: missing port in address: give HOST:PORT`},
		"empty address": {[]string{manifests, "--listen="},
			`--listen: "" is not an address to listen on: missing port in address: give HOST:PORT`},
		"P32: everybody could ask": {[]string{manifests, "--listen=0.0.0.0:0"},
			"netpold: --listen 0.0.0.0:0: others than this machine reach it, and nothing says who may ask: require " +
				"certificates of clients with --tls-cert, --tls-key and --tls-client-ca, or tokens with --tls-cert, " +
				"--tls-key and --kube-authz; or listen on 127.0.0.1 or unix:///PATH; or let everybody who can connect " +
				"ask, with --insecure"},
		"P32: on every address": {[]string{manifests, "--listen=:0"}, "netpold: --listen :0: others than"},
		"P32: a socket without a path": {[]string{manifests, "--listen=unix://"},
			`--listen: "unix://" is no Unix socket to listen on: give unix:///PATH`},
		"P32: a file in the socket's place": {[]string{manifests, "--listen=unix://" + file, "--admin-listen="},
			"netpold: --listen unix://" + file + ": something that is no socket is there: remove it, or give another"},
		"P36: a kubeconfig that does not count": {append(free, "--kube-authz-kubeconfig=k"),
			"netpold: --kube-authz-kubeconfig k: it counts with --kube-authz alone: give both"},
		"P36: no API server to ask": {append(free, "--kube-authz"),
			`netpold: --kube-authz-kubeconfig "": no way to an API server: unable to load in-cluster configuration`},
		"P36: a kubeconfig that is none": {append(free, "--kube-authz", "--kube-authz-kubeconfig=/nowhere/k"),
			`netpold: --kube-authz-kubeconfig "/nowhere/k": no way to an API server: stat /nowhere/k: no such file`},
		"P35: a policy of nothing": {append(free, "--authz-policy="+file),
			"netpold: --authz-policy " + file + ": it is about client certificates: give --tls-client-ca too"},
		"P33: secured by nothing": {append(free, "--admin-tls"),
			"netpold: --admin-tls true: it needs --tls-cert and --tls-key: give both"},
		"half a key pair": {[]string{"--manifests=/nowhere/m", "--tls-cert=" + file},
			"netpold: --tls-cert, --tls-key: give both"},
		"certificate is none": {append(free, "--tls-cert="+file, "--tls-key="+file),
			"give PEM files of one key pair"},
		"unreadable certificate": {append(free, "--tls-cert=/nowhere/c", "--tls-key=/nowhere/k"),
			"--tls-cert: stat /nowhere/c: no such file"},
		"unknown key": {append(free, "--config", writeFile(t, "netpold.yaml", "listn: x\n")),
			`netpold.yaml:1: unknown key "listn": did you mean listen?`},
		"unreadable config": {append(free, "--config=/nowhere/c.yaml"),
			"netpold: --config /nowhere/c.yaml: no such file or directory; give a YAML file"},
	} {
		t.Run(name, func(t *testing.T) {
			got := netpold(t, append([]string{"serve", "--log-level=error"}, test.args...)...)
			got.want(t, 2, "", test.want)
			if strings.Contains(got.stderr, "Usage:") {
				t.Errorf("the usage is printed on an error:\n%s", got.stderr)
			}
		})
	}
}

// TestServeReportsEveryProblem (S23): each problem of each file is printed on a line, then their number, and
// nothing is served.
func TestServeReportsEveryProblem(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.yaml": brokenPolicies, "b.yaml": cluster, "c.yaml": "{"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := netpold(t, "serve", "--manifests", dir, "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0")
	got.want(t, 2, "", " problems: mend what is listed above; nothing is answered from part of a cluster\n")
	lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
	last := lines[len(lines)-1]
	if want := regexp.MustCompile(`^netpold: --manifests \S+: (\d) problems: `).
		FindStringSubmatch(last); want == nil || want[1] != string(rune('0'+len(lines)-1)) {
		t.Errorf("%d lines end in %q", len(lines)-1, last)
	}
	for _, field := range []string{"spec.ingress[0].from[0].ipBlock.cidr", "spec.ingress[0].ports[0].port",
		"spec.policyTypes[0]", "c.yaml"} {
		if !strings.Contains(got.stderr, field) {
			t.Errorf("%s is not listed:\n%s", field, got.stderr)
		}
	}
}

// TestAnnouncedExamplesAnswerAsAnnounced runs what a starting server tells people to run.
func TestAnnouncedExamplesAnswerAsAnnounced(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	i := serve(t, "--manifests", file, "--log-format=text")
	text := i.log.String()

	question := regexp.MustCompile(
		`(?m)^grpcurl -plaintext -d '(.+)' (\S+) netpold\.v1\.DecisionService/Allowed$`).FindStringSubmatch(text)
	if question == nil || question[2] != i.addr {
		t.Fatalf("no line for grpcurl to %s:\n%s", i.addr, text)
	}
	if err := protojson.Unmarshal([]byte(question[1]), new(netpoldv1.AllowedRequest)); err != nil {
		t.Error(err)
	}
	answered := netpoldWith(t, nil, question[1], "check", "--server", i.addr, "-f", "-")
	answered.want(t, 0, `{"allowed":true,"reason":"REASON_ALLOWED_BY_RULE",`, "")
	if !strings.Contains(text, `It will answer "allowed": true, "reason": "REASON_ALLOWED_BY_RULE":`) {
		t.Errorf("the answer to grpcurl is not announced:\n%s", text)
	}

	command := regexp.MustCompile(`(?m)^netpold (check --server .+)$`).FindStringSubmatch(text)
	if command == nil {
		t.Fatalf("no line for netpold check:\n%s", text)
	}
	checked := netpold(t, strings.Fields(command[1])...)
	checked.want(t, 1, "denied   shop/other-0 -> shop/cart-0 8080/TCP", "")
	announced := "#   " + strings.ReplaceAll(strings.TrimSuffix(checked.stdout, "\n"), "\n", "\n#   ") + "\n"
	if !strings.Contains(text, announced) {
		t.Errorf("announced is\n%s\nanswered was\n%s", text, checked.stdout)
	}
}

// TestAnnouncementNamesSourceCheckouts: there, nothing is installed.
func TestAnnouncementNamesSourceCheckouts(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	t.Chdir("../..")
	text := serve(t, "--manifests", file, "--log-format=text").log.String()
	for _, want := range []string{"\ngo tool -modfile=tools/go.mod grpcurl -plaintext -d '",
		"\ngo run ./cmd/netpold check --server "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// TestAnnouncementOfOddClusters: there may be nothing to try, and a wildcard is no address to call.
func TestAnnouncementOfOddClusters(t *testing.T) {
	for name, test := range map[string]struct{ cluster, with, without string }{
		"no Pod": {"apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n", "serves manifests", "# To try it"},
		"one Pod": {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c}]}\n",
			"serves manifests", "# To try it"},
		"nothing denied": {
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: c}]}}}\n---\n" +
				"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\nspec: {template: {spec: {containers: [{name: c}]}}}\n",
			"#   allowed  deploy/default/b -> deploy/default/a 80/TCP", "#   denied",
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := serve(t, "--manifests", writeFile(t, "cluster.yaml", test.cluster), "--log-format=text",
				"--listen=0.0.0.0:0", "--insecure")
			text := i.log.String()
			if !strings.Contains(text, test.with) || strings.Contains(text, test.without) ||
				strings.Contains(text, "--server 0.0.0.0") || strings.Contains(text, "--server [::]") {
				t.Errorf("announcement is to have %q, and not %q:\n%s", test.with, test.without, text)
			}
		})
	}
}

// TestServeTakesEdits: an edit is taken whole, or not at all.
func TestServeTakesEdits(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	i := serve(t, "--manifests", file)
	ask := func(code int) {
		t.Helper()
		if got := netpold(t, "check", "--server", i.addr, "shop/other-0", "shop/cart-0", "-p",
			"8080"); got.code != code {
			t.Errorf("exit code is %d, want %d:\n%s%s", got.code, code, got.stdout, got.stderr)
		}
	}
	edit := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	ask(1)
	edit(cluster + "---" + brokenPolicies)
	i.log.await(t, "manifests rejected; still serving the last good state")
	ask(1)
	status := netpold(t, "status", "--server", i.addr)
	status.want(t, 0, "\nPROBLEMS 3\n", "")
	edit(strings.Replace(cluster, "matchLabels: {app: web}}}]", "matchLabels: {app: other}}}]", 1))
	i.log.awaitText(t, func(text string) bool { return strings.Contains(text, `"revision":2`) })
	ask(0)
}

func TestServeAdminPages(t *testing.T) {
	i := serve(t, "--manifests", writeFile(t, "cluster.yaml", cluster))
	for _, page := range []string{"/healthz", "/readyz", "/metrics"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+i.adminAddr+page, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close() //nolint:errcheck // it was only read
		if err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("%s answers %d %v:\n%.200s", page, response.StatusCode, err, body)
		}
	}
	if i := serve(t, "--manifests", writeFile(t, "cluster.yaml", cluster),
		"--admin-listen="); i.adminAddr != "" {
		t.Errorf("admin pages are at %q though they are off", i.adminAddr)
	}
}

// TestServeFromStandardInput: it is read once, examples and all.
func TestServeFromStandardInput(t *testing.T) {
	log := newLogWriter()
	ctx, cancel := contextOf(t)
	code := make(chan int, 1)
	go func() {
		code <- cli.Run(ctx, []string{
			"serve", "--manifests=-", "--listen=127.0.0.1:0", "--admin-listen=", "--drain-delay=0s",
			"--log-format=text",
		}, strings.NewReader(cluster), log, log, nil)
	}()
	log.awaitText(t, func(text string) bool { return strings.Contains(text, "msg=ready") })
	cancel()
	if got := <-code; got != 0 || !strings.Contains(log.String(), "\nnetpold check --server ") {
		t.Errorf("exit code is %d:\n%s", got, log)
	}
}
