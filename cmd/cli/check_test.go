package cli_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/netpold/netpold/cmd/config"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// questions in words, their exit codes and answers; the revision is left out.
func questions() []struct {
	args []string
	code int
	want string
} {
	return []struct {
		args []string
		code int
		want string
	}{
		{[]string{"shop/web-0", "shop/cart-0", "-p", "8080"}, 0, `
allowed  shop/web-0 -> shop/cart-0 8080/TCP
  egress:   allowed by rule 1 (second) of policy shop/web
  ingress:  allowed by rule 0 (first) of policy shop/cart
  families: IPv4
`},
		{[]string{"shop/other-0", "shop/cart-0", "-p", "8080"}, 1, `
denied   shop/other-0 -> shop/cart-0 8080/TCP
  egress:   allowed: no policy isolates the source
  ingress:  denied: 2 policies isolate the destination, and no rule of theirs matches
            shop/cart
            shop/default-deny
`},
		{[]string{"shop/web-0", "10.0.0.3", "-p", "53", "--protocol", "UDP"}, 1, `
denied   shop/web-0 -> 10.0.0.3 53/UDP
  egress:   denied: policy shop/web isolates the source, and no rule of it matches
  ingress:  allowed: no policy isolates the destination
`},
		{[]string{"shop/web-0", "svc/shop/cart", "-p", "80"}, 0, `
allowed  shop/web-0 -> svc/shop/cart 80/TCP
  egress:   allowed by rule 1 (second) of policy shop/web
  ingress:  allowed by rule 0 (first) of policy shop/cart
  families: IPv4
  backends: 1 of 1 pair of source and destination is allowed
`},
		{[]string{"shop/cart-0", "shop/cart-0", "--port=9"}, 0, `
allowed  shop/cart-0 -> shop/cart-0 9/TCP
  reason:   a Pod may always reach itself
  families: IPv4, IPv6
`},
		{[]string{"192.0.2.1", "shop/cart-0", "-p9"}, 0, `
allowed  192.0.2.1 -> shop/cart-0 9/TCP
  reason:   a Pod and the Node it runs on may always reach each other
  families: IPv4
`},
		{[]string{"shop?app=web", "shop?app=cart", "-p", "1"}, 1, `
denied   shop?app=web -> shop?app=cart 1/TCP
  egress:   allowed by rule 1 (second) of policy shop/web
  ingress:  denied: 2 policies isolate the destination, and no rule of theirs matches
            shop/cart
            shop/default-deny
`},
		{[]string{"shop?app=web#ip=10.0.0.9", "shop?app=cart#http=1", "-p", "1"}, 0, `
allowed  shop?app=web#ip=10.0.0.9 -> shop?app=cart#http=1 1/TCP
  egress:   allowed by rule 1 (second) of policy shop/web
  ingress:  allowed by rule 0 (first) of policy shop/cart
  families: IPv4
`},
	}
}

// withoutRevision takes the last line away, which must be the revision, and the lines that need details.
func withoutRevision(t *testing.T, text string) string {
	t.Helper()
	cut := strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n") + 1
	if !strings.HasPrefix(text[cut:], "  revision: ") {
		t.Errorf("last line is %q, want the revision", text[cut:])
	}
	return fromOrTo.ReplaceAllString(text[:cut], "")
}

// fromOrTo are the lines that say what the ends turned out to be.
var fromOrTo = regexp.MustCompile(`(?m)^  (from|to): .*\n`)

// TestCheckAnswersTheSameBothWays asks the manifests and a server of the same manifests.
func TestCheckAnswersTheSameBothWays(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	server := serve(t, "--manifests", file)
	for name, where := range map[string]string{"manifests": "--manifests=" + file,
		"server": "--server=" + server.addr} {
		t.Run(name, func(t *testing.T) {
			for _, q := range questions() {
				t.Run(strings.Join(q.args, " "), func(t *testing.T) {
					got := netpold(t, append([]string{"check", "-q", where}, q.args...)...)
					if got.code != q.code || got.stderr != "" {
						t.Errorf("exit code is %d, want %d; stderr:\n%s", got.code, q.code, got.stderr)
					}
					if diff := cmp.Diff(strings.TrimPrefix(q.want, "\n"), withoutRevision(t, got.stdout)); diff != "" {
						t.Errorf("answer (-want +got):\n%s", diff)
					}
				})
			}
		})
	}
}

