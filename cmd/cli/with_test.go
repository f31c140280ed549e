package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// closing denies other-0 all ingress, and lets web-0 send to other-0, on the small cluster.
const closing = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: other, namespace: shop}
spec: {podSelector: {matchLabels: {app: other}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: elsewhere, namespace: shop}
`

// relabelled makes web-0 a cart, so that policies of both apply.
const relabelled = `
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: cart}}
spec: {containers: [{name: c, ports: [{name: http, containerPort: 8081}]}]}
`

// TestWithAnswersInTheChangedState proves A4 from the command: check, check -f, list and lint answer as the
// cluster with the files applied does, with files and with a server, in the same bytes.
func TestWithAnswersInTheChangedState(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	base, policies, pod := write("cluster.yaml", cluster), write("closing.yaml", closing), write("pod.yaml", relabelled)
	questions := write("questions", `{"src":{"pod":{"namespace":"shop","name":"web-0"}},"dst":{"ip":"10.0.0.3"},"port":80}
{"src":{"pod":{"namespace":"shop","name":"web-0"}},"dst":{"pod":{"namespace":"shop","name":"web-0"}},"port":80}
{"src":{"pod":{"namespace":"shop","name":"gone"}},"dst":{"ip":"10.0.0.3"},"port":80}
`)
	server := serve(t, "--manifests="+base)
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"denied": {[]string{"check", "shop/web-0", "shop/other-0", "-p80", "--with=" + policies}, 1,
			[]string{"denied   shop/web-0 -> shop/other-0 80/TCP\n", "policy shop/other isolates the destination"}},
		"S2 to itself": {[]string{"check", "shop/other-0", "10.0.0.3", "-p80", "--with=" + policies}, 0,
			[]string{"a Pod may always reach itself"}},
		"S3 its Node": {[]string{"check", "192.0.2.1", "shop/other-0", "-p80", "--with=" + policies}, 0,
			[]string{"a Pod and the Node it runs on may always reach each other"}},
		"two files": {[]string{"check", "shop/web-0", "shop/cart-0", "-p8080", "--with", policies, "--with", pod}, 1,
			[]string{"shop/cart\n", "2 policies isolate the destination"}},
		"a directory":       {[]string{"check", "shop/web-0", "svc/shop/cart", "-p80", "--with", dir}, 1, []string{"denied"}},
		"an error of S28":   {[]string{"check", "shop/web-1", "shop/cart-0", "-p80", "--with", pod}, 2, nil},
		"check as JSON":     {[]string{"check", "shop/web-0", "shop/other-0", "-p80", "-ojson", "--with", policies}, 1, []string{`"reason": "REASON_DENIED_AT_INGRESS"`}},
		"explained":         {[]string{"check", "shop/web-0", "shop/other-0", "-p80", "--explain", "--with", policies}, 1, []string{"ingress: isolated by shop/other; there are no rules"}},
		"explained lines":   {[]string{"check", "--explain", "-f", questions, "--with", policies}, 2, []string{"ingress: isolated by shop/other", "ERROR line 3: src: Pod \"shop/gone\" is not known"}},
		"lines":             {[]string{"check", "-f", questions, "--with", policies}, 2, []string{`"reason":"REASON_DENIED_AT_INGRESS"`, `"reason":"REASON_SELF"`, `"message":"src: Pod \"shop/gone\" is not known`}},
		"list":              {[]string{"list", "--with", policies, "--dst=cluster"}, 0, []string{"shop/web-0    shop/cart-0  TCP 8080\n", "not isolated for ingress: shop/web-0\n"}},
		"list as JSON":      {[]string{"list", "--with", policies, "-ojson"}, 0, []string{`"overlaid":true`, `"networkPolicies":4`}},
		"lint":              {[]string{"lint", "--with", policies, "--code=not-isolated", "--fail-on=none"}, 0, []string{"shop/cart-0"}},
		"lint as JSON":      {[]string{"lint", "--with", policies, "-ojson", "--fail-on=none"}, 0, []string{`"overlaid":true`}},
		"lint of the named": {[]string{"lint", "--with", pod, "--code=port-name-unknown"}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			local := netpold(t, append(test.args, "--manifests="+base)...)
			remote := netpold(t, append(test.args, "--server="+server.addr)...)
			for _, got := range []result{local, remote} {
				if got.code != test.code {
					t.Errorf("exit code %d, want %d: %s%s", got.code, test.code, got.stdout, got.stderr)
				}
				for _, want := range test.want {
					if !strings.Contains(got.stdout, want) {
						t.Errorf("got %s%swant in it %s", got.stdout, got.stderr, want)
					}
				}
			}
			if diff := cmp.Diff(varying.ReplaceAllString(local.stdout, ""), varying.ReplaceAllString(remote.stdout, "")); diff != "" {
				t.Errorf("-files +server:\n%s", diff)
			}
		})
	}
	// What is asked without changes is answered without them.
	netpold(t, "check", "shop/cart-0", "shop/other-0", "-p80", "--server="+server.addr).want(t, 0, "allowed", "")
}

