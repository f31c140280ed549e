package enginetest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A field sets one field of an object at random. The order of a list of fields matters: some look at those
// before them.
type field[T any] func(r *Random, object *T)

// podFields returns the fields of a Pod. Creation times and UIDs tie, so that addresses are fought over (S7).
func podFields() []field[engine.Pod] {
	return []field[engine.Pod]{
		func(r *Random, p *engine.Pod) { p.UID = one(r, "u1", "u2", "", "u3") },
		func(r *Random, p *engine.Pod) { p.Created = int64(r.rand.IntN(3)) },
		func(r *Random, p *engine.Pod) { p.Labels = r.labels() },
		func(r *Random, p *engine.Pod) {
			p.Node = pick(r, r.nodeName(), r.nodeName(), r.nodeName(), "", "nowhere")
		},
		func(r *Random, p *engine.Pod) { p.HostNetwork = r.chance(15) },
		func(r *Random, p *engine.Pod) { p.Finished = r.chance(10) },
		func(r *Random, p *engine.Pod) {
			p.IPs = r.ips(podAddrs())
			if p.HostNetwork && r.chance(80) {
				p.IPs = r.ips(nodeAddrs())
			}
		},
		func(r *Random, p *engine.Pod) {
			p.HostIPs = nil
			if r.chance(40) {
				p.HostIPs = r.ips(nodeAddrs())
			}
		},
		func(r *Random, p *engine.Pod) { p.Ports = some(r, 3, r.namedPort) },
		func(r *Random, p *engine.Pod) { p.Workloads = some(r, 2, r.workload) },
		func(r *Random, p *engine.Pod) {
			p.UnnamedPorts = some(r, 2, func() engine.UnnamedPort {
				return engine.UnnamedPort{Port: r.port(), Protocol: r.protocol()}
			})
		},
		func(r *Random, p *engine.Pod) {
			p.HostPorts, p.SecondaryIPs = nil, nil
			if r.chance(30) {
				p.HostPorts, p.SecondaryIPs = some(r, 2, r.hostPort), r.ips(externalAddrs())
			}
		},
		func(r *Random, p *engine.Pod) { p.ServiceAccount = one(r, "", "web", "db") },
	}
}

// policyFields returns the fields of a NetworkPolicy. Rules may be of a direction that it does not isolate
// (S12).
func policyFields() []field[engine.Policy] {
	return []field[engine.Policy]{
		func(r *Random, p *engine.Policy) { p.Subject = r.selector() },
		func(r *Random, p *engine.Policy) { p.IsolatesEgress = r.chance(60) },
		func(r *Random, p *engine.Policy) { p.IsolatesIngress = r.chance(60) },
		func(r *Random, p *engine.Policy) { p.Egress = some(r, 3, r.rule) },
		func(r *Random, p *engine.Policy) { p.Ingress = some(r, 3, r.rule) },
		func(r *Random, p *engine.Policy) {
			omits := p.IsolatesIngress && p.IsolatesEgress == (len(p.Egress) > 0)
			p.TypesOmitted, p.Created, p.LintIgnore = omits && r.chance(50), int64(r.rand.IntN(3)), r.lintIgnore()
		},
	}
}

