package cli_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/cilium/api/v1/flow"

	"github.com/netpold/netpold/clients/hubble/hubbletest"
)

// G4: after a change of policies the decision log tells which past answers would be others today, and with the
// policies of then that none would.
func TestG4PastAnswers(t *testing.T) {
	t.Parallel()
	state, log := writeFile(t, "cluster.yaml", cluster), writeFile(t, "decisions.log", "")
	changed := writeFile(t, "changed.yaml", strings.Replace(cluster, "matchLabels: {app: web}}}]",
		"matchLabels: {app: other}}}]", 1))
	server := serve(t, "--manifests", state, "--decision-log", log).addr
	for _, src := range []string{"shop/web-0", "shop/other-0"} {
		netpold(t, "check", "--server", server, src, "shop/cart-0", "-p", "8080")
		netpold(t, "check", "--server", server, "shop/cart-0", src, "-p", "1")
	}
	for written := ""; strings.Count(written, "\n") < 4; { // The log is written beside the answers.
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		written = string(text)
	}
	for file, want := range map[string]string{state: "4 0", changed: "2 2"} {
		got := netpold(t, "audit", log, "--format", "decisions", "--manifests", file, "-o", "json", "--fail-on", "none")
		_, items := auditLines(t, got.stdout)
		summary := items[len(items)-1]
		if compared := fmt.Sprint(summary["agrees"], " ", summary["disagrees"]); compared != want || got.code != 0 {
			t.Errorf("%s: exit %d, %s agree and disagree, want %s\n%s%s", file, got.code, compared, want, got.stdout, got.stderr)
		}
	}
}

// Flows of Hubble are what policies are proposed of, as those of files are.
func TestAuditOfHubbleAsPolicies(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	server.Send(seen(1, "10.0.0.1", flow.Verdict_FORWARDED), disagreeing(2), disagreeing(3),
		seen(4, "203.0.113.9", flow.Verdict_DROPPED))
	file := writeFile(t, "cluster.yaml", cluster)
	got := netpold(t, "audit", "--manifests", file, "--hubble", server.Addr(), "--since=2026-11-26T12:00:00Z",
		"--until=2026-11-26T13:00:00Z", "--as-policies=missing")
	if got.code != 0 || !strings.Contains(got.stdout, "# 2 flows, 2026-11-26: shop/other-0 -> shop/cart-0 8080/TCP\n") ||
		!strings.Contains(got.stdout, "# Left out: 1 flow, denied by the network\n") || strings.Contains(got.stdout, "203.0.113") {
		t.Errorf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}

// agedCluster has Pods and a policy that say when they were created.
const agedCluster = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}, creationTimestamp: "2026-05-01T10:00:00Z"}
spec: {containers: [{name: c, image: c}]}
status: {phase: Running, podIPs: [{ip: 10.0.0.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-0, namespace: shop, labels: {app: cart}, creationTimestamp: "2026-05-01T11:00:00Z"}
spec: {containers: [{name: c, image: c}]}
status: {phase: Running, podIPs: [{ip: 10.0.0.2}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop, creationTimestamp: "2026-05-01T12:00:00Z"}
spec: {podSelector: {matchLabels: {app: cart}}, policyTypes: [Ingress]}
`

// F3, F4: each reason not to compare, each at its border, and what is compared otherwise, by the hand.
func TestF3F4ByHand(t *testing.T) {
	t.Parallel()
	var records strings.Builder
	var want []string
	add := func(outcome, time, src, dst, verdict, direction string) {
		fmt.Fprintf(&records, `{"flow":{"time":"2026-05-01T%sZ","verdict":%s,"IP":{"source":"10.0.0.1","destination":%s},`+
			`"l4":{"TCP":{"destination_port":80}},"source":{"namespace":"shop","pod_name":%q},`+
			`"destination":{"namespace":"shop"},"traffic_direction":%q,"is_reply":false}}`+"\n", time, verdict, dst, src, direction)
		want = append(want, outcome)
	}
	const cart, web, outside = `"10.0.0.2"`, `"10.0.0.1"`, `"192.0.2.1"`
	const forwarded, denied, other = `"FORWARDED"`, `"DROPPED","drop_reason_desc":"POLICY_DENIED"`, `"DROPPED","drop_reason_desc":"CT_MAP_INSERTION_FAILED"`
	add("no-verdict", "09:00:00", "gone-0", cart, other, "INGRESS") // before all that follows
	add("moved", "09:00:00", "gone-0", cart, forwarded, "INGRESS")
	add("pod-younger", "10:59:59.999", "web-0", cart, forwarded, "INGRESS")
	add("pod-younger", "09:59:59", "web-0", outside, forwarded, "EGRESS")
	add("policy-younger", "11:00:00", "web-0", cart, forwarded, "INGRESS")
	add("policy-younger", "11:59:59.999", "web-0", cart, forwarded, "INGRESS")
	add("DISAGREES", "12:00:00", "web-0", cart, forwarded, "INGRESS")
	add("AGREES", "11:30:00", "web-0", cart, denied, "INGRESS")   // it agrees, so the policy's age does not matter
	add("AGREES", "13:00:00", "web-0", cart, forwarded, "EGRESS") // the other side drops it later
	add("DISAGREES", "13:00:00", "web-0", cart, denied, "EGRESS") // nothing denies here
	add("DISAGREES", "13:00:00", "web-0", cart, forwarded, "")
	add("AGREES", "13:00:00", "web-0", cart, denied, "")
	add("AGREES", "13:00:00", "web-0", outside, forwarded, "EGRESS")
	add("DISAGREES", "13:00:00", "web-0", web, denied, "INGRESS") // a Pod reaches itself
	state := writeFile(t, "cluster.yaml", agedCluster)
	got := netpoldWith(t, nil, records.String(), "audit", "--manifests", state, "-o", "json", "--format", "hubble")
	kinds, items := auditLines(t, got.stdout)
	if len(kinds) != len(want)+2 || got.code != 1 {
		t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	for i, outcome := range want {
		if flow := items[i+1]; fmt.Sprint(flow["compared"], flow["why"]) != outcome {
			t.Errorf("record %d is %v%v, want %s: %v", i+1, flow["compared"], flow["why"], outcome, flow)
		}
	}
}
