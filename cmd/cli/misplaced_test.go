package cli_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// A flag that would not count beside another one is refused with both names and what to do.
func TestFlagsThatDoNotGoTogether(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	question := []string{"shop/web-0", "shop/cart-0", "-p", "8080"}
	const itsOwn = ": the server answers from its own state, as its own --"
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"check", "--server", "127.0.0.1:1", "-n", "shop"},
			"--namespace does not go with --server" + itsOwn + "namespace says: leave one of them out"},
		{[]string{"check", "--server", "127.0.0.1:1", "-A"}, "--all-namespaces does not go with --server" + itsOwn},
		{[]string{"check", "--server", "127.0.0.1:1", "--ipblock-matches-pods"},
			"--ipblock-matches-pods does not go with --server" + itsOwn},
		{[]string{"check", "--server", "127.0.0.1:1", "--manifests", file},
			"--manifests and --server exclude each other"},
		{[]string{"check", "--server", "127.0.0.1:1", "--kubeconfig", file},
			"--server and --kubeconfig exclude each other"},
		{[]string{"check", "--server", "127.0.0.1:1", "--context", "x"},
			"--server and --context exclude each other"},
		{[]string{"check", "--manifests", file, "--context", "x"}, "--manifests and --context exclude each other"},
		{[]string{"check", "--manifests", file, "--tls"},
			"--tls does not go with --manifests: it is for asking a running netpold: leave one of them out, or give --server"},
		{[]string{"check", "--manifests", file, "--tls-ca", file}, "--tls-ca does not go with --manifests"},
		{[]string{"check", "--manifests", file, "--tls-client-cert", file},
			"--tls-client-cert does not go with --manifests"},
		{[]string{"check", "--manifests", file, "--tls-client-key", file},
			"--tls-client-key does not go with --manifests"},
		{[]string{"check", "--manifests", file, "--tls-server-name", "x"},
			"--tls-server-name does not go with --manifests"},
		{[]string{"check", "--context", "x", "--tls"}, "--tls does not go with --context"},
		{[]string{"check", "--tls"}, "--tls goes with --server: it is for asking a running netpold: give --server HOST:PORT, or leave it out"},
		{[]string{"check", "--manifests", file, "-A", "-n", "shop"}, "-A and -n exclude each other"},
		{[]string{"check", "--manifests", file, "-n", ""},
			"--namespace: its value is empty: give one, or leave the flag out"},
		{[]string{"check", "--server", "127.0.0.1:1", "--tls-ca", ""}, "--tls-ca: its value is empty"},
	} {
		netpold(t, append(test.args, question...)...).want(t, 2, "", test.want)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"serve", "--manifests", file, "--max-staleness", "5m"},
			"--max-staleness does not go with --manifests: it is for a running cluster"},
		{[]string{"serve", "--manifests", file, "--tls-cert", ""}, "--tls-cert: its value is empty"},
		{[]string{"serve", "--manifests", file, "-A", "-n", "shop"}, "-A and -n exclude each other"},
		{[]string{"token", "--server", "127.0.0.1:1", "-n", "shop"}, "--namespace does not go with --server"},
		{[]string{"token", "--manifests", file, "--tls"}, "--tls does not go with --manifests"},
		{[]string{"token", "-f", file, "-n", "shop"}, "-f and --namespace exclude each other"},
		{[]string{"token", "-f", file, "-A"}, "-f and --all-namespaces exclude each other"},
		{[]string{"token", "-f", file, "--tls"}, "-f and --tls exclude each other"},
		{[]string{"token", "-f", file, "--timeout", "3s"}, "-f and --timeout exclude each other"},
		{[]string{"test", "--generate", "--manifests", file, "--tls"}, "--tls does not go with --manifests"},
		{[]string{"test", file, "--server", "127.0.0.1:1", "-n", "shop"},
			"holds objects of Kubernetes and no assertions"},
		{[]string{"test", "-v", "-o", "github", shopAssertions, "--manifests", shop},
			"-v goes with the text that people read"},
		{[]string{"status", "--manifests", file}, "unknown flag --manifests"},
	} {
		got := netpold(t, test.args...)
		if got.code != 2 || !strings.Contains(got.stderr, test.want) {
			t.Errorf("%q: exit code %d, stderr is\n%s\nwant in it\n%s", test.args, got.code, got.stderr, test.want)
		}
	}
}

