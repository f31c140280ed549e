package enginetest_test

import (
	"testing"

	"github.com/netpold/netpold/engine"
)

type objects = []engine.Object

func denyAll() engine.Object { // of namespace a, both ways
	return &engine.Policy{Namespace: "a", Name: "deny", IsolatesEgress: true, IsolatesIngress: true}
}

// TestOracleEnds proves S1 to S3 and S5: who is asked about.
func TestOracleEnds(t *testing.T) {
	two := objects{pod("a/p", "", "10.0.0.1"), pod("b/q", "", "10.0.0.2")}
	out := egress("out", "")
	in := &engine.Policy{Namespace: "b", Name: "in", IsolatesIngress: true}
	check(t, []rule{
		{"S1 both sides allow", two, false, ask("a/p b/q 80"), "allowed NotIsolated v4"},
		{"S1 egress denies", append(objects{out}, two...), false, ask("a/p b/q 80"),
			"denied DeniedAtEgress -"},
		{"S1 ingress denies", append(objects{in}, two...), false, ask("a/p b/q 80"),
			"denied DeniedAtIngress -"},
		{"S1 both deny", append(objects{in, out}, two...), false, ask("a/p b/q 80"),
			"denied DeniedAtEgress -"},
		{"S1 the other direction is open", append(objects{in, out}, two...), false, ask("b/q a/p 80"),
			"allowed NotIsolated v4"},
		{"S1 external ends allow", nil, false, ask("192.0.2.1 192.0.2.2 80"), "allowed NotIsolated -"},
		{"S2 by name", append(objects{denyAll()}, two...), false, ask("a/p a/p 80"), "allowed Self v4"},
		{"S2 by IP", append(objects{denyAll()}, two...), false, ask("10.0.0.1 a/p 80"), "allowed Self v4"},
		{"S2 both by IP", append(objects{denyAll()}, two...), false, ask("10.0.0.1 10.0.0.1 80"),
			"allowed Self -"},
		{"S2 without an address", objects{denyAll(), pod("a/p", "", "")}, false, ask("a/p a/p 80"),
			"allowed Self -"},
		{"S2 labels are no other Pod", append(objects{denyAll()}, two...), false, ask("a?@10.0.0.1 a/p 80"),
			"denied DeniedAtEgress -"},
		{"S2 a host-network Pod by name", objects{pod("a/p", "", "10.0.1.1", on("n1"), hostNetwork)}, false,
			ask("a/p a/p 80"), "allowed Self v4"},
		{"S2 a Node's address is no Pod", objects{pod("a/p", "", "10.0.1.1", on("n1"), hostNetwork)}, false,
			ask("10.0.1.1 a/p 80"), "allowed NotIsolated v4"},
	})
	local := objects{
		denyAll(), pod("a/p", "", "10.0.0.1", on("n1")), node("n1", "10.0.1.1 10.0.1.9"),
		node("n2", "10.0.1.2"),
		pod("k/proxy", "", "10.0.1.1", on("n1"), hostNetwork),
		pod("k/other", "", "10.0.1.2", on("n2"), hostNetwork, hostIPs("10.0.1.22")),
		pod("a/unscheduled", "", "10.0.0.5"), pod("k/nowhere", "", "", hostNetwork),
	}
	check(t, []rule{
		{"S3 from the Node", local, false, ask("10.0.1.1 a/p 80"), "allowed LocalNode v4"},
		{"S3 to the Node", local, false, ask("a/p 10.0.1.1 80"), "allowed LocalNode v4"},
		{"S3 whichever of its addresses", local, false, ask("10.0.1.9 10.0.0.1 80"), "allowed LocalNode -"},
		{"S3 its host-network Pods", local, false, ask("k/proxy a/p 80"), "allowed LocalNode v4"},
		{"S3 to its host-network Pods", local, false, ask("a/p k/proxy 80"), "allowed LocalNode v4"},
		{"S3 another Node", local, false, ask("10.0.1.2 a/p 80"), "denied DeniedAtIngress -"},
		{"S3 another Node's host-network Pod", local, false, ask("a/p k/other 80"),
			"denied DeniedAtEgress -"},
		{"S3 both on no Node", local, false, ask("a/unscheduled k/nowhere 80"), "denied DeniedAtEgress -"},
		{"S3 two Pods of one Node", append(objects{pod("b/q", "", "10.0.0.2", on("n1"))}, local...), false,
			ask("b/q a/p 80"), "denied DeniedAtIngress -"},
		{"S3 a Node without object",
			objects{denyAll(), pod("a/p", "", "10.0.0.1", on("n7"), hostIPs("10.0.1.7"))}, false,
			ask("10.0.1.7 a/p 80"), "allowed LocalNode v4"},
		{"S3 a Node known by a host-network Pod alone",
			objects{denyAll(), pod("a/p", "", "10.0.0.1", on("n7")),
				pod("k/h", "", "10.0.1.7", on("n7"), hostNetwork)},
			false, ask("10.0.1.7 a/p 80"), "allowed LocalNode v4"},
		{"S5 hostIPs of the Pods on it", local, false, ask("10.0.1.22 a/p 80"), "denied DeniedAtIngress -"},
	})
}