func TestCheckJSON(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	var answers []*netpoldv1.AllowedResponse
	for _, where := range []string{"--manifests=" + file, "--server=" + serve(t, "--manifests", file).addr} {
		got := netpold(t, "check", where, "shop/other-0", "shop/cart-0", "-p", "8080", "-q", "-o", "json")
		got.want(t, 1, "{\n  \"allowed\": false,\n  \"reason\": \"REASON_DENIED_AT_INGRESS\",\n", "")
		answer := new(netpoldv1.AllowedResponse)
		if err := protojson.Unmarshal([]byte(got.stdout), answer); err != nil {
			t.Fatal(err)
		}
		if answer.GetRevision() == 0 || answer.GetToken() == "" {
			t.Errorf("answer has no revision or token: %v", answer)
		}
		answer.Token, answer.Revision = "", 0
		answer.Src, answer.Dst, answer.Port, answer.Protocol, answer.Notes = nil, nil, 0, 0, nil
		answers = append(answers, answer)
	}
	want := &netpoldv1.AllowedResponse{
		Reason: netpoldv1.Reason_REASON_DENIED_AT_INGRESS,
		Egress: &netpoldv1.Side{Allowed: true},
		Ingress: &netpoldv1.Side{
			Isolated: true, IsolatedBy: []string{"shop/cart", "shop/default-deny"}, IsolatedByTotal: 2,
			Tier: netpoldv1.Tier_TIER_NETWORK_POLICY,
		},
	}
	for _, answer := range answers {
		if diff := cmp.Diff(want, answer, protocmp.Transform()); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
	}
}

// TestCheckFailsTheSameBothWays: what has no answer has the same error wherever it is asked.
func TestCheckFailsTheSameBothWays(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	server := serve(t, "--manifests", file)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"S27 unknown Pod": {[]string{"shop/nobody", "shop/cart-0", "-p", "1"},
			`netpold: src: Pod "shop/nobody" is not known`},
		"S6 finished Pod": {[]string{"shop/web-0", "shop/done-0", "-p", "1"},
			`netpold: dst: Pod "shop/done-0" has finished`},
		"S24 no such port": {[]string{"shop/web-0", "svc/shop/cart", "-p", "81"},
			`netpold: dst: Service "shop/cart" `},
		"S28 Service as a source": {[]string{"svc/shop/cart", "shop/web-0", "-p", "1"},
			`netpold: src.service: a Service cannot be a source`},
	} {
		t.Run(name, func(t *testing.T) {
			local := netpold(t, append([]string{"check", "--manifests=" + file}, test.args...)...)
			local.want(t, 2, "", test.want)
			if strings.Count(local.stderr, "\n") != 1 {
				t.Errorf("error is not one line:\n%s", local.stderr)
			}
			remote := netpold(t, append([]string{"check", "--server=" + server.addr}, test.args...)...)
			if diff := cmp.Diff(local, remote, cmp.AllowUnexported(result{})); diff != "" {
				t.Errorf("answers differ (-manifests +server):\n%s", diff)
			}
		})
	}
}

