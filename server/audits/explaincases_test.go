package audits_test

import (
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/audits/explaintext"
	"github.com/netpold/netpold/server/servertest"
)

// hostile is a name with escapes of terminals, a mark that turns the direction of text, quotes and a line.
const hostile = "a\x1b[31m\u202e\"'<b>\nallowed"

// street returns a source with a Pod of every kind, Node n1, and policies of every tier.
func street() *servertest.Source {
	s := servertest.NewSource()
	ip := func(text string) []netip.Addr {
		if text == "" {
			return nil
		}
		return []netip.Addr{netip.MustParseAddr(text)}
	}
	pod := func(name, addr string, change func(*engine.Pod)) engine.Change {
		p := &engine.Pod{Namespace: "ns", Name: name, Labels: map[string]string{"app": name}, IPs: ip(addr)}
		if change != nil {
			change(p)
		}
		return engine.Change{Object: p}
	}
	is := func(app string) engine.Selector { return engine.Selector{{Key: "app", Values: []string{app}}} }
	tier := func(name string, kind engine.ClusterPolicyKind, tier engine.Tier, subject string, action engine.Action, peer string) engine.Change {
		return engine.Change{Object: &engine.ClusterPolicy{
			Kind: kind, Name: name, Tier: tier, Priority: 10, Subject: engine.ClusterSubject{Pods: is(subject)},
			Ingress: []engine.ClusterRule{{Name: "rule-one", Action: action, Rule: engine.Rule{
				Peers: []engine.Peer{{Pods: new(is(peer))}},
			}}},
		}}
	}
	s.Apply(
		engine.Change{Object: &engine.Node{Name: "n1", IPs: ip("10.1.0.1")}},
		pod("shut", "10.0.0.1", func(p *engine.Pod) { p.Node = "n1" }), pod("open", "10.0.0.2", nil), pod("bare", "", nil),
		pod("host", "", func(p *engine.Pod) { p.HostNetwork, p.Node, p.HostIPs = true, "n1", ip("10.1.0.1") }),
		pod("done", "", func(p *engine.Pod) { p.Finished = true }), pod("admin", "10.0.0.5", nil), pod("base", "10.0.0.6", nil),
		pod("odd", "10.0.0.7", func(p *engine.Pod) { p.Name, p.Labels = hostile, map[string]string{"app": hostile, hostile: ""} }),
		engine.Change{Object: &engine.Policy{Namespace: "ns", Name: "shut", Subject: is("shut"), IsolatesIngress: true, IsolatesEgress: true}},
		engine.Change{Object: &engine.Policy{Namespace: "ns", Name: hostile, Subject: is("admin"), IsolatesIngress: true,
			Ingress: []engine.Rule{{Peers: []engine.Peer{{Pods: &engine.Selector{{Key: hostile, Values: []string{hostile}}}}}}}}},
		tier("no-open", engine.ClusterNetworkPolicy, engine.Admin, "admin", engine.Deny, "open"),
		tier("leave", engine.AdminNetworkPolicy, engine.Admin, "admin", engine.Pass, "bare"),
		tier("default", engine.BaselineAdminNetworkPolicy, engine.Baseline, "base", engine.Deny, "open"),
	)
	return s
}

