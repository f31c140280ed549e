//go:build linux

package reality

import "strings"

// upstreamPorts are those that upstream's suite opens, and no third.
var upstreamPorts = []port{{"tcp", 80}, {"tcp", 81}, {"udp", 80}, {"udp", 81}}

// serving returns Pods of upstream's model, "x/a": each is labelled with its name, and names its ports.
func serving(names ...string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		_, pod, _ := strings.Cut(name, "/")
		list[i] = name + " pod=" + pod + " serve-80-tcp=80/TCP serve-81-tcp=81/TCP serve-80-udp=80/UDP serve-81-udp=81/UDP"
	}
	return list
}

// upstreamScenes are the cases of Kubernetes' own suite, test/e2e/network/netpol of 1.37, by their names there. Those
// that open SCTP are left out; those that only name it are here.
func upstreamScenes() []scene {
	const fromY = `x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $y}}}]}]}`
	const on80 = `x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $y}}}], ports: [{port: 80}]}]}`
	const on81 = `x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $y}}}], ports: [{port: 81}]}]}`
	const denyIngress = `x: {podSelector: {}, policyTypes: [Ingress]}`
	const denyAll = `x: {podSelector: {}, policyTypes: [Ingress, Egress]}`
	const allowIngress = `x: {podSelector: {}, ingress: [{}]}`
	return []scene{
		{
			name: "support a default-deny-ingress policy", pods: serving("x/a", "x/b", "y/a", "y/b"),
			policies: []string{denyIngress},
		},
		{
			name: "support a default-deny-all policy", pods: serving("x/a", "x/b", "y/a"), policies: []string{denyAll},
		},
		{
			name: "allow traffic from pods within server namespace based on PodSelector",
			pods: serving("x/a", "x/b", "x/c", "y/a"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}]}`,
			},
		},
		{
			name: "allow ingress traffic for a target", pods: serving("x/a", "x/b", "y/a"),
			policies: []string{
				denyIngress,
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {}, namespaceSelector: {}}]}]}`,
			},
		},
		{
			name: "allow ingress traffic from pods in all namespaces", pods: serving("x/a", "x/b", "y/a", "z/a"),
			policies: []string{`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {}}]}]}`},
		},
		{
			name: "allow traffic only from a different namespace, based on NamespaceSelector",
			pods: serving("x/a", "x/b", "y/a", "z/a"), policies: []string{fromY},
		},
		{
			name: "PodSelector with MatchExpressions", pods: serving("x/a", "x/b", "y/a"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchExpressions: [{key: pod, operator: In, values: [b]}]}}]}]}`,
			},
		},
		{
			name: "NamespaceSelector with MatchExpressions", pods: serving("x/a", "x/b", "y/a", "z/a"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [$y]}]}}]}]}`,
			},
		},
		{
			name: "PodSelector or NamespaceSelector", pods: serving("x/a", "x/b", "x/c", "y/a"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [
				{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [$x]}]}},
				{podSelector: {matchLabels: {pod: b}}}]}]}`,
			},
		},
		{
			name: "PodSelector and NamespaceSelector", pods: serving("x/a", "x/b", "y/a", "y/b", "z/b"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [
				{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [$x]}]},
				podSelector: {matchLabels: {pod: b}}}]}]}`,
			},
		},
		{
			name: "Multiple PodSelectors and NamespaceSelectors", pods: serving("x/a", "x/b", "y/a", "y/b", "y/c"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [
				{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [$x]}]},
				podSelector: {matchExpressions: [{key: pod, operator: In, values: [b, c]}]}}]}]}`,
			},
		},
		{
			name: "any PodSelectors", pods: serving("x/a", "x/b", "x/c", "y/b"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}, {podSelector: {matchLabels: {pod: c}}}]}]}`,
			},
		},
		{
			name: "allow traffic only from a pod in a different namespace", pods: serving("x/a", "x/b", "y/a", "y/b", "z/a"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [
				{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $y}}, podSelector: {matchLabels: {pod: a}}}]}]}`,
			},
		},
		{
			name: "Ports; multiple, stacked policies with overlapping podSelectors",
			pods: serving("x/a", "x/b", "y/a", "y/b", "z/a"), policies: []string{on81},
			then: &change{policies: []string{on81, on80}},
		},
		{
			name: "support allow-all policy", pods: serving("x/a", "x/b", "y/a"), policies: []string{allowIngress}, open: true,
		},
		{
			name: "ingress access on one named port", pods: serving("x/a", "x/b", "y/a"),
			policies: []string{`x: {podSelector: {}, ingress: [{ports: [{port: serve-81-tcp}]}]}`},
		},
		{
			name: "ingress access from namespace on one named port", pods: serving("x/a", "x/b", "y/a", "z/a"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $y}}}], ports: [{port: serve-80-tcp}]}]}`,
			},
		},
		{
			name: "egress access on one named port", pods: serving("x/a", "y/a"),
			policies:   []string{`x: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: serve-80-tcp}]}]}`},
			unfollowed: map[string]string{"kube-router": "S21 egress without peers to a name goes anywhere"},
		},
		{
			name: "not allow all ports if it cannot limit to the requested port", pods: serving("x/a", "y/a"),
			policies: []string{`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{ports: [{port: no-such-port}]}]}`},
		},
		{
			name: "updated policy", pods: serving("x/a", "y/a"), policies: []string{allowIngress}, open: true,
			then: &change{policies: []string{denyIngress}},
		},
		{
			name: "ingress access from updated namespace", pods: serving("x/a", "y/a"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns2: updated}}}]}]}`,
			},
			then: &change{labels: []string{"y ns2=updated"}},
		},
		{
			name: "ingress access from updated pod", pods: serving("x/a", "x/b"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {pod: b, pod2: updated}}}]}]}`,
			},
			then: &change{labels: []string{"x/b pod2=updated"}},
		},
		{
			name: "deny ingress from pods on other namespaces", pods: serving("x/a", "x/b", "y/a", "z/a"),
			policies: []string{`x: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}`},
		},
		{
			name: "deny ingress access to updated pod", pods: serving("x/a", "y/a"),
			policies: []string{`x: {podSelector: {matchLabels: {target: isolated}}, policyTypes: [Ingress]}`},
			open:     true, then: &change{labels: []string{"x/a target=isolated"}},
		},
		{
			name: "deny egress from pods based on PodSelector", pods: serving("x/a", "x/b", "y/a"),
			policies: []string{`x: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress]}`},
		},
		{
			name: "deny egress from all pods in a namespace", pods: serving("x/a", "x/b", "y/a"),
			policies: []string{`x: {podSelector: {}, policyTypes: [Egress]}`},
		},
		{
			name: "Ingress, Egress specified together", pods: serving("x/a", "x/b", "x/c", "y/a"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress, Ingress],
				ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}], egress: [{ports: [{port: 80}]}]}`,
			},
		},
		{
			name: "denying of egress traffic on the client side", pods: serving("x/a", "y/a", "y/b"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{to: [
				{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $y}}, podSelector: {matchLabels: {pod: a}}}]}]}`,
				`y: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [
				{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $x}}, podSelector: {matchLabels: {pod: a}}}]}]}`,
				`y: {podSelector: {matchLabels: {pod: b}}, ingress: [{from: [
				{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $x}}, podSelector: {matchLabels: {pod: a}}}]}]}`,
			},
		},
		{
			name: "egress to a server in a different namespace", pods: serving("x/a", "y/a", "y/b"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{to: [
				{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $y}}, podSelector: {matchLabels: {pod: a}}}]}]}`,
			},
		},
		{
			name: "any port traffic to a server on a specific protocol", pods: serving("x/a", "y/a"),
			policies: []string{`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{ports: [{protocol: TCP}]}]}`},
		},
		{
			name: "ingress allow-all policy taking precedence", pods: serving("x/a", "y/a"),
			policies: []string{`x: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}`},
			then:     &change{policies: []string{`x: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}`, allowIngress}},
		},
		{
			name: "egress allow-all policy taking precedence", pods: serving("x/a", "y/a"),
			policies: []string{`x: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}`},
			then: &change{policies: []string{
				`x: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}`,
				`x: {podSelector: {}, policyTypes: [Egress], egress: [{}]}`,
			}},
		},
		{
			name: "stop enforcing policies after they are deleted", pods: serving("x/a", "y/a"), policies: []string{denyAll},
			then: &change{policies: []string{}},
		},
		{
			name: "egress access to server in CIDR block", pods: serving("x/a", "y/a", "y/b"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: @y/b}}, {ipBlock: {cidr: "@@y/b"}}]}]}`,
			},
		},
		{
			name: "except clause; an IP overlapping both IPBlock.CIDR and IPBlock.Except", pods: serving("x/a", "x/b", "x/c"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{to: [
				{ipBlock: {cidr: 10.0.0.0/24, except: [@x/b]}}, {ipBlock: {cidr: "fd00::/64", except: ["@@x/b"]}}]}]}`,
			},
			then: &change{policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{to: [
				{ipBlock: {cidr: 10.0.0.0/24, except: [@x/b]}}, {ipBlock: {cidr: "fd00::/64", except: ["@@x/b"]}}]}]}`,
				`x: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: @x/b}}, {ipBlock: {cidr: "@@x/b"}}]}]}`,
			}},
		},
		{
			name: "ingress and egress policies can be controlled independently", pods: serving("x/a", "x/b", "y/a"), open: true,
			policies: []string{`x: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{}]}`},
			then: &change{policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{}]}`,
				`x: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Ingress]}`,
			}},
		},
		{
			name: "not mistakenly treat protocol: SCTP as protocol: TCP", pods: serving("x/a", "y/a"),
			policies: []string{
				denyIngress, `x: {podSelector: {matchLabels: {pod: a}}, ingress: [{ports: [{port: 81, protocol: SCTP}]}]}`,
			},
		},
		{
			name: "properly isolate pods that are selected by a policy allowing SCTP", pods: serving("x/a", "y/a"),
			policies: []string{`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{ports: [{port: 80, protocol: SCTP}]}]}`},
		},
		{
			name: "not allow access by TCP when a policy specifies only UDP", pods: serving("x/a", "y/a"),
			policies: []string{`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{ports: [{port: 81, protocol: UDP}]}]}`},
		},
		{
			name: "NamespaceSelector with MatchExpressions using default ns label", pods: serving("x/a", "x/b", "y/a", "z/a"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{to: [
				{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [$y]}]}}]}]}`,
			},
		},
		{
			name: "UDP: Ports", pods: serving("x/a", "x/b", "y/a", "z/a"),
			policies: []string{
				`x: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $y}}}], ports: [{port: 81, protocol: UDP}]}]}`,
			},
		},
	}
}
