package cli_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/netpold/netpold/cmd/config"
)

// likeCluster has one question for each switch that --like sets: the API's own meaning allows it, or denies
// it, and a plugin does otherwise.
const likeCluster = `
apiVersion: v1
kind: Node
metadata: {name: node-a}
status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: web-0, labels: {app: web}}
spec: {nodeName: node-a, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
status: {phase: Running, podIPs: [{ip: 10.0.0.1}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: api-0, labels: {app: api}}
spec: {nodeName: node-a}
status: {phase: Running, podIPs: [{ip: 10.0.0.2}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: web}
spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: from-block}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{ipBlock: {cidr: 10.0.0.2/32}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: blocks}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 80}]}]
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: twin-0, labels: {app: twin}}
spec: {nodeName: node-a}
status: {phase: Running, podIPs: [{ip: 10.0.0.3}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: twin-1, labels: {app: twin}}
spec: {nodeName: node-a}
status: {phase: Running, podIPs: [{ip: 10.0.0.4}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: twins}
spec:
  podSelector: {matchLabels: {app: twin}}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{podSelector: {matchLabels: {app: twin}}}]}]
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: no-docs}
spec:
  tier: Admin
  priority: 10
  subject: {pods: {podSelector: {matchLabels: {app: api}}}}
  egress: [{action: Deny, to: [{networks: [198.51.100.0/24]}]}]
`

// likeQuestions shows what each switch changes.
var likeQuestions = map[string]struct {
	question []string
	// exit is the exit code with the API's own meaning; with the switch it is the other.
	exit int
	// usual is the default of the switch.
	usual string
}{
	"ipblock-matches-pods": {[]string{"shop/api-0", "shop/web-0", "-p", "8080"}, 0, "true"},
	"own-node-exempt":      {[]string{"shop/web-0", "192.168.0.1", "-p", "10250"}, 0, "true"},
	"own-service-exempt":   {[]string{"shop/web-0", "svc/shop/web", "-p", "80"}, 0, "true"},
	"joined-directions":    {[]string{"shop/twin-0", "shop/twin-1", "-p", "80"}, 1, "false"},
	"shared-ipblocks":      {[]string{"10.1.0.9", "shop/web-0", "-p", "80"}, 0, "false"},
	"policies-enforced":    {[]string{"203.0.113.9", "shop/web-0", "-p", "8080"}, 1, "true"},
	"policy-tiers":         {[]string{"shop/api-0", "198.51.100.7", "-p", "443"}, 1, "auto"},
}

// TestLike asks, for each plugin and each switch, what the switch is about: the answer is another only when
// the plugin's row sets it, or policies do not count at all. Setting the switch beside --like brings the
// API's own answer back.
func TestLike(t *testing.T) {
	file := writeFile(t, "cluster.yaml", likeCluster)
	for _, plugin := range config.Plugins() {
		t.Run(plugin.Name, func(t *testing.T) {
			for name, asked := range likeQuestions {
				base := append([]string{"check", "-q", "--manifests", file}, asked.question...)
				if got := netpold(t, base...); got.code != asked.exit {
					t.Fatalf("%s: without --like the exit code is %d, want %d:\n%s", name, got.code, asked.exit, got.stdout)
				}
				noPolicies := plugin.Settings["policies-enforced"] != ""
				want := asked.exit
				if plugin.Settings[name] != "" || noPolicies && asked.exit == 1 {
					want = 1 - want
				}
				like := append(base, "--like="+plugin.Name)
				if got := netpold(t, like...); got.code != want {
					t.Errorf("%s: exit code is %d, want %d:\n%s", name, got.code, want, got.stdout)
				}
				if noPolicies && asked.exit == 1 && name != "policies-enforced" {
					continue // another switch decides
				}
				if got := netpold(t, append(like, "--"+name+"="+asked.usual)...); got.code != asked.exit {
					t.Errorf("%s: beside the switch the exit code is %d, want %d", name, got.code, asked.exit)
				}
			}
		})
	}
}

