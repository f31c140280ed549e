package enginetest_test

import (
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// tier returns a ClusterNetworkPolicy for every Pod, as further changed.
func tier(
	of engine.Tier, priority int32, name string, changes ...func(*engine.ClusterPolicy),
) *engine.ClusterPolicy {
	p := &engine.ClusterPolicy{Name: name, Tier: of, Priority: priority}
	for _, change := range changes {
		change(p)
	}
	return p
}

func kind(k engine.ClusterPolicyKind) func(*engine.ClusterPolicy) {
	return func(p *engine.ClusterPolicy) { p.Kind = k }
}

func urgent(p *engine.ClusterPolicy) { p.Urgent = true }

func subject(namespaces, pods string) func(*engine.ClusterPolicy) {
	return func(p *engine.ClusterPolicy) {
		p.Subject = engine.ClusterSubject{Namespaces: *matching(namespaces), Pods: *matching(pods)}
	}
}

// in and out are rules of an action for peers, on every port.
func in(action engine.Action, peers ...engine.Peer) func(*engine.ClusterPolicy) {
	return func(p *engine.ClusterPolicy) {
		p.Ingress = append(p.Ingress, engine.ClusterRule{Action: action, Rule: from(peers...)})
	}
}

func out(action engine.Action, peers ...engine.Peer) func(*engine.ClusterPolicy) {
	return func(p *engine.ClusterPolicy) {
		p.Egress = append(p.Egress, engine.ClusterRule{Action: action, Rule: from(peers...)})
	}
}

// toPorts gives the last egress rule ports.
func toPorts(ports ...engine.Port) func(*engine.ClusterPolicy) {
	return func(p *engine.ClusterPolicy) { p.Egress[len(p.Egress)-1].Ports = ports }
}

func nodes(labels string) engine.Peer { return engine.Peer{Nodes: matching(labels)} }
func anyPod() engine.Peer             { return namespaces("") }

func with(base objects, more ...engine.Object) objects {
	return append(append(objects{}, base...), more...)
}

// TestOracleOrderOfTiers proves S32 to S35.
func TestOracleOrderOfTiers(t *testing.T) {
	const a, d, p = engine.Allow, engine.Deny, engine.Pass
	const admin, baseline = engine.Admin, engine.Baseline
	two := objects{pod("a/p", "", "10.0.0.1"), pod("a/q", "", "10.0.0.2")}
	q := ask("a/p a/q 80")
	open := ingress("open", "", engine.Rule{})
	shut := ingress("shut", "")
	check(t, []rule{
		{"S32 none decides", with(two, tier(admin, 1, "x", in(d, nodes("")))), false, q,
			"allowed NotIsolated v4"},
		{"S32 Admin before NetworkPolicy", with(two, open, tier(admin, 1, "x", in(d, anyPod()))), false, q,
			"denied DeniedAtIngress - ingress=x[0]"},
		{"S32 Admin allows what a NetworkPolicy denies",
			with(two, shut, tier(admin, 1, "x", in(a, anyPod()))), false, q,
			"allowed AllowedByRule v4 ingress=x[0]"},
		{"S32 NetworkPolicy before Baseline", with(two, open, tier(baseline, 1, "x", in(d, anyPod()))), false,
			q, "allowed AllowedByRule v4 ingress=open[0]"},
		{"S32 Baseline last", with(two, tier(baseline, 1, "x", in(d, anyPod()))), false, q,
			"denied DeniedAtIngress - ingress=x[0]"},
		{"S32 accept says nothing about the other side",
			with(two, tier(admin, 1, "x", out(a, anyPod())), tier(admin, 2, "y", in(d, anyPod()))), false, q,
			"denied DeniedAtIngress - egress=x[0] ingress=y[0]"},
		{"S32 rules of the other direction", with(two, tier(admin, 1, "x", in(d, anyPod()))), false,
			ask("a/p 192.0.2.1 80"), "allowed NotIsolated v4"},
		{"S33 isolated for ingress goes on to Baseline for egress",
			with(two, ingress("i", "", engine.Rule{}), tier(baseline, 1, "x", out(d, anyPod()))), false, q,
			"denied DeniedAtEgress - egress=x[0] ingress=i[0]"},
		{"S34 priority",
			with(two, tier(admin, 2, "a", in(d, anyPod())), tier(admin, 1, "b", in(a, anyPod()))), false, q,
			"allowed AllowedByRule v4 ingress=b[0]"},
		{"S34 name", with(two, tier(admin, 1, "b", in(a, anyPod())), tier(admin, 1, "a", in(d, anyPod()))),
			false, q, "denied DeniedAtIngress - ingress=a[0]"},
		{"S34 CNP before ANP",
			with(two, tier(admin, 1, "a", kind(engine.AdminNetworkPolicy), in(d, anyPod())),
				tier(admin, 1, "a", in(a, anyPod()))),
			false, q, "allowed AllowedByRule v4 ingress=a[0]"},
		{"S34 BANP last",
			with(two, tier(baseline, 0, "default", kind(engine.BaselineAdminNetworkPolicy), in(d, anyPod())),
				tier(baseline, 1000, "z", in(a, anyPod()))),
			false, q, "allowed AllowedByRule v4 ingress=z[0]"},
		{"S34 first rule", with(two, tier(admin, 1, "x", in(a, anyPod()), in(d, anyPod()))), false, q,
			"allowed AllowedByRule v4 ingress=x[0]"},
		{"S34 pass ends the tier",
			with(two, tier(admin, 1, "x", in(p, anyPod())), tier(admin, 2, "y", in(d, anyPod()))), false, q,
			"allowed NotIsolated v4"},
		{"S34 pass goes on to NetworkPolicies",
			with(two, shut, tier(admin, 1, "x", in(p, anyPod()), in(a, anyPod()))), false, q,
			"denied DeniedAtIngress -"},
		{"S34 pass in Baseline", with(two, tier(baseline, 1, "x", in(p, anyPod()), in(d, anyPod()))), false,
			q, "allowed NotIsolated v4"},
		{"S34 no isolation", with(two, tier(admin, 1, "x", in(a, pods("app=other")))), false, q,
			"allowed NotIsolated v4"},
		{"S35 peers and ports", with(two, tier(admin, 1, "x", out(d, anyPod()), toPorts(tcp(81, 90)))), false,
			q, "allowed NotIsolated v4"},
		{"S35 every protocol", with(two, tier(admin, 1, "x", out(d, anyPod()))), false,
			ask("a/p a/q 80/sctp"), "denied DeniedAtEgress - egress=x[0]"},
		{"S45 an unknown tier is first",
			with(two, tier(admin, 0, "a", in(a, anyPod())), tier(admin, 9, "z", urgent, in(d, anyPod()))),
			false, q, "denied DeniedAtIngress - ingress=z[0]"},
	})
}

// TestOracleClusterPeers proves S36 to S39 and S43.
func TestOracleClusterPeers(t *testing.T) {
	const d = engine.Deny
	const admin = engine.Admin
	all := objects{
		namespace("a", "team=a"), namespace("b", "team=b"), node("n1", "10.0.1.1 fd00:2::1"),
		node("n2", "10.0.1.2"),
		pod("a/p", "app=p", "10.0.0.1", on("n1")),
		pod("b/q", "app=q", "10.0.0.2 fd00::2", port("web", 80, engine.TCP), port("web", 80, engine.UDP)),
		pod("b/noaddr", "app=n", ""),
		pod("b/host", "app=h", "10.0.1.2", on("n2"), hostNetwork, port("web", 80, engine.TCP)),
		pod("b/gone", "", "10.0.1.9", on("n9"), hostNetwork), pod("b/nowhere", "", "10.0.1.8", hostNetwork),
	}
	all[2].(*engine.Node).Labels = labelled("role=edge")
	deny := func(peers ...engine.Peer) objects { return with(all, tier(admin, 1, "x", out(d, peers...))) }
	check(t, []rule{
		{"S36 subject by namespace", with(all, tier(admin, 1, "x", subject("team=b", ""), out(d, anyPod()))),
			false, ask("a/p b/q 80"), "allowed NotIsolated v4"},
		{"S36 subject by both", with(all, tier(admin, 1, "x", subject("team=a", "app=p"), out(d, anyPod()))),
			false, ask("a/p b/q 80"), "denied DeniedAtEgress - egress=x[0]"},
		{"S36 subject by labels", with(all, tier(admin, 1, "x", subject("", "app=z"), out(d, anyPod()))),
			false, ask("a/p b/q 80"), "allowed NotIsolated v4"},
		{"S36 never a host-network Pod", deny(anyPod()), false, ask("b/host b/q 80"),
			"allowed NotIsolated v4"},
		{"S36 a LabelledPod", deny(anyPod()), false, ask("c?x=y@10.0.0.7 b/q 80"),
			"denied DeniedAtEgress - egress=x[0]"},
		{"S37 no host-network Pod", deny(anyPod()), false, ask("a/p b/host 80"), "allowed NotIsolated v4"},
		{"S37 no external address", deny(anyPod()), false, ask("a/p 192.0.2.1 80"), "allowed NotIsolated v4"},
		{"S37 ingress from outside", with(all, tier(admin, 1, "x", in(d, anyPod()))), false,
			ask("192.0.2.1 b/q 80"), "allowed NotIsolated v4"},
		{"S38 a Node's address", deny(nodes("role=edge")), false, ask("b/q 10.0.1.1 80"),
			"denied DeniedAtEgress - egress=x[0]"},
		{"S38 another Node", deny(nodes("role=edge")), false, ask("b/q 10.0.1.2 80"),
			"allowed NotIsolated v4"},
		{"S38 a host-network Pod", deny(nodes("")), false, ask("a/p b/host 80"),
			"denied DeniedAtEgress - egress=x[0]"},
		{"S38 a Node without object", deny(nodes("")), false, ask("a/p b/gone 80"),
			"denied DeniedAtEgress - egress=x[0]"},
		{"S38 a Node without object has no labels", deny(nodes("role=edge")), false, ask("a/p b/gone 80"),
			"allowed NotIsolated v4"},
		{"S38 on no Node yet", deny(nodes("")), false, ask("a/p b/nowhere 80"), "allowed NotIsolated v4"},
		{"S38 no Pod", deny(nodes("")), false, ask("a/p b/q 80"), "allowed NotIsolated v4"},
		{"S38 whatever the family", deny(nodes("role=edge")), false, ask("b/noaddr 10.0.1.1 80"),
			"denied DeniedAtEgress - egress=x[0]"},
		{"S39 a Pod", deny(block("10.0.0.2/32")), false, ask("a/p b/q 80"),
			"denied DeniedAtEgress - egress=x[0]"},
		{"S39 a Node", deny(block("10.0.1.0/24")), false, ask("b/q 10.0.1.2 80"),
			"denied DeniedAtEgress - egress=x[0]"},
		{"S39 external", deny(block("192.0.2.0/24")), false, ask("a/p 192.0.2.1 80"),
			"denied DeniedAtEgress - egress=x[0]"},
		{"S39 whatever ipBlock matches", deny(block("10.0.0.2/32")), true, ask("a/p b/q 80"),
			"denied DeniedAtEgress - egress=x[0]"},
		{"S39 no address", deny(block("0.0.0.0/0")), false, ask("a/p b/noaddr 80"), "allowed NotIsolated v4"},
		{"S39 the other family", deny(block("::/0")), false, ask("a/p b/q 80"), "allowed NotIsolated v4"},
		{"S43 of any protocol",
			with(all, tier(admin, 1, "x", out(d, anyPod()),
				toPorts(engine.Port{Name: "web", AnyProtocol: true}))),
			false, ask("a/p b/q 80/udp"), "denied DeniedAtEgress - egress=x[0]"},
		{"S43 number and protocol",
			with(all, tier(admin, 1, "x", out(d, anyPod()),
				toPorts(engine.Port{Name: "web", AnyProtocol: true}))),
			false, ask("a/p b/q 80/sctp"), "allowed NotIsolated v4"},
		{"S43 no Pod",
			with(all, tier(admin, 1, "x", out(d), toPorts(engine.Port{Name: "web", AnyProtocol: true}))),
			false, ask("a/p b/host 80"), "allowed NotIsolated v4"},
	})
}

// TestOracleLocalTraffic proves S44, with and without --local-above-tiers.
func TestOracleLocalTraffic(t *testing.T) {
	const a, d = engine.Allow, engine.Deny
	everything := tier(engine.Admin, 1, "x", in(d), out(d))
	last := tier(engine.Baseline, 1, "y", in(d), out(d))
	base := objects{
		pod("a/p", "", "10.0.0.1", on("n1")), node("n1", "10.0.1.1"), service("web", "10.0.2.1"),
		slice("web", ready("10.0.0.1")),
	}
	headless := service("web", "")
	headless.Headless = true
	named := with(objects{base[0], base[1], headless, base[3]}, everything)
	denied, free := with(base, everything), with(base, last)
	passed := with(base, tier(engine.Admin, 1, "x", out(d, pods("app=none"))), last, denyAll())
	isolated := with(base, last, denyAll())
	for _, r := range []struct {
		name        string
		objects     objects
		question    string
		want, local string
	}{
		{"to itself", denied, "a/p a/p 80", "allowed Self v4", "allowed Self v4"},
		{"to its own address", denied, "10.0.0.1 a/p 80", "allowed Self v4", "allowed Self v4"},
		{"from its Node", denied, "10.0.1.1 a/p 80", "allowed LocalNode v4", "allowed LocalNode v4"},
		{"to its Node", denied, "a/p 10.0.1.1 80", "denied DeniedAtEgress - egress=x[0]",
			"allowed LocalNode v4"},
		{"to its Node, Baseline", free, "a/p 10.0.1.1 80", "denied DeniedAtEgress - egress=y[0]",
			"allowed LocalNode v4"},
		{"to its Node, isolated", isolated, "a/p 10.0.1.1 80", "allowed LocalNode v4",
			"allowed LocalNode v4"},
		{"to its Node, allowed by a rule", with(base, tier(engine.Admin, 1, "x", out(a, nodes("")))),
			"a/p 10.0.1.1 80", "allowed LocalNode v4 egress=x[0]", "allowed LocalNode v4"},
		{"to its Node, isolated, after a tier that passes", passed, "a/p 10.0.1.1 80",
			"allowed LocalNode v4", "allowed LocalNode v4"},
		{"through a Service", denied, "a/p svc/a/web 80",
			"denied DeniedAtEgress - 0/1 egress=x[0] ingress=x[0]", "allowed Self v4 1/1"},
		{"through a Service, Baseline", free, "a/p 10.0.2.1 80",
			"denied DeniedAtEgress - 0/1 egress=y[0] ingress=y[0]", "allowed Self v4 1/1"},
		{"through a Service, isolated", isolated, "a/p svc/a/web 80", "allowed Self v4 1/1",
			"allowed Self v4 1/1"},
		{"through a headless Service, which gives its own address", named, "a/p svc/a/web 80",
			"allowed Self v4 1/1", "allowed Self v4 1/1"},
		{"through a Service, without tiers", with(base, denyAll()), "a/p svc/a/web 80", "allowed Self v4 1/1",
			"allowed Self v4 1/1"},
	} {
		t.Run("S44 "+r.name, func(t *testing.T) {
			for local, want := range map[bool]string{false: r.want, true: r.local} {
				checkAnswer(t, r.objects, engine.Options{LocalAboveTiers: local}, ask(r.question), want)
			}
		})
	}
}

// TestOracleSideTells proves S50: isolation is of NetworkPolicies alone.
func TestOracleSideTells(t *testing.T) {
	o := enginetest.Oracle{
		Objects: objects{
			pod("a/p", "", "10.0.0.1"), denyAll(), tier(engine.Admin, 1, "x", out(engine.Allow)),
		},
	}
	d, err := o.Allowed(ask("a/p 192.0.2.1 80"))
	if err != nil {
		t.Fatal(err)
	}
	s := d.Egress
	if !s.Allowed || !s.Isolated || len(s.Isolating) != 1 || s.Tier != engine.Admin ||
		s.ClusterPolicy.Name != "x" || s.Policy != nil {
		t.Errorf("egress %+v", s)
	}
}