// TestOracleHostNetworkAndNodes proves S4 and S5.
func TestOracleHostNetworkAndNodes(t *testing.T) {
	host := pod("k/proxy", "app=proxy", "10.0.1.1", on("n1"), hostNetwork, port("http", 80, engine.TCP))
	bare := pod("k/bare", "app=proxy", "", on("n1"), hostNetwork)
	n1 := node("n1", "10.0.1.1 fd00:2::1")
	p := pod("a/p", "app=p", "10.0.0.1")
	all := engine.Peer{Namespaces: &engine.Selector{}, Pods: &engine.Selector{}}
	check(t, []rule{
		{"S4 no policy selects it",
			objects{host, p, &engine.Policy{Namespace: "k", Name: "deny", IsolatesIngress: true}}, false,
			ask("a/p k/proxy 80"), "allowed NotIsolated v4"},
		{"S4 no selector matches it", objects{host, p, ingress("in", "", from(all))}, false,
			ask("k/proxy a/p 80"), "denied DeniedAtIngress -"},
		{"S4 ipBlock matches it", objects{host, p, ingress("in", "", from(all, block("10.0.1.0/24")))}, false,
			ask("k/proxy a/p 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S4 a rule without peers matches it", objects{host, p, ingress("in", "", from())}, false,
			ask("k/proxy a/p 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S4 its Node's addresses when it has none",
			objects{bare, n1, p, ingress("in", "", from(block("10.0.1.1/32")))}, false, ask("k/bare a/p 80"),
			"allowed AllowedByRule v4 ingress=in[0]"},
		{"S4 not its Node's when it has its own",
			objects{host, node("n1", "10.0.1.1 10.0.1.9"), p, ingress("in", "", from(block("10.0.1.9/32")))},
			false, ask("k/proxy a/p 80"), "denied DeniedAtIngress -"},
		{"S4 its ports lend no name", objects{host, p, egress("out", "", ports(named("http")))}, false,
			ask("a/p k/proxy 80"), "denied DeniedAtEgress -"},
		{"S4 its address is its Node's", objects{host, p, denyAll()}, false, ask("10.0.1.1 10.0.0.1 80"),
			"denied DeniedAtIngress -"},
		{"S5 external matches no selector", objects{p, ingress("in", "", from(all))}, false,
			ask("192.0.2.1 a/p 80"), "denied DeniedAtIngress -"},
		{"S5 external by ipBlock", objects{p, ingress("in", "", from(all), from(block("192.0.2.0/24")))},
			false, ask("192.0.2.1 a/p 80"), "allowed AllowedByRule v4 ingress=in[1]"},
		{"S5 external by a rule without peers", objects{p, ingress("in", "", from())}, false,
			ask("192.0.2.1 a/p 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S5 hostIPs count for a Pod without IPs",
			objects{bare, pod("b/q", "", "10.0.0.2", on("n1"), hostIPs("10.0.1.8")), p,
				ingress("in", "", from(block("10.0.1.8/32")))},
			false, ask("k/bare a/p 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S5 hostIPs of a finished Pod do not",
			objects{bare, pod("b/q", "", "10.0.0.2", on("n1"), hostIPs("10.0.1.8"), finished), p,
				ingress("in", "", from(block("10.0.1.8/32")))},
			false, ask("k/bare a/p 80"), "denied DeniedAtIngress -"},
		{"S5 a Node's object before hostIPs",
			objects{denyAll(), pod("a/p", "", "10.0.0.1", on("n1"), hostIPs("10.0.1.2")),
				node("n2", "10.0.1.2")},
			false, ask("10.0.1.2 a/p 80"), "denied DeniedAtIngress -"},
		{"S5 the smallest of two Nodes",
			objects{denyAll(), pod("a/p", "", "10.0.0.1", on("n1")), node("n2", "10.0.1.2"),
				node("n1", "10.0.1.2")},
			false, ask("10.0.1.2 a/p 80"), "allowed LocalNode v4"},
	})
}

// TestOracleState proves S6 to S8.
func TestOracleState(t *testing.T) {
	p := pod("a/p", "", "10.0.0.1")
	onlyApp := egress("out", "", from(pods("app=x")))
	old := pod("a/old", "app=x", "10.0.0.2", created(1), uid("u9"))
	check(t, []rule{
		{"S6 finished by name", objects{pod("a/p", "", "10.0.0.1", finished)}, false, ask("192.0.2.1 a/p 80"),
			"PodFinished dst"},
		{"S6 finished as source", objects{pod("a/p", "", "10.0.0.1", finished)}, false, ask("a/p a/p 80"),
			"PodFinished src"},
		{"S6 it owns no IP", objects{pod("a/p", "", "10.0.0.1", finished), denyAll()}, false,
			ask("192.0.2.1 10.0.0.1 80"), "allowed NotIsolated -"},
		{"S7 the newest owns it",
			objects{p, onlyApp, old, pod("a/new", "app=y", "10.0.0.2", created(2), uid("u1"))}, false,
			ask("a/p 10.0.0.2 80"), "denied DeniedAtEgress -"},
		{"S7 unless it has finished",
			objects{p, onlyApp, old, pod("a/new", "app=y", "10.0.0.2", created(2), finished)}, false,
			ask("a/p 10.0.0.2 80"), "allowed AllowedByRule v4 egress=out[0]"},
		{"S7 then the greater UID",
			objects{p, onlyApp, old, pod("a/zzz", "app=y", "10.0.0.2", created(1), uid("u1"))}, false,
			ask("a/p 10.0.0.2 80"), "allowed AllowedByRule v4 egress=out[0]"},
		{"S7 the older has no address",
			objects{p, old, pod("a/new", "", "10.0.0.2", created(2)),
				egress("out", "", from(block("10.0.0.2/32")))},
			false, ask("a/p a/old 80"), "denied DeniedAtEgress -"},
		{"S7 a newer ordinary Pod takes it from the host network",
			objects{p, onlyApp, pod("a/host", "", "10.0.0.2", on("n1"), hostNetwork),
				pod("a/new", "app=x", "10.0.0.2", created(2))},
			false, ask("a/p 10.0.0.2 80"), "allowed AllowedByRule v4 egress=out[0]"},
		{"S7 a newer host-network Pod takes it",
			objects{p, onlyApp, old, pod("a/host", "app=x", "10.0.0.2", on("n1"), hostNetwork, created(2))},
			false, ask("a/p 10.0.0.2 80"), "denied DeniedAtEgress -"},
		{"S7 host-network Pods share it",
			objects{p, egress("out", "", from(block("10.0.1.1/32"))),
				pod("k/h", "", "10.0.1.1", on("n1"), hostNetwork),
				pod("k/g", "", "10.0.1.1", on("n1"), hostNetwork, created(2))},
			false, ask("a/p k/h 80"), "allowed AllowedByRule v4 egress=out[0]"},
		{"S8 without an IP, by name", objects{p, pod("a/q", "app=x", ""), onlyApp}, false, ask("a/p a/q 80"),
			"allowed AllowedByRule v4 egress=out[0]"},
		{"S8 ipBlock never matches it",
			objects{p, pod("a/q", "", ""), egress("out", "", from(block("0.0.0.0/0"), block("::/0")))}, false,
			ask("a/p a/q 80"), "denied DeniedAtEgress -"},
	})
}

// TestOracleFamilies proves S9.
func TestOracleFamilies(t *testing.T) {
	dual := pod("a/dual", "", "10.0.0.1 fd00::1")
	other := pod("b/dual", "", "10.0.0.2 fd00::2")
	six := pod("b/six", "", "fd00::6")
	four := pod("b/four", "", "10.0.0.4")
	none := pod("b/none", "", "")
	out4, out6 := egress("out", "", from(block("0.0.0.0/0"))), egress("out", "", from(block("::/0")))
	in4 := ingress("in", "", from(block("10.0.0.0/24")))
	check(t, []rule{
		{"S9 by name in both", objects{dual, other}, false, ask("a/dual b/dual 80"),
			"allowed NotIsolated v4+v6"},
		{"S9 allowed in one", objects{dual, other, out6}, false, ask("a/dual b/dual 80"),
			"allowed AllowedByRule v6 egress=out[0]"},
		{"S9 only those that both have", objects{dual, six, out4}, false, ask("a/dual b/six 80"),
			"denied DeniedAtEgress -"},
		{"S9 by IP, in that family", objects{dual, other, out6}, false, ask("10.0.0.1 b/dual 80"),
			"denied DeniedAtEgress -"},
		{"S9 by IP, in the destination's family", objects{dual, other, out6}, false, ask("a/dual fd00::2 80"),
			"allowed AllowedByRule v6 egress=out[0]"},
		{"S9 two IPs of different families", objects{dual, other, out4}, false, ask("fd00::1 10.0.0.2 80"),
			"denied DeniedAtEgress -"},
		{"S9 two IPs of different families, all allowed", objects{dual, other}, false,
			ask("fd00::1 10.0.0.2 80"), "allowed NotIsolated -"},
		{"S9 two IPs of different families, the source in a block",
			objects{dual, pod("a/in", "app=in", "10.0.0.3"),
				ingress("in", "app=in", from(block("::/0"), block("0.0.0.0/0")))},
			false, ask("fd00::1 10.0.0.3 80"), "denied DeniedAtIngress -"},
		{"S9 two Pods with none in common meet no ipBlock",
			objects{four, pod("a/six", "", "fd00::6"),
				egress("out", "", from(block("0.0.0.0/0"), block("::/0")))},
			false, ask("a/six b/four 80"), "denied DeniedAtEgress -"},
		{"S9 two Pods with none in common, all allowed", objects{four, six}, false, ask("b/six b/four 80"),
			"allowed NotIsolated -"},
		{"S9 a subject without an address, in every family of its peer",
			objects{pod("a/none", "", ""), other, out6}, false, ask("a/none b/dual 80"),
			"allowed AllowedByRule v6 egress=out[0]"},
		{"S9 a peer without an address", objects{dual, none, out4}, false, ask("a/dual b/none 80"),
			"denied DeniedAtEgress -"},
		{"S9 neither has an address", objects{none, pod("a/none", "", "")}, false, ask("a/none b/none 80"),
			"allowed NotIsolated -"},
		{"S9 by IP, the other without an address of it",
			objects{six, ingress("shut", ""), pod("a/six", "", "fd00::7"), in4}, false,
			ask("10.0.0.9 a/six 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S9 IPv4-mapped is IPv4", objects{dual, in4}, false, ask("::ffff:10.0.0.9 a/dual 80"),
			"allowed AllowedByRule v4 ingress=in[0]"},
		{"S9 the reasons of the first allowed",
			objects{dual, other, egress("out", "", from(block("fd00::/16")), from(block("::/0")))}, false,
			ask("a/dual b/dual 80"), "allowed AllowedByRule v6 egress=out[0]"},
		{"S9 labels with an address", objects{dual, in4}, false, ask("b?@10.0.0.9 a/dual 80"),
			"allowed AllowedByRule v4 ingress=in[0]"},
		{"S9 labels without an address", objects{dual, in4}, false, ask("b? a/dual 80"),
			"denied DeniedAtIngress -"},
	})
}
