package cli_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listed runs list on the small cluster.
func listed(t *testing.T, args ...string) result {
	t.Helper()
	return netpoldWith(t, nil, cluster, append([]string{"list", "--manifests=-", "-q"}, args...)...)
}

func TestListTable(t *testing.T) {
	got := listed(t)
	const want = `SOURCE        DESTINATION     PORTS
shop/cart-0   shop/other-0    all
shop/cart-0   shop/web-0      all
shop/cart-0   0.0.0.0/0       all
shop/cart-0   ::/0            all
shop/other-0  shop/other-0    all
shop/other-0  shop/web-0      all
shop/other-0  0.0.0.0/0       all
shop/web-0    shop/cart-0     TCP 8080
shop/web-0    203.0.113.0/24  all
0.0.0.0/0     shop/other-0    all
0.0.0.0/0     shop/web-0      all

3 Pods of 3 workloads; of 6 ordered pairs of Pods, 4 have an open port
not isolated for ingress: shop/other-0, shop/web-0
not isolated for egress: shop/cart-0, shop/other-0
left out: 1 Node (--include nodes) and 1 Service (--include services)
`
	if diff := cmp.Diff(want, got.stdout); diff != "" || got.code != 0 {
		t.Errorf("exit code %d, -want +got:\n%s%s", got.code, diff, got.stderr)
	}
}

// TestListFilters: each word, flag and form lists what it says.
func TestListFilters(t *testing.T) {
	for name, test := range map[string]struct {
		args     []string
		want     string
		unwanted string
	}{
		"to a Pod":       {[]string{"--dst", "shop/cart-0"}, "shop/web-0  shop/cart-0  TCP 8080\n", "203.0.113"},
		"to the outside": {[]string{"--src=shop/web-0", "--dst=external"}, "shop/web-0  203.0.113.0/24  all\n", "cart-0"},
		"to an address":  {[]string{"--src=shop/web-0", "--dst=203.0.113.9"}, "shop/web-0  203.0.113.9/32  all\n", "cart-0"},
		"a namespace":    {[]string{"--src=ns/shop", "--dst=shop/cart-0"}, "shop/web-0  shop/cart-0  TCP 8080\n", "0.0.0.0"},
		"a selector": {[]string{"--src=pods/shop?app in (web,other)", "--dst=cluster"}, "shop/web-0    shop/cart-0   TCP 8080\n",
			"shop/cart-0   shop/other-0"},
		"every namespace": {[]string{"--src=pods/*?app=web", "--dst=cluster"}, "shop/web-0  shop/cart-0  TCP 8080\n", "0.0.0.0"},
		"a port":          {[]string{"--dst=shop/cart-0", "-p", "8000-8100"}, "shop/web-0  shop/cart-0  TCP 8080\n", "all"},
		"wide":            {[]string{"--dst=shop/cart-0", "-o", "wide"}, "TCP 8080  shop/web rule 1  shop/cart rule 0\n", "203"},
		"csv":             {[]string{"--dst=shop/cart-0", "-o", "csv"}, "shop,shop/web-0,shop,shop/cart-0,TCP 8080,,,\n", "Pods"},
		"dot":             {[]string{"--dst=shop/cart-0", "-o", "dot"}, `n2 -> n0 [label="TCP 8080"]`, "Pods"},
		"svg":             {[]string{"--dst=shop/cart-0", "-o", "svg"}, "<title>shop/web-0 to shop/cart-0:&#xA;TCP 8080</title>", "<script"},
		"html":            {[]string{"--dst=shop/cart-0", "-o", "html"}, "<!", "src=\"http"},
		"isolated":        {[]string{"--only=isolated", "--dst=cluster", "-p=8080", "--protocol=tcp"}, "shop/web-0    shop/cart-0   TCP 8080\n", "all"},
	} {
		t.Run(name, func(t *testing.T) {
			got := listed(t, test.args...)
			if got.code != 0 || !strings.Contains(got.stdout, test.want) || strings.Contains(got.stdout, test.unwanted) {
				t.Errorf("exit code %d, %s%s\nwant in it\n%s\nand not\n%s", got.code, got.stdout, got.stderr, test.want, test.unwanted)
			}
		})
	}
}

// varying matches what A6 lets differ between two runs.
var varying = regexp.MustCompile(`"(revision|token|snapshotTime|source|took)": ?"[^"]*"`)

