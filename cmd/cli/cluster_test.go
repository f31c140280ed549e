package cli_test

import (
	"net/http"
	"strings"
	"testing"
)

// openCart is a policy by which other-0 may reach cart-0.
const openCart = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: open, namespace: shop}
spec: {podSelector: {matchLabels: {app: cart}}, ingress: [{}]}
`

func asked(i *instance, args ...string) []string {
	return append([]string{"check", "--server", i.addr, "shop/other-0", "shop/cart-0", "-p", "8080"}, args...)
}

// TestServeCluster serves a running cluster, and keeps up with it: who asks with the token of what was
// applied is sure of it.
func TestServeCluster(t *testing.T) {
	api := startAPIServer(t, cluster)
	i := serve(t, "--kubeconfig", api.kubeconfig(t), "--log-format=text")
	text := i.log.String()
	for _, want := range []string{
		" serves cluster " + api.front.URL + "\n", "# It answers nothing before the cluster is read whole.\n",
		"\nnetpold status --server " + i.addr + "\n", "no question is answered before it is read whole",
		"max_staleness=3m0s when_stale=answer",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not announced:\n%s", want, text)
		}
	}
	i.log.awaitText(t, func(text string) bool { return strings.Contains(text, "msg=ready") })
	netpold(t, asked(i)...).want(t, 1, "denied   shop/other-0 -> shop/cart-0 8080/TCP", "")
	netpold(t, "status", "--server", i.addr).want(t, 0, "cluster "+api.front.URL, "")
	netpold(t, "healthcheck", "--server", i.addr, "--service", "netpold.v1.DecisionService").want(t, 0, "", "")

	printed := api.apply(t, openCart)
	token := netpoldWith(t, nil, printed, "token", "-f", "-")
	token.want(t, 0, "\n", "")
	netpold(t, asked(i, "--at-least", strings.TrimSpace(token.stdout))...).
		want(t, 0, "allowed  shop/other-0", "")
	// The same of lines: their batch waits.
	printed = api.apply(t, strings.Replace(openCart, "ingress: [{}]", "policyTypes: [Ingress]", 1))
	token = netpoldWith(t, nil, printed, "token", "-f", "-")
	const line = `{"src":{"pod":{"namespace":"shop","name":"other-0"}},"dst":{"pod":{"namespace":"shop","name":"cart-0"}},"port":8080}`
	got := netpoldWith(t, nil, line, "check", "--server", i.addr, "-f", "-", "--at-least",
		strings.TrimSpace(token.stdout))
	got.want(t, 0, `"allowed":false`, "")

	present := netpold(t, "token", "--server", i.addr)
	present.want(t, 0, "\n", "")
	netpold(t, asked(i, "--at-least", strings.TrimSpace(present.stdout))...).want(t, 1, "denied", "")
	// That of the cluster itself is at least as new.
	// by short lists, for a sync would be told of
	present = netpold(t, "token", "--kubeconfig", api.kubeconfig(t))
	if present.stderr != "" {
		t.Errorf("token of a cluster says %q", present.stderr)
	}
	if present.code != 0 {
		t.Fatalf("token: %s", present.stderr)
	}
	netpold(t, asked(i, "--at-least", strings.TrimSpace(present.stdout))...).want(t, 1, "denied", "")
}

// A token that is not reached in time says what lags.
func TestAtLeastNamesWhatLags(t *testing.T) {
	api := startAPIServer(t, cluster)
	future := netpoldWith(t, nil, strings.ReplaceAll(api.apply(t, openCart), `resourceVersion: "1`,
		`resourceVersion: "91`), "token", "-f", "-")
	future.want(t, 0, "\n", "")
	got := netpold(t, "check", "--kubeconfig", api.kubeconfig(t), "--timeout=300ms", "--at-least",
		strings.TrimSpace(future.stdout),
		"shop/other-0", "shop/cart-0", "-p", "8080")
	got.want(t, 2, "", "netpold: --at-least: of the server's snapshot, networkpolicies is still older than the token")
}

