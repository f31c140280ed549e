package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// differs runs diff on the small cluster.
func differs(t *testing.T, args ...string) result {
	t.Helper()
	return netpoldWith(t, nil, cluster, append([]string{"diff", "--manifests=-", "-q"}, args...)...)
}

// cartForAll lets everything in namespace shop reach cart on TCP 80 alone, and broadens what web may send to.
const cartForAll = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  ingress:
  - from: [{podSelector: {}}]
    ports: [{port: 80}]
`

func TestDiffTable(t *testing.T) {
	file := writeFile(t, "cart.yaml", cartForAll)
	got := differs(t, "-f", file)
	const want = `CHANGE  SOURCE        DESTINATION  PORTS
opened  shop/cart-0   shop/cart-0  TCP 80
opened  shop/other-0  shop/cart-0  TCP 80
opened  shop/web-0    shop/cart-0  TCP 80
closed  shop/web-0    shop/cart-0  TCP 8080

policies changed: NetworkPolicy/shop/cart
opens 3 connections, closes 1
`
	if diff := cmp.Diff(want, got.stdout); diff != "" || got.code != 1 {
		t.Errorf("exit code %d, -want +got:\n%s%s", got.code, diff, got.stderr)
	}
}

// TestDiffChanges: each flag of a change does what kubectl would, in its order, and the exit code says what
// --fail-on asks.
func TestDiffChanges(t *testing.T) {
	file := writeFile(t, "cart.yaml", cartForAll)
	const nobody = "opens and closes no connection\n"
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"delete":            {[]string{"--delete=netpol/shop/web"}, 1, "opened  shop/web-0  shop/other-0    all\n"},
		"delete in full":    {[]string{"--delete=NetworkPolicy/shop/web"}, 1, "policies removed: NetworkPolicy/shop/web\n"},
		"delete a Pod":      {[]string{"--delete=pods/shop/cart-0"}, 1, "workloads removed: Pod/shop/cart-0\n"},
		"delete all":        {[]string{"--delete=ns/shop"}, 1, "closed  shop/web-0    203.0.113.0/24  all\n"},
		"label a Pod":       {[]string{"--label=po/shop/other-0=app=web"}, 1, "opened  shop/other-0  shop/cart-0     TCP 8080\n"},
		"remove a label":    {[]string{"--label=pod/shop/web-0=app-"}, 1, "closed  shop/web-0  shop/cart-0     TCP 8080\n"},
		"label a Namespace": {[]string{"--label=ns/shop=team=x,app-"}, 0, nobody},
		"one after another": {[]string{"--label=pod/shop/web-0=app-", "--label", "pod/shop/web-0=app=web"}, 0, nobody},
		"prune":             {[]string{"-f", file, "--prune"}, 1, "policies removed: NetworkPolicy/shop/default-deny, NetworkPolicy/shop/web\n"},
		"prune opens":       {[]string{"-f", file, "--prune", "--fail-on=opened"}, 1, "opened  shop/web-0"},
		"label after -f":    {[]string{"--label=pod/shop/cart-0=app=x", "-f", file}, 1, "opened"},
		"closed only":       {[]string{"--label=pod/shop/other-0=app=web", "--fail-on=closed", "--src=shop/cart-0"}, 0, nobody[:len(nobody)-1]},
		"opened only":       {[]string{"--delete=pod/shop/cart-0", "--fail-on=opened"}, 0, "closed"},
		"closed":            {[]string{"--delete=pod/shop/cart-0", "--fail-on=closed"}, 1, "closed"},
		"none":              {[]string{"--delete=pod/shop/cart-0", "--fail-on=none"}, 0, "closes"},
		"a port":            {[]string{"-f", file, "-p=80"}, 1, "opens 3 connections, of those asked for\n"},
		"a protocol":        {[]string{"-f", file, "--protocol=udp"}, 0, "opens and closes no connection, of those asked for\n"},
		"to":                {[]string{"--delete=netpol/shop/web", "--dst=external", "--fail-on=closed"}, 0, "opens 1 connection, of those asked for\n"},
		"workloads":         {[]string{"-f", file, "--match=workloads"}, 1, "opens 3 connections, closes 1\n"},
		"Nodes":             {[]string{"--delete=netpol/shop/web", "--include=nodes"}, 1, "node/node-1"},
		"wide":              {[]string{"-f", file, "-o=wide"}, 1, "TCP 8080  shop/web rule 1  shop/cart rule 0\n"},
		"csv":               {[]string{"-f", file, "-o=csv"}, 1, "closed,shop,shop/web-0,shop,shop/cart-0,TCP 8080,,,\n"},
		"dot":               {[]string{"-f", file, "-o=dot"}, 1, `label="opened TCP 80\nclosed TCP 8080"`},
		"svg":               {[]string{"-f", file, "-o=svg"}, 1, "<title>What changes: opens 3 connections, closes 1</title>"},
		"markdown":          {[]string{"-f", file, "-o=markdown"}, 1, "**opens 3 connections, closes 1**\n"},
		"html":              {[]string{"-f", file, "-o=html"}, 1, "</html>"},
	} {
		t.Run(name, func(t *testing.T) {
			got := differs(t, test.args...)
			if got.code != test.code || !strings.Contains(got.stdout, test.want) {
				t.Errorf("exit code %d, want %d, %s%s\nwant in it\n%s", got.code, test.code, got.stdout, got.stderr, test.want)
			}
		})
	}
}

// TestDiffFamilies: what is open in one family more is opened, and in one less closed.
func TestDiffFamilies(t *testing.T) {
	const pods = `
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: ns}
status: {podIPs: [{ip: 10.0.0.1}, {ip: "2001:db8::1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: ns, labels: {app: b}}
status: {podIPs: [{ip: 10.0.0.2}, {ip: "2001:db8::2"}]}
---
`
	policy := func(cidrs string) string {
		return writeFile(t, "b.yaml", pods+"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: b, namespace: ns}, "+
			"spec: {podSelector: {matchLabels: {app: b}}, ingress: [{from: ["+cidrs+"]}]}}")
	}
	const four, six = "{ipBlock: {cidr: 10.0.0.1/32}}", `{ipBlock: {cidr: "2001:db8::1/128"}}`
	one, both, other := policy(four), policy(four+","+six), policy(six)
	for _, test := range []struct {
		from, to     string
		fails        string
		want, passes string
	}{
		{one, both, "opened", "changed  ns/a    ns/b         all    IPv4 to IPv4,IPv6\n", "closed"},
		{both, one, "closed", "IPv4,IPv6 to IPv4\n", "opened"},
	} {
		args := []string{"diff", "-q", "--from", test.from, "--to", test.to, "--src=cluster", "--fail-on"}
		netpold(t, append(args, test.fails)...).want(t, 1, test.want, "")
		netpold(t, append(args, "any")...).want(t, 1, "changes the families of 1 connection", "")
		netpold(t, append(args, test.passes)...).want(t, 0, test.want, "")
	}
	for _, on := range []string{"opened", "closed"} { // one gained, the other lost
		netpold(t, "diff", "-q", "--from", one, "--to", other, "--src=cluster", "--fail-on", on).want(t, 1, "IPv4 to IPv6\n", "")
	}
}

// TestDiffOfTwoStates: two dumps differ as the one does from itself with the changes that lead to the other.
func TestDiffOfTwoStates(t *testing.T) {
	from := writeFile(t, "from.yaml", cluster)
	policy := "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: cart"
	begin := strings.Index(cluster, policy)
	end := begin + 3 + strings.Index(cluster[begin+3:], "\n---")
	to := writeFile(t, "to.yaml", cluster[:begin]+cluster[end+1:])
	for _, form := range []string{"table", "wide", "csv", "dot", "svg", "markdown"} {
		apart := netpold(t, "diff", "-q", "--from", from, "--to", to, "-o", form)
		overlaid := netpold(t, "diff", "-q", "--manifests", from, "--delete", "netpol/shop/cart", "-o", form)
		if diff := cmp.Diff(overlaid.stdout, apart.stdout); diff != "" || apart.code != 1 || overlaid.code != 1 {
			t.Errorf("-overlay +two states:\n%s%s", diff, apart.stderr)
		}
	}
	netpold(t, "diff", "-q", "--from", from, "--to", from).want(t, 0, "opens and closes no connection\n", "")
	// What the environment sets is meant for other calls.
	netpoldWith(t, []string{"NETPOLD_SERVER=127.0.0.1:1"}, "", "diff", "-q", "--from", from, "--to", to).
		want(t, 1, "closes 1 connection\n", "")
	netpoldWith(t, nil, cluster, "diff", "-q", "--from=-", "--to", to).want(t, 1, "closes 1 connection\n", "")
}

// TestA6DiffSameBytes: a server and files give the same lines of JSON, the header first and the summary last.
func TestA6DiffSameBytes(t *testing.T) {
	file, change := writeFile(t, "cluster.yaml", cluster), writeFile(t, "cart.yaml", cartForAll)
	server := serve(t, "--manifests="+file)
	for _, form := range []string{"json", "table", "wide", "csv", "dot", "svg", "markdown"} {
		args := []string{"diff", "-q", "-o", form, "--include=policies,nodes", "-f", change, "--label=pod/shop/other-0=app=web"}
		local := netpold(t, append(args, "--manifests="+file)...)
		remote := netpold(t, append(args, "--server="+server.addr)...)
		if local.code != 1 || remote.code != 1 {
			t.Fatalf("exit codes %d and %d:\n%s%s", local.code, remote.code, local.stderr, remote.stderr)
		}
		if diff := cmp.Diff(varying.ReplaceAllString(local.stdout, ""), varying.ReplaceAllString(remote.stdout, "")); diff != "" {
			t.Errorf("-files +server:\n%s", diff)
		}
		if form != "json" {
			continue
		}
		lines := strings.Split(strings.TrimSpace(local.stdout), "\n")
		for _, line := range lines {
			if !json.Valid([]byte(line)) || strings.Contains(line, "progress") {
				t.Errorf("the line is %s", line)
			}
		}
		if !strings.HasPrefix(lines[0], `{"header":{"revision":"1",`) ||
			!strings.HasPrefix(lines[len(lines)-1], `{"summary":{"opened":`) {
			t.Errorf("the first line is %s, and the last %s", lines[0], lines[len(lines)-1])
		}
	}
}

// TestDiffThatIsCut: a difference that the server cut is printed, but is no success.
func TestDiffThatIsCut(t *testing.T) {
	server := serve(t, "--manifests="+writeFile(t, "cluster.yaml", cluster), "--max-connections=1")
	change := writeFile(t, "cart.yaml", cartForAll)
	got := netpold(t, "diff", "-q", "--server="+server.addr, "-f", change)
	got.want(t, 2, "this is not all: the server stopped after 1 change", "not all changes are there")
	got = netpold(t, "diff", "-q", "--server="+server.addr, "-f", change, "-o=json")
	got.want(t, 2, `"truncated":true`, "not all changes are there")
	if last := got.stdout[strings.LastIndex(strings.TrimSpace(got.stdout), "\n")+1:]; !strings.HasPrefix(last, `{"summary"`) {
		t.Errorf("the last line is %s", last)
	}
}

// TestDiffKeepsS7: a Pod of an overlay owns an address of another Pod only if it is newer.
func TestDiffKeepsS7(t *testing.T) {
	old := strings.Replace(cluster, "{name: cart-0, namespace: shop,",
		`{name: cart-0, namespace: shop, creationTimestamp: "2026-01-02T00:00:00Z",`, 1)
	file := writeFile(t, "cluster.yaml", old)
	for created, want := range map[string]string{"2026-01-01": "", "2026-01-03": "10.0.0.2"} {
		thief := writeFile(t, "thief.yaml", `
apiVersion: v1
kind: Pod
metadata: {name: thief, namespace: shop, labels: {app: thief}, creationTimestamp: "`+created+`T00:00:00Z"}
status: {phase: Running, podIPs: [{ip: 10.0.0.2}]}
`)
		got := netpold(t, "diff", "-q", "--manifests", file, "-f", thief, "-o=json", "--fail-on=none")
		got.want(t, 0, `"name":"thief"`, "")
		for line := range strings.Lines(got.stdout) {
			var m struct {
				Group struct {
					Members []struct {
						Name string
						IPs  []string
					}
				}
			}
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			for _, member := range m.Group.Members {
				if ips := strings.Join(member.IPs, ","); member.Name == "thief" && ips != want {
					t.Errorf("created %s, it owns %q, want %q", created, ips, want)
				}
			}
		}
	}
}

// TestWrongDiffs: each names the flag, the value and what to do, and ends with 2.
func TestWrongDiffs(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	broken := writeFile(t, "broken.yaml", cartForAll+"---"+brokenPolicies)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"nothing":             {nil, "there is nothing to compare: give the changes by -f, --delete or --label"},
		"a word":              {[]string{"shop/web-0"}, `"shop/web-0": diff takes words by --src and --dst`},
		"from alone":          {[]string{"--from", file}, "--from without --to: give both"},
		"to alone":            {[]string{"--to", file}, "--to without --from: give both"},
		"a third state":       {[]string{"--from", file, "--to", file}, "--manifests does not go with --from and --to"},
		"prune alone":         {[]string{"--prune"}, "--prune without -f would delete nothing"},
		"prune and delete":    {[]string{"--prune", "--delete=netpol/shop/web"}, "--prune without -f would delete nothing"},
		"no such file":        {[]string{"-f", file + "x"}, "--filename " + file + "x: no such file or directory"},
		"stdin twice":         {[]string{"-f=-"}, "--manifests - and --filename - exclude each other"},
		"first problem":       {[]string{"-f", broken}, "broken.yaml, document 2: NetworkPolicy \"shop/broken\": spec.ingress[0]"},
		"last problem":        {[]string{"-f", broken}, "NetworkPolicy \"shop/worse\": spec.policyTypes"},
		"no such Pod":         {[]string{"--label=pod/shop/web-9=app=x"}, `--label pod/shop/web-9=app=x: Pod "shop/web-9": is not there`},
		"no such policy":      {[]string{"--delete=netpol/shop/x"}, `--delete netpol/shop/x: NetworkPolicy "shop/x": is not there`},
		"a kind":              {[]string{"--delete=netpoll/shop/x"}, `--delete netpoll/shop/x: "netpoll" is no kind that plays a part: did you mean netpol?`},
		"no name":             {[]string{"--delete=netpol/shop"}, `--delete netpol/shop: "netpol/shop" does not name the NetworkPolicy: write KIND/NS/NAME`},
		"a name too many":     {[]string{"--delete=ns/shop/x"}, `"ns/shop/x" does not name the Namespace: write KIND/NAME`},
		"no object":           {[]string{"--label=app=x"}, "--label app=x: names no object: write KIND/NS/NAME=KEY=VALUE,KEY-"},
		"no labels":           {[]string{"--label=pod/shop/web-0"}, `"" is no change of a label: write KEY=VALUE to set one, KEY- to remove it`},
		"a key alone":         {[]string{"--label=pod/shop/web-0=app"}, `"app" is no change of a label`},
		"a label twice":       {[]string{"--label=pod/shop/web-0=app=a,app=b"}, `sets "app" twice`},
		"a wrong value":       {[]string{"--label=pod/shop/web-0=app=a b"}, `--label pod/shop/web-0=app=a b: Invalid value: "a b"`},
		"set and removed":     {[]string{"--label=pod/shop/web-0=app=a,app-"}, "it is also set: leave one of them out"},
		"labels of a Service": {[]string{"--label=svc/shop/cart=app=a"}, `--label svc/shop/cart=app=a: Unsupported value: "Service"`},
		"an empty path":       {[]string{"--filename="}, `--filename: "" is no path`},
		"a filter":            {[]string{"--delete=netpol/shop/web", "--dst=shop/web-1"}, `--dst shop/web-1: Pod "shop/web-1" is not known`},
		"a Service":           {[]string{"--delete=netpol/shop/web", "--dst=svc/shop/cart"}, "--dst svc/shop/cart: a Service stands for other ends; name the workload"},
		"include":             {[]string{"--include=services"}, `has "services", which is none of its values`},
		"form":                {[]string{"-o=yaml"}, `--output: "yaml" is none of its values`},
		"fail-on":             {[]string{"--fail-on=some"}, `--fail-on: "some" is none of its values: give any, opened, closed or none`},
	} {
		t.Run(name, func(t *testing.T) { differs(t, test.args...).want(t, 2, "", test.want) })
	}
	for flag, want := range map[string]string{
		"--server=127.0.0.1:1": "--server does not go with --from and --to",
		"-f=" + file:           "--filename does not go with --from and --to",
		"--delete=netpol/a/b":  "--delete does not go with --from and --to",
		"--tls":                "--tls does not go with --from",
	} {
		netpold(t, "diff", "--from", file, "--to", file, flag).want(t, 2, "", want)
	}
	netpold(t, "diff", "--from=-", "--to=-").want(t, 2, "", "--from - and --to - exclude each other")
	netpold(t, "diff", "--from", file, "--to", broken).want(t, 2, "", "--to "+broken+": ")
}

// TestWrongDiffAsJSON: an error is a line in place of the missing summary.
func TestWrongDiffAsJSON(t *testing.T) {
	got := differs(t, "-o=json", "--delete=netpol/shop/x")
	var line struct{ Error struct{ Message string } }
	if err := json.Unmarshal([]byte(got.stdout), &line); err != nil || got.code != 2 ||
		!strings.Contains(line.Error.Message, "shop/x") || strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("exit code %d, %s (%v)", got.code, got.stdout, err)
	}
}

// TestDiffOfRealPolicies: without one policy of a real application exactly its connections are closed, since
// another policy denies by default.
func TestDiffOfRealPolicies(t *testing.T) {
	const corpus = "../../../shared/corpus/online-boutique"
	if _, err := os.Stat(corpus); err != nil {
		t.Skip("the application is not there: ", err)
	}
	const want = `CHANGE  SOURCE                      DESTINATION                PORTS
closed  deploy/default/cartservice  deploy/default/redis-cart  TCP 6379
closed  deploy/default/redis-cart   deploy/default/frontend    all
closed  deploy/default/redis-cart   0.0.0.0/0                  all
closed  deploy/default/redis-cart   ::/0                       all

policies removed: NetworkPolicy/default/redis-cart
closes 3 connections
`
	got := netpold(t, "diff", "-q", "--manifests="+corpus, "--delete=netpol/default/redis-cart")
	if diff := cmp.Diff(want, got.stdout); diff != "" || got.code != 1 {
		t.Errorf("exit code %d, -want +got:\n%s%s", got.code, diff, got.stderr)
	}
	copied := t.TempDir()
	files, err := filepath.Glob(corpus + "/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "-redis.yaml") {
			continue
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(copied, filepath.Base(file)), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	apart := netpold(t, "diff", "-q", "--from="+corpus, "--to="+copied)
	pruned := netpold(t, "diff", "-q", "--manifests="+corpus, "-f="+copied, "--prune")
	if apart != got || pruned != got {
		t.Errorf("deleted:\n%+v\ntwo states:\n%+v\npruned:\n%+v", got, apart, pruned)
	}
}

// TestDiffOfTiers: policies of the whole cluster come and go as others do.
func TestDiffOfTiers(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	policy := writeFile(t, "deny.yaml", `
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: deny-web}
spec:
  priority: 10
  subject: {namespaces: {}}
  ingress:
  - {action: Deny, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}]}
`)
	netpold(t, "diff", "-q", "--manifests", file, "-f", policy).want(t, 1,
		"closed  shop/web-0  shop/cart-0  TCP 8080\n\npolicies added: AdminNetworkPolicy/deny-web\ncloses 1 connection\n", "")
	for _, kind := range []string{"anp", "AdminNetworkPolicy", "adminnetworkpolicies"} {
		netpold(t, "diff", "-q", "--manifests", file, "--manifests", policy, "--delete", kind+"/deny-web").want(t, 1,
			"opened  shop/web-0  shop/cart-0  TCP 8080\n\npolicies removed: AdminNetworkPolicy/deny-web\nopens 1 connection\n", "")
	}
	netpold(t, "diff", "-q", "--manifests", file, "--delete", "anp/shop/deny-web").
		want(t, 2, "", `"anp/shop/deny-web" does not name the AdminNetworkPolicy: write KIND/NAME`)
}

// TestDiffOfFinishedPods: a finished Pod is no end, so that a workload comes and goes with those that have not.
func TestDiffOfFinishedPods(t *testing.T) {
	const nothing = "opens and closes no connection\n"
	if got := differs(t, "--delete=pod/shop/done-0"); got.code != 0 || got.stdout != nothing {
		t.Errorf("a finished Pod goes: exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME, namespace: shop, labels: {app: x}}\n" +
		"spec: {nodeName: node-1, containers: [{name: c}]}\nstatus: {phase: PHASE, podIPs: [{ip: 10.0.0.3}]}\n"
	for _, test := range []struct{ name, phase, want string }{
		{"other-0", "Failed", "\nworkloads removed: Pod/shop/other-0\n"},
		{"done-0", "Running", "\nworkloads added: Pod/shop/done-0\n"},
		{"new-0", "Succeeded", nothing},
	} {
		file := writeFile(t, "pod.yaml", strings.NewReplacer("NAME", test.name, "PHASE", test.phase).Replace(pod))
		got := differs(t, "-f", file, "--fail-on=none")
		if got.code != 0 || !strings.Contains(got.stdout, test.want) || strings.Contains(got.stdout, "workloads") !=
			strings.Contains(test.want, "workloads") {
			t.Errorf("%s %s: exit code %d, %s%s\nwant in it %s", test.name, test.phase, got.code, got.stdout, got.stderr, test.want)
		}
	}
}

// TestD2NoFamilyInCommon: pairs of one workload may be allowed in different families. It is allowed then, in
// none that they have in common, and every form says so.
func TestD2NoFamilyInCommon(t *testing.T) {
	const pod = `
apiVersion: v1
kind: Pod
metadata:
  name: w-N
  namespace: shop
  labels: {app: w}
  ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: w, uid: u, controller: true}]
spec: {containers: [{name: c}]}
status: {phase: Running, podIPs: [{ip: 10.0.1.N}, {ip: "2001:db8:1::N"}]}
---`
	const policy = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  ingress: [{from: [PEERS]}]
`
	base := strings.Replace(cluster, "\n", strings.ReplaceAll(pod, "N", "0")+strings.ReplaceAll(pod, "N", "1")+"\n", 1)
	with := func(peers string) string { return writeFile(t, "f.yaml", strings.Replace(policy, "PEERS", peers, 1)) }
	apart := with(`{ipBlock: {cidr: 10.0.1.0/32}}, {ipBlock: {cidr: "2001:db8:1::1/128"}}`)
	both, none := with("{podSelector: {matchLabels: {app: w}}}"), with("{podSelector: {matchLabels: {app: nobody}}}")
	compare := func(from, to string, more ...string) result {
		merged := func(policy string) string {
			text, err := os.ReadFile(policy)
			if err != nil {
				t.Fatal(err)
			}
			plain := strings.Replace(base, "metadata: {name: cart, namespace: shop}\nspec:\n", "metadata: {name: gone, namespace: shop}\nspec:\n", 1)
			return writeFile(t, "state.yaml", plain+"\n---\n"+string(text))
		}
		return netpold(t, append([]string{"diff", "-q", "--from", merged(from), "--to", merged(to), "--match=workloads",
			"--src=sts/shop/w", "--dst=shop/cart-0", "--fail-on=none"}, more...)...)
	}
	for name, test := range map[string]struct{ from, to, want string }{
		"changed":      {apart, both, "changed  sts/shop/w  shop/cart-0  all    none in common to IPv4,IPv6\n"},
		"changed back": {both, apart, "changed  sts/shop/w  shop/cart-0  all    IPv4,IPv6 to none in common\n"},
		"opened":       {none, apart, "opened  sts/shop/w  shop/cart-0  all    none in common\n"},
		"closed":       {apart, none, "closed  sts/shop/w  shop/cart-0  all    none in common\n"},
	} {
		if got := compare(test.from, test.to); got.code != 0 || !strings.Contains(got.stdout, test.want) {
			t.Errorf("%s: exit code %d, %s%s\nwant in it %s", name, got.code, got.stdout, got.stderr, test.want)
		}
	}
	const want = `"before":{"allowed":true,"families":[]},"after":{"allowed":true,"families":["IP_FAMILY_IPV4","IP_FAMILY_IPV6"]}`
	if got := compare(apart, both, "-ojson"); !strings.Contains(got.stdout, want) {
		t.Errorf("got %s%s, want in it %s", got.stdout, got.stderr, want)
	}
}
