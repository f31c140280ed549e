package cli_test

import (
	"strings"
	"testing"

	"github.com/netpold/netpold/mirror/live"
)

// tokenFor is the token of an object.
func tokenFor(t *testing.T, resource, version string) string {
	t.Helper()
	token, err := live.TokenFor(resource, version)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

const (
	appliedPolicy = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"web","namespace":"shop","resourceVersion":"1"}}
  name: web
  namespace: shop
  resourceVersion: "4711"
spec:
  podSelector: {}
`
	appliedPod  = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-0","namespace":"shop","resourceVersion":"4712"}}`
	appliedList = `
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: shop, resourceVersion: "10"}}
- {apiVersion: v1, kind: Node, metadata: {name: n, resourceVersion: "11"}}
- {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, resourceVersion: "12"}}
- {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-x, namespace: shop, resourceVersion: "13"}}
`
)

// TestTokenOfObjects: the token of objects is that of the newest of each resource.
func TestTokenOfObjects(t *testing.T) {
	policy, pod := tokenFor(t, "networkpolicies", "4711"), tokenFor(t, "pods", "4712")
	all := []string{
		tokenFor(t, "namespaces", "10"), tokenFor(t, "nodes", "11"), tokenFor(t, "services", "12"),
		tokenFor(t, "endpointslices", "13"),
	}
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"one":       {appliedPolicy, []string{policy}},
		"JSON":      {appliedPod, []string{pod}},
		"documents": {appliedPolicy + "---\n" + appliedPod + "\n---\n", []string{policy, pod}},
		"the newest counts": {strings.ReplaceAll(appliedPod, "4712", "999") + "\n---\n" + appliedPod,
			[]string{pod}},
		"list":               {appliedList, all},
		"list and document":  {appliedList + "---" + appliedPolicy, append(all, policy)},
		"a list of one kind": {`{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a","resourceVersion":"4712"}}]}`, []string{pod}},
		"an older version": {strings.Replace(appliedList, "discovery.k8s.io/v1", "discovery.k8s.io/v1beta1",
			1), all},
		"a plain number": {"{apiVersion: v1, kind: Pod, metadata: {name: a, resourceVersion: 4712}}",
			[]string{pod}},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := live.MergeTokens(test.want...)
			if err != nil {
				t.Fatal(err)
			}
			for from, got := range map[string]result{
				"standard input": netpoldWith(t, nil, test.text, "token", "-f", "-"),
				"file":           netpold(t, "token", "-f", writeFile(t, "applied.yaml", test.text)),
				// What is set for other runs does not matter.
				"whatever is set": netpoldWith(t, []string{"NETPOLD_SERVER=127.0.0.1:1"}, test.text, "token", "--file=-"),
			} {
				if got != (result{stdout: want + "\n"}) {
					t.Errorf("%s: %+v, want %s", from, got, want)
				}
			}
		})
	}
}

// Each object that has no token is named, and why.
func TestTokenOfObjectsThatHaveNone(t *testing.T) {
	const six = " plays no part in decisions: leave it out, and give only Pods, Namespaces, NetworkPolicies " +
		"(networking.k8s.io), Nodes, Services and EndpointSlices (discovery.k8s.io)"
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"another kind": {"{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}}",
			[]string{`Deployment "shop/web" of apps/v1` + six}},
		"another group's kind": {"{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: a}}",
			[]string{`NetworkPolicy "a" of projectcalico.org/v3` + six}},
		"a kind of its own": {"{a: b}", []string{`an object without a kind ""` + six}},
		"a manifest": {"{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b}}",
			[]string{`Pod "b/a" of v1 has no metadata.resourceVersion: give it as the API server returned it`}},
		"a version that is none": {
			strings.Replace(appliedPod, "4712", "x", 1),
			[]string{`Pod "shop/web-0" of v1: resource version "x" of pods is none`},
		},
		"two of three": {
			appliedPod + "\n---\n{kind: Secret, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Node, metadata: {name: n}}",
			[]string{`netpold: -f -: Secret "a"`, `netpold: -f -: Node "n"`},
		},
		"nothing":         {"", []string{"there is no object in it: give what 'kubectl apply -o yaml' printed"}},
		"empty documents": {"---\n---\n", []string{"there is no object in it"}},
		"an empty list":   {"{apiVersion: v1, kind: List, items: []}", []string{"there is no object in it"}},
		"what kubectl says": {"networkpolicy.networking.k8s.io/web configured\n",
			[]string{"document 1: not an object: give what 'kubectl apply -o yaml' printed"}},
		"not YAML":      {appliedPod + "\n---\n{", []string{"document 2: neither YAML nor JSON: "}},
		"not an object": {"{metadata: []}", []string{"document 1: not an object: "}},
	} {
		t.Run(name, func(t *testing.T) {
			got := netpoldWith(t, nil, test.text, "token", "-f", "-")
			for _, want := range test.want {
				got.want(t, 2, "", want)
			}
			for line := range strings.Lines(got.stderr) {
				if !strings.HasPrefix(line, "netpold: -f -: ") {
					t.Errorf("line %q does not say where", line)
				}
			}
		})
	}
}