func TestCheckCalledWrongly(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	manifests := "--manifests=" + file
	const hint = "; see 'netpold check --help'\n"
	for name, test := range map[string]struct {
		args []string
		env  []string
		want string
	}{
		"nothing": {args: nil,
			want: "netpold: no question: give SRC DST -p PORT, or -f FILE" + hint},
		"no DST": {args: []string{"a/b"}, want: `netpold: DST is missing after SRC "a/b"` + hint},
		"a word too many": {args: []string{"a/b", "c/d", "80", "-p", "1"},
			want: `"80" is one word too many after SRC and DST` + hint},
		"no port": {args: []string{manifests, "a/b", "c/d"},
			want: "netpold: the port is missing: give -p PORT" + hint},
		"port is a name": {args: []string{manifests, "a/b", "c/d", "-p", "http"},
			want: `netpold: --port: "http" is not a port: give a number, 1 to 65535` + hint},
		"negative port": {args: []string{manifests, "a/b", "c/d", "-p", "-1"},
			want: `netpold: --port: "-1" is not a port`},
		"S28 port 0": {args: []string{"--manifests=/nowhere", "a/b", "c/d", "-p", "0"},
			want: `netpold: --port: "0" is not a port: give a number, 1 to 65535` + hint},
		"S28 port above 65535": {args: []string{"--manifests=/nowhere", "a/b", "c/d", "-p", "65536"},
			want: `netpold: --port: "65536" is not a port: give a number, 1 to 65535` + hint},
		"S28 namespace of words": {args: []string{"--manifests=/nowhere", "Shop?", "c/d", "-p", "1"},
			want: `netpold: SRC: endpoint "Shop?": "Shop" is not the name of a namespace; `},
		"S28 label of words": {args: []string{"--manifests=/nowhere", "a/b", "shop?a=-", "-p", "1"},
			want: `netpold: DST: endpoint "shop?a=-": label "a=-": "-" is not the value of a label; `},
		"S28 port of words": {args: []string{"--manifests=/nowhere", "a/b", "shop?#http=x", "-p", "1"},
			want: `netpold: DST: endpoint "shop?#http=x": port "http=x": "x" is not a port: give 1 to 65535; `},
		"protocol": {args: []string{manifests, "a/b", "c/d", "-p", "1", "--protocol", "icmp"},
			want: `--protocol: "icmp" is none of its values: give tcp, udp or sctp` + hint},
		"output": {args: []string{manifests, "a/b", "c/d", "-p", "1", "-o", "xml"},
			want: `--output: "xml" is none of its values: give text, wide, json or yaml` + hint},
		"no state": {args: []string{"a/b", "c/d", "-p", "1"},
			want: "netpold: nowhere to take the cluster's state from: give --manifests PATH"},
		"two states": {args: []string{manifests, "--server=x:1", "a/b", "c/d", "-p", "1"},
			want: "--manifests and --server exclude each other: leave all but one out"},
		"two states by env": {args: []string{"a/b", "c/d", "-p", "1"},
			env: []string{"NETPOLD_SERVER=x:1", "NETPOLD_MANIFESTS=x"}, want: "exclude each other"},
		"both ends wrong": {args: []string{manifests, "a", "b", "-p", "1"}, want: "netpold: DST: "},
		"file and words": {args: []string{manifests, "a/b", "c/d", "-f", "-"},
			want: "SRC DST and -f exclude each other"},
		"file and port": {args: []string{manifests, "-f", "-", "-p", "1"},
			want: "-p and --protocol do not go with -f"},
		"file and text": {args: []string{manifests, "-f", "-", "-o", "text"},
			want: "-o text does not go with -f"},
		"file without a name": {args: []string{manifests, "-f", ""},
			want: "-f needs a file, or - for standard input"},
		"both standard input": {args: []string{"--manifests=-", "-f", "-"},
			want: "--manifests - and -f - exclude each other"},
		"unreadable questions": {args: []string{manifests, "-f", "/nowhere/q"},
			want: "netpold: -f: open /nowhere/q: no such file or directory: give a file"},
		"unreadable manifests": {args: []string{"--manifests=/nowhere/m", "a/b", "c/d", "-p", "1"},
			want: "/nowhere/m"},
		"unknown flag": {args: []string{"--prot", "1"},
			want: "netpold: unknown flag --prot: did you mean --port?" + hint},
		"unknown short flag": {args: []string{"-x"}, want: "netpold: unknown shorthand flag: 'x' in -x" + hint},
		"flag without its value": {args: []string{"a/b", "c/d", "-p"},
			want: "netpold: --port needs a value" + hint},
		"environment": {args: []string{manifests, "a/b", "c/d", "-p", "1"}, env: []string{"NETPOLD_TIMEOUT=x"},
			want: `netpold: NETPOLD_TIMEOUT: "x" is not a duration`},
		"unreadable CA": {args: []string{"--server=x:1", "--tls-ca=/nowhere/ca", "a/b", "c/d", "-p", "1"},
			want: "netpold: --tls-ca: open /nowhere/ca: no such file"},
		"CA without a certificate": {
			args: []string{"--server=x:1", "--tls-ca=" + file, "a/b", "c/d", "-p", "1"},
			want: "no certificate in it: give a PEM file",
		},
		"half a key pair": {
			args: []string{"--server=x:1", "--tls-client-cert=" + file, "a/b", "c/d", "-p", "1"},
			want: "--tls-client-cert, --tls-client-key: give both or neither",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := netpoldWith(t, test.env, "", append([]string{"check"}, test.args...)...)
			got.want(t, 2, "", test.want)
			for line := range strings.Lines(got.stderr) {
				if !strings.HasPrefix(line, "netpold: ") {
					t.Errorf("a line does not begin with the program's name: %q", line)
				}
			}
		})
	}
}

// TestNearerChoiceOfStateWins: a flag is nearer than the environment.
func TestNearerChoiceOfStateWins(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	got := netpoldWith(t, []string{"NETPOLD_SERVER=127.0.0.1:1"}, "",
		"check", "--manifests", file, "shop/web-0", "shop/cart-0", "-p", "8080")
	got.want(t, 0, "allowed", "")
}