// TestLikeFlannel: no policy counts, the reason does not say that one allowed, and a note says why in each
// form.
func TestLikeFlannel(t *testing.T) {
	file := writeFile(t, "cluster.yaml", likeCluster)
	const note = "netpold: note: no policy counts, so that every connection is allowed: Flannel enforces none (--like=flannel)\n"
	question := []string{"check", "--manifests", file, "--like=flannel", "203.0.113.9", "shop/web-0", "-p",
		"8080"}
	got := netpold(t, question...)
	if got.code != 0 || !strings.HasPrefix(got.stdout, "allowed ") || !strings.Contains(got.stderr, note) {
		t.Errorf("%+v", got)
	}
	const bySetting = "netpold: note: no policy counts, so that every connection is allowed: the setting policies-enforced is false\n"
	for _, like := range []string{"kubernetes", "calico"} {
		args := []string{"--like=" + like, "--policies-enforced=false", "203.0.113.9", "shop/web-0", "-p", "8080"}
		if got := netpold(t, append([]string{"check", "--manifests", file}, args...)...); !strings.Contains(got.stderr, bySetting) {
			t.Errorf("%s: %+v", like, got)
		}
	}
	var answer struct {
		Reason string
		Notes  []struct{ Code string }
	}
	if err := json.Unmarshal([]byte(netpold(t, append(question, "-o", "json")...).stdout), &answer); err != nil {
		t.Fatal(err)
	}
	codes := ""
	for _, n := range answer.Notes {
		codes += " " + n.Code
	}
	if answer.Reason != "REASON_NOT_ISOLATED" || !strings.Contains(codes, " NOT_ENFORCED") {
		t.Errorf("reason %s, notes%s", answer.Reason, codes)
	}
	assertion := "203.0.113.9 -> shop/web-0 8080/TCP = allowed\n"
	tests := writeFile(t, "tests.netpold", assertion)
	if got := netpold(t, "test", tests, "--manifests", file, "--like=flannel"); got.code != 0 {
		t.Errorf("test: %+v", got)
	}
	if got := netpold(t, "test", tests, "--manifests", file); got.code != 1 {
		t.Errorf("test without --like: %+v", got)
	}
}

// TestJoinedDirectionsAreNotListed: what check allows with --joined-directions (S14) is in no list, change or
// finding, which each says, in the header too.
func TestJoinedDirectionsAreNotListed(t *testing.T) {
	file := writeFile(t, "cluster.yaml", likeCluster)
	const warning = "--joined-directions is set"
	verbs := [][]string{{"list"}, {"lint", "--fail-on", "none"}, {"diff", "-f", file}}
	for _, verb := range verbs {
		args := append(verb, "--manifests", file)
		if got := netpold(t, args...); got.code != 0 || strings.Contains(got.stderr, warning) {
			t.Errorf("%s: %+v", verb[0], got)
		}
		got := netpold(t, append(args, "--like=kube-router", "-o", "json")...)
		if got.code != 0 || strings.Count(got.stderr, warning) != 1 || !strings.Contains(got.stdout, `"joinedDirections":true`) {
			t.Errorf("%s: %+v", verb[0], got)
		}
		if got := netpold(t, append(args, "--like=kube-router", "-q")...); got.stderr != "" {
			t.Errorf("%s -q: %s", verb[0], got.stderr)
		}
	}
}

// TestLikeIsServed: a server started with --like answers so, and says so in its log, its status and its
// answers.
func TestLikeIsServed(t *testing.T) {
	file := writeFile(t, "cluster.yaml", likeCluster)
	server := serve(t, "--manifests", file, "--like=cilium", "--own-node-exempt=true")
	if got := netpold(t, "check", "--server", server.addr, "shop/api-0", "shop/web-0", "-p",
		"8080"); got.code != 1 {
		t.Errorf("--like is not followed: %+v", got)
	}
	if got := netpold(t, "check", "--server", server.addr, "shop/web-0", "192.168.0.1", "-p",
		"10250"); got.code != 0 {
		t.Errorf("the switch beside --like does not win: %+v", got)
	}
	status := netpold(t, "status", "--server", server.addr)
	if !regexp.MustCompile(`(?m)^MEANING +like cilium, --ipblock-matches-pods=false$`).
		MatchString(status.stdout) {
		t.Errorf("status:\n%s", status.stdout)
	}
	var st struct {
		Like     string
		Switches map[string]string
	}
	if err := json.Unmarshal([]byte(netpold(t, "status", "--server", server.addr, "-o", "json").stdout),
		&st); err != nil {
		t.Fatal(err)
	}
	if st.Like != "cilium" || st.Switches["ipblock-matches-pods"] != "false" ||
		st.Switches["own-node-exempt"] != "true" {
		t.Errorf("status as JSON: %+v", st)
	}
	// Asked at a server, the meaning is the server's.
	netpold(t, "check", "--server", server.addr, "--like=weave", "shop/api-0", "shop/web-0", "-p", "8080").
		want(t, 2, "",
			"--like does not go with --server")
}

