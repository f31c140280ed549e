package enginetest_test

import (
	"testing"

	"github.com/netpold/netpold/engine"
)

// step is one change, and the answers that hold from then on.
type step struct {
	name   string
	object engine.Object
	gone   bool
	// asked has answers by question.
	asked map[string]string
}

// checkSteps applies changes one by one to one engine. A remembered decision must be found to have changed if
// it did.
func checkSteps(t *testing.T, steps []step) {
	t.Helper()
	cluster := engine.NewCluster(engine.Options{})
	known := map[string]engine.ReadSet{}
	answers := map[string]string{}
	for _, s := range steps {
		snapshot := apply(cluster, []engine.Change{{Object: s.object, Delete: s.gone}})
		for question, want := range s.asked {
			q := ask(question).Query()
			if got := answer(snapshot.Allowed(q)); got != want {
				t.Errorf("%s: %s\ngot  %s\nwant %s", s.name, question, got, want)
			}
			if r, ok := known[question]; ok && snapshot.StillHolds(&q, &r) && answers[question] != want {
				t.Errorf("%s: %s: a remembered %s still holds", s.name, question, answers[question])
			}
			if r, ok := snapshot.ReadSet(&q); ok {
				known[question], answers[question] = r, want
			}
		}
	}
}

// S36: policies come before, and go after, the Pods that they select.
func TestTierPoliciesComeAndGo(t *testing.T) {
	const toQ, toR = "a/p b/q 80", "a/p b/r 80"
	open := "allowed NotIsolated v4"
	allowed, denied := "allowed AllowedByRule v4 egress=y[0]", "denied DeniedAtEgress - egress=x[0]"
	x := func(peer engine.Peer) *engine.ClusterPolicy {
		return tier(engine.Admin, 5, "x", subject("team=a", ""), out(engine.Deny, peer))
	}
	allow := tier(engine.Admin, 1, "y", out(engine.Allow, pods("app=q")))
	later := tier(engine.Admin, 9, "y", out(engine.Allow, pods("app=q")))
	checkSteps(t, []step{
		{"a policy of nobody", x(pods("app=q")), false, nil},
		{"a namespace", namespace("a", "team=a"), false, nil},
		{"a source", pod("a/p", "", "10.0.0.1"), false, nil},
		{"a peer", pod("b/q", "app=q", "10.0.0.2"), false, map[string]string{toQ: denied}},
		{"another Pod", pod("b/r", "app=r", "10.0.0.3"), false, map[string]string{toQ: denied, toR: open}},
		{"S34 a policy before", allow, false, map[string]string{toQ: allowed, toR: open}},
		{"S34 its priority alone changes", later, false, map[string]string{toQ: denied, toR: open}},
		{"S34 and back", allow, false, map[string]string{toQ: allowed, toR: open}},
		{"it goes", allow, true, map[string]string{toQ: denied, toR: open}},
		{"other peers", x(pods("app=r")), false, map[string]string{toQ: open, toR: denied}},
		{"S18 other labels of the namespace", namespace("a", "team=b"), false, map[string]string{toQ: open, toR: open}},
		{"S18 and back", namespace("a", "team=a"), false, map[string]string{toQ: open, toR: denied}},
		{"the peer goes", pod("b/r", "", ""), true, map[string]string{toQ: open}},
		{"and comes back", pod("b/r", "app=r", "10.0.0.3"), false, map[string]string{toR: denied}},
		{"the policy goes", x(anyPod()), true, map[string]string{toQ: open, toR: open}},
		{"it never was", x(anyPod()), true, map[string]string{toQ: open, toR: open}},
	})
}

// S38: the labels of a Node are an input of decisions while some rule has peers nodes.
func TestTierNodesChange(t *testing.T) {
	const byAddress, byName, byIPs = "a/p 10.0.1.1 80", "a/p b/host 80", "10.0.0.1 10.0.1.1 80"
	const byHostIP = "a/p 10.0.1.7 80" // which a Pod tells, and the Node object does not
	every := func(want, wantIPs string) map[string]string {
		return map[string]string{byAddress: want, byName: want, byIPs: wantIPs, byHostIP: want}
	}
	open := every("allowed NotIsolated v4", "allowed NotIsolated -")
	denied := every("denied DeniedAtEgress - egress=x[0]", "denied DeniedAtEgress - egress=x[0]")
	labelledNode := func(labels string) *engine.Node {
		n := node("n1", "10.0.1.1")
		n.Labels = labelled(labels)
		return n
	}
	edge := tier(engine.Admin, 1, "x", out(engine.Deny, nodes("role=edge")))
	core := tier(engine.Admin, 1, "x", out(engine.Deny, nodes("kind=core")))
	missing := engine.Peer{Nodes: &engine.Selector{{Key: "role", Operator: engine.DoesNotExist}}}
	checkSteps(t, []step{
		{"a source", pod("a/p", "", "10.0.0.1"), false, nil},
		{"a Pod of the Node", pod("b/r", "", "10.0.0.8", on("n1"), hostIPs("10.0.1.7")), false, nil},
		{"a host-network Pod", pod("b/host", "", "10.0.1.1", on("n1"), hostNetwork), false, open},
		{"its Node", labelledNode("role=edge"), false, open},
		{"the policy", edge, false, denied},
		{"other labels", labelledNode("role=plain"), false, open},
		{"and back", labelledNode("role=edge,kind=core"), false, denied},
		{"the Node goes", labelledNode(""), true, open},
		{"and comes", labelledNode("role=edge,kind=core"), false, denied},
		{"another key of its labels", core, false, denied},
		{"without the key", labelledNode("role=edge"), false, open},
		{"what has no label", tier(engine.Admin, 1, "x", out(engine.Deny, missing)), false, open},
		{"no label", labelledNode(""), false, denied},
		{"the Node without object", labelledNode(""), true, denied},
		{"the policy goes", edge, true, open},
		{"the Node comes", labelledNode("role=edge"), false, open},
		{"the policy comes back", edge, false, denied},
	})
}

