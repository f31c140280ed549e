package enginetest_test

import (
	"net/netip"
	"testing"

	"github.com/netpold/netpold/engine"
)

// TestOracleIsolation proves S10 to S14.
func TestOracleIsolation(t *testing.T) {
	p, q := pod("a/p", "app=p", "10.0.0.1"), pod("b/q", "app=q", "10.0.0.2")
	allow := engine.Rule{}
	elsewhere := ingress("in", "")
	elsewhere.Namespace = "c"
	check(t, []rule{
		{"S10 its own namespace", objects{p, q, elsewhere}, false, ask("b/q a/p 80"),
			"allowed NotIsolated v4"},
		{"S10 that match its selector", objects{p, q, ingress("in", "app=other")}, false, ask("b/q a/p 80"),
			"allowed NotIsolated v4"},
		{"S10 an empty selector is every Pod",
			objects{p, q, &engine.Policy{Namespace: "a", Name: "in", Subject: engine.Selector{},
				IsolatesIngress: true}},
			false, ask("b/q a/p 80"), "denied DeniedAtIngress -"},
		{"S10 an omitted selector is every Pod",
			objects{p, q, &engine.Policy{Namespace: "a", Name: "in", IsolatesIngress: true}}, false,
			ask("b/q a/p 80"), "denied DeniedAtIngress -"},
		{"S11 both directions, only egress rules: ingress",
			objects{p, q, &engine.Policy{Namespace: "a", Name: "both", IsolatesEgress: true,
				IsolatesIngress: true, Egress: []engine.Rule{allow}}},
			false, ask("b/q a/p 80"), "denied DeniedAtIngress -"},
		{"S11 both directions, only egress rules: egress",
			objects{p, q, &engine.Policy{Namespace: "a", Name: "both", IsolatesEgress: true,
				IsolatesIngress: true, Egress: []engine.Rule{allow}}},
			false, ask("a/p b/q 80"), "allowed AllowedByRule v4 egress=both[0]"},
		{"S12 a type without a rule", objects{p, q, egress("out", "")}, false, ask("a/p b/q 80"),
			"denied DeniedAtEgress -"},
		{"S12 rules of another direction are ignored",
			objects{p, q, &engine.Policy{Namespace: "a", Name: "none",
				Egress: []engine.Rule{{Peers: []engine.Peer{{}}}}}},
			false, ask("a/p b/q 80"), "allowed NotIsolated v4"},
		{"S12 they do not allow either",
			objects{p, q, ingress("deny", ""),
				&engine.Policy{Namespace: "a", Name: "none", IsolatesEgress: true,
					Ingress: []engine.Rule{allow}}},
			false, ask("b/q a/p 80"), "denied DeniedAtIngress -"},
		{"S13 not isolated for this direction", objects{p, q, ingress("in", "")}, false, ask("a/p b/q 80"),
			"allowed NotIsolated v4"},
		{"S14 policies add up",
			objects{p, q, ingress("deny", ""), ingress("zallow", "app=p", from(pods("app=none")), allow)},
			false, ask("b/q a/p 80"), "allowed AllowedByRule v4 ingress=zallow[1]"},
		{"S14 the first by name", objects{p, q, ingress("z", "", allow), ingress("b", "", allow)}, false,
			ask("b/q a/p 80"), "allowed AllowedByRule v4 ingress=b[0]"},
	})
}