// TestLikeDepartures: policies that a plugin treats otherwise than any switch can follow are told.
func TestLikeDepartures(t *testing.T) {
	networkPolicies, _, _ := strings.Cut(likeCluster, "---\napiVersion: policy.networking.k8s.io")
	policy := func(ports, block string) string {
		return networkPolicies + `
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: special}
spec:
  podSelector: {matchLabels: {app: api}}
  ingress: [{ports: [` + ports + `], from: [{ipBlock: {cidr: "` + block + `"}}]}]
`
	}
	const plain, v4 = "{port: 80}", "192.0.2.0/24"
	for name, c := range map[string]struct {
		ports, block string
		// told are the plugins that a note is about.
		told string
	}{
		"nothing special": {plain, v4, ""},
		"named port":      {"{port: http}", v4, "kube-router ovn-kubernetes weave"},
		"port range":      {"{port: 80, endPort: 90}", v4, "weave"},
		"SCTP":            {"{port: 80, protocol: SCTP}", v4, "azure-cilium cilium gke-dataplane-v2"},
		"IPv6":            {plain, "2001:db8::/32", "azure-npm"},
		"whole IPv6":      {plain, "::/0", "azure-npm kube-router"},
	} {
		file := writeFile(t, "cluster.yaml", policy(c.ports, c.block))
		var told []string
		for _, plugin := range config.Plugins() {
			got := netpold(t, "check", "--manifests", file, "--like="+plugin.Name, "shop/api-0", "203.0.113.9",
				"-p", "80")
			if strings.Contains(got.stderr, "netpold: note: --like="+plugin.Name+" cannot follow "+plugin.Title) &&
				strings.Contains(got.stderr, "shop/special ") {
				told = append(told, plugin.Name)
			}
		}
		if strings.Join(told, " ") != c.told {
			t.Errorf("%s: told for %q, want %q", name, strings.Join(told, " "), c.told)
		}
	}
}

// TestLikeTiers: cluster-wide policies that a plugin may not read are told, unless the plugin's row leaves
// them out.
func TestLikeTiers(t *testing.T) {
	file := writeFile(t, "cluster.yaml", likeCluster)
	for _, plugin := range config.Plugins() {
		got := netpold(t, "check", "--manifests", file, "--like="+plugin.Name, "shop/api-0", "203.0.113.9",
			"-p", "80")
		told := strings.Contains(got.stderr, "1 ClusterNetworkPolicy: "+plugin.Title) ||
			strings.Contains(got.stderr, "1 ClusterNetworkPolicy: Cilium")
		reads := plugin.Settings["policy-tiers"] == "" && plugin.Settings["policies-enforced"] == ""
		if want := reads && plugin.Name != config.Kubernetes; told != want {
			t.Errorf("--like=%s: told %v, want %v:\n%s", plugin.Name, told, want, got.stderr)
		}
		if got := netpold(t, "check", "--manifests", file, "--like="+plugin.Name, "--policy-tiers=off",
			"shop/api-0", "203.0.113.9", "-p", "80"); strings.Contains(got.stderr, "1 ClusterNetworkPolicy: ") {
			t.Errorf("--like=%s: told with --policy-tiers=off:\n%s", plugin.Name, got.stderr)
		}
	}
}

// TestUnknownPlugin: the error names those that there are, and what was probably meant.
// S44: a switch that could not count is refused, with the names of those that keep it from counting.
func TestLocalAboveTiersBesideOthers(t *testing.T) {
	file := writeFile(t, "cluster.yaml", likeCluster)
	const decided, through = "--own-node-exempt=false", "--own-service-exempt=false"
	for name, test := range map[string]struct {
		flags []string
		want  []string // empty: it counts
	}{
		"alone":                {nil, nil},
		"own Node decided":     {[]string{decided}, nil},
		"own Service decided":  {[]string{through}, nil},
		"a plugin with one":    {[]string{"--like=calico"}, nil},
		"both decided":         {[]string{decided, through}, []string{decided + " and " + through + ", with"}},
		"no tiers":             {[]string{"--policy-tiers=off"}, []string{"--policy-tiers=off, with which"}},
		"a plugin without":     {[]string{"--like=weave"}, []string{"--policy-tiers=off (of --like=weave)"}},
		"a plugin, and a flag": {[]string{"--like=calico", through}, []string{decided + " (of --like=calico) and " + through + ","}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"check", "--manifests", file, "10.0.0.1", "10.0.0.2", "-p", "8080",
				"--local-above-tiers"}, test.flags...)
			got := netpold(t, args...)
			if test.want == nil {
				if got.code > 1 {
					t.Errorf("exit %d: %s", got.code, got.stderr)
				}
				return
			}
			for _, want := range append(test.want, "--local-above-tiers cannot count beside ") {
				if got.code != 2 || !strings.Contains(got.stderr, want) {
					t.Errorf("exit %d, want %q in %s", got.code, want, got.stderr)
				}
			}
		})
	}
}