// S25, S34: what was found for one kind of Pod is not the answer for a kind that comes in its place.
func TestTierKindsTakeOver(t *testing.T) {
	const toQ, toR, toS = "a/p b/q 80", "a/p b/r 80", "a/p b/s 80"
	const fromQ, fromR = "b/q a/p 80", "b/r a/p 80"
	port := toPorts(engine.Port{First: 80, Last: 80})
	rules := func(priority int32) *engine.ClusterPolicy {
		deny, allow := out(engine.Deny, pods("app=q")), out(engine.Allow, pods("app=r"))
		return tier(engine.Admin, priority, "x", deny, port, allow, port)
	}
	of := func(name, app string, does engine.Action) *engine.ClusterPolicy {
		return tier(engine.Admin, 1, name, subject("", "app="+app), out(does, pods("app=p")), port)
	}
	denied, allowed := "denied DeniedAtEgress - egress=x[0]", "allowed AllowedByRule v4 egress=x[1]"
	deniedQ, allowedR := "denied DeniedAtEgress - egress=ofq[0]", "allowed AllowedByRule v4 egress=ofr[0]"
	open := "allowed NotIsolated v4"
	checkSteps(t, []step{
		{"a source", pod("a/p", "app=p", "10.0.0.1"), false, nil},
		{"a policy for kinds of subjects", of("ofq", "q", engine.Deny), false, nil},
		{"another", of("ofr", "r", engine.Allow), false, nil},
		{"a Pod", pod("b/q", "app=q", "10.0.0.2"), false, nil},
		{"a policy for kinds of peers", rules(5), false, map[string]string{toQ: denied, fromQ: deniedQ}},
		{"the Pod goes", pod("b/q", "", ""), true, nil},
		{"another kind comes", pod("b/r", "app=r", "10.0.0.3"), false, map[string]string{
			toR: allowed, fromR: allowedR,
		}},
		{"and one of which nothing is said", pod("b/s", "", "10.0.0.4"), false, map[string]string{toS: open}},
		{"the first comes back", pod("b/q", "app=q", "10.0.0.2"), false, map[string]string{
			toQ: denied, fromQ: deniedQ, toR: allowed, fromR: allowedR, toS: open,
		}},
		{"a policy before it", of("ofp", "p", engine.Allow), false, map[string]string{toQ: denied}},
		{
			"with the same peers", tier(engine.Admin, 1, "w", out(engine.Allow, anyPod()), port), false,
			map[string]string{toQ: "allowed AllowedByRule v4 egress=w[0]"},
		},
		{"which changes its place", rules(0), false, map[string]string{toQ: denied}},
	})
}

// S43: the name of a port is looked up on each subject by itself, and comes and goes with the Pod's.
func TestTierNamesOfSubjects(t *testing.T) {
	const toQ, toR, otherPort = "a/p b/q 80", "a/p b/r 80", "a/p b/q 81"
	web := engine.Port{Name: "web", AnyProtocol: true}
	rule := func(name string, priority int32, ports ...engine.Port) *engine.ClusterPolicy {
		return tier(engine.Admin, priority, name, in(engine.Deny, anyPod()), func(p *engine.ClusterPolicy) {
			p.Ingress[0].Ports = ports
		})
	}
	q := func(number uint16) *engine.Pod {
		return pod("b/q", "", "10.0.0.2", port("web", number, engine.TCP))
	}
	open, denied := "allowed NotIsolated v4", "denied DeniedAtIngress - ingress=x[0]"
	udp := engine.Port{First: 80, Last: 80, Protocol: engine.UDP}
	checkSteps(t, []step{
		{"a source", pod("a/p", "", "10.0.0.1"), false, nil},
		{"a Pod with the name", q(80), false, map[string]string{toQ: open}},
		{"one without", pod("b/r", "", "10.0.0.3"), false, nil},
		{"a port by number", rule("y", 9, udp, engine.Port{First: 81, Last: 81}), false, map[string]string{toQ: open}},
		{"80 by number, for nobody", tier(engine.Admin, 8, "z", subject("", "none=x"), in(engine.Deny, anyPod()),
			func(p *engine.ClusterPolicy) { p.Ingress[0].Ports = []engine.Port{{First: 80, Last: 80}} },
		), false, map[string]string{toR: open, toQ: open}},
		{"the port by name", rule("x", 1, web), false, map[string]string{toR: open, toQ: denied}},
		{"asked the other way around", rule("x", 2, web), false, map[string]string{toQ: denied, toR: open}},
		{"another number", q(81), false, map[string]string{toQ: open, toR: open, otherPort: denied}},
		{"and back", q(80), false, map[string]string{toQ: denied, toR: open}},
		{"the name is out of use", rule("x", 2), true, map[string]string{toQ: open}},
		{"and comes back", rule("x", 2, web), false, map[string]string{toQ: denied, toR: open}},
	})
}