// TestServeClusterThatMayNotBeRead (S26): nothing is answered before every resource is read, what is missing
// is said with what to do, and it is served as soon as it can be.
func TestServeClusterThatMayNotBeRead(t *testing.T) {
	api := startAPIServer(t, cluster)
	api.refuse(http.StatusForbidden, "NetworkPolicy")
	i := serve(t, "--kubeconfig", api.kubeconfig(t))
	record := i.log.await(t, "the cluster is being read; no question is answered before it is read whole")
	if record["source"] != "cluster "+api.front.URL {
		t.Errorf("%v", record)
	}
	const remedy = "list and watch on networkpolicies.networking.k8s.io"
	i.log.awaitText(t, func(text string) bool { return strings.Contains(text, remedy) })
	netpold(t, asked(i)...).want(t, 2, "", "netpold: the first full sync of the cluster's state is not complete")
	netpold(t, "status", "--server", i.addr).want(t, 0, remedy, "")
	netpold(t, "token", "--server", i.addr).want(t, 2, "", "netpold: --server "+i.addr+": it has no state yet")
	netpold(t, "healthcheck", "--server", i.addr).
		want(t, 1, "", "netpold: --server "+i.addr+": the server is NOT_SERVING; ")
	netpold(t, "healthcheck", "--server", i.addr, "--service=netpold.v1.StatusService").
		want(t, 1, "", "netpold.v1.StatusService is NOT_SERVING")
	api.refuse(0, "NetworkPolicy")
	i.log.await(t, "ready")
	netpold(t, asked(i)...).want(t, 1, "denied", "")
}

// A server that is told to end in the middle of a sync ends.
func TestServeEndsDuringTheSync(t *testing.T) {
	api := startAPIServer(t, cluster)
	api.hang()
	i := serve(t, "--kubeconfig", api.kubeconfig(t))
	i.end(t, 0)
}

// TestServeStaleCluster: the API server goes away for longer than --max-staleness.
func TestServeStaleCluster(t *testing.T) {
	api := startAPIServer(t, cluster)
	config := api.kubeconfig(t)
	answers := serve(t, "--kubeconfig", config, "--max-staleness=300ms")
	denies := serve(t, "--kubeconfig", config, "--max-staleness=300ms", "--when-stale=deny")
	for _, i := range []*instance{answers, denies} {
		i.log.await(t, "ready")
	}
	api.front.CloseClientConnections()
	api.front.Close()
	for _, i := range []*instance{answers, denies} {
		i.log.awaitText(t, func(text string) bool {
			return strings.LastIndex(text, "the cluster's state is stale") >
				strings.LastIndex(text, "the cluster's state is current again")
		})
		netpold(t, "healthcheck", "--server", i.addr).want(t, 1, "", "the server is NOT_SERVING")
		netpold(t, "healthcheck", "--server", i.addr, "--service=netpold.v1.DecisionService").
			want(t, 1, "", "netpold.v1.DecisionService is NOT_SERVING")
		netpold(t, "status", "--server", i.addr).want(t, 0, "(stale)", "")
	}
	netpold(t, asked(answers)...).want(t, 1,
		"  stale:    the server has not heard of the cluster for too long", "")
	netpold(t, asked(denies)...).want(t, 2, "",
		"netpold: the cluster's state is stale, and the server refuses to answer from it (--when-stale=deny): nothing was heard of pods (")
}

// TestCheckCluster reads a cluster once: that of the flags, or the one that kubectl would ask.
func TestCheckCluster(t *testing.T) {
	api := startAPIServer(t, cluster)
	config := api.kubeconfig(t)
	question := []string{"check", "shop/other-0", "shop/cart-0", "-p", "8080"}
	for name, test := range map[string]struct {
		args, env  []string
		kubeconfig string
	}{
		"flag": {args: []string{"--kubeconfig", config}},
		"flag over another's env": {args: []string{"--kubeconfig", config},
			env: []string{"NETPOLD_SERVER=127.0.0.1:1", "NETPOLD_MANIFESTS=/nowhere"}},
		"env":       {env: []string{"NETPOLD_KUBECONFIG=" + config}},
		"kubectl's": {kubeconfig: config},
		"context":   {args: []string{"--context=here"}, kubeconfig: config},
	} {
		t.Run(name, func(t *testing.T) {
			if test.kubeconfig != "" {
				t.Setenv("KUBECONFIG", test.kubeconfig)
			}
			got := netpoldWith(t, test.env, "", append(question, test.args...)...)
			got.want(t, 1, "denied   shop/other-0 -> shop/cart-0 8080/TCP",
				"netpold: reading cluster "+api.front.URL+"\n")
		})
	}
}