// clusterPolicyFields returns the fields of a cluster-wide policy. Priorities tie (S34).
func clusterPolicyFields() []field[engine.ClusterPolicy] {
	return []field[engine.ClusterPolicy]{
		func(r *Random, p *engine.ClusterPolicy) {
			p.Tier = pick(r, engine.Admin, engine.Baseline)
			switch p.Kind {
			case engine.AdminNetworkPolicy:
				p.Tier = engine.Admin
			case engine.BaselineAdminNetworkPolicy:
				p.Tier = engine.Baseline
			case engine.ClusterNetworkPolicy:
			}
		},
		func(r *Random, p *engine.ClusterPolicy) {
			if p.Kind != engine.BaselineAdminNetworkPolicy {
				p.Priority = one[int32](r, 1, 0, 2, 1000)
			}
		},
		func(r *Random, p *engine.ClusterPolicy) { p.Urgent = p.Tier == engine.Admin && r.chance(4) },
		func(r *Random, p *engine.ClusterPolicy) {
			p.Subject = engine.ClusterSubject{Namespaces: r.selector(), Pods: r.selector()}
			if r.chance(40) {
				p.Subject.Pods = nil
			}
		},
		func(r *Random, p *engine.ClusterPolicy) { p.Egress = some(r, 4, r.clusterRule) },
		func(r *Random, p *engine.ClusterPolicy) { p.Ingress = some(r, 4, r.clusterRule) },
		func(r *Random, p *engine.ClusterPolicy) {
			p.Created, p.LintIgnore = int64(r.rand.IntN(3)), r.lintIgnore()
		},
	}
}

// serviceFields returns the fields of a Service.
func serviceFields() []field[engine.Service] {
	return []field[engine.Service]{
		func(r *Random, s *engine.Service) { s.IPs = r.ips(serviceAddrs()) },
		func(r *Random, s *engine.Service) { s.Headless = r.chance(15) },
		func(r *Random, s *engine.Service) { s.ExternalName = r.chance(7) },
		func(r *Random, s *engine.Service) {
			s.Ports, s.PortDetails = r.servicePorts(true), nil
			for _, p := range s.Ports {
				if r.chance(50) {
					s.PortDetails = append(s.PortDetails, engine.ServicePortDetail{
						Port: p.Port, Protocol: p.Protocol, NodePort: r.port(), Target: r.portName(),
					})
				} else if r.chance(50) && p.Port != 9090 {
					s.PortDetails = append(s.PortDetails, engine.ServicePortDetail{
						Port: p.Port, Protocol: p.Protocol, TargetPort: 9090,
					})
				}
			}
		},
		func(r *Random, s *engine.Service) {
			s.Selector = r.labels()
			s.PublishNotReady, s.Families = len(s.Selector) == 2, engine.Families(len(s.Selector)%4)
		},
	}
}

// sliceFields returns the fields of an EndpointSlice. It may name a Service that is not there, and may move.
func sliceFields() []field[engine.EndpointSlice] {
	return []field[engine.EndpointSlice]{
		func(r *Random, s *engine.EndpointSlice) { s.Service = r.service() },
		func(r *Random, s *engine.EndpointSlice) {
			s.Endpoints = some(r, 4, func() engine.SliceEndpoint { return r.sliceEndpoint() })
		},
		func(r *Random, s *engine.EndpointSlice) { s.Ports = r.servicePorts(false) },
	}
}

// servicePorts returns ports that differ in name and, if numbers is true, in port and protocol too: the API
// demands the one of slices, and both of Services.
func (r *Random) servicePorts(numbers bool) []engine.ServicePort {
	var list []engine.ServicePort
	for _, p := range some(r, 3, r.namedPort) {
		if p.Name == "nobody" {
			p.Name = ""
		}
		if r.chance(60) {
			p.Protocol = engine.TCP
		}
		if !slices.ContainsFunc(list, func(x engine.ServicePort) bool {
			return x.Name == p.Name || numbers && x.Port == p.Port && x.Protocol == p.Protocol
		}) {
			list = append(list, engine.ServicePort(p))
		}
	}
	return list
}

// sliceEndpoint returns an endpoint with an address, a Pod's name or both, in any state of readiness (S24).
func (r *Random) sliceEndpoint() engine.SliceEndpoint {
	e := engine.SliceEndpoint{Ready: r.chance(50), Serving: r.chance(70), Terminating: r.chance(50)}
	if r.chance(60) {
		e.Addr = r.addr(pick(r, podAddrs(), podAddrs(), podAddrs(), nodeAddrs(), externalAddrs()))
	}
	if !e.Addr.IsValid() || r.chance(20) {
		e.Pod = r.podName()
	}
	return e
}

