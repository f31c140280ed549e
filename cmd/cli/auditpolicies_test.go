package cli_test

import (
	"strings"
	"testing"
)

// proposedCluster has a Deployment whose Pods are told apart from nothing else, two that no labels tell apart, a
// Pod on the host network, and names that YAML could mistake.
const proposedCluster = `apiVersion: v1
kind: Namespace
metadata: {name: web}
---
apiVersion: v1
kind: Node
metadata: {name: node-a}
status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: front-1, namespace: web, labels: {app: "yes", "pod-template-hash": abc}}
spec: {nodeName: node-b, containers: [{name: c, image: c}]}
status: {phase: Running, podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db-1, namespace: web, labels: {app: "1e3"}}
spec: {nodeName: node-b, containers: [{name: c, image: c, ports: [{name: sql, containerPort: 5432}]}]}
status: {phase: Running, podIPs: [{ip: 10.0.0.2}, {ip: "fd00::2"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: twin-1, namespace: web, labels: {app: twin}}
spec: {nodeName: node-b, containers: [{name: c, image: c}]}
status: {phase: Running, podIPs: [{ip: 10.0.0.3}]}
---
apiVersion: v1
kind: Pod
metadata: {name: twin-2, namespace: web, labels: {app: twin}}
spec: {nodeName: node-b, containers: [{name: c, image: c}]}
status: {phase: Running, podIPs: [{ip: 10.0.0.4}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: netpold-db-1, namespace: web}
spec: {podSelector: {matchLabels: {app: "1e3"}}, policyTypes: [Ingress]}
`

const proposedFlows = `{"src":"10.0.0.1","dst":"10.0.0.2","port":5432,"verdict":"allow","time":"2026-05-01T10:00:00Z"}
{"src":"fd00::1","dst":"fd00::2","port":5432,"verdict":"allow","time":"2026-05-03T10:00:00Z"}
{"src":"192.168.0.1","dst":"10.0.0.1","port":8080,"verdict":"allow"}
{"src":"2001:db8::7","dst":"fd00::1","port":8080}
{"src":"203.0.113.8","dst":"10.0.0.1","port":8080}
{"src":"203.0.113.9","dst":"10.0.0.1","port":8080}
{"src":"203.0.113.9","dst":"10.0.0.1","port":22,"verdict":"deny"}
`

// Proposed policies have the flows behind each rule, are what a rerun with them accepts, and admit nothing that
// the network denied.
func TestAuditAsPolicies(t *testing.T) {
	state := writeFile(t, "cluster.yaml", proposedCluster)
	records := writeFile(t, "flows.jsonl", proposedFlows)
	got := netpold(t, "audit", records, "--manifests", state, "--as-policies")
	if got.code != 0 {
		t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	for _, want := range []string{
		"# 2 flows, 2026-05-01 to 2026-05-03: web/front-1 -> web/db-1 5432/TCP\n",
		"app: \"yes\"\n", "app: \"1e3\"\n", "name: netpold-db-1-2\n", "cidr: 203.0.113.8/31\n", "cidr: 192.168.0.1/32\n",
		"cidr: 2001:db8::7/128\n", "(node/node-a)", "# Left out: 1 flow, denied by the network\n",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("it lacks %q", want)
		}
	}
	if strings.Contains(got.stdout, "port: 22") || strings.Contains(got.stdout, "pod-template-hash") {
		t.Error("it admits what was denied, or selects one generation of Pods")
	}
	if t.Failed() {
		t.Log(got.stdout)
	}
	both := writeFile(t, "after.yaml", proposedCluster+"---\n"+got.stdout)
	again := netpold(t, "audit", records, "--manifests", both, "--summary-only", "--fail-on", "denied")
	if !strings.Contains(again.stdout, "of which the policies allow 6 and deny 1\n") {
		t.Errorf("with the policies: %s%s", again.stdout, again.stderr)
	}
	if once := netpold(t, "audit", records, "--manifests", both, "--as-policies"); once.code != 0 ||
		!strings.Contains(once.stdout, "Nothing to propose") {
		t.Errorf("with the policies there is more to propose: exit %d\n%s", once.code, once.stdout)
	}
}

// What cannot be proposed is told: a workload that no labels tell apart keeps its peers open, and a flow that stays
// denied is exit code 2.
func TestAuditAsPoliciesTellsWhatIsLeft(t *testing.T) {
	state := writeFile(t, "cluster.yaml", proposedCluster)
	for name, test := range map[string]struct {
		flow, mode string
		code       int
		want       string
	}{
		"open peer":    {`{"src":"10.0.0.1","dst":"10.0.0.3","port":80}`, "default-deny", 0, "# egress stays open: no labels tell the Pods of web/twin-1 apart\n"},
		"no selector":  {`{"src":"10.0.0.1","dst":"10.0.0.3","port":80}`, "default-deny", 0, "# No policy for web/twin-1: no labels tell its Pods apart.\n"},
		"stays denied": {`{"src":"10.0.0.3","dst":"10.0.0.2","port":80}`, "missing", 2, "# Stays denied: web/twin-1 -> web/db-1 80/TCP (1 flow), at ingress\n"},
		"missing":      {`{"src":"10.0.0.1","dst":"10.0.0.2","port":80}`, "missing", 0, "policyTypes:\n    - Ingress\n  ingress:"},
		"nothing":      {`{"src":"10.0.0.1","dst":"203.0.113.1","port":80}`, "missing", 0, "# Nothing to propose"},
	} {
		t.Run(name, func(t *testing.T) {
			got := netpoldWith(t, nil, test.flow+"\n", "audit", "--manifests", state, "--as-policies="+test.mode)
			if got.code != test.code || !strings.Contains(got.stdout, test.want) {
				t.Errorf("exit %d, want %d and %q\n%s%s", got.code, test.code, test.want, got.stdout, got.stderr)
			}
		})
	}
}

// Outside addresses may be widened; flags that say nothing here are refused, and so is a server.
func TestAuditAsPoliciesFlags(t *testing.T) {
	state := writeFile(t, "cluster.yaml", proposedCluster)
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"widened": {[]string{"--as-policies", "--external-bits", "24,64"}, 0, "cidr: 203.0.113.0/24\n"},
		"no bits": {[]string{"--as-policies", "--external-bits", "33"}, 2, "--external-bits 33: give 1 to 32 bits"},
		"alone":   {[]string{"--external-bits", "24"}, 2, "--external-bits does nothing without --as-policies"},
		"output":  {[]string{"--as-policies", "-o", "json"}, 2, "--output and --as-policies exclude each other"},
		"mode":    {[]string{"--as-policies=some"}, 2, "default-deny"},
	} {
		t.Run(name, func(t *testing.T) {
			got := netpoldWith(t, nil, proposedFlows, append([]string{"audit", "--manifests", state}, test.args...)...)
			if got.code != test.code || !strings.Contains(got.stdout+got.stderr, test.want) {
				t.Errorf("exit %d, want %d and %q\n%s%s", got.code, test.code, test.want, got.stdout, got.stderr)
			}
		})
	}
	got := netpoldWith(t, nil, proposedFlows, "audit", "--server", "127.0.0.1:1", "--as-policies")
	if got.code != 2 || !strings.Contains(got.stderr, "give --manifests, or --kubeconfig") {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
}