// TestCheckWaitsInACluster: a token of what was applied a moment ago is waited for there, too.
func TestCheckWaitsInACluster(t *testing.T) {
	api := startAPIServer(t, cluster)
	config := api.kubeconfig(t)
	token := netpoldWith(t, nil, api.apply(t, openCart), "token", "-f", "-")
	got := netpold(t, "check", "--kubeconfig", config, "--at-least", strings.TrimSpace(token.stdout),
		"shop/other-0", "shop/cart-0", "-p", "8080")
	got.want(t, 0, "allowed", "reading cluster")
}

// TestCheckClusterShowsProblems (S23): what the API server would not take any more is told, and matches
// nothing.
func TestCheckClusterShowsProblems(t *testing.T) {
	api := startAPIServer(t, cluster)
	api.apply(t, brokenPolicies)
	got := netpold(t, "check", "--kubeconfig", api.kubeconfig(t), "shop/web-0", "shop/cart-0", "-p", "8080")
	got.want(t, 0, "allowed", `NetworkPolicy "shop/broken": spec.ingress[0].from[0].ipBlock.cidr`)
}

// TestCheckClusterThatMayNotBeRead: it does not wait for ever, and lists all that is missing.
func TestCheckClusterThatMayNotBeRead(t *testing.T) {
	api := startAPIServer(t, cluster)
	api.refuse(http.StatusForbidden, "Pod", "EndpointSlice")
	config := api.kubeconfig(t)
	for _, verb := range [][]string{{"check", "shop/other-0", "shop/cart-0", "-p", "8080"}, {"token"}} {
		got := netpold(t, append(verb, "--kubeconfig", config, "--timeout=500ms")...)
		got.want(t, 2, "", "cannot list")
		for _, resource := range []string{"pods", "endpointslices.discovery.k8s.io"} {
			if !strings.Contains(got.stderr, `resource "`+resource+`"`) {
				t.Errorf("%s: %s is not listed:\n%s", verb[0], resource, got.stderr)
			}
		}
	}
}

// TestRightsInOneNamespace: what needs the whole cluster fails at once, however long --timeout is, and says
// what works. With -n the namespace alone is mirrored, by check, token and serve, and answers say that they
// see no more.
func TestRightsInOneNamespace(t *testing.T) {
	api := startAPIServer(t, cluster)
	api.allowOnly("shop")
	config := api.kubeconfig(t)
	question := []string{"shop/other-0", "shop/cart-0", "-p", "8080"}
	check := append([]string{"check", "--kubeconfig", config, "--timeout=1h"}, question...)
	got := netpold(t, check...)
	got.want(t, 2, "", "netpold: with rights in one namespace: netpold check --kubeconfig "+config+
		" -n NAMESPACE ..., or kubectl "+
		"--kubeconfig "+config+" get -n NAMESPACE pods,networkpolicies,services,endpointslices -o yaml | netpold check --manifests - ...")
	got.want(t, 2, "", `resource "pods"`)

	const partial = "note: only namespace shop is seen"
	netpold(t, append(check, "-n", "shop")...).want(t, 1, "denied   shop/other-0 -> shop/cart-0", partial)
	netpold(t, append(check, "--namespace=other")...).
		want(t, 2, "", `"pods": grant verbs list and watch on pods to the user "jane", in namespace other`)
	netpold(t, append(check, "--namespace=other")...).
		want(t, 2, "", "netpold: without these rights, ask whoever has them for what this prints: kubectl")
	token := netpold(t, "token", "--kubeconfig", config, "-n", "shop")
	token.want(t, 0, "\n", "")
	netpold(t, append(check, "-n", "shop", "--at-least", strings.TrimSpace(token.stdout))...).
		want(t, 1, "denied", partial)

	i := serve(t, "--kubeconfig", config, "--namespace=shop")
	i.log.await(t, "ready")
	netpold(t, asked(i)...).want(t, 1, "denied", partial)
	applied := netpoldWith(t, nil, api.apply(t, openCart), "token", "-f", "-")
	netpold(t, asked(i, "--at-least", strings.TrimSpace(applied.stdout))...).want(t, 0, "allowed", partial)
}

