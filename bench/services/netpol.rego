# NetworkPolicy for questions between Pods, over data that a controller keeps.
#
#   data.pods[ip]    {groups: {id: true}, ports: {name: number}, egress: [id of a rule], ingress: [id of a rule]}
#                    Without egress or ingress no policy isolates the Pod in that direction.
#   data.rules[id]   {peers: [id of a group], ports: [{first, last} | {name}]}; without peers or ports, all
#   input            {src, dst, port}, or {questions: [{src, dst, port}]}
package netpol

default allow := false

allow if allowed(input)

answers := [allowed(q) | some q in input.questions]

default allowed(_) := false

allowed(q) if {
	egress(q)
	ingress(q)
}

egress(q) if not data.pods[q.src].egress

egress(q) if {
	some id in data.pods[q.src].egress
	rule := data.rules[id]
	port(rule, q)
	peer(rule, q.dst)
}

ingress(q) if not data.pods[q.dst].ingress

ingress(q) if {
	some id in data.pods[q.dst].ingress
	rule := data.rules[id]
	port(rule, q)
	peer(rule, q.src)
}

port(rule, _) if not rule.ports

port(rule, q) if {
	some p in rule.ports
	p.first <= q.port
	p.last >= q.port
}

port(rule, q) if {
	some p in rule.ports
	data.pods[q.dst].ports[p.name] == q.port
}

peer(rule, _) if not rule.peers

peer(rule, pod) if {
	some id in rule.peers
	data.pods[pod].groups[id]
}
