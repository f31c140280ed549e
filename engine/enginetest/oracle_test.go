package enginetest_test

import (
	"net/netip"
	"testing"

	"github.com/netpold/netpold/engine"
)

type objects = []engine.Object

func denyAll() engine.Object { // of namespace a, both ways
	return &engine.Policy{Namespace: "a", Name: "deny", IsolatesEgress: true, IsolatesIngress: true}
}

func TestOracleEnds(t *testing.T) {
	two := objects{pod("a/p", "", "10.0.0.1"), pod("b/q", "", "10.0.0.2")}
	out := egress("out", "")
	in := &engine.Policy{Namespace: "b", Name: "in", IsolatesIngress: true}
	check(t, []rule{
		{"S1 both sides allow", two, false, ask("a/p b/q 80"), "allowed NotIsolated v4"},
		{"S1 egress denies", append(objects{out}, two...), false, ask("a/p b/q 80"), "denied DeniedAtEgress -"},
		{"S1 ingress denies", append(objects{in}, two...), false, ask("a/p b/q 80"), "denied DeniedAtIngress -"},
		{"S1 both deny", append(objects{in, out}, two...), false, ask("a/p b/q 80"), "denied DeniedAtEgress -"},
		{"S1 the other direction is open", append(objects{in, out}, two...), false, ask("b/q a/p 80"), "allowed NotIsolated v4"},
		{"S1 external ends allow", nil, false, ask("192.0.2.1 192.0.2.2 80"), "allowed NotIsolated -"},
		{"S2 by name", append(objects{denyAll()}, two...), false, ask("a/p a/p 80"), "allowed Self v4"},
		{"S2 by IP", append(objects{denyAll()}, two...), false, ask("10.0.0.1 a/p 80"), "allowed Self v4"},
		{"S2 both by IP", append(objects{denyAll()}, two...), false, ask("10.0.0.1 10.0.0.1 80"), "allowed Self -"},
		{"S2 without an address", objects{denyAll(), pod("a/p", "", "")}, false, ask("a/p a/p 80"), "allowed Self -"},
		{"S2 labels are no other Pod", append(objects{denyAll()}, two...), false, ask("a?@10.0.0.1 a/p 80"), "denied DeniedAtEgress -"},
		{"S2 a host-network Pod by name", objects{pod("a/p", "", "10.0.1.1", on("n1"), hostNetwork)}, false, ask("a/p a/p 80"), "allowed Self v4"},
		{"S2 a Node's address is no Pod", objects{pod("a/p", "", "10.0.1.1", on("n1"), hostNetwork)}, false, ask("10.0.1.1 a/p 80"), "allowed NotIsolated v4"},
	})
	local := objects{
		denyAll(), pod("a/p", "", "10.0.0.1", on("n1")), node("n1", "10.0.1.1 10.0.1.9"), node("n2", "10.0.1.2"),
		pod("k/proxy", "", "10.0.1.1", on("n1"), hostNetwork), pod("k/other", "", "10.0.1.2", on("n2"), hostNetwork, hostIPs("10.0.1.22")),
		pod("a/unscheduled", "", "10.0.0.5"), pod("k/nowhere", "", "", hostNetwork),
	}
	check(t, []rule{
		{"S3 from the Node", local, false, ask("10.0.1.1 a/p 80"), "allowed LocalNode v4"},
		{"S3 to the Node", local, false, ask("a/p 10.0.1.1 80"), "allowed LocalNode v4"},
		{"S3 whichever of its addresses", local, false, ask("10.0.1.9 10.0.0.1 80"), "allowed LocalNode -"},
		{"S3 its host-network Pods", local, false, ask("k/proxy a/p 80"), "allowed LocalNode v4"},
		{"S3 to its host-network Pods", local, false, ask("a/p k/proxy 80"), "allowed LocalNode v4"},
		{"S3 another Node", local, false, ask("10.0.1.2 a/p 80"), "denied DeniedAtIngress -"},
		{"S3 another Node's host-network Pod", local, false, ask("a/p k/other 80"), "denied DeniedAtEgress -"},
		{"S3 both on no Node", local, false, ask("a/unscheduled k/nowhere 80"), "denied DeniedAtEgress -"},
		{"S3 two Pods of one Node", append(objects{pod("b/q", "", "10.0.0.2", on("n1"))}, local...), false, ask("b/q a/p 80"), "denied DeniedAtIngress -"},
		{"S3 a Node without object", objects{denyAll(), pod("a/p", "", "10.0.0.1", on("n7"), hostIPs("10.0.1.7"))}, false, ask("10.0.1.7 a/p 80"), "allowed LocalNode v4"},
		{"S3 a Node known by a host-network Pod alone", objects{denyAll(), pod("a/p", "", "10.0.0.1", on("n7")), pod("k/h", "", "10.0.1.7", on("n7"), hostNetwork)}, false, ask("10.0.1.7 a/p 80"), "allowed LocalNode v4"},
		{"S5 hostIPs of the Pods on it", local, false, ask("10.0.1.22 a/p 80"), "denied DeniedAtIngress -"},
	})
}