// TestCheckWithWrongCredentials: they do not become right by waiting.
func TestCheckWithWrongCredentials(t *testing.T) {
	api := startAPIServer(t, cluster)
	for kind := range resourcePaths() {
		api.refuse(http.StatusUnauthorized, kind)
	}
	got := netpold(t, "check", "--kubeconfig", api.kubeconfig(t), "--timeout=1h", "shop/other-0", "shop/cart-0",
		"-p", "8080")
	for _, got := range []result{got, netpold(t, "token", "--kubeconfig", api.kubeconfig(t))} {
		got.want(t, 2, "", "the API server does not accept the credentials (401): renew the token or client certificate")
		if strings.Contains(got.stderr, "kubectl get") || strings.Contains(got.stderr, "resource") ||
			strings.Count(got.stderr, "401") != 1 {
			t.Errorf("rights are spoken of, or the same several times:\n%s", got.stderr)
		}
	}
}

// TestCheckOfAClusterIsStopped: whoever waits for a cluster can stop it.
func TestCheckOfAClusterIsStopped(t *testing.T) {
	api := startAPIServer(t, cluster)
	api.hang()
	stopped := startRun(t, "check", "--kubeconfig", api.kubeconfig(t), "shop/other-0", "shop/cart-0", "-p",
		"8080")
	stopped.log.awaitText(t, func(text string) bool { return strings.Contains(text, "reading cluster") })
	stopped.end(t, 2)
	if !strings.Contains(stopped.log.String(), "stopped before it was read whole: context canceled") {
		t.Errorf("%s", stopped.log)
	}
}

// TestNoCluster: where there is nothing to ask, what there is to choose from is said.
func TestNoCluster(t *testing.T) {
	config := startAPIServer(t, cluster).kubeconfig(t)
	const choices = "netpold: nowhere to take the cluster's state from: give --manifests PATH ("
	for name, test := range map[string]struct {
		args []string
		kube string
		want []string
	}{
		"check": {args: []string{"check", "a/b", "c/d", "-p", "1"},
			want: []string{choices, "--server HOST:PORT", "--kubeconfig FILE", "in a Pod"}},
		"token": {args: []string{"token"},
			want: []string{choices, "--server HOST:PORT", "--kubeconfig FILE", "in a Pod"}},
		"serve": {args: []string{"serve"},
			want: []string{choices, "--kubeconfig FILE", "in a Pod"}},
		"no such file": {args: []string{"serve", "--kubeconfig=/nowhere/k"},
			want: []string{"netpold: --kubeconfig /nowhere/k: ", "no such file",
				": give a kubeconfig file and one of its contexts"}},
		"no such context": {args: []string{"serve", "--kubeconfig", config, "--context=x"},
			want: []string{", --context x: ", `context "x" does not exist`}},
		"kubectl's is broken": {args: []string{"serve"}, kube: "clusters: x\n",
			want: []string{"nowhere to take the cluster's state from: ", "; mend that, or give --manifests PATH"}},
		"two places": {args: []string{"serve", "--manifests=x", "--kubeconfig=y"},
			want: []string{"--manifests and --kubeconfig exclude each other: leave all but one out"}},
		"two places, of three": {args: []string{"token", "--server=x:1", "--context=y"},
			want: []string{"--server and --context exclude each other: leave all but one out"}},
		"negative staleness": {args: []string{"serve", "--kubeconfig", config, "--max-staleness=-1s"},
			want: []string{"--max-staleness: \"-1s\" is below 0s: give 0s or more"}},
		"neither answer nor deny": {args: []string{"serve", "--kubeconfig", config, "--when-stale=x"},
			want: []string{`--when-stale: "x" is none of its values: give answer or deny`}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.kube != "" {
				t.Setenv("KUBECONFIG", writeFile(t, "kubeconfig", test.kube))
			}
			got := netpold(t, test.args...)
			for _, want := range test.want {
				got.want(t, 2, "", want)
			}
		})
	}
}