func TestCheckReadsManifestsFromStandardInput(t *testing.T) {
	got := netpoldWith(t, nil, cluster, "check", "--manifests=-", "shop/web-0", "shop/cart-0", "-p", "8080")
	got.want(t, 0, "allowed", "")
}

// TestCheckReportsEveryProblem (S23): nothing is answered from manifests with problems, and each is printed.
func TestCheckReportsEveryProblem(t *testing.T) {
	file := writeFile(t, "broken.yaml", cluster+"---"+brokenPolicies)
	got := netpold(t, "check", "--manifests", file, "shop/web-0", "shop/cart-0", "-p", "8080")
	got.want(t, 2, "", "problems: mend what is listed above")
	for _, field := range []string{"spec.ingress[0].from[0].ipBlock.cidr", "spec.ingress[0].ports[0].port",
		"spec.policyTypes[0]"} {
		if !strings.Contains(got.stderr, field) {
			t.Errorf("%s is not listed:\n%s", field, got.stderr)
		}
	}
}

// TestCheckShowsWarnings (S23): host bits are read, and told.
func TestCheckShowsWarnings(t *testing.T) {
	file := writeFile(t, "old.yaml", strings.ReplaceAll(cluster, "203.0.113.0/24", "203.0.113.9/24"))
	got := netpold(t, "check", "--manifests", file, "shop/web-0", "203.0.113.77", "-p", "443")
	got.want(t, 0, "rule 0 (first) of policy shop/web", "warning: ")
}

func TestUnreachableServer(t *testing.T) {
	closed := serve(t, "--manifests", writeFile(t, "cluster.yaml", cluster))
	closed.end(t, 0)
	for _, args := range [][]string{
		{"check", "shop/web-0", "shop/cart-0", "-p", "8080"}, {"status"},
	} {
		got := netpold(t, append(args, "--server", closed.addr, "--timeout", "20s")...)
		got.want(t, 2, "", "netpold: --server "+closed.addr+": cannot be asked: ")
		if !strings.Contains(got.stderr, "connection refused") ||
			!strings.Contains(got.stderr, "is netpold serving there") {
			t.Errorf("error says neither why nor what to do: %s", got.stderr)
		}
	}
}

// TestSenselessFlagsAreRefused: by name, value and remedy, and before the state is read, which is nowhere.
func TestSenselessFlagsAreRefused(t *testing.T) {
	const server = ": give HOST:PORT, for example 127.0.0.1:9480 or [::1]:9480, or dns:///HOST:PORT or unix:///PATH"
	listen := ": give HOST:PORT, for example 127.0.0.1:9480; port 0 takes a free one"
	check := []string{"check", "--manifests=/nowhere", "a/b", "c/d", "-p", "1"}
	serve := []string{"serve", "--manifests=/nowhere"}
	for name, test := range map[string]struct {
		verb []string
		flag string
		want string
	}{
		"no timeout": {check, "--timeout=0s", `"0s" is not above 0s: give a duration such as 10s`},
		"negative timeout": {check, "--timeout=-5s",
			`"-5s" is not above 0s: give a duration such as 10s`},
		"timeout of token": {[]string{"token"}, "--timeout=0",
			`"0" is not above 0s: give a duration such as 10s`},
		"timeout of status": {[]string{"status"}, "--timeout=-1ns",
			`"-1ns" is not above 0s: give a duration such as 10s`},
		"timeout of healthcheck": {[]string{"healthcheck"}, "--timeout=0s",
			`"0s" is not above 0s: give a duration such as 2s`},
		"server without a port": {check, "--server=127.0.0.1",
			`"127.0.0.1" names no server: missing port in address` + server},
		"server of status": {[]string{"status"}, "--server=netpold",
			`"netpold" names no server: missing port in address` + server},
		"server of token": {[]string{"token"}, "--server=dns:///netpold",
			`"dns:///netpold" names no server: missing port in address` + server},
		"server of healthcheck": {[]string{"healthcheck"}, "--server=::1",
			`"::1" names no server: too many colons in address` + server},
		"server that is a URL": {check, "--server=https://x:9480",
			`"https://x:9480" names no server: "https://" is no way to name a server` + server},
		"namespace": {check, "--namespace=Team A",
			`"Team A" is not the name of a namespace; it has a-z, 0-9 and "-", and begins and ends with a letter or digit`},
		"listen without a port": {serve, "--listen=localhost",
			`"localhost" is not an address to listen on: missing port in address` + listen},
		"listen on no port": {serve, "--listen=localhost:",
			`"localhost:" is not an address to listen on: "" is no port` + listen},
		"admin port that is none": {serve, "--admin-listen=:65536",
			`":65536" is not an address to listen on: "65536" is no port` + listen},
		"negative staleness": {serve, "--max-staleness=-1s", `"-1s" is below 0s: give 0s or more`},
		"no batch":           {serve, "--max-batch=0", `"0" is out of range: give 1 or more`},
		"negative batch":     {serve, "--max-batch=-1", `"-1" is out of range: give 1 or more`},
		"no message":         {serve, "--max-message-bytes=0", `"0" is out of range: give 1 to 2147483647`},
		"message too long": {serve, "--max-message-bytes=2147483648",
			`"2147483648" is out of range: give 1 to 2147483647`},
		"no stream": {serve, "--max-streams=0", `"0" is out of range: give 1 to 4294967295`},
		"no deadline": {serve, "--max-deadline=0s",
			`"0s" is not above 0s: give a duration such as 30s`},
		"no connection age": {serve, "--max-connection-age=0s",
			`"0s" is not above 0s: give a duration such as 30m0s`},
		"no grace": {serve, "--max-connection-age-grace=-1s",
			`"-1s" is not above 0s: give a duration such as 30s`},
		"negative delay of draining": {serve, "--drain-delay=-1s", `"-1s" is below 0s: give 0s or more`},
		"negative time of draining":  {serve, "--drain-timeout=-1s", `"-1s" is below 0s: give 0s or more`},
	} {
		t.Run(name, func(t *testing.T) {
			code := 2
			if test.verb[0] == "healthcheck" {
				code = 1
			}
			flag, value, _ := strings.Cut(test.flag, "=")
			verb := test.verb[0]
			netpold(t, append(slices.Clone(test.verb), test.flag)...).
				want(t, code, "", "netpold: "+flag+": "+test.want+"; see 'netpold "+verb+" --help'\n")
			variable := config.EnvName(strings.TrimPrefix(flag, "--"))
			if verb == "healthcheck" && flag == "--timeout" {
				return // which the environment does not set, for it is that of other calls
			}
			netpoldWith(t, []string{variable + "=" + value}, "", test.verb...).
				want(t, code, "", "netpold: "+variable+": "+test.want+"\n")
		})
	}
}