func TestTokenCalledWrongly(t *testing.T) {
	file := writeFile(t, "applied.yaml", appliedPolicy)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"a word": {[]string{"x"},
			`netpold: "x": token takes no words, only flags; see 'netpold token --help'`},
		"no file": {[]string{"-f", ""},
			"netpold: -f needs a file, or - for standard input; see 'netpold token --help'"},
		"unreadable": {[]string{"-f", "/nowhere/f"},
			"netpold: -f: open /nowhere/f: no such file or directory: give a file that can be read"},
		"a directory": {[]string{"-f", t.TempDir()}, "is a directory"},
		"file and server": {[]string{"-f", file, "--server=x:1"},
			"netpold: -f and --server exclude each other: leave one of them out"},
		"file and state": {[]string{"-f", file, "--context=x"},
			"netpold: -f and --context exclude each other: leave one of them out"},
		"no such server": {[]string{"--server=127.0.0.1:1", "--timeout=20s"},
			"netpold: --server 127.0.0.1:1: cannot be asked"},
		"no manifests": {[]string{"--manifests=/nowhere/m"}, "/nowhere/m"},
	} {
		t.Run(name, func(t *testing.T) {
			netpold(t, append([]string{"token"}, test.args...)...).want(t, 2, "", test.want)
		})
	}
}

// TestTokenOfManifests: a server of the same files knows it.
func TestTokenOfManifests(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	token := netpold(t, "token", "--manifests", file)
	token.want(t, 0, "\n", "")
	i := serve(t, "--manifests", file)
	netpold(t, asked(i, "--at-least", strings.TrimSpace(token.stdout))...).want(t, 1, "denied", "")
	other := netpold(t, "token", "--manifests", writeFile(t, "cluster.yaml", cluster+"---"+openCart))
	netpold(t, asked(i, "--at-least", strings.TrimSpace(other.stdout))...).
		want(t, 2, "", "netpold: --at-least: the token is of another source")
}

// TestCheckNeedsATokenThatIsOne: what was to print it may have failed.
func TestCheckNeedsATokenThatIsOne(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	question := []string{"check", "--manifests", file, "shop/web-0", "shop/cart-0", "-p", "8080", "--at-least"}
	netpold(t, append(question, "")...).
		want(t, 2, "", "netpold: --at-least needs a token: did what was to print it fail?; see 'netpold check --help'\n")
	netpold(t, append(question, "x")...).want(t, 2, "", "netpold: --at-least: is not a token of netpold")
}

// FuzzTokenOfObjects: whatever is given, there is a token that can be asked with, or an error.
func FuzzTokenOfObjects(f *testing.F) {
	for _, text := range []string{appliedPolicy, appliedPod, appliedList, appliedList + "---" + appliedPolicy,
		"", "x", "{", "&a [*a]", "{<<: {kind: Pod}}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := netpoldWith(t, nil, text, "token", "-f", "-")
		switch token := strings.TrimSuffix(got.stdout, "\n"); {
		case got.code == 0:
			if merged, err := live.MergeTokens(token); err != nil || merged != token || got.stderr != "" {
				t.Errorf("token %q is %q (%v); %s", token, merged, err, got.stderr)
			}
		case got.code != 2 || got.stdout != "" || !strings.HasPrefix(got.stderr, "netpold: -f -: "):
			t.Errorf("%+v", got)
		}
	})
}