func TestOracleHostNetworkAndNodes(t *testing.T) {
	host := pod("k/proxy", "app=proxy", "10.0.1.1", on("n1"), hostNetwork, port("http", 80, engine.TCP))
	bare := pod("k/bare", "app=proxy", "", on("n1"), hostNetwork)
	n1 := node("n1", "10.0.1.1 fd00:2::1")
	p := pod("a/p", "app=p", "10.0.0.1")
	all := engine.Peer{Namespaces: &engine.Selector{}, Pods: &engine.Selector{}}
	check(t, []rule{
		{"S4 no policy selects it", objects{host, p, &engine.Policy{Namespace: "k", Name: "deny", IsolatesIngress: true}}, false, ask("a/p k/proxy 80"), "allowed NotIsolated v4"},
		{"S4 no selector matches it", objects{host, p, ingress("in", "", from(all))}, false, ask("k/proxy a/p 80"), "denied DeniedAtIngress -"},
		{"S4 ipBlock matches it", objects{host, p, ingress("in", "", from(all, block("10.0.1.0/24")))}, false, ask("k/proxy a/p 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S4 a rule without peers matches it", objects{host, p, ingress("in", "", from())}, false, ask("k/proxy a/p 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S4 its Node's addresses when it has none", objects{bare, n1, p, ingress("in", "", from(block("10.0.1.1/32")))}, false, ask("k/bare a/p 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S4 not its Node's when it has its own", objects{host, node("n1", "10.0.1.1 10.0.1.9"), p, ingress("in", "", from(block("10.0.1.9/32")))}, false, ask("k/proxy a/p 80"), "denied DeniedAtIngress -"},
		{"S4 its ports lend no name", objects{host, p, egress("out", "", ports(named("http")))}, false, ask("a/p k/proxy 80"), "denied DeniedAtEgress -"},
		{"S4 its address is its Node's", objects{host, p, denyAll()}, false, ask("10.0.1.1 10.0.0.1 80"), "denied DeniedAtIngress -"},
		{"S5 external matches no selector", objects{p, ingress("in", "", from(all))}, false, ask("192.0.2.1 a/p 80"), "denied DeniedAtIngress -"},
		{"S5 external by ipBlock", objects{p, ingress("in", "", from(all), from(block("192.0.2.0/24")))}, false, ask("192.0.2.1 a/p 80"), "allowed AllowedByRule v4 ingress=in[1]"},
		{"S5 external by a rule without peers", objects{p, ingress("in", "", from())}, false, ask("192.0.2.1 a/p 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S5 hostIPs count for a Pod without IPs", objects{bare, pod("b/q", "", "10.0.0.2", on("n1"), hostIPs("10.0.1.8")), p, ingress("in", "", from(block("10.0.1.8/32")))}, false, ask("k/bare a/p 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S5 hostIPs of a finished Pod do not", objects{bare, pod("b/q", "", "10.0.0.2", on("n1"), hostIPs("10.0.1.8"), finished), p, ingress("in", "", from(block("10.0.1.8/32")))}, false, ask("k/bare a/p 80"), "denied DeniedAtIngress -"},
		{"S5 a Node's object before hostIPs", objects{denyAll(), pod("a/p", "", "10.0.0.1", on("n1"), hostIPs("10.0.1.2")), node("n2", "10.0.1.2")}, false, ask("10.0.1.2 a/p 80"), "denied DeniedAtIngress -"},
		{"S5 the smallest of two Nodes", objects{denyAll(), pod("a/p", "", "10.0.0.1", on("n1")), node("n2", "10.0.1.2"), node("n1", "10.0.1.2")}, false, ask("10.0.1.2 a/p 80"), "allowed LocalNode v4"},
	})
}

func TestOracleState(t *testing.T) {
	p := pod("a/p", "", "10.0.0.1")
	onlyApp := egress("out", "", from(pods("app=x")))
	old := pod("a/old", "app=x", "10.0.0.2", created(1), uid("u9"))
	check(t, []rule{
		{"S6 finished by name", objects{pod("a/p", "", "10.0.0.1", finished)}, false, ask("192.0.2.1 a/p 80"), "PodFinished dst"},
		{"S6 finished as source", objects{pod("a/p", "", "10.0.0.1", finished)}, false, ask("a/p a/p 80"), "PodFinished src"},
		{"S6 it owns no IP", objects{pod("a/p", "", "10.0.0.1", finished), denyAll()}, false, ask("192.0.2.1 10.0.0.1 80"), "allowed NotIsolated -"},
		{"S7 the newest owns it", objects{p, onlyApp, old, pod("a/new", "app=y", "10.0.0.2", created(2), uid("u1"))}, false, ask("a/p 10.0.0.2 80"), "denied DeniedAtEgress -"},
		{"S7 unless it has finished", objects{p, onlyApp, old, pod("a/new", "app=y", "10.0.0.2", created(2), finished)}, false, ask("a/p 10.0.0.2 80"), "allowed AllowedByRule v4 egress=out[0]"},
		{"S7 then the greater UID", objects{p, onlyApp, old, pod("a/zzz", "app=y", "10.0.0.2", created(1), uid("u1"))}, false, ask("a/p 10.0.0.2 80"), "allowed AllowedByRule v4 egress=out[0]"},
		{"S7 the older has no address", objects{p, old, pod("a/new", "", "10.0.0.2", created(2)), egress("out", "", from(block("10.0.0.2/32")))}, false, ask("a/p a/old 80"), "denied DeniedAtEgress -"},
		{"S7 a newer ordinary Pod takes it from the host network", objects{p, onlyApp, pod("a/host", "", "10.0.0.2", on("n1"), hostNetwork), pod("a/new", "app=x", "10.0.0.2", created(2))}, false, ask("a/p 10.0.0.2 80"), "allowed AllowedByRule v4 egress=out[0]"},
		{"S7 a newer host-network Pod takes it", objects{p, onlyApp, old, pod("a/host", "app=x", "10.0.0.2", on("n1"), hostNetwork, created(2))}, false, ask("a/p 10.0.0.2 80"), "denied DeniedAtEgress -"},
		{"S7 host-network Pods share it", objects{p, egress("out", "", from(block("10.0.1.1/32"))), pod("k/h", "", "10.0.1.1", on("n1"), hostNetwork), pod("k/g", "", "10.0.1.1", on("n1"), hostNetwork, created(2))}, false, ask("a/p k/h 80"), "allowed AllowedByRule v4 egress=out[0]"},
		{"S8 without an IP, by name", objects{p, pod("a/q", "app=x", ""), onlyApp}, false, ask("a/p a/q 80"), "allowed AllowedByRule v4 egress=out[0]"},
		{"S8 ipBlock never matches it", objects{p, pod("a/q", "", ""), egress("out", "", from(block("0.0.0.0/0"), block("::/0")))}, false, ask("a/p a/q 80"), "denied DeniedAtEgress -"},
	})
}

func TestOracleFamilies(t *testing.T) {
	dual := pod("a/dual", "", "10.0.0.1 fd00::1")
	other := pod("b/dual", "", "10.0.0.2 fd00::2")
	six := pod("b/six", "", "fd00::6")
	four := pod("b/four", "", "10.0.0.4")
	none := pod("b/none", "", "")
	out4, out6 := egress("out", "", from(block("0.0.0.0/0"))), egress("out", "", from(block("::/0")))
	in4 := ingress("in", "", from(block("10.0.0.0/24")))
	check(t, []rule{
		{"S9 by name in both", objects{dual, other}, false, ask("a/dual b/dual 80"), "allowed NotIsolated v4+v6"},
		{"S9 allowed in one", objects{dual, other, out6}, false, ask("a/dual b/dual 80"), "allowed AllowedByRule v6 egress=out[0]"},
		{"S9 only those that both have", objects{dual, six, out4}, false, ask("a/dual b/six 80"), "denied DeniedAtEgress -"},
		{"S9 by IP, in that family", objects{dual, other, out6}, false, ask("10.0.0.1 b/dual 80"), "denied DeniedAtEgress -"},
		{"S9 by IP, in the destination's family", objects{dual, other, out6}, false, ask("a/dual fd00::2 80"), "allowed AllowedByRule v6 egress=out[0]"},
		{"S9 two IPs of different families", objects{dual, other, out4}, false, ask("fd00::1 10.0.0.2 80"), "denied DeniedAtEgress -"},
		{"S9 two IPs of different families, all allowed", objects{dual, other}, false, ask("fd00::1 10.0.0.2 80"), "allowed NotIsolated -"},
		{"S9 two IPs of different families, the source in a block", objects{dual, pod("a/in", "app=in", "10.0.0.3"), ingress("in", "app=in", from(block("::/0"), block("0.0.0.0/0")))}, false, ask("fd00::1 10.0.0.3 80"), "denied DeniedAtIngress -"},
		{"S9 two Pods with none in common meet no ipBlock", objects{four, pod("a/six", "", "fd00::6"), egress("out", "", from(block("0.0.0.0/0"), block("::/0")))}, false, ask("a/six b/four 80"), "denied DeniedAtEgress -"},
		{"S9 two Pods with none in common, all allowed", objects{four, six}, false, ask("b/six b/four 80"), "allowed NotIsolated -"},
		{"S9 a subject without an address, in every family of its peer", objects{pod("a/none", "", ""), other, out6}, false, ask("a/none b/dual 80"), "allowed AllowedByRule v6 egress=out[0]"},
		{"S9 a peer without an address", objects{dual, none, out4}, false, ask("a/dual b/none 80"), "denied DeniedAtEgress -"},
		{"S9 neither has an address", objects{none, pod("a/none", "", "")}, false, ask("a/none b/none 80"), "allowed NotIsolated -"},
		{"S9 by IP, the other without an address of it", objects{six, ingress("in", ""), pod("a/six", "", "fd00::7"), in4}, false, ask("10.0.0.9 a/six 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S9 IPv4-mapped is IPv4", objects{dual, in4}, false, ask("::ffff:10.0.0.9 a/dual 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S9 the reasons of the first allowed", objects{dual, other, egress("out", "", from(block("fd00::/16")), from(block("::/0")))}, false, ask("a/dual b/dual 80"), "allowed AllowedByRule v6 egress=out[0]"},
		{"S9 labels with an address", objects{dual, in4}, false, ask("b?@10.0.0.9 a/dual 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S9 labels without an address", objects{dual, in4}, false, ask("b? a/dual 80"), "denied DeniedAtIngress -"},
	})
}

func TestOracleIsolation(t *testing.T) {
	p, q := pod("a/p", "app=p", "10.0.0.1"), pod("b/q", "app=q", "10.0.0.2")
	allow := engine.Rule{}
	elsewhere := ingress("in", "")
	elsewhere.Namespace = "c"
	check(t, []rule{
		{"S10 its own namespace", objects{p, q, elsewhere}, false, ask("b/q a/p 80"), "allowed NotIsolated v4"},
		{"S10 that match its selector", objects{p, q, ingress("in", "app=other")}, false, ask("b/q a/p 80"), "allowed NotIsolated v4"},
		{"S10 an empty selector is every Pod", objects{p, q, &engine.Policy{Namespace: "a", Name: "in", Subject: engine.Selector{}, IsolatesIngress: true}}, false, ask("b/q a/p 80"), "denied DeniedAtIngress -"},
		{"S10 an omitted selector is every Pod", objects{p, q, &engine.Policy{Namespace: "a", Name: "in", IsolatesIngress: true}}, false, ask("b/q a/p 80"), "denied DeniedAtIngress -"},
		{"S11 both directions, only egress rules: ingress", objects{p, q, &engine.Policy{Namespace: "a", Name: "both", IsolatesEgress: true, IsolatesIngress: true, Egress: []engine.Rule{allow}}}, false, ask("b/q a/p 80"), "denied DeniedAtIngress -"},
		{"S11 both directions, only egress rules: egress", objects{p, q, &engine.Policy{Namespace: "a", Name: "both", IsolatesEgress: true, IsolatesIngress: true, Egress: []engine.Rule{allow}}}, false, ask("a/p b/q 80"), "allowed AllowedByRule v4 egress=both[0]"},
		{"S12 a type without a rule", objects{p, q, egress("out", "")}, false, ask("a/p b/q 80"), "denied DeniedAtEgress -"},
		{"S12 rules of another direction are ignored", objects{p, q, &engine.Policy{Namespace: "a", Name: "none", Egress: []engine.Rule{{Peers: []engine.Peer{{}}}}}}, false, ask("a/p b/q 80"), "allowed NotIsolated v4"},
		{"S12 they do not allow either", objects{p, q, ingress("deny", ""), &engine.Policy{Namespace: "a", Name: "none", IsolatesEgress: true, Ingress: []engine.Rule{allow}}}, false, ask("b/q a/p 80"), "denied DeniedAtIngress -"},
		{"S13 not isolated for this direction", objects{p, q, ingress("in", "")}, false, ask("a/p b/q 80"), "allowed NotIsolated v4"},
		{"S14 policies add up", objects{p, q, ingress("deny", ""), ingress("zallow", "app=p", from(pods("app=none")), allow)}, false, ask("b/q a/p 80"), "allowed AllowedByRule v4 ingress=zallow[1]"},
		{"S14 the first by name", objects{p, q, ingress("z", "", allow), ingress("b", "", allow)}, false, ask("b/q a/p 80"), "allowed AllowedByRule v4 ingress=b[0]"},
	})
}

func TestOracleRules(t *testing.T) {
	p, q := pod("a/p", "app=p", "10.0.0.1", port("http", 8080, engine.TCP)), pod("b/q", "app=q,tier=1", "10.0.0.2")
	mate := pod("a/mate", "app=q", "10.0.0.3")
	b := namespace("b", "team=blue")
	allowed, denied := "allowed AllowedByRule v4 ingress=in[0]", "denied DeniedAtIngress -"
	one := func(r engine.Rule) objects { return objects{p, q, mate, b, ingress("in", "app=p", r)} }
	peer := func(x engine.Peer) objects { return one(from(x)) }
	check(t, []rule{
		{"S15 an empty rule matches all", one(engine.Rule{}), false, ask("b/q a/p 80"), allowed},
		{"S15 empty lists match all", one(engine.Rule{Peers: []engine.Peer{}, Ports: []engine.Port{}}), false, ask("b/q a/p 80/sctp"), allowed},
		{"S15 peers AND ports", one(engine.Rule{Peers: []engine.Peer{namespaces("")}, Ports: []engine.Port{tcp(81, 81)}}), false, ask("b/q a/p 80"), denied},
		{"S15 ports AND peers", one(engine.Rule{Peers: []engine.Peer{pods("app=none")}, Ports: []engine.Port{tcp(80, 80)}}), false, ask("b/q a/p 80"), denied},
		{"S15 peers are joined by OR", one(from(pods("app=none"), namespaces(""))), false, ask("b/q a/p 80"), allowed},
		{"S15 ports are joined by OR", one(ports(tcp(1, 1), tcp(80, 80))), false, ask("b/q a/p 80"), allowed},
		{"S16 podSelector: the policy's own namespace", peer(pods("app=q")), false, ask("a/mate a/p 80"), allowed},
		{"S16 podSelector: not another's", peer(pods("app=q")), false, ask("b/q a/p 80"), denied},
		{"S16 namespaceSelector: every Pod", peer(namespaces("team=blue")), false, ask("b/q a/p 80"), allowed},
		{"S16 namespaceSelector: of these only", peer(namespaces("team=blue")), false, ask("a/mate a/p 80"), denied},
		{"S16 both", peer(engine.Peer{Namespaces: matching("team=blue"), Pods: matching("app=q")}), false, ask("b/q a/p 80"), allowed},
		{"S16 both: not another label", peer(engine.Peer{Namespaces: matching("team=blue"), Pods: matching("app=x")}), false, ask("b/q a/p 80"), denied},
		{"S16 both: not another namespace", peer(engine.Peer{Namespaces: matching("team=blue"), Pods: matching("app=q")}), false, ask("a/mate a/p 80"), denied},
		{"S16 empty podSelector", peer(engine.Peer{Pods: &engine.Selector{}}), false, ask("a/mate a/p 80"), allowed},
		{"S16 nil selector behind a pointer", peer(engine.Peer{Namespaces: new(engine.Selector)}), false, ask("b/q a/p 80"), allowed},
		{"S18 its name is a label", peer(namespaces("kubernetes.io/metadata.name=b")), false, ask("b/q a/p 80"), allowed},
		{"S18 also where the namespace was not seen", peer(namespaces("kubernetes.io/metadata.name=c")), false, ask("c? a/p 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S18 which has no other label", peer(namespaces("team=blue")), false, ask("c? a/p 80"), denied},
		{"S18 and cannot lie", objects{p, q, namespace("b", "kubernetes.io/metadata.name=x"), ingress("in", "", from(namespaces("kubernetes.io/metadata.name=x")))}, false, ask("b/q a/p 80"), denied},
		{"S20 no port entry's protocol but TCP", one(ports(tcp(1, 65535))), false, ask("b/q a/p 80/udp"), denied},
		{"S20 every port", one(ports(tcp(1, 65535))), false, ask("b/q a/p 65535"), allowed},
		{"S20 the range's start", one(ports(tcp(80, 90))), false, ask("b/q a/p 80"), allowed},
		{"S20 the range's end", one(ports(tcp(80, 90))), false, ask("b/q a/p 90"), allowed},
		{"S20 beyond the range", one(ports(tcp(80, 90))), false, ask("b/q a/p 91"), denied},
		{"S20 before the range", one(ports(tcp(80, 90))), false, ask("b/q a/p 79"), denied},
		{"S21 the name of the destination", one(ports(named("http"))), false, ask("b/q a/p 8080"), allowed},
		{"S21 another number", one(ports(named("http"))), false, ask("b/q a/p 80"), denied},
		{"S21 another protocol", one(ports(engine.Port{Name: "http", Protocol: engine.UDP})), false, ask("b/q a/p 8080/udp"), denied},
		{"S21 a name in another protocol than asked", one(ports(engine.Port{Name: "http", Protocol: engine.UDP})), false, ask("b/q a/p 8080"), denied},
		{"S21 no such name", one(ports(named("nobody"))), false, ask("b/q a/p 8080"), denied},
		{"S21 several numbers", objects{q, pod("a/p", "", "10.0.0.1", port("http", 80, engine.TCP), port("http", 81, engine.TCP)), ingress("in", "", ports(named("http")))}, false, ask("b/q a/p 81"), allowed},
		{"S21 egress looks at the destination", objects{p, q, egress("out", "", ports(named("http")))}, false, ask("a/p b/q 8080"), "denied DeniedAtEgress -"},
		{"S21 no Pod has no names", objects{p, egress("out", "", ports(named("http")))}, false, ask("a/p 192.0.2.1 8080"), "denied DeniedAtEgress -"},
		{"S22 SCTP", one(ports(engine.Port{Protocol: engine.SCTP, First: 80, Last: 80})), false, ask("b/q a/p 80/sctp"), allowed},
		{"S22 is not TCP", one(ports(engine.Port{Protocol: engine.SCTP, First: 80, Last: 80})), false, ask("b/q a/p 80"), denied},
		{"S23 the zero Peer matches nothing", peer(engine.Peer{}), false, ask("b/q a/p 80"), denied},
		{"S23 the zero Peer is not its own namespace either", peer(engine.Peer{}), false, ask("a/mate a/p 80"), denied},
		{"S23 nor does a block beside a selector", peer(engine.Peer{Block: block("0.0.0.0/0").Block, Namespaces: matching("")}), false, ask("b/q a/p 80"), denied},
		{"S23 nor an invalid CIDR", peer(engine.Peer{Block: &engine.IPBlock{}}), false, ask("b/q a/p 80"), denied},
		{"S23 nor one with an invalid except", peer(engine.Peer{Block: &engine.IPBlock{CIDR: netip.MustParsePrefix("0.0.0.0/0"), Except: make([]netip.Prefix, 1)}}), false, ask("b/q a/p 80"), denied},
		{"S23 the zero Port matches nothing", one(ports(engine.Port{})), false, ask("b/q a/p 80"), denied},
		{"S23 host bits are masked", peer(block("10.0.0.9/24")), false, ask("b/q a/p 80"), allowed},
	})
}

func TestOracleSelectors(t *testing.T) {
	requirements := func(list ...engine.Requirement) objects {
		s := engine.Selector(list)
		return objects{
			pod("a/p", "", "10.0.0.1"),
			&engine.Policy{Namespace: "a", Name: "in", IsolatesIngress: true, Ingress: []engine.Rule{from(engine.Peer{Pods: &s})}},
		}
	}
	in := engine.Requirement{Key: "app", Values: []string{"x", "y"}}
	notIn := engine.Requirement{Key: "app", Operator: engine.NotIn, Values: []string{"x", "y"}}
	exists := engine.Requirement{Key: "app", Operator: engine.Exists}
	missing := engine.Requirement{Key: "app", Operator: engine.DoesNotExist}
	allowed, denied := "allowed AllowedByRule v4 ingress=in[0]", "denied DeniedAtIngress -"
	check(t, []rule{
		{"S17 In", requirements(in), false, ask("a?app=y a/p 80"), allowed},
		{"S17 In another", requirements(in), false, ask("a?app=z a/p 80"), denied},
		{"S17 In lacks the key", requirements(in), false, ask("a? a/p 80"), denied},
		{"S17 In without values", requirements(engine.Requirement{Key: "app"}), false, ask("a?app= a/p 80"), denied},
		{"S17 In of the empty value lacks the key", requirements(engine.Requirement{Key: "app", Values: []string{""}}), false, ask("a? a/p 80"), denied},
		{"S17 In of the empty value", requirements(engine.Requirement{Key: "app", Values: []string{""}}), false, ask("a?app= a/p 80"), allowed},
		{"S17 NotIn", requirements(notIn), false, ask("a?app=z a/p 80"), allowed},
		{"S17 NotIn of them", requirements(notIn), false, ask("a?app=x a/p 80"), denied},
		{"S17 NotIn lacks the key", requirements(notIn), false, ask("a? a/p 80"), allowed},
		{"S17 Exists", requirements(exists), false, ask("a?app= a/p 80"), allowed},
		{"S17 Exists lacks the key", requirements(exists), false, ask("a?tier=x a/p 80"), denied},
		{"S17 DoesNotExist", requirements(missing), false, ask("a?tier=x a/p 80"), allowed},
		{"S17 DoesNotExist has the key", requirements(missing), false, ask("a?app= a/p 80"), denied},
		{"S17 joined by AND", requirements(in, engine.Requirement{Key: "tier", Operator: engine.Exists}), false, ask("a?app=x a/p 80"), denied},
		{"S17 one key, several requirements", requirements(in, engine.Requirement{Key: "app", Operator: engine.NotIn, Values: []string{"y"}}), false, ask("a?app=y a/p 80"), denied},
		{"S17 one key, all hold", requirements(in, engine.Requirement{Key: "app", Operator: engine.NotIn, Values: []string{"y"}}), false, ask("a?app=x a/p 80"), allowed},
	})
}

func TestOracleBlocks(t *testing.T) {
	p := pod("a/p", "", "10.0.0.1 fd00::1")
	q := pod("b/q", "", "10.0.0.2")
	host := pod("k/h", "", "10.0.1.1", on("n1"), hostNetwork)
	n2 := node("n2", "10.0.1.2")
	one := func(x engine.Peer) objects { return objects{p, q, host, n2, ingress("in", "", from(x))} }
	allowed, denied := "allowed AllowedByRule v4 ingress=in[0]", "denied DeniedAtIngress -"
	check(t, []rule{
		{"S19 inside", one(block("192.0.2.0/24")), false, ask("192.0.2.255 a/p 80"), allowed},
		{"S19 outside", one(block("192.0.2.0/24")), false, ask("192.0.3.0 a/p 80"), denied},
		{"S19 excepted", one(block("0.0.0.0/0", "192.0.2.0/24", "192.0.2.128/25")), false, ask("192.0.2.129 a/p 80"), denied},
		{"S19 beside the excepts", one(block("0.0.0.0/0", "192.0.2.0/24", "192.0.2.128/25")), false, ask("192.0.3.1 a/p 80"), allowed},
		{"S19 /32", one(block("192.0.2.1/32")), false, ask("192.0.2.1 a/p 80"), allowed},
		{"S19 IPv6", one(block("2001:db8::/32", "2001:db8:1::/48")), false, ask("2001:db8:2::1 a/p 80"), "allowed AllowedByRule v6 ingress=in[0]"},
		{"S19 IPv6 excepted", one(block("2001:db8::/32", "2001:db8:1::/48")), false, ask("2001:db8:1::1 a/p 80"), denied},
		{"S19 no family is another", one(block("::/0")), false, ask("192.0.2.1 a/p 80"), denied},
		{"S19 Pods", one(block("10.0.0.2/32")), false, ask("b/q a/p 80"), allowed},
		{"S19 not Pods", one(block("0.0.0.0/0")), true, ask("b/q a/p 80"), denied},
		{"S19 not Pods by IP", one(block("0.0.0.0/0")), true, ask("10.0.0.2 a/p 80"), denied},
		{"S19 not labelled Pods", one(block("0.0.0.0/0")), true, ask("b?@192.0.2.1 a/p 80"), denied},
		{"S19 not Nodes", one(block("0.0.0.0/0")), true, ask("10.0.1.2 a/p 80"), denied},
		{"S19 not host-network Pods", one(block("0.0.0.0/0")), true, ask("k/h a/p 80"), denied},
		{"S19 but what is outside", one(block("0.0.0.0/0")), true, ask("192.0.2.1 a/p 80"), allowed},
	})
}

func TestOracleServices(t *testing.T) {
	src := pod("c/src", "", "10.0.9.1 fd00:9::1")
	four := pod("c/four", "", "10.0.9.4")
	p1, p2 := pod("a/p1", "app=1", "10.0.0.1 fd00::1"), pod("a/p2", "app=2", "10.0.0.2")
	web := service("web", "10.0.2.1 fd00:3::1")
	headless := &engine.Service{Namespace: "a", Name: "web", Headless: true, IPs: ipList("10.0.2.1")}
	both := slice("e1", ready("10.0.0.1"), ready("10.0.0.2"))
	on8080 := ingress("in", "", ports(tcp(8080, 8080)))
	base := func(more ...engine.Object) objects { return append(objects{src, four, p1, p2, web}, more...) }
	byName := func(name string) engine.SliceEndpoint { return engine.SliceEndpoint{Pod: name, Ready: true} }
	other := service("other", "10.0.2.1")
	other.Ports = []engine.ServicePort{{Name: "web", Port: 81}}
	check(t, []rule{
		{"S24 by name, to the target port", base(both, on8080), false, ask("c/src svc/a/web 80"), "allowed AllowedByRule v4 2/2 ingress=in[0]"},
		{"S24 by address", base(both, on8080), false, ask("c/src 10.0.2.1 80"), "allowed AllowedByRule v4 2/2 ingress=in[0]"},
		{"S24 both by address", base(both, on8080), false, ask("10.0.9.1 10.0.2.1 80"), "allowed AllowedByRule - 2/2 ingress=in[0]"},
		{"S24 every endpoint has to be allowed", base(both, ingress("in", "app=2")), false, ask("c/src svc/a/web 80"), "denied DeniedAtIngress - 1/2"},
		{"S24 the first denied gives the reason", base(both, ingress("in", "app=2"), ingress("jn", "", from(pods("app=none")))), false, ask("c/src svc/a/web 80"), "denied DeniedAtIngress - 0/2"},
		{"S24 of one family", base(both, slice("e2", ready("fd00::1")), ingress("in", "app=2")), false, ask("c/src svc/a/web 80"), "allowed NotIsolated v6 1/1"},
		{"S24 of both families", base(both, slice("e2", ready("fd00::1"))), false, ask("c/src svc/a/web 80"), "allowed NotIsolated v4+v6 2/2"},
		{"S24 of no family of the source's", base(slice("e2", ready("fd00::1"))), false, ask("c/four svc/a/web 80"), "allowed NotIsolated - 1/1"},
		{"S24 of the address's family", base(slice("e2", ready("fd00::1"))), false, ask("c/src 10.0.2.1 80"), "NoReadyEndpoint dst"},
		{"S24 of no family of the source's address", base(slice("e2", ready("fd00::1"))), false, ask("10.0.9.1 svc/a/web 80"), "allowed NotIsolated - 1/1"},
		{"S24 ready before draining", base(slice("e1", ready("10.0.0.1"), draining("10.0.0.2")), ingress("in", "app=2")), false, ask("c/src svc/a/web 80"), "allowed NotIsolated v4 1/1"},
		{"S24 draining when none is ready", base(slice("e1", draining("10.0.0.2"))), false, ask("c/src svc/a/web 80"), "allowed NotIsolated v4 1/1"},
		{"S24 serving alone is not enough", base(slice("e1", engine.SliceEndpoint{Addr: netip.MustParseAddr("10.0.0.1"), Serving: true})), false, ask("c/src svc/a/web 80"), "NoReadyEndpoint dst"},
		{"S24 draining per family", base(slice("e1", draining("10.0.0.1")), slice("e2", ready("fd00::1"))), false, ask("c/src svc/a/web 80"), "allowed NotIsolated v4+v6 1/1"},
		{"S24 no such port", base(both), false, ask("c/src svc/a/web 81"), "NoServicePort dst"},
		{"S24 no such protocol", base(both), false, ask("c/src svc/a/web 80/udp"), "NoServicePort dst"},
		{"S24 no such port by address", base(both), false, ask("c/src 10.0.2.1 81"), "NoServicePort dst"},
		{"S24 no slice", base(), false, ask("c/src svc/a/web 80"), "NoReadyEndpoint dst"},
		{"S24 a slice that lacks the port", base(&engine.EndpointSlice{Namespace: "a", Name: "e", Service: "web", Endpoints: []engine.SliceEndpoint{ready("10.0.0.1")}}), false, ask("c/src svc/a/web 80"), "NoReadyEndpoint dst"},
		{"S24 a slice with the port by another name", base(&engine.EndpointSlice{Namespace: "a", Name: "e", Service: "web", Endpoints: []engine.SliceEndpoint{ready("10.0.0.1")}, Ports: []engine.ServicePort{{Name: "other", Port: 8080}}}), false, ask("c/src svc/a/web 80"), "NoReadyEndpoint dst"},
		{"S24 a slice with the port in another protocol", base(&engine.EndpointSlice{Namespace: "a", Name: "e", Service: "web", Endpoints: []engine.SliceEndpoint{ready("10.0.0.1")}, Ports: []engine.ServicePort{{Name: "web", Port: 8080, Protocol: engine.UDP}}}), false, ask("c/src svc/a/web 80"), "NoReadyEndpoint dst"},
		{"S24 ExternalName", objects{src, &engine.Service{Namespace: "a", Name: "web", ExternalName: true}}, false, ask("c/src svc/a/web 80"), "ExternalName dst"},
		{"S24 headless, on the very port", objects{src, p1, p2, headless, both, on8080}, false, ask("c/src svc/a/web 8080"), "allowed AllowedByRule v4 2/2 ingress=in[0]"},
		{"S24 headless maps nothing", objects{src, p1, p2, headless, both, on8080}, false, ask("c/src svc/a/web 80"), "denied DeniedAtIngress - 0/2"},
		{"S24 headless has no address", objects{src, p1, p2, headless, both, on8080}, false, ask("c/src 10.0.2.1 80"), "allowed NotIsolated v4"},
		{"S24 an endpoint by Pod name", base(slice("e", byName("p1"), byName("nobody"))), false, ask("c/src svc/a/web 80"), "allowed NotIsolated v4+v6 1/1"},
		{"S24 an endpoint without an address, in every family", base(pod("a/p3", "", ""), slice("e", byName("p3"))), false, ask("c/src svc/a/web 80"), "allowed NotIsolated v4+v6 1/1"},
		{"S24 a denied family leaves the other", base(slice("e1", ready("10.0.0.2")), slice("e2", ready("fd00::1")), ingress("in", "app=1")), false, ask("c/src svc/a/web 80"), "allowed NotIsolated v4 1/1"},
		{"S24 a finished Pod is no endpoint", objects{src, web, pod("a/p1", "", "10.0.0.1", finished), slice("e", byName("p1"))}, false, ask("c/src svc/a/web 80"), "NoReadyEndpoint dst"},
		{"S24 an endpoint twice counts once", base(both, slice("e2", byName("p2"), ready("10.0.0.2"))), false, ask("c/src svc/a/web 80"), "allowed NotIsolated v4 2/2"},
		{"S24 an endpoint is whatever owns its address: outside", base(slice("e", ready("192.0.2.1"))), false, ask("c/src svc/a/web 80"), "allowed NotIsolated v4 1/1"},
		{"S24 an endpoint is whatever owns its address: the source", base(both, denyAll()), false, ask("a/p2 svc/a/web 80"), "denied DeniedAtEgress - 1/2"},
		{"S24 a shared address, by port", base(other, both), false, ask("c/src 10.0.2.1 81"), "NoReadyEndpoint dst"},
		{"S24 a Service's port at a Pod's address", base(pod("a/odd", "", "10.0.2.1"), both), false, ask("c/src 10.0.2.1 80"), "allowed NotIsolated v4 2/2"},
		{"S24 a Pod's other ports are its own", base(pod("a/odd", "", "10.0.2.1"), both), false, ask("c/src 10.0.2.1 81"), "allowed NotIsolated v4"},
		{"S24 a Node that shares the address", base(node("n1", "10.0.2.1"), both), false, ask("c/src 10.0.2.1 80"), "allowed NotIsolated v4 2/2"},
		{"S24 a Node's other ports are its own", base(node("n1", "10.0.2.1"), both), false, ask("c/src 10.0.2.1 30080"), "allowed NotIsolated v4"},
		{"S24 a Service's address as source is external", base(both, ingress("in", "", from(block("10.0.2.1/32")))), false, ask("10.0.2.1 a/p1 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S24 a source without an address, all families", base(both, slice("e2", ready("fd00::1")), pod("c/none", "", "")), false, ask("c/none svc/a/web 80"), "allowed NotIsolated v4+v6 2/2"},
	})
}

func TestOracleNames(t *testing.T) {
	w := workload("Deployment", "w")
	p1, p2 := pod("a/p1", "app=1", "10.0.0.1", w), pod("a/p2", "app=2", "10.0.0.2 fd00::2", w)
	gone := pod("a/p0", "", "10.0.0.9", w, finished)
	pending := pod("a/p3", "app=3", "", w)
	dual := pod("b/q", "", "10.0.1.1 fd00:1::1")
	six := pod("a/six", "", "fd00::6", w)
	web, e := service("web", ""), slice("e", ready("10.0.1.1"), ready("fd00:1::1"))
	check(t, []rule{
		{"S24 a workload that has finished", objects{gone, dual}, false, ask("Deployment/a/w b/q 80"), "WorkloadFinished src"},
		{"S27 an unknown Pod", objects{dual}, false, ask("b/q a/nobody 80"), "NotFound dst"},
		{"S27 an unknown Service", objects{dual}, false, ask("b/q svc/a/nobody 80"), "NotFound dst"},
		{"S27 an unknown workload", objects{p1, dual}, false, ask("StatefulSet/a/w b/q 80"), "NotFound src"},
		{"S27 a workload of another namespace", objects{p1, dual}, false, ask("b/q Deployment/b/w 80"), "NotFound dst"},
		{"S27 the source's error is told", objects{dual}, false, ask("a/nobody svc/a/nobody 80"), "NotFound src"},
		{"S27 its Pods that have not finished", objects{gone, p1, p2, dual}, false, ask("b/q Deployment/a/w 80"), "allowed NotIsolated v4 2/2"},
		{"S27 allowed when all are", objects{p1, p2, dual, ingress("in", "app=2")}, false, ask("b/q Deployment/a/w 80"), "denied DeniedAtIngress - 1/2"},
		{"S27 pending ones too", objects{p1, pending, dual, ingress("in", "app=3")}, false, ask("b/q Deployment/a/w 80"), "denied DeniedAtIngress - 1/2"},
		{"S27 every pair", objects{p1, p2, denyAll()}, false, ask("Deployment/a/w Deployment/a/w 80"), "denied DeniedAtEgress - 2/4"},
		{"S27 each pair in its own families", objects{p1, six, dual}, false, ask("Deployment/a/w b/q 80"), "allowed NotIsolated - 2/2"},
		{"S27 a workload to a Service, in one family", objects{p1, six, dual, web, e, egress("out", "", from(block("10.0.1.1/32")))}, false, ask("Deployment/a/w svc/a/web 80"), "denied DeniedAtEgress - 1/2"},
		{"S28 no source", nil, false, ask("nothing 10.0.0.1 80"), "InvalidQuestion src"},
		{"S28 no destination", nil, false, ask("10.0.0.1 nothing 80"), "InvalidQuestion dst"},
		{"S28 a Service as source", objects{web}, false, ask("svc/a/web 10.0.0.1 80"), "InvalidQuestion src"},
	})
}
