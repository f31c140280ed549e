package enginetest_test

import (
	"testing"

	"github.com/netpold/netpold/engine"
)

// fromPorts gives the last ingress rule ports.
func fromPorts(ports ...engine.Port) func(*engine.ClusterPolicy) {
	return func(p *engine.ClusterPolicy) { p.Ingress[len(p.Ingress)-1].Ports = ports }
}

// S34: policies that tie in one thing are told apart by the next.
func TestTierTies(t *testing.T) {
	const a, d = engine.Allow, engine.Deny
	const admin, baseline = engine.Admin, engine.Baseline
	anp, banp := kind(engine.AdminNetworkPolicy), kind(engine.BaselineAdminNetworkPolicy)
	two := objects{pod("a/p", "", "10.0.0.1"), pod("a/q", "", "10.0.0.2")}
	q := ask("a/p a/q 80")
	check(t, []rule{
		{"S34 name before kind",
			with(two, tier(admin, 1, "b", in(d, anyPod())), tier(admin, 1, "a", anp, in(a, anyPod()))),
			false, q, "allowed AllowedByRule v4 ingress=a[0]"},
		{"S34 priority before name",
			with(two, tier(admin, 2, "a", in(d, anyPod())), tier(admin, 1, "b", in(a, anyPod()))),
			false, q, "allowed AllowedByRule v4 ingress=b[0]"},
		{"S46 a priority below 0",
			with(two, tier(admin, 0, "a", in(d, anyPod())), tier(admin, -1, "b", in(a, anyPod()))),
			false, q, "allowed AllowedByRule v4 ingress=b[0]"},
		{"S34 BANP after what has a higher number and name",
			with(two, tier(baseline, 0, "default", banp, in(a, anyPod())), tier(baseline, 9, "e", in(d, anyPod()))),
			false, q, "denied DeniedAtIngress - ingress=e[0]"},
		{"S45 first of its tier alone",
			with(two, tier(baseline, 9, "z", urgent, in(d, anyPod())), tier(admin, 9, "y", in(a, anyPod()))),
			false, q, "allowed AllowedByRule v4 ingress=y[0]"},
	})
}

// S37 to S39, S43: what a peer or a port is not.
func TestTierCorners(t *testing.T) {
	const d = engine.Deny
	const admin = engine.Admin
	base := objects{
		pod("a/p", "app=p", "10.0.0.1"), pod("a/r", "", "10.0.0.6"),
		pod("b/q", "app=q", "10.0.0.2 fd00::2", port("web", 80, engine.TCP), port("web", 80, engine.UDP)),
		pod("b/dual", "", "10.0.0.9 fd00::9"),
		node("n2", "10.0.1.2"), pod("b/host", "", "10.0.1.2", on("n2"), hostNetwork),
		node("n3", "10.0.1.11 10.0.1.12"), pod("b/second", "", "", on("n3"), hostNetwork),
	}
	web := engine.Port{Name: "web", AnyProtocol: true}
	open, denied := "allowed NotIsolated v4", "denied DeniedAtEgress - egress=x[0]"
	out4 := func(peers ...engine.Peer) objects { return with(base, tier(admin, 1, "x", out(d, peers...))) }
	named := with(base, tier(admin, 1, "x", in(d, anyPod()), fromPorts(web)))
	check(t, []rule{
		{"S39 a second address of a Node", out4(block("10.0.1.12/32")), false, ask("a/p b/second 80"), denied},
		{"S39 no address of a Node", out4(block("10.0.1.13/32")), false, ask("a/p b/second 80"), open},
		{"S39 in the Baseline tier, in each family",
			with(base, tier(admin, 1, "x", out(d, pods("app=z"))),
				tier(engine.Baseline, 1, "y", out(d, block("10.0.0.2/32")))),
			false, ask("b/dual b/q 80"), "allowed NotIsolated v6"},
		{"S37 beside nodes is no peer", out4(engine.Peer{Nodes: matching(""), Pods: matching("")}),
			false, ask("a/p b/host 80"), open},
		{"S39 beside nodes is no peer", out4(engine.Peer{Nodes: matching(""), Block: block("0.0.0.0/0").Block}),
			false, ask("a/p b/host 80"), open},
		{"S38 no peer of a NetworkPolicy",
			with(base, egress("np", "", from(engine.Peer{Nodes: matching(""), Pods: matching("")}))),
			false, ask("a/p a/r 80"), "denied DeniedAtEgress -"},
		{"S43 the subject's own, for ingress", named, false, ask("a/p b/q 80/udp"),
			"denied DeniedAtIngress - ingress=x[0]"},
		{"S43 of no other protocol", named, false, ask("a/p b/q 80/sctp"), open},
		{"S43 no number of another Pod", named, false, ask("a/p a/r 80"), open},
		{"S43 no port of a NetworkPolicy", with(base, egress("np", "", ports(web))), false,
			ask("a/p b/q 80"), "denied DeniedAtEgress -"},
	})
}
