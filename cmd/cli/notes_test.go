package cli_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// withoutPolicies is the small cluster, open to all.
func withoutPolicies() string {
	objects, _, _ := strings.Cut(cluster, "---\napiVersion: networking.k8s.io/v1")
	return objects
}

const noPolicies = "netpold: note: no NetworkPolicy and no cluster-wide policy was read, so that every connection is allowed\n"

// TestNotesOfTheState: an answer from a state that may not be what the caller thinks says so, once, beside
// the answer.
func TestNotesOfTheState(t *testing.T) {
	open := writeFile(t, "open.yaml", withoutPolicies())
	idle := writeFile(t, "idle.yaml",
		strings.ReplaceAll(cluster, "matchLabels: {app: web}}\n  policyTypes",
			"matchLabels: {app: wbe}}\n  policyTypes"))
	server := serve(t, "--manifests", open)
	question := []string{"shop/web-0", "shop/cart-0", "-p", "8080"}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"NO_POLICIES": {append([]string{"check", "--manifests", open}, question...), noPolicies},
		"POLICY_SELECTS_NOTHING": {append([]string{"check", "--manifests", idle}, question...),
			"netpold: note: 1 policy selects no Pod: shop/web\n"},
		"in lines": {[]string{"check", "--manifests", open, "-f", "-"}, noPolicies},
		"as JSON":  {append([]string{"check", "--manifests", open, "-o", "json"}, question...), noPolicies},
	} {
		t.Run(name, func(t *testing.T) {
			got := netpoldWith(t, nil, allowedQuestion+"\n", test.args...)
			if got.code != 0 || got.stderr != test.want {
				t.Errorf("exit code %d, stderr is\n%swant\n%s", got.code, got.stderr, test.want)
			}
			quiet := netpoldWith(t, nil, allowedQuestion+"\n", append(test.args, "-q")...)
			if quiet.code != 0 || quiet.stderr != "" {
				t.Errorf("with -q: exit code %d, stderr is\n%s", quiet.code, quiet.stderr)
			}
		})
	}
	assertions := writeFile(t, "policies.txt", "shop/web-0 -> shop/cart-0 8080 = allowed\n")
	for verb, args := range map[string][]string{
		"check":              append([]string{"check"}, question...),
		"check --explain":    append([]string{"check", "--explain"}, question...),
		"check -f":           {"check", "-f", "-"},
		"check -f --explain": {"check", "-f", "-", "--explain", "-o", "json"},
		"test":               {"test", assertions},
		"list":               {"list"},
		"lint":               {"lint", "--fail-on", "none"},
	} {
		args = append(args, "--server", server.addr)
		if got := netpoldWith(t, nil, allowedQuestion+"\n", args...); got.code != 0 || got.stderr != noPolicies {
			t.Errorf("%s of a server: exit code %d, stderr is\n%s", verb, got.code, got.stderr)
		}
		got := netpoldWith(t, nil, allowedQuestion+"\n", append(args, "-q")...)
		if got.code != 0 || got.stderr != "" {
			t.Errorf("%s of a server with -q: exit code %d, stderr is\n%s", verb, got.code, got.stderr)
		}
	}
	netpold(t, "status", "--server", server.addr).
		want(t, 0, "\nNOTES\n  no NetworkPolicy and no cluster-wide policy was read, so that every connection is allowed\n", "")
	got := netpold(t, "status", "--server", server.addr, "-o", "json")
	st := new(netpoldv1.GetStatusResponse)
	if err := protojson.Unmarshal([]byte(got.stdout), st); err != nil || len(st.GetNotes()) != 1 ||
		st.GetNotes()[0].GetCode() != "NO_POLICIES" {
		t.Errorf("notes are %v (%v)", st.GetNotes(), err)
	}
}

// Kinds that decide traffic and are not modelled are told in a tone of their own.
func TestUnmodelledPoliciesAreWarned(t *testing.T) {
	path := writeFile(t, "cilium.yaml", cluster+"---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n"+
		"metadata: {name: a, namespace: shop}\n")
	const want = "netpold: warning: these decide traffic too, and netpold does not model them: " +
		"CiliumNetworkPolicy.cilium.io (1); answers may differ from what the cluster does\n"
	server := serve(t, "--manifests", path)
	for _, from := range [][]string{{"--manifests", path}, {"--server", server.addr}} {
		got := netpold(t, append([]string{"check", "shop/web-0", "shop/cart-0", "-p", "8080"}, from...)...)
		if got.stderr != want {
			t.Errorf("from %q: stderr is\n%swant\n%s", from, got.stderr, want)
		}
	}
}

// TestPoliciesInsideOthersAreToldOfNothingElse: where nothing else was read, it is the more important.
func TestPoliciesInsideOthersAreToldOfNothingElse(t *testing.T) {
	path := writeFile(t, "map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  deny.yaml: |\n"+
		"    apiVersion: networking.k8s.io/v1\n    kind: NetworkPolicy\n")
	netpold(t, "check", "192.0.2.1", "192.0.2.2", "-p", "80", "--manifests", path).want(t, 2, "",
		"netpold: "+path+", document 1: warning: ConfigMap \"c\": data.deny.yaml: holds the text of a NetworkPolicy, "+
			"which is not read from there: give the policy itself, as it is applied\n"+
			"netpold: --manifests "+path+": no object that plays a part in decisions; only these kinds were read: ConfigMap\n")
}