func TestUnknownPlugin(t *testing.T) {
	file := writeFile(t, "cluster.yaml", likeCluster)
	question := []string{"check", "--manifests", file, "shop/api-0", "shop/web-0", "-p", "8080"}
	for given, want := range map[string]string{
		"celium": "gke-dataplane-v2, kindnet, kube-network-policies, kube-router, ovn-kubernetes or weave: did you mean cilium?",
		"zzzzz":  "give kubernetes, antrea, aws-vpc-cni, azure-cilium, azure-npm, calico, cilium, flannel, ",
	} {
		if got := netpold(t, append(question, "--like="+given)...); got.code != 2 ||
			!strings.Contains(got.stderr, want) {
			t.Errorf("--like=%s: %+v", given, got)
		}
		got := netpoldWith(t, []string{"NETPOLD_LIKE=" + given}, "", question...)
		if got.code != 2 || !strings.Contains(got.stderr, "NETPOLD_LIKE") || !strings.Contains(got.stderr, want) {
			t.Errorf("NETPOLD_LIKE=%s: %+v", given, got)
		}
	}
	if got := netpold(t, append(question, "--like=Cilium")...); got.code != 1 {
		t.Errorf("case counts: %+v", got)
	}
}

// TestLikeInEachPlace: the config file and the environment take it, and a switch set in any place wins over
// it.
func TestLikeInEachPlace(t *testing.T) {
	file := writeFile(t, "cluster.yaml", likeCluster)
	settings := func(text string) []string { return []string{"--config", writeFile(t, "netpold.yaml", text)} }
	for name, c := range map[string]struct {
		args, env []string
		exit      int
	}{
		"file":                    {settings("like: cilium\n"), nil, 1},
		"environment":             {nil, []string{"NETPOLD_LIKE=cilium"}, 1},
		"file, switch in it":      {settings("like: cilium\nipblock-matches-pods: true\n"), nil, 0},
		"flag, switch in a file":  {append(settings("ipblock-matches-pods: true\n"), "--like=cilium"), nil, 0},
		"flag wins over the file": {append(settings("like: cilium\n"), "--like=kubernetes"), nil, 0},
	} {
		args := append([]string{"check", "--manifests", file, "shop/api-0", "shop/web-0", "-p", "8080"}, c.args...)
		if got := netpoldWith(t, c.env, "", args...); got.code != c.exit {
			t.Errorf("%s: exit code is %d, want %d:\n%s", name, got.code, c.exit, got.stderr)
		}
	}
}

// TestLikeTableIsDocumented compares the table of docs/semantics.md with the one that --like reads.
func TestLikeTableIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/semantics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `--like=([a-z0-9-]+)` \\| (.*?) \\|").
		FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = row[2]
	}
	for _, plugin := range config.Plugins() {
		row, ok := documented[plugin.Name]
		if !ok {
			t.Errorf("docs/semantics.md has no row for --like=%s", plugin.Name)
			continue
		}
		delete(documented, plugin.Name)
		set := map[string]string{}
		for _, s := range regexp.MustCompile("`--([a-z0-9-]+)=([a-z]+)`").FindAllStringSubmatch(row, -1) {
			set[s[1]] = s[2]
		}
		if len(set) != len(plugin.Settings) {
			t.Errorf("--like=%s: docs/semantics.md has %v, the table %v", plugin.Name, set, plugin.Settings)
		}
		for name, value := range plugin.Settings {
			if set[name] != value {
				t.Errorf("--like=%s: docs/semantics.md has --%s=%s, the table %s", plugin.Name, name, set[name], value)
			}
		}
	}
	for name := range documented {
		t.Errorf("docs/semantics.md has --like=%s, which is no plugin", name)
	}
}