// TestWithTellsWhatPlaysNoPart proves that nothing of the files is lost without a word, with files and with a
// server.
func TestWithTellsWhatPlaysNoPart(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"closing.yaml": closing, "values.yaml": "replicas: 3\n", "notes.txt.tmpl": "x",
		"odd.yaml": "apiVersion: v1\nkind: Node\nmetadata: {name: node-1, namespace: shop}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	base := writeFile(t, "cluster.yaml", cluster)
	server := serve(t, "--manifests="+base)
	for _, state := range []string{"--manifests=" + base, "--server=" + server.addr} {
		for _, verb := range [][]string{{"list"}, {"lint", "--fail-on=none"}, {"check", "shop/web-0", "shop/cart-0", "-p8080"}} {
			got := netpold(t, append(verb, state, "--with", dir)...)
			for _, want := range []string{
				"netpold: --with: these kinds play no part: 1 ConfigMap\n",
				"netpold: note: --with: 2 files were left out: it holds no Kubernetes object: " + filepath.Join(dir, "values.yaml"),
				"netpold: --with: warning: CiliumNetworkPolicy.cilium.io (1) decides traffic too, and netpold does not model it",
				"netpold: " + filepath.Join(dir, "odd.yaml") + ", document 1: warning: Node \"node-1\": metadata.namespace: \"shop\" plays no part",
			} {
				if got.code != 0 || strings.Count(got.stderr, want) != 1 {
					t.Errorf("%s %s: exit code %d, %s\nwant once %s", verb[0], state, got.code, got.stderr, want)
				}
			}
			if quiet := netpold(t, append(verb, state, "-q", "--with", dir)...); quiet.stderr != "" {
				t.Errorf("%s %s -q: %s", verb[0], state, quiet.stderr)
			}
		}
	}
}