// TestA6SameBytes: a server and files give the same lines of JSON, the header first and the summary last.
func TestA6SameBytes(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	server := serve(t, "--manifests="+file)
	args := []string{"list", "-q", "-o=json", "--include=nodes,policies", "--include=services"}
	local := netpold(t, append(args, "--manifests="+file)...)
	local.want(t, 0, `{"header":{"revision":"1",`, "")
	remote := netpold(t, append(args, "--server="+server.addr)...)
	remote.want(t, 0, `{"header":{"revision":"1",`, "")
	if diff := cmp.Diff(varying.ReplaceAllString(local.stdout, ""), varying.ReplaceAllString(remote.stdout, "")); diff != "" {
		t.Errorf("-files +server:\n%s", diff)
	}
	lines := strings.Split(strings.TrimSpace(local.stdout), "\n")
	for _, line := range lines {
		if !json.Valid([]byte(line)) || strings.Contains(line, "progress") {
			t.Errorf("the line is %s", line)
		}
	}
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, `{"summary":{"groups":`) {
		t.Errorf("the last line is %s", last)
	}
}

// TestListInPages: what a server stops at is no end for the command.
func TestListInPages(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	server := serve(t, "--manifests="+file, "--max-connections=1")
	args := []string{"list", "-q", "-o=json"}
	local := netpold(t, append(args, "--manifests="+file)...)
	remote := netpold(t, append(args, "--server="+server.addr)...)
	remote.want(t, 0, `"truncated":false`, "")
	if diff := cmp.Diff(varying.ReplaceAllString(local.stdout, ""), varying.ReplaceAllString(remote.stdout, "")); diff != "" {
		t.Errorf("-files +server:\n%s", diff)
	}
}

// TestWrongLists: each names the flag, the value and what to do, and ends with 2.
func TestWrongLists(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"a word":            {[]string{"shop/web-0"}, `"shop/web-0": list takes words by --src and --dst`},
		"port 0":            {[]string{"-p", "0"}, `--port: "0" is neither a port nor a range of ports`},
		"port 70000":        {[]string{"-p", "70000"}, `--port: "70000" is neither a port`},
		"backwards":         {[]string{"-p", "90-80"}, `--port: "90-80" ends before it begins: give 80-90`},
		"a protocol":        {[]string{"-p", "53/UDP"}, "the protocol by --protocol"},
		"two ports":         {[]string{"-p", "80,443"}, "give the flag once for each port"},
		"include":           {[]string{"--include", "nodes,pods"}, `has "pods", which is none of its values`},
		"a range":           {[]string{"--src", "10.0.0.0/8"}, `--src: endpoint "10.0.0.0/8": a range is not an endpoint`},
		"both":              {[]string{"--src", "x", "--dst", "y"}, `--dst: endpoint "y"`},
		"selector":          {[]string{"--dst", "pods/shop?app=("}, `there is "(" where the value of "app" belongs`},
		"no such Pod":       {[]string{"--dst", "shop/web-1"}, `--dst shop/web-1: Pod "shop/web-1" is not known: did you mean shop/web-0`},
		"no such namespace": {[]string{"--src", "ns/shpo"}, "--src ns/shpo: namespace \"shpo\" is not known: did you mean shop?"},
		"nothing selected":  {[]string{"--src", "pods/*?app=nobody"}, "--src pods/*?app=nobody: matches no Pod"},
		"a Service":         {[]string{"--dst", "svc/shop/cart"}, "--dst svc/shop/cart: a Service stands for other ends"},
		"exposure in csv":   {[]string{"--exposure", "-o", "csv"}, "--exposure does not go with -o csv"},
		"form":              {[]string{"-o", "yaml"}, "--output: \"yaml\" is none of its values"},
		"scopes":            {[]string{"--src=external", "--src=cluster"}, "--src: \"external\" stands alone: leave the other words out, or leave it out\nnetpold: --src: \"cluster\" stands"},
		"no namespace":      {[]string{"--src=pods/?app"}, `--src: "pods/?app": the name of a namespace is missing after pods/`},
		"a word of nobody":  {[]string{"--src=pods/shpo?app"}, "--src pods/shpo?app: matches no Pod in the namespaces that are selected too"},
		"external twice":    {[]string{"--dst", "external", "--dst", "ns/shop"}, `"external" stands alone`},
	} {
		t.Run(name, func(t *testing.T) { listed(t, test.args...).want(t, 2, "", test.want) })
	}
}

