package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/netpold/netpold/cmd/cli"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/server/servertest"
)

const (
	shop           = "../../examples/shop"
	shopAssertions = shop + "-assertions.txt"
)

// The example's own assertions hold.
func TestTestOfTheShop(t *testing.T) {
	got := netpold(t, "test", shopAssertions, "--manifests", shop)
	got.want(t, 0, "all 24 assertions hold\n", "")
	got = netpold(t, "test", "-v", shopAssertions, "--manifests", shop)
	got.want(t, 0, "ok     "+shopAssertions+
		":12: deploy/payments/gateway -> svc/payments/ledger 5432/TCP = allowed\n", "")
}

// assertions has one that holds, one that does not, and one of several ports of which one is as claimed.
const assertions = `
shop/web-0 -> svc/shop/cart 80 = allowed
shop/other-0 -> shop/cart-0 8080 = allowed
shop/web-0 -> shop/cart-0 8080,81 = denied by shop/cart
`

func TestTestFails(t *testing.T) {
	cluster, file := writeFile(t, "cluster.yaml", cluster), writeFile(t, "a.txt", assertions)
	got := netpold(t, "test", file, "--manifests", cluster)
	want := `FAIL   a.txt:3: shop/other-0 -> shop/cart-0 8080/TCP = allowed
  8080/TCP is denied
    denied   shop/other-0 -> shop/cart-0 8080/TCP
      from:     shop/other-0, a Pod on Node node-1, 10.0.0.3
      to:       shop/cart-0, a Pod on Node node-1, 10.0.0.2
      egress:   allowed: no policy isolates the source
      ingress:  denied: 2 policies isolate the destination, and no rule of theirs matches
                shop/cart
                shop/default-deny
      revision: 1
FAIL   a.txt:4: shop/web-0 -> shop/cart-0 8080/TCP,81/TCP = denied by shop/cart
  8080/TCP is allowed
    allowed  shop/web-0 -> shop/cart-0 8080/TCP
`
	shown := strings.ReplaceAll(got.stdout, file, "a.txt")
	if !strings.Contains(withoutDetails(shown), withoutDetails(want)) {
		t.Errorf("stdout is\n%s\nwant in it\n%s", got.stdout, want)
	}
	got.want(t, 1, "\n1 of 3 assertions hold, 2 do not\n", "")
	server := serve(t, "--manifests", cluster)
	over := netpold(t, "test", file, "--server", server.addr)
	over.want(t, 1, "\n1 of 3 assertions hold, 2 do not\n", "")
}