// TestIPBlockMatchesPods (S19) sets the option in each place that has it.
func TestIPBlockMatchesPods(t *testing.T) {
	file := writeFile(t, "cluster.yaml", strings.ReplaceAll(cluster, "203.0.113.0/24", "10.0.0.0/24"))
	for name, test := range map[string]struct {
		args, env []string
		code      int
	}{
		"by default": {nil, nil, 0},
		"flag":       {[]string{"--ipblock-matches-pods=false"}, nil, 1},
		"env":        {nil, []string{"NETPOLD_IPBLOCK_MATCHES_PODS=false"}, 1},
		"file":       {[]string{"--config", writeFile(t, "netpold.yaml", "ipblock-matches-pods: false\n")}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"check", "--manifests", file, "shop/web-0", "shop/other-0", "-p", "1"},
				test.args...)
			if got := netpoldWith(t, test.env, "", args...); got.code != test.code {
				t.Errorf("exit code is %d, want %d:\n%s%s", got.code, test.code, got.stdout, got.stderr)
			}
		})
	}
}

func TestNamespaceOfObjectsWithoutOne(t *testing.T) {
	file := writeFile(t, "pods.yaml", `
apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {containers: [{name: c}]}
`)
	netpold(t, "check", "--manifests", file, "default/a", "10.0.0.9", "-p", "1").want(t, 0, "allowed", "")
	netpold(t, "check", "--manifests", file, "--namespace=team", "team/a", "10.0.0.9", "-p", "1").
		want(t, 0, "allowed", "")
}

// TestFormsOfEndsAreToldOnce: two ends of the same wrong form are both named, and the forms once.
func TestFormsOfEndsAreToldOnce(t *testing.T) {
	path := writeFile(t, "cluster.yaml", cluster)
	got := netpold(t, "check", "web", "cart", "-p", "80", "--manifests", path)
	got.want(t, 2, "", "netpold: SRC: endpoint \"web\": neither an address nor a name with its namespace\n"+
		"netpold: DST: endpoint \"cart\": neither an address nor a name with its namespace; write shop/")
	if n := strings.Count(got.stderr, "write shop/frontend-0"); n != 1 {
		t.Errorf("the forms are told %d times:\n%s", n, got.stderr)
	}
	netpold(t, "check", "web", "shop/cart-0", "-p", "80", "--manifests", path).want(t, 2, "", "namespace; write shop/")
}