// TestOracleRules proves S15, S16, S18 and S20 to S23.
func TestOracleRules(t *testing.T) {
	p := pod("a/p", "app=p", "10.0.0.1", port("http", 8080, engine.TCP))
	q := pod("b/q", "app=q,tier=1", "10.0.0.2")
	mate := pod("a/mate", "app=q", "10.0.0.3")
	b := namespace("b", "team=blue")
	allowed, denied := "allowed AllowedByRule v4 ingress=in[0]", "denied DeniedAtIngress -"
	one := func(r engine.Rule) objects { return objects{p, q, mate, b, ingress("in", "app=p", r)} }
	peer := func(x engine.Peer) objects { return one(from(x)) }
	check(t, []rule{
		{"S15 an empty rule matches all", one(engine.Rule{}), false, ask("b/q a/p 80"), allowed},
		{"S15 empty lists match all", one(engine.Rule{Peers: []engine.Peer{}, Ports: []engine.Port{}}), false,
			ask("b/q a/p 80/sctp"), allowed},
		{"S15 peers AND ports",
			one(engine.Rule{Peers: []engine.Peer{namespaces("")}, Ports: []engine.Port{tcp(81, 81)}}), false,
			ask("b/q a/p 80"), denied},
		{"S15 ports AND peers",
			one(engine.Rule{Peers: []engine.Peer{pods("app=none")}, Ports: []engine.Port{tcp(80, 80)}}),
			false, ask("b/q a/p 80"), denied},
		{"S15 peers are joined by OR", one(from(pods("app=none"), namespaces(""))), false, ask("b/q a/p 80"),
			allowed},
		{"S15 ports are joined by OR", one(ports(tcp(1, 1), tcp(80, 80))), false, ask("b/q a/p 80"), allowed},
		{"S16 podSelector: the policy's own namespace", peer(pods("app=q")), false, ask("a/mate a/p 80"),
			allowed},
		{"S16 podSelector: not another's", peer(pods("app=q")), false, ask("b/q a/p 80"), denied},
		{"S16 namespaceSelector: every Pod", peer(namespaces("team=blue")), false, ask("b/q a/p 80"),
			allowed},
		{"S16 namespaceSelector: of these only", peer(namespaces("team=blue")), false, ask("a/mate a/p 80"),
			denied},
		{"S16 both", peer(engine.Peer{Namespaces: matching("team=blue"), Pods: matching("app=q")}), false,
			ask("b/q a/p 80"), allowed},
		{"S16 both: not another label",
			peer(engine.Peer{Namespaces: matching("team=blue"), Pods: matching("app=x")}), false,
			ask("b/q a/p 80"), denied},
		{"S16 both: not another namespace",
			peer(engine.Peer{Namespaces: matching("team=blue"), Pods: matching("app=q")}), false,
			ask("a/mate a/p 80"), denied},
		{"S16 empty podSelector", peer(engine.Peer{Pods: &engine.Selector{}}), false, ask("a/mate a/p 80"),
			allowed},
		{"S16 nil selector behind a pointer", peer(engine.Peer{Namespaces: new(engine.Selector)}), false,
			ask("b/q a/p 80"), allowed},
		{"S18 its name is a label", peer(namespaces("kubernetes.io/metadata.name=b")), false,
			ask("b/q a/p 80"), allowed},
		{"S18 also where the namespace was not seen", peer(namespaces("kubernetes.io/metadata.name=c")),
			false, ask("c? a/p 80"), "allowed AllowedByRule v4 ingress=in[0]"},
		{"S18 which has no other label", peer(namespaces("team=blue")), false, ask("c? a/p 80"), denied},
		{"S18 and cannot lie",
			objects{p, q, namespace("b", "kubernetes.io/metadata.name=x"),
				ingress("in", "", from(namespaces("kubernetes.io/metadata.name=x")))},
			false, ask("b/q a/p 80"), denied},
		{"S20 no port entry's protocol but TCP", one(ports(tcp(1, 65535))), false, ask("b/q a/p 80/udp"),
			denied},
		{"S20 every port", one(ports(tcp(1, 65535))), false, ask("b/q a/p 65535"), allowed},
		{"S20 the range's start", one(ports(tcp(80, 90))), false, ask("b/q a/p 80"), allowed},
		{"S20 the range's end", one(ports(tcp(80, 90))), false, ask("b/q a/p 90"), allowed},
		{"S20 beyond the range", one(ports(tcp(80, 90))), false, ask("b/q a/p 91"), denied},
		{"S20 before the range", one(ports(tcp(80, 90))), false, ask("b/q a/p 79"), denied},
		{"S21 the name of the destination", one(ports(named("http"))), false, ask("b/q a/p 8080"), allowed},
		{"S21 another number", one(ports(named("http"))), false, ask("b/q a/p 80"), denied},
		{"S21 another protocol", one(ports(engine.Port{Name: "http", Protocol: engine.UDP})), false,
			ask("b/q a/p 8080/udp"), denied},
		{"S21 a name in another protocol than asked",
			one(ports(engine.Port{Name: "http", Protocol: engine.UDP})), false, ask("b/q a/p 8080"), denied},
		{"S21 no such name", one(ports(named("nobody"))), false, ask("b/q a/p 8080"), denied},
		{"S21 several numbers",
			objects{q, pod("a/p", "", "10.0.0.1", port("http", 80, engine.TCP), port("http", 81, engine.TCP)),
				ingress("in", "", ports(named("http")))},
			false, ask("b/q a/p 81"), allowed},
		{"S21 egress looks at the destination", objects{p, q, egress("out", "", ports(named("http")))}, false,
			ask("a/p b/q 8080"), "denied DeniedAtEgress -"},
		{"S21 no Pod has no names", objects{p, egress("out", "", ports(named("http")))}, false,
			ask("a/p 192.0.2.1 8080"), "denied DeniedAtEgress -"},
		{"S22 SCTP", one(ports(engine.Port{Protocol: engine.SCTP, First: 80, Last: 80})), false,
			ask("b/q a/p 80/sctp"), allowed},
		{"S22 is not TCP", one(ports(engine.Port{Protocol: engine.SCTP, First: 80, Last: 80})), false,
			ask("b/q a/p 80"), denied},
		{"S23 the zero Peer matches nothing", peer(engine.Peer{}), false, ask("b/q a/p 80"), denied},
		{"S23 the zero Peer is not its own namespace either", peer(engine.Peer{}), false,
			ask("a/mate a/p 80"), denied},
		{"S23 nor does a block beside a selector",
			peer(engine.Peer{Block: block("0.0.0.0/0").Block, Namespaces: matching("")}), false,
			ask("b/q a/p 80"), denied},
		{"S23 nor an invalid CIDR", peer(engine.Peer{Block: &engine.IPBlock{}}), false, ask("b/q a/p 80"),
			denied},
		{"S23 nor one with an invalid except",
			peer(engine.Peer{Block: &engine.IPBlock{CIDR: netip.MustParsePrefix("0.0.0.0/0"),
				Except: make([]netip.Prefix, 1)}}),
			false, ask("b/q a/p 80"), denied},
		{"S23 the zero Port matches nothing", one(ports(engine.Port{})), false, ask("b/q a/p 80"), denied},
		{"S23 host bits are masked", peer(block("10.0.0.9/24")), false, ask("b/q a/p 80"), allowed},
	})
}