// withoutDetails drops the lines that tell of the ends and the state.
func withoutDetails(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "from:", "to:", "revision:":
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

// assertEach runs each assertion by itself on manifests, and wants the output beside it. Those that hold exit with 0.
func assertEach(t *testing.T, manifests string, outputs map[string]string) {
	t.Helper()
	for line, want := range outputs {
		got := netpold(t, "test", writeFile(t, "a.txt", line), "--manifests", manifests)
		code := 1
		if strings.HasPrefix(want, "1 assertion") {
			code = 0
		}
		got.want(t, code, want, "")
	}
}

// "denied by" names a policy that isolates the side that denies.
func TestTestDeniedBy(t *testing.T) {
	cluster := writeFile(t, "cluster.yaml", cluster)
	assertEach(t, cluster, map[string]string{
		"shop/other-0 -> shop/cart-0 8080 = denied by shop/default-deny": "1 assertion holds",
		"shop/other-0 -> shop/cart-0 8080 = denied by shop/cart":         "1 assertion holds",
		"shop/other-0 -> shop/cart-0 8080 = denied by shop/web":          "8080/TCP is denied by shop/cart, shop/default-deny\n",
		"shop/web-0 -> shop/other-0 80 = denied by shop/web":             "1 assertion holds",
		"shop/web-0 -> shop/other-0 80 = denied by shop/default-deny":    "80/TCP is denied by shop/web\n",
	})
}

// S50: "denied by" names the cluster-wide policy whose rule denies, by its kind.
func TestTestDeniedByClusterPolicy(t *testing.T) {
	cluster := writeFile(t, "cluster.yaml", cluster+`
---
apiVersion: policy.networking.k8s.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: no-web}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {}}
  ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 8080}}}]}]
  egress: [{action: Deny, to: [{networks: [192.0.2.7/32]}]}]
`)
	assertEach(t, cluster, map[string]string{
		"shop/other-0 -> shop/cart-0 8080 = denied by ClusterNetworkPolicy/no-web": "1 assertion holds",
		"shop/other-0 -> shop/cart-0 8080 = denied by shop/default-deny":           "8080/TCP is denied by ClusterNetworkPolicy/no-web\n",
		"shop/other-0 -> shop/cart-0 81 = denied by ClusterNetworkPolicy/no-web":   "81/TCP is denied by shop/cart, shop/default-deny\n",
		"shop/cart-0 -> any 443 = allowed":                                         "443/TCP is denied to 192.0.2.7, though as claimed to ",
	})
}

// any is all addresses outside, exactly: one that is otherwise is found, however small its block.
func TestTestAny(t *testing.T) {
	const policies = `
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: world, namespace: shop}
spec:
  podSelector: {matchLabels: {app: other}}
  ingress:
  - from: [{ipBlock: {cidr: 0.0.0.0/0, except: [198.51.100.7/32]}}]
    ports: [{port: 80}]
  - from: [{ipBlock: {cidr: 0.0.0.0/0}}]
    ports: [{port: 81}]
  - from: [{ipBlock: {cidr: 10.0.0.0/30}}]
    ports: [{port: 82}]
`
	file := writeFile(t, "cluster.yaml", cluster+policies)
	assertEach(t, file, map[string]string{
		"any -> shop/other-0 80 = allowed": "80/TCP is denied from 198.51.100.7, though as claimed from ",
		"any -> shop/other-0 80 = denied":  "80/TCP is allowed from ",
		"any -> shop/other-0 81 = allowed": "1 assertion holds", // its one family is IPv4
		"any -> shop/other-0 82 = denied":  "82/TCP is allowed from 10.0.0.0, though",
		"any -> shop/other-0 83 = denied":  "1 assertion holds",
		"shop/web-0 -> any 443 = denied":   "443/TCP is allowed to 203.0.113.1, though as claimed to ",
		"shop/cart-0 -> any 443 = allowed": "1 assertion holds",
		"any -> shop/cart-0 8080 = denied": "1 assertion holds",
		"any -> svc/shop/cart 80 = denied": "1 assertion holds",
		// It may have any address.
		"any -> shop?app=other 81 = allowed": "81/TCP is denied from 2001:db8::1, though",
	})
	server := serve(t, "--manifests", file)
	got := netpold(t, "test", writeFile(t, "a.txt", "any -> shop/cart-0 80 = denied"), "--server", server.addr)
	got.want(t, 2, `has no answer`, "not every assertion has an answer")
	got.want(t, 2, `"any" cannot be asked of a server`, "not every assertion has an answer")
}

// More parts of the outside than fit into one call are all asked, of each port.
func TestTestAnyOfManyBlocks(t *testing.T) {
	var policies strings.Builder
	policies.WriteString(`
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: many, namespace: shop}
spec:
  podSelector: {matchLabels: {app: other}}
  ingress:
  - ports: [{port: 82}]
  - ports: [{port: 80}]
    from:
`)
	for i := range 1300 {
		fmt.Fprintf(&policies, "    - ipBlock: {cidr: 203.0.%d.%d/32}\n", 2+i/100, 2*(i%100))
	}
	policies.WriteString("  - {ports: [{port: 81}], from: [{ipBlock: {cidr: 203.0.14.198/32}}]}\n")
	file := writeFile(t, "cluster.yaml", cluster+policies.String())
	got := netpold(t, "test", writeFile(t, "a.txt", `any -> shop/other-0 79,80,81 = denied
any -> shop/other-0 82 = allowed
shop/web-0 -> shop/cart-0 8080 = allowed
`), "--manifests", file)
	got.want(t, 1, "80/TCP is allowed from 203.0.2.0, though as claimed from 198.51.100.1; "+
		"81/TCP is allowed from 203.0.14.198, though as claimed from 198.51.100.1\n", "")
	got.want(t, 1, "2 of 3 assertions hold, 1 does not\n", "")
}

func TestTestErrors(t *testing.T) {
	cluster := writeFile(t, "cluster.yaml", cluster)
	good := writeFile(t, "good.txt", "shop/web-0 -> svc/shop/cart 80 = allowed\n")
	bad := writeFile(t, "bad.txt",
		"shop/web-0 svc/shop/cart 80 = allowed\n\nshop/web-0 -> svc/shop/cart 0 = allowed\n")
	yaml := writeFile(t, "bad.yaml", "assertions: [{src: a/b}]\n")
	missing := filepath.Join(t.TempDir(), "missing.txt")
	empty := writeFile(t, "empty.txt", "# none\n")
	unknown := writeFile(t, "a.txt", "shop/nobody -> svc/shop/cart 80 = allowed")
	for name, test := range map[string]struct {
		args           []string
		stdout, stderr string
	}{
		"no file":         {nil, "", "no file of assertions: give one or more"},
		"a missing file":  {[]string{missing}, "", "missing.txt: no such file or directory: give a file"},
		"an empty file":   {[]string{empty}, "", "empty.txt: has no assertion"},
		"the first error": {[]string{bad, yaml}, "", "bad.txt:1: "},
		"every error":     {[]string{bad, yaml}, "", "bad.txt:3: "},
		"of every file":   {[]string{bad, yaml}, "", "bad.yaml:1: dst is missing"},
		"an unknown Pod": {[]string{unknown}, `80/TCP has no answer: src: Pod "shop/nobody"`,
			"not every assertion"},
		"generate and file": {[]string{"--generate", good}, "", "--generate takes no file"},
		"generate and -o":   {[]string{"--generate", "-o", "json"}, `"outcome": "error"`, "leave -o and -v out"},
		"limit alone":       {[]string{good, "--limit", "7"}, "", "--limit goes with --generate"},
		"limit of nothing":  {[]string{"--generate", "--limit", "0"}, "", `--limit: "0"`},
		"an unknown form":   {[]string{good, "-o", "xml"}, "", `--output: "xml"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := netpold(t, append([]string{"test", "--manifests", cluster}, test.args...)...)
			got.want(t, 2, test.stdout, test.stderr)
		})
	}
	got := netpoldWith(t, nil, "shop/web-0 -> svc/shop/cart 80 = allowed", "test", "-", "--manifests", "-")
	got.want(t, 2, "", "standard input can be read once")
	got = netpoldWith(t, nil, "shop/web-0 -> svc/shop/cart 80 = allowed", "test", "-", "--manifests", cluster)
	got.want(t, 0, "1 assertion holds\n", "")
	got = netpold(t, "test", good, "--server", "127.0.0.1:1", "--timeout", "1s")
	got.want(t, 2, "", "--server 127.0.0.1:1: ")
}

// What --generate prints of the shop holds, names each Service, and stays within --limit.
func TestTestGenerate(t *testing.T) {
	got := netpold(t, "test", "--generate", "--manifests", shop)
	got.want(t, 0, "deploy/shop/frontend -> svc/shop/cart 7070/TCP = allowed\n", "")
	file := writeFile(t, "generated.txt", got.stdout)
	netpold(t, "test", file, "--manifests", shop).want(t, 0, "assertions hold\n", "")
	again := netpold(t, "test", "--generate", "--manifests", shop)
	if again.stdout != got.stdout {
		t.Error("it is another text the second time")
	}
	headings := regexp.MustCompile(`(?m)^(# (To|From|What) .*)?\n`)
	lines := strings.Count(headings.ReplaceAllString(got.stdout, ""), "\n")
	for _, limit := range []int{1, 5, lines - 1} {
		few := netpold(t, "test", "--generate", "--limit", fmt.Sprint(limit), "--manifests", shop)
		few.want(t, 0, fmt.Sprintf("\n# %d more are left out: raise --limit %d.\n", lines-limit, limit), "")
		kept, _, _ := strings.Cut(few.stdout, "\n\n# "+fmt.Sprint(lines-limit))
		if !strings.HasPrefix(got.stdout, kept) {
			t.Errorf("the first %d are others:\n%s", limit, few.stdout)
		}
	}
	all := netpold(t, "test", "--generate", "--limit", fmt.Sprint(lines), "--manifests", shop)
	if all.stdout != got.stdout {
		t.Errorf("with --limit %d something is left out", lines)
	}
	server := serve(t, "--manifests", shop)
	got = netpold(t, "test", "--generate", "--server", server.addr)
	got.want(t, 2, "", "--generate: a server does not tell what it holds")
	empty := writeFile(t, "empty.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
	got = netpold(t, "test", "--generate", "-q", "--manifests", empty)
	got.want(t, 2, "", "--generate: nothing to claim")
}

// What is generated of any cluster holds.
func TestTestGenerateRandom(t *testing.T) {
	made := 0
	for seed := range uint64(60) {
		source := servertest.NewSource()
		var changes []engine.Change
		for _, o := range enginetest.NewRandom(seed).Cluster() {
			changes = append(changes, engine.Change{Object: o})
		}
		source.Apply(changes...)
		text, held, err := cli.Generate(t.Context(), source)
		switch {
		case err == nil:
		case strings.Contains(err.Error(), "nothing to claim"),
			strings.Contains(err.Error(), "has no assertion"):
			continue
		default:
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if !strings.HasPrefix(held, "all ") && !strings.HasPrefix(held, "1 assertion holds") {
			t.Fatalf("seed %d: %s\n%s", seed, held, text)
		}
		made++
	}
	if made < 30 {
		t.Errorf("%d clusters gave assertions", made)
	}
}

// The document about testing shows commands and results as they are.
func TestDocumentOfTesting(t *testing.T) {
	text, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(text), "```console\n$ netpold ") {
		if strings.HasPrefix(block, "#") {
			continue
		}
		shown, _, _ := strings.Cut(block, "```")
		command, output, _ := strings.Cut(shown, "\n")
		t.Run(command, func(t *testing.T) {
			t.Chdir("../..")
			args := strings.Fields(command)
			if got := netpold(t, args...); got.stdout+got.stderr != output {
				t.Errorf("prints\n%s\nthe document has\n%s", got.stdout+got.stderr, output)
			}
		})
	}
}
