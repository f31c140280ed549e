# NetworkPolicy for the questions of bench/peers.
#
#   data.pods[ip]              {namespace, labels, ports: {protocol: {name: [number]}}}
#   data.namespaces[name]      labels
#   data.policies[namespace]   {egress: [policy], ingress: [policy]}
#   policy                     {subject: selector, rules: [{peers: [peer], ports: [port]}]}
#   peer                       {pods: selector, namespaces: selector} | {own: selector} | {cidr, except: [cidr]}
#   port                       {protocol, first, last} | {protocol, name}
#   selector                   {labels: {key: value}, expressions: [{key, operator, values}]}; no expressions, no key
package netpol

default allow := false

default src := null

default dst := null

src := data.pods[input.src]

dst := data.pods[input.dst]

allow if {
	egress
	ingress
}

egress if src == null

egress if count(egress_policies) == 0

egress if {
	some policy in egress_policies
	some rule in policy.rules
	port(rule.ports)
	peer(rule.peers, src.namespace, dst, input.dst)
}

egress_policies := [policy |
	some policy in data.policies[src.namespace].egress
	selects(policy.subject, src.labels)
]

ingress if dst == null

ingress if count(ingress_policies) == 0

ingress if {
	some policy in ingress_policies
	some rule in policy.rules
	port(rule.ports)
	peer(rule.peers, dst.namespace, src, input.src)
}

ingress_policies := [policy |
	some policy in data.policies[dst.namespace].ingress
	selects(policy.subject, dst.labels)
]

port(ports) if count(ports) == 0

port(ports) if {
	some p in ports
	p.protocol == input.protocol
	p.first <= input.port
	p.last >= input.port
}

port(ports) if {
	some p in ports
	p.protocol == input.protocol
	input.port in dst.ports[p.protocol][p.name]
}

peer(peers, _, _, _) if count(peers) == 0

peer(peers, namespace, other, _) if {
	other.namespace == namespace
	some p in peers
	selects(p.own, other.labels)
}

peer(peers, _, other, _) if {
	some p in peers
	selects(p.namespaces, data.namespaces[other.namespace])
	selects(p.pods, other.labels)
}

peer(peers, _, _, ip) if {
	some p in peers
	net.cidr_contains(p.cidr, ip)
	not excepted(p.except, ip)
}

excepted(cidrs, ip) if {
	some cidr in cidrs
	net.cidr_contains(cidr, ip)
}

selects(selector, labels) if {
	not selector.expressions
	object.subset(labels, selector.labels)
}

selects(selector, labels) if {
	object.subset(labels, selector.labels)
	every e in selector.expressions {
		holds(e, labels)
	}
}

holds(e, labels) if {
	e.operator == "In"
	labels[e.key] in e.values
}

holds(e, labels) if {
	e.operator == "NotIn"
	value := object.get(labels, e.key, null)
	not value in e.values
}

holds(e, labels) if {
	e.operator == "Exists"
	_ = labels[e.key]
}

holds(e, labels) if {
	e.operator == "DoesNotExist"
	not labels[e.key]
}
