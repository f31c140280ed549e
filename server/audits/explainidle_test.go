package audits_test

import (
	"net/netip"
	"strings"
	"testing"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/audits/explaintext"
	"github.com/netpold/netpold/server/servertest"
)

// tieredTown returns a source with Pods s and d, and host-network Pod hn on a Node with label r=w. Every tier has
// a policy for ingress of d, the Admin tier denies port 81, passes 82 and accepts 83.
func tieredTown() *servertest.Source {
	s := servertest.NewSource()
	port := func(n uint16) engine.Rule { return engine.Rule{Ports: []engine.Port{{First: n, Last: n}}} }
	s.Apply(
		engine.Change{Object: &engine.Node{Name: "n1", Labels: map[string]string{"r": "w"}, IPs: []netip.Addr{netip.MustParseAddr("10.1.0.1")}}},
		engine.Change{Object: &engine.Pod{Namespace: "a", Name: "s", Labels: map[string]string{"app": "s"}}},
		engine.Change{Object: &engine.Pod{Namespace: "a", Name: "d", Labels: map[string]string{"app": "d"}}},
		engine.Change{Object: &engine.Pod{
			Namespace: "a", Name: "hn", Labels: map[string]string{"r": "x"}, Node: "n1", HostNetwork: true,
		}},
		engine.Change{Object: &engine.Policy{
			Namespace: "a", Name: "np", Subject: engine.Selector{{Key: "app", Values: []string{"d"}}},
			IsolatesIngress: true, Ingress: []engine.Rule{port(1)},
		}},
		engine.Change{Object: &engine.ClusterPolicy{
			Name: "adm", Tier: engine.Admin,
			Ingress: []engine.ClusterRule{
				{Action: engine.Deny, Rule: port(81)}, {Action: engine.Pass, Rule: port(82)}, {Action: engine.Allow, Rule: port(83)},
			},
			Egress: []engine.ClusterRule{{Action: engine.Deny, Rule: engine.Rule{
				Peers: []engine.Peer{{Nodes: &engine.Selector{{Key: "r", Values: []string{"x"}}}}},
			}}},
		}},
		engine.Change{Object: &engine.ClusterPolicy{
			Kind: engine.BaselineAdminNetworkPolicy, Name: "default", Tier: engine.Baseline,
			Ingress: []engine.ClusterRule{{Action: engine.Deny}},
		}},
	)
	return s
}

// X1, S44: a rule that had no effect, since a tier before it or an exemption decided, is not said to do anything.
func TestX1TextOfRulesWithoutEffect(t *testing.T) {
	t.Parallel()
	s := audits.New(tieredTown(), audits.Options{})
	const baseline = `rule 0 of BaselineAdminNetworkPolicy default (Baseline): not asked; `
	for name, c := range map[string]struct {
		src  string
		port uint32
		want []string
		not  []string
	}{
		"NetworkPolicies decided": {"s", 80, []string{"\nother rules of ingress:\n", baseline}, []string{" denies"}},
		"Admin passed":            {"s", 82, []string{"(Admin) leaves it to the next tier: ", baseline}, []string{" denies"}},
		"Admin accepted": {"s", 83, []string{"(Admin) allows: ", baseline, "rule 0 of a/np: not asked; "},
			[]string{" denies"}},
		"Admin denied": {"s", 81, []string{"(Admin) denies: ", baseline, "rule 0 of a/np: not asked; "}, nil},
		"S2 itself":    {"d", 81, []string{"(Admin): did not count; ", "(Baseline): did not count; "}, []string{" denies"}},
		"S2 itself, passed": {"d", 82, []string{"rule 1 of ClusterNetworkPolicy adm (Admin): did not count; "},
			[]string{" denies", "leaves it"}},
	} {
		got, err := s.Explain(t.Context(), &netpoldv1.ExplainRequest{
			Question: &netpoldv1.AllowedRequest{Src: netpold.Pod("a", c.src), Dst: netpold.Pod("a", "d"), Port: c.port},
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, text := range []string{got.GetText(), explaintext.Text(got, true)} {
			text = strings.ReplaceAll(strings.ReplaceAll(text, "\n      ", " "), ", priority 0", "")
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%s: the text lacks\n%s\n%s", name, want, text)
				}
			}
			for _, not := range c.not {
				if strings.Contains(text, not) {
					t.Errorf("%s: the text has\n%s\n%s", name, not, text)
				}
			}
		}
	}
}

// X2, S38: what a peer `nodes` met is the Node's labels, of a Node by its address and of a host-network Pod alike.
func TestX2DetailOfNodes(t *testing.T) {
	t.Parallel()
	s := audits.New(tieredTown(), audits.Options{})
	for _, dst := range []*netpoldv1.Endpoint{netpold.IP("10.1.0.1"), netpold.Pod("a", "hn")} {
		got, err := s.Explain(t.Context(), &netpoldv1.ExplainRequest{
			Question: &netpoldv1.AllowedRequest{Src: netpold.Pod("a", "s"), Dst: dst, Port: 80},
		})
		if err != nil {
			t.Fatal(err)
		}
		x := got.GetEgress().GetTiers()[0].GetPolicies()[0].GetRules()[0].GetPeers()[0]
		if x.GetWhy() != netpoldv1.Miss_MISS_NODE_LABELS || x.GetDetail() != "r=w, wanted r in (x)" {
			t.Errorf("%v: %v", dst, x)
		}
	}
}