// lintIgnore returns the annotation that suppresses findings, mostly none.
func (r *Random) lintIgnore() string {
	if r.chance(80) {
		return ""
	}
	return pick(r, "*", "selects-nothing", "allows-all, not-isolated,rule-redundant", "allow-all, rules-ignored")
}

// hostPort returns a host port, sometimes of one address alone.
func (r *Random) hostPort() engine.HostPort {
	h := engine.HostPort{Port: r.port(), ContainerPort: r.port(), Protocol: r.protocol()}
	if r.chance(20) {
		h.IP = r.addr(nodeAddrs())
	}
	return h
}

// podCIDR returns a range of Pod addresses.
func (r *Random) podCIDR() netip.Prefix {
	a := r.addr(podAddrs())
	return netip.PrefixFrom(a, pick(r, a.BitLen(), a.BitLen()-2, 24)).Masked()
}

// namespaceFields returns the fields of a Namespace. Its name label may be missing or wrong (S18).
func namespaceFields() []field[engine.Namespace] {
	return []field[engine.Namespace]{
		func(r *Random, n *engine.Namespace) { n.Labels = r.labels() },
		func(r *Random, n *engine.Namespace) { n.LintIgnore = r.lintIgnore() },
	}
}

// nodeFields returns the fields of a Node.
func nodeFields() []field[engine.Node] {
	return []field[engine.Node]{
		func(r *Random, n *engine.Node) { n.IPs = r.ips(nodeAddrs()) },
		func(r *Random, n *engine.Node) { n.PodCIDRs = some(r, 2, r.podCIDR) },
		func(r *Random, n *engine.Node) {
			if r.tiers {
				n.Labels = r.labels()
			}
		},
	}
}

// fill sets every field of an object and returns it. An update sets a few only.
func fill[T any](r *Random, object *T, fields []field[T], update bool) *T {
	for _, f := range fields {
		if !update || len(fields) == 1 {
			f(r, object)
		}
	}
	for update && len(fields) > 1 {
		fields[r.rand.IntN(len(fields))](r, object)
		update = r.chance(40)
	}
	return object
}

// named returns an object of a random kind, with a random name and nothing else.
func (r *Random) named() engine.Object {
	switch n := r.rand.IntN(100); {
	case n < 36:
		return &engine.Pod{Namespace: r.namespace(), Name: r.podName()}
	case n < 50:
		return &engine.Policy{Namespace: r.namespace(), Name: one(r, "deny", "allow", "web", "db")}
	case n < 58 && r.tiers:
		return r.clusterPolicyName()
	case n < 58:
		return &engine.Policy{Namespace: r.namespace(), Name: one(r, "deny", "allow", "web", "db")}
	case n < 64:
		return &engine.Namespace{Name: r.namespace()}
	case n < 70:
		return &engine.Node{Name: r.nodeName()}
	case n < 82:
		return &engine.Service{Namespace: pick(r, "a", "b"), Name: r.service()}
	default:
		return &engine.EndpointSlice{Namespace: pick(r, "a", "b"), Name: fmt.Sprintf("e%d", r.rand.IntN(4))}
	}
}

// filled returns a new object of o's kind and name: an update of some fields of o, or one with all fields
// new.
func (r *Random) filled(o engine.Object, update bool) engine.Object {
	switch o := Clone(o).(type) {
	case *engine.Pod:
		return fill(r, o, podFields(), update)
	case *engine.Policy:
		return fill(r, o, policyFields(), update)
	case *engine.ClusterPolicy:
		return fill(r, o, clusterPolicyFields(), update)
	case *engine.Namespace:
		return fill(r, o, namespaceFields(), update)
	case *engine.Node:
		return fill(r, o, nodeFields(), update)
	case *engine.Service:
		return fill(r, o, serviceFields(), update)
	case *engine.EndpointSlice:
		return fill(r, o, sliceFields(), update)
	default:
		panic(fmt.Sprintf("no kind of the engine's: %T", o))
	}
}