// TestOracleSelectors proves S17.
func TestOracleSelectors(t *testing.T) {
	requirements := func(list ...engine.Requirement) objects {
		s := engine.Selector(list)
		return objects{
			pod("a/p", "", "10.0.0.1"),
			&engine.Policy{
				Namespace: "a", Name: "in", IsolatesIngress: true,
				Ingress: []engine.Rule{from(engine.Peer{Pods: &s})},
			},
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
		{"S17 In without values", requirements(engine.Requirement{Key: "app"}), false, ask("a?app= a/p 80"),
			denied},
		{"S17 In of the empty value lacks the key",
			requirements(engine.Requirement{Key: "app", Values: []string{""}}), false, ask("a? a/p 80"),
			denied},
		{"S17 In of the empty value", requirements(engine.Requirement{Key: "app", Values: []string{""}}),
			false, ask("a?app= a/p 80"), allowed},
		{"S17 NotIn", requirements(notIn), false, ask("a?app=z a/p 80"), allowed},
		{"S17 NotIn of them", requirements(notIn), false, ask("a?app=x a/p 80"), denied},
		{"S17 NotIn lacks the key", requirements(notIn), false, ask("a? a/p 80"), allowed},
		{"S17 Exists", requirements(exists), false, ask("a?app= a/p 80"), allowed},
		{"S17 Exists lacks the key", requirements(exists), false, ask("a?tier=x a/p 80"), denied},
		{"S17 DoesNotExist", requirements(missing), false, ask("a?tier=x a/p 80"), allowed},
		{"S17 DoesNotExist has the key", requirements(missing), false, ask("a?app= a/p 80"), denied},
		{"S17 joined by AND", requirements(in, engine.Requirement{Key: "tier", Operator: engine.Exists}),
			false, ask("a?app=x a/p 80"), denied},
		{"S17 one key, several requirements",
			requirements(in, engine.Requirement{Key: "app", Operator: engine.NotIn, Values: []string{"y"}}),
			false, ask("a?app=y a/p 80"), denied},
		{"S17 one key, all hold",
			requirements(in, engine.Requirement{Key: "app", Operator: engine.NotIn, Values: []string{"y"}}),
			false, ask("a?app=x a/p 80"), allowed},
	})
}

// TestOracleBlocks proves S19.
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
		{"S19 excepted", one(block("0.0.0.0/0", "192.0.2.0/24", "192.0.2.128/25")), false,
			ask("192.0.2.129 a/p 80"), denied},
		{"S19 beside the excepts", one(block("0.0.0.0/0", "192.0.2.0/24", "192.0.2.128/25")), false,
			ask("192.0.3.1 a/p 80"), allowed},
		{"S19 /32", one(block("192.0.2.1/32")), false, ask("192.0.2.1 a/p 80"), allowed},
		{"S19 IPv6", one(block("2001:db8::/32", "2001:db8:1::/48")), false, ask("2001:db8:2::1 a/p 80"),
			"allowed AllowedByRule v6 ingress=in[0]"},
		{"S19 IPv6 excepted", one(block("2001:db8::/32", "2001:db8:1::/48")), false,
			ask("2001:db8:1::1 a/p 80"), denied},
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