// X3, X4: what is special about an end, an exemption or a tier is said in words, and a tier's denial stands alone
// for its side.
func TestExplainCases(t *testing.T) {
	t.Parallel()
	s := audits.New(street(), audits.Options{})
	in := func(name string) *netpoldv1.Endpoint { return netpold.Pod("ns", name) }
	for name, c := range map[string]struct {
		src, dst *netpoldv1.Endpoint
		want     []string
		closest  int
	}{
		"S2 itself": {in("shut"), in("shut"), []string{"allowed ns/shut -> ns/shut 80/TCP\n", "egress: allows: a Pod may always reach itself\n"}, 0},
		"S3 its own Node": {netpold.IP("10.1.0.1"), in("shut"), []string{
			"egress: no policy concerns the Node n1, so it allows\n",
			"ingress: allows: a Pod and the Node that it runs on may reach each other\n"}, 0},
		"S4 host network": {in("host"), in("open"), []string{
			"egress: no policy concerns the host-network Pod ns/host, so it allows\n", "ingress: allows: no policy isolates ns/open\n"}, 0},
		"no policy":          {in("open"), in("bare"), []string{"egress: allows: no policy isolates ns/open\n"}, 0},
		"no rules":           {in("open"), in("shut"), []string{"ingress: isolated by ns/shut; there are no rules\n", "closest: no rule for ingress would match after one change\n"}, 0},
		"both sides":         {in("shut"), in("admin"), []string{"egress: isolated by ns/shut", "closest: no rule for egress"}, 1},
		"outside":            {netpold.IP("203.0.113.9"), in("shut"), []string{"denied 203.0.113.9 -> ns/shut 80/TCP\n", "egress: no policy concerns an address outside the cluster, so it allows\n"}, 0},
		"without an address": {in("bare"), in("shut"), []string{"denied ns/bare -> ns/shut"}, 0},
		"S8 hypothetical": {netpold.Labels("ns", map[string]string{"app": "new"}), in("shut"), []string{
			"denied ns?app=new -> ns/shut"}, 0},
		"S32 Admin denies": {in("open"), in("admin"), []string{
			"ingress: denied by rule 0 \"rule-one\" of ClusterNetworkPolicy no-open (Admin, priority 10)\n",
			"denied by: rule 0 \"rule-one\" of ClusterNetworkPolicy no-open; no NetworkPolicy is a remedy\n"}, 1},
		"S32 Admin passes": {in("bare"), in("admin"), []string{"AdminNetworkPolicy leave (Admin, priority 10) leaves it to the next tier: ",
			"  rule 0 of ns/\"a\\x1b[31m\\u202e\\\"'<b>\\nallowed\": peer 0 does not: no label "}, 0},
		"S32 Baseline denies": {in("open"), in("base"), []string{
			"denied by: rule 0 \"rule-one\" of BaselineAdminNetworkPolicy default; a NetworkPolicy that isolates ns/base for"}, 1},
		"hostile names": {in(hostile), in("shut"), []string{`denied ns/"a\x1b[31m\u202e\"'<b>\nallowed" -> ns/shut 80/TCP`}, 0},
	} {
		got, err := s.Explain(t.Context(), &netpoldv1.ExplainRequest{
			Question: &netpoldv1.AllowedRequest{Src: c.src, Dst: c.dst, Port: 80},
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got.GetClosest()) != c.closest {
			t.Errorf("%s: closest are %v", name, got.GetClosest())
		}
		if strings.Contains(name, "denies") != (len(got.GetClosest()) > 0 && got.GetClosest()[0].GetDeniedBy() != nil) {
			t.Errorf("%s: closest are %v", name, got.GetClosest())
		}
		for _, want := range c.want {
			if !strings.Contains(got.GetText(), want) {
				t.Errorf("%s: the text lacks\n%s\n%s", name, want, got.GetText())
			}
		}
		if broken := append(brokenText(got.GetText(), 40), brokenText(explaintext.Text(got, true), 1000)...); len(broken) > 0 {
			t.Errorf("%s: %q", name, broken)
		}
	}
	_, err := s.Explain(t.Context(), &netpoldv1.ExplainRequest{
		Question: &netpoldv1.AllowedRequest{Src: in("open"), Dst: in("done"), Port: 80},
	})
	if code, reason, _ := reasonOf(err); code != codes.NotFound || reason != "POD_FINISHED" ||
		!contains(err, `question.dst: Pod "ns/done" has finished`) {
		t.Errorf("S6: %v", err)
	}
}

// TestExplainTextIsCut: a text that is not wide has 40 lines, and its last says how many more there are.
func TestExplainTextIsCut(t *testing.T) {
	t.Parallel()
	s := shop()
	for _, name := range []string{"a", "b"} {
		p := &engine.Policy{Namespace: "shop", Name: name + strings.Repeat("-long", 40), IsolatesIngress: true}
		for i := range 20 {
			p.Ingress = append(p.Ingress, engine.Rule{
				Peers: []engine.Peer{{Pods: &engine.Selector{{Key: "app", Values: []string{strings.Repeat("v", 60)}}}}},
				Ports: []engine.Port{{First: 5433, Last: 5433 + uint16(i)}},
			})
		}
		s.Apply(engine.Change{Object: p})
	}
	got, err := audits.New(s, audits.Options{}).Explain(t.Context(), explain("web-0", 5433))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(got.GetText(), "\n"), "\n")
	if len(lines) != 40 || !strings.HasSuffix(lines[39], " more lines: -o wide prints all") ||
		!strings.HasPrefix(lines[39], "and ") {
		t.Errorf("%d lines:\n%s", len(lines), got.GetText())
	}
	wide := explaintext.Text(got, true)
	if n := strings.Count(wide, ": does not match\n"); n != 42 || strings.Contains(wide, "-o wide") {
		t.Errorf("%d rules:\n%s", n, wide)
	}
}