// TestWrongWith proves that every problem of every file is listed with its place, that the exit code is 2, and
// that nothing is answered then.
func TestWrongWith(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, broken := write("good.yaml", closing), write("broken.yaml", brokenPolicies)
	crowd := write("crowd.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\n"+
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: x}\nspec: {replicas: 20000, template: {}}\n")
	fold := write("kustom/kustomization.yaml", "resources: [../elsewhere]\n")
	write("kustom/good.yaml", closing)
	chart := write("chart/Chart.yaml", "name: shop\nversion: 1.0.0\n")
	empty := write("empty.yaml", "# nothing\n")
	maps := write("maps.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
	binary := write("binary.yaml", "a: \"\xff\xfe\xfd\"\n")
	large := write("large.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n# "+strings.Repeat("x", 4<<20)+"\n")
	base := write("base.yaml", cluster)
	question := write("question", `{"src":{"ip":"10.0.0.1"},"dst":{"ip":"10.0.0.3"},"port":80}`+"\n")
	server := serve(t, "--manifests="+base)
	for name, test := range map[string]struct {
		with []string
		want []string
	}{
		"a broken policy among good ones": {[]string{good, broken}, []string{
			broken + ", document 1: NetworkPolicy \"shop/broken\": spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.0/33\"",
			broken + ", document 1: NetworkPolicy \"shop/broken\": spec.ingress[0].ports[0].port: Invalid value: 0",
			broken + ", document 2: NetworkPolicy \"shop/worse\"",
			"netpold: --with " + good + ", " + broken + ": 3 problems: mend what is listed above; nothing is answered from part of the changes",
		}},
		"what does not fit the state": {[]string{good, crowd}, []string{
			"netpold: " + crowd + ", document 2: Deployment \"x/a\": spec.replicas: Invalid value: 20000: must be between 0 and 10000"}},
		"a kustomization": {[]string{filepath.Dir(fold)}, []string{fold + ", document 1: lists \"../elsewhere\", which is not among the files"}},
		"a chart":         {[]string{filepath.Dir(chart)}, []string{"--with " + filepath.Dir(chart)}},
		"nothing":         {[]string{empty}, []string{"--with " + empty + ": no object that plays a part in decisions; nothing but empty documents was read"}},
		"other kinds":     {[]string{maps}, []string{"no object that plays a part in decisions; only these kinds were read: ConfigMap"}},
		"no such file":    {[]string{dir + "/gone.yaml"}, []string{"--with " + dir + "/gone.yaml: no such file or directory: name a file or directory that exists"}},
		"no text":         {[]string{binary}, []string{binary + ": is not UTF-8: write it as UTF-8"}},
		"an empty value":  {[]string{""}, []string{"--with: \"\" is no path: give a file, a directory, or - for standard input"}},
		"too much":        {[]string{large}, []string{"--with " + large + ": 41943", "are more than the 4194304 that one request takes"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, state := range []string{"--manifests=" + base, "--server=" + server.addr} {
				for _, verb := range [][]string{
					{"list"}, {"list", "-ojson"}, {"lint"}, {"check", "shop/web-0", "shop/cart-0", "-p1"}, {"check", "-f", question},
					{"check", "shop/web-0", "shop/cart-0", "-p1", "--explain"}, {"check", "-f", question, "--explain"},
				} {
					args := append(verb, state)
					for _, path := range test.with {
						args = append(args, "--with", path)
					}
					got := netpold(t, args...)
					if got.code != 2 || got.stdout != "" && !strings.HasPrefix(got.stdout, `{"error":`) {
						t.Errorf("%q: exit code %d, %s", verb, got.code, got.stdout)
					}
					for _, want := range test.want {
						if !strings.Contains(got.stderr, want) {
							t.Errorf("%q: got %s\nwant in it %s", verb, got.stderr, want)
						}
					}
				}
			}
		})
	}
}

// TestWithStandardInput proves that - is standard input, which only one flag can read.
func TestWithStandardInput(t *testing.T) {
	base := writeFile(t, "cluster.yaml", cluster)
	netpoldWith(t, nil, closing, "check", "-q", "--manifests", base, "--with=-", "shop/web-0", "shop/other-0", "-p80").
		want(t, 1, "denied", "")
	netpoldWith(t, nil, closing, "list", "--manifests=-", "--with=-").
		want(t, 2, "", "--manifests - and --with - exclude each other: standard input can be read once")
	netpoldWith(t, nil, closing, "check", "--manifests", base, "--with=-", "-f-").
		want(t, 2, "", "--with - and -f - exclude each other: standard input can be read once")
}

// TestWithPassesNoSecretOn proves that a report, which people send around, has nothing of the files of --with,
// and that a request has no content of what plays no part: one request could not take this Secret.
func TestWithPassesNoSecretOn(t *testing.T) {
	base := writeFile(t, "cluster.yaml", cluster)
	server := serve(t, "--manifests="+base)
	secret := writeFile(t, "secret.yaml", relabelled+"---\napiVersion: v1\nkind: Secret\n"+
		"metadata: {name: s, namespace: shop}\nstringData: {password: "+strings.Repeat("hunter2-", 5<<17)+"}\n")
	for _, state := range []string{"--manifests=" + base, "--server=" + server.addr} {
		got := netpold(t, "list", "-ohtml", "--with", secret, state)
		if got.code != 0 || !strings.Contains(got.stdout, "</html>") || !strings.Contains(got.stdout, `"overlaid":true`) {
			t.Errorf("%s: exit code %d, %d bytes: %s", state, got.code, len(got.stdout), got.stderr)
		}
		for _, hidden := range []string{"hunter2", "containerPort"} {
			if strings.Contains(got.stdout, hidden) {
				t.Errorf("%s: the report has %s", state, hidden)
			}
		}
		if want := "netpold: --with: these kinds play no part: 1 Secret\n"; !strings.Contains(got.stderr, want) {
			t.Errorf("%s: stderr %s, want %s", state, got.stderr, want)
		}
	}
}