// What is set farther away than the place that was chosen is for other calls; what is set as close is warned
// of. -A undoes what is set of the namespace.
func TestSettingsThatDoNotGoTogether(t *testing.T) {
	file := writeFile(t, "cluster.yaml",
		strings.Replace(cluster, "name: done-0, namespace: shop", "name: done-0", 1))
	server := serve(t, "--manifests", file)
	ask := func(environ []string, args ...string) result {
		return netpoldWith(t, environ, "",
			append([]string{"check", "shop/web-0", "shop/cart-0", "-p", "8080"}, args...)...)
	}
	ask([]string{"NETPOLD_NAMESPACE=shop"}, "--server", server.addr).want(t, 0, "allowed", "")
	ask([]string{"NETPOLD_NAMESPACE=shop", "NETPOLD_SERVER=" + server.addr}).want(t, 0, "allowed",
		"netpold: warning: --namespace does not go with --server: the server answers from its own state")
	ask([]string{"NETPOLD_SERVER=" + server.addr}, "-n", "shop").
		want(t, 2, "", "--namespace does not go with --server")
	finished := func(namespace string, environ []string, args ...string) {
		t.Helper()
		args = append([]string{"check", namespace + "/done-0", "shop/cart-0", "-p", "80", "--manifests", file},
			args...)
		netpoldWith(t, environ, "", args...).want(t, 2, "", "has finished")
	}
	finished("other", []string{"NETPOLD_NAMESPACE=other"})
	finished("default", []string{"NETPOLD_NAMESPACE=other"}, "-A")
}

// An error in how the command was called has the form that was asked for, wherever -o stands.
func TestWrongCallsAsJSON(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"check", "-o", "json", "--bogus", "a/b", "c/d", "-p", "80"}, "unknown flag --bogus"},
		{[]string{"check", "a/b", "c/d", "-p", "eighty", "-ojson"}, `--port: \"eighty\" is not a port`},
		{[]string{"check", "a/b", "c/d", "-qo=json", "-p"}, "needs a value"},
		{[]string{"check", "--timeout", "soon", "a/b", "c/d", "-p", "80", "--output", "json"}, "--timeout"},
		{[]string{"status", "--srever", "x", "-o", "json"}, "did you mean --server?"},
		{[]string{"version", "--bogus", "--output=json"}, "unknown flag --bogus"},
		{[]string{"chekc", "-o", "json"}, `unknown verb \"chekc\": did you mean \"check\"?`},
		{[]string{"check", "--tls-ca", "", "a/b", "c/d", "-p", "80", "-o", "json"}, "--tls-ca: its value is empty"},
		{[]string{"test", "--bogus", "-o", "json"}, "unknown flag --bogus"},
		{[]string{"test", "-o", "json"}, "no file of assertions"},
	} {
		got := netpold(t, test.args...)
		got.want(t, 2, test.want, "netpold: ")
		if !json.Valid([]byte(got.stdout)) {
			t.Errorf("%q: no JSON:\n%s", test.args, got.stdout)
		}
	}
	netpold(t, "check", "-o", "yaml", "--bogus").want(t, 2, "error:\n  code: 2\n", "unknown flag --bogus")
	netpold(t, "test", "-o", "junit").
		want(t, 2, `<error message="no file of assertions`, "no file of assertions")
	netpold(t, "test", "-o", "github").
		want(t, 2, "::error title=nothing can be tested::no file of assertions", "no file of assertions")
	// Where no form was asked for, or none that there is, or answers are lines, standard output stays empty.
	netpold(t, "check", "--bogus").want(t, 2, "", "unknown flag --bogus")
	netpold(t, "check", "-o", "jsno", "--bogus").want(t, 2, "", "--output")
	netpold(t, "check", "-o", "json", "-f", file, "--bogus").want(t, 2, "", "unknown flag --bogus")
}