// TestListOfNoPodSaysSo proves that an empty list of two ends of which none is a Pod is not taken for a denial.
func TestListOfNoPodSaysSo(t *testing.T) {
	const want = "neither end has a Pod: such connections are not listed; ask for them by netpold check\n"
	for _, ends := range [][]string{{"--src=8.8.8.8", "--dst=1.1.1.1"}, {"--src=external", "--dst=external"}} {
		if got := listed(t, ends...); got.code != 0 || !strings.Contains(got.stdout, want) {
			t.Errorf("%v: exit code %d, %s%s", ends, got.code, got.stdout, got.stderr)
		}
	}
	if got := listed(t, "--src=external", "--dst=shop/web-0"); strings.Contains(got.stdout, want) {
		t.Errorf("a Pod is at one end: %s", got.stdout)
	}
}

// TestWrongListAsJSON: an error is a line in place of the missing summary.
func TestWrongListAsJSON(t *testing.T) {
	got := listed(t, "-o=json", "--dst=shop/web-1")
	var line struct{ Error struct{ Message string } }
	if err := json.Unmarshal([]byte(got.stdout), &line); err != nil || got.code != 2 ||
		!strings.Contains(line.Error.Message, "web-1") || strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("exit code %d, %s (%v)", got.code, got.stdout, err)
	}
}

// TestListOfRealPolicies: the policies of a real application let exactly these workloads talk.
func TestListOfRealPolicies(t *testing.T) {
	const corpus = "../../../shared/corpus/online-boutique"
	if _, err := os.Stat(corpus); err != nil {
		t.Skip("the application is not there: ", err)
	}
	got := netpold(t, "list", "-q", "--manifests="+corpus, "--src=cluster", "--dst=cluster", "-o=csv")
	got.want(t, 0, "deploy/default/frontend,default,deploy/default/cartservice,TCP 7070,,,\n", "")
}

// TestListTellsPodsByLabelsApart proves that each endpoint by labels is a group of its own, named by its words,
// with files and with a server, in a list and in a difference.
func TestListTellsPodsByLabelsApart(t *testing.T) {
	base := writeFile(t, "cluster.yaml", cluster)
	server := serve(t, "--manifests="+base)
	ends := []string{"--src=shop?tier=x,app=web", "--src", "shop?app=web,tier=x", "--src=shop?app=a#dns=53/UDP,ip=10.0.0.9",
		"--src=shop?app=b", "--dst=ns/shop"}
	for _, state := range []string{"--manifests=" + base, "--server=" + server.addr} {
		netpold(t, append([]string{"list", state, "-q"}, ends...)...).want(t, 0, `SOURCE                             DESTINATION   PORTS
shop?app=a#dns=53/UDP,ip=10.0.0.9  shop/other-0  all
shop?app=a#dns=53/UDP,ip=10.0.0.9  shop/web-0    all
shop?app=b                         shop/other-0  all
shop?app=b                         shop/web-0    all
shop?app=web,tier=x                shop/cart-0   TCP 8080
`, "")
		for _, verb := range [][]string{{"list"}, {"diff", "--delete=netpol/shop/cart", "--fail-on=none"}} {
			got := netpold(t, append(append(verb, state, "-q", "-ojson"), ends...)...)
			for _, name := range []string{"shop?app=a#dns=53/UDP,ip=10.0.0.9", "shop?app=b", "shop?app=web,tier=x"} {
				want := `"kind":"GROUP_KIND_HYPOTHETICAL","namespace":"shop","members":[{"name":"` + name + `",`
				if got.code != 0 || strings.Count(got.stdout, want) != 1 {
					t.Errorf("%s %s: exit code %d, %s%s\nwant once %s", verb[0], state, got.code, got.stdout, got.stderr, want)
				}
			}
			if n := strings.Count(got.stdout, "GROUP_KIND_HYPOTHETICAL"); n != 3 {
				t.Errorf("%s: %d Pods by labels, want 3", verb[0], n)
			}
		}
	}
	// A row of a part of other Pods does not count it.
	pods := cluster + strings.ReplaceAll("---\napiVersion: v1\nkind: Pod\nmetadata: {name: w-0, namespace: shop, labels: {app: cart}, OWNER}\n"+
		"spec: {containers: [{name: c}]}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: w-1, namespace: shop, labels: {app: w}, OWNER}\n"+
		"spec: {containers: [{name: c}]}\n", "OWNER", "ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: w, uid: u, controller: true}]")
	netpoldWith(t, nil, pods, "list", "--manifests=-", "-q", "--src=shop?app=b", "--dst=sts/shop/w", "-ocsv").want(t, 0,
		"shop,shop?app=b,shop,sts/shop/w,all,,-,1/2\n", "")
}