// Clone returns a deep copy of an object. An object that was given to the engine must not be modified, so
// tests give copies.
func Clone(o engine.Object) engine.Object {
	switch o := o.(type) {
	case *engine.Pod:
		c := *o
		c.Labels, c.IPs, c.HostIPs = maps.Clone(o.Labels), slices.Clone(o.IPs), slices.Clone(o.HostIPs)
		c.Ports, c.Workloads = slices.Clone(o.Ports), slices.Clone(o.Workloads)
		c.UnnamedPorts = slices.Clone(o.UnnamedPorts)
		c.HostPorts, c.SecondaryIPs = slices.Clone(o.HostPorts), slices.Clone(o.SecondaryIPs)
		return &c
	case *engine.Policy:
		c := *o
		c.Subject, c.Egress, c.Ingress = cloneSelector(o.Subject), cloneRules(o.Egress), cloneRules(o.Ingress)
		return &c
	case *engine.ClusterPolicy:
		c := *o
		c.Subject = engine.ClusterSubject{
			Namespaces: cloneSelector(o.Subject.Namespaces), Pods: cloneSelector(o.Subject.Pods),
		}
		c.Egress, c.Ingress = cloneClusterRules(o.Egress), cloneClusterRules(o.Ingress)
		return &c
	case *engine.Namespace:
		return &engine.Namespace{Name: o.Name, Labels: maps.Clone(o.Labels), LintIgnore: o.LintIgnore}
	case *engine.Node:
		return &engine.Node{
			Name: o.Name, Labels: maps.Clone(o.Labels),
			IPs: slices.Clone(o.IPs), PodCIDRs: slices.Clone(o.PodCIDRs),
		}
	case *engine.Service:
		c := *o
		c.IPs, c.Ports = slices.Clone(o.IPs), slices.Clone(o.Ports)
		c.Selector, c.PortDetails = maps.Clone(o.Selector), slices.Clone(o.PortDetails)
		return &c
	case *engine.EndpointSlice:
		c := *o
		c.Endpoints, c.Ports = slices.Clone(o.Endpoints), slices.Clone(o.Ports)
		return &c
	default:
		panic(fmt.Sprintf("no kind of the engine's: %T", o))
	}
}

// cloneSelector returns a deep copy of a selector; nil stays nil.
func cloneSelector(s engine.Selector) engine.Selector {
	s = slices.Clone(s)
	for i := range s {
		s[i].Values = slices.Clone(s[i].Values)
	}
	return s
}

// cloneRules returns a deep copy of rules.
func cloneRules(rules []engine.Rule) []engine.Rule {
	rules = slices.Clone(rules)
	for i := range rules {
		peers := slices.Clone(rules[i].Peers)
		for j, p := range peers {
			if p.Namespaces != nil {
				s := cloneSelector(*p.Namespaces)
				peers[j].Namespaces = &s
			}
			if p.Pods != nil {
				s := cloneSelector(*p.Pods)
				peers[j].Pods = &s
			}
			if p.Block != nil {
				peers[j].Block = &engine.IPBlock{CIDR: p.Block.CIDR, Except: slices.Clone(p.Block.Except)}
			}
			if p.Nodes != nil {
				s := cloneSelector(*p.Nodes)
				peers[j].Nodes = &s
			}
		}
		rules[i] = engine.Rule{Peers: peers, Ports: slices.Clone(rules[i].Ports)}
	}
	return rules
}

// cloneClusterRules returns a deep copy of the rules of a cluster-wide policy.
func cloneClusterRules(rules []engine.ClusterRule) []engine.ClusterRule {
	rules = slices.Clone(rules)
	for i := range rules {
		rules[i].Rule = cloneRules([]engine.Rule{rules[i].Rule})[0]
		rules[i].Origins = slices.Clone(rules[i].Origins)
	}
	return rules
}
