package audit

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

const baselineKind = engine.KindBaselineAdminNetworkPolicy

// A lintWorkload is a workload, or a Pod of none.
type lintWorkload struct {
	namespace string
	workload  engine.Workload
	pod       string
}

// lintPods finds Pods that nothing isolates, and Pods that cannot reach the DNS.
func (l *linter) lintPods() {
	found := map[Code]map[Direction]map[lintWorkload][]string{
		NotIsolated: {Egress: {}, Ingress: {}}, EgressForgetsDNS: {Egress: {}},
	}
	add := func(c Code, d Direction, e *lintEnd) {
		for i := range e.pods {
			p := &e.pods[i]
			w := lintWorkload{p.Namespace, p.Workload, ""}
			if w.workload == (engine.Workload{}) {
				w.pod = p.Name
			}
			found[c][d][w] = append(found[c][d][w], p.Name)
		}
	}
	dns := l.dnsEnds()
	for _, c := range l.classes {
		if !l.wantsNamespace(c.Namespace) || l.step() {
			continue
		}
		for _, e := range c.ends {
			for _, d := range []Direction{Egress, Ingress} {
				if len(c.stacks[side(d)].policies) == 0 || l.options.IgnorePolicies {
					add(NotIsolated, d, e)
				}
			}
			if l.wants(EgressForgetsDNS) && l.forgetsDNS(c, e, dns) {
				add(EgressForgetsDNS, Egress, e)
			}
		}
	}
	for code, byDirection := range found {
		for d, workloads := range byDirection {
			for w, pods := range workloads {
				l.addPods(code, d, w, pods)
			}
		}
	}
}

// addPods adds a finding about Pods of a workload.
func (l *linter) addPods(code Code, d Direction, w lintWorkload, pods []string) {
	slices.Sort(pods)
	f := Finding{
		Code: code, Direction: d, Rule: none, Peer: none, Port: none, Pods: pods,
		Workload: w.workload, WorkloadNamespace: w.namespace,
	}
	if w.pod != "" {
		f.WorkloadNamespace, f.Policy = "", engine.ObjectKey{Kind: engine.KindPolicy, Namespace: w.namespace}
	}
	if code == NotIsolated {
		f.Message = fmt.Sprintf("%s not isolated for %s: no NetworkPolicy isolates %s", are(len(pods)), d,
			them(len(pods)))
	} else {
		f.Message = fmt.Sprintf("%s isolated for egress, and no rule allows UDP 53 to the cluster's DNS",
			are(len(pods)))
	}
	l.add(f, w.pod)
}

// are begins a sentence about a number of Pods.
func are(n int) string {
	if n == 1 {
		return "1 Pod is"
	}
	return fmt.Sprint(n, " Pods are")
}

// them stands for a number of Pods.
func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// A dnsEnd is an endpoint of the cluster's DNS.
type dnsEnd struct {
	end  *lintEnd // nil for an address outside the cluster
	addr netip.Addr
	port uint16
}

// dnsEnds returns the endpoints of Service kube-system/kube-dns for UDP 53; none if there is no such Service or
// nothing behind it.
func (l *linter) dnsEnds() []dnsEnd {
	targets := l.snapshot.ServiceTargets("kube-system", "kube-dns", 53, engine.UDP)
	if len(targets) == 0 {
		return nil
	}
	byAddr := map[netip.Addr]*lintEnd{}
	byName := map[string]*lintEnd{}
	for _, e := range l.ends {
		for i := range e.pods {
			for _, a := range e.pods[i].IPs {
				byAddr[a] = e
			}
			if e.pods[i].Namespace == "kube-system" {
				byName[e.pods[i].Name] = e
			}
		}
		if e.byIP {
			byAddr[e.addrs[0]] = e
		}
	}
	var list []dnsEnd
	for _, t := range targets {
		d := dnsEnd{end: byAddr[t.IP], addr: t.IP, port: t.Port}
		if !t.IP.IsValid() {
			d.end = byName[t.Pod]
		}
		list = append(list, d)
	}
	return list
}

// forgetsDNS reports whether Pods are isolated for egress by policies with an egress rule, and their egress
// side allows UDP 53 to no endpoint of the DNS or, if there is none, to no Pod and no outside address.
func (l *linter) forgetsDNS(c *lintClass, e *lintEnd, dns []dnsEnd) bool {
	stack := c.stacks[side(Egress)]
	if l.options.IgnorePolicies || !slices.ContainsFunc(stack.policies, func(p *lintPolicy) bool {
		return len(p.rules[side(Egress)]) > 0
	}) {
		return false
	}
	for _, d := range dns {
		if d.end == nil {
			seen := view{addrs: []netip.Addr{d.addr}}
			if l.allowed(stack, &seen, nil, nil).Contains(engine.UDP, d.port) {
				return false
			}
		} else if l.allowsPort(stack, e, d.end, engine.UDP, d.port) {
			return false
		}
	}
	return len(dns) > 0 || !l.allowsAny(stack, e, engine.UDP, 53)
}

// allowsPort reports whether the egress side of s allows a port to q, in whatever way both are asked for.
func (l *linter) allowsPort(stack *lintStack, s, q *lintEnd, protocol engine.Protocol, port uint16) bool {
	for _, sf := range s.forms() {
		for _, qf := range q.forms() {
			for _, family := range decided(&sf, &qf) {
				seen := qf.seenIn(family)
				if l.allowed(stack, &seen, q.ports(), nil).Contains(protocol, port) {
					return true
				}
			}
		}
	}
	return false
}

// allowsAny reports whether the egress side of s, which is isolated, allows a port to any Pod or any address
// outside the cluster.
func (l *linter) allowsAny(stack *lintStack, s *lintEnd, protocol engine.Protocol, port uint16) bool {
	for _, rules := range stack.tiers {
		for _, u := range rules {
			if u.action != engine.Allow {
				continue
			}
			for _, q := range l.candidates(u) {
				if q.class != nil && u.portsOn(q.ports()).Contains(protocol, port) &&
					l.allowsPort(stack, s, q, protocol, port) {
					return true
				}
			}
			if !u.fixed.Contains(protocol, port) || len(u.blocks) == 0 && !u.anyPeer {
				continue
			}
			for _, r := range outside(stack, u) {
				seen := view{addrs: addrsOf(r)}
				if l.matches(u, &seen) && l.allowed(stack, &seen, nil, nil).Contains(protocol, port) &&
					l.hasOutside(r) {
					return true
				}
			}
		}
	}
	return false
}

// lintServicePorts finds numbers of an ingress rule that are ports of a Service of the selected Pods, and
// neither a target port of it nor a container port (S24).
func (l *linter) lintServicePorts(u *lintRule) {
	for i := range u.from.Ports {
		p := &u.from.Ports[i]
		if p.Name != "" || p.First != p.Last || isInvalidPort(p) {
			continue
		}
		var hit *engine.Service
		for _, s := range l.servicesIn(u.of.key.Namespace) {
			if !s.Headless && hasServicePort(s, p) && l.selectsAny(s, u.of) && !l.isTarget(s, u.of, p) {
				hit = s
				break
			}
		}
		if hit == nil || l.isContainerPort(u.of, p) {
			continue
		}
		f := u.finding(ServicePortNotTarget, "opens %s, which is a port of Service %s and not one that its Pods "+
			"listen on: %s", portWords(p), hit.Name, l.targetsText(hit, u.of, p))
		f.Port = i
		l.add(f, portWords(p))
	}
}

// servicesIn returns the Services of a namespace that select Pods, by name.
func (l *linter) servicesIn(namespace string) []*engine.Service {
	if l.services == nil {
		l.services = map[string][]*engine.Service{}
		for _, s := range l.snapshot.AllServices() {
			if len(s.Selector) > 0 && !s.ExternalName {
				l.services[s.Namespace] = append(l.services[s.Namespace], s)
			}
		}
	}
	return l.services[namespace]
}

// hasServicePort reports whether a port of a rule is a port of a Service.
func hasServicePort(s *engine.Service, p *engine.Port) bool {
	return slices.ContainsFunc(s.Ports, func(o engine.ServicePort) bool {
		return o.Port == p.First && o.Protocol == p.Protocol
	})
}

// eachPod yields the Pods that a policy selects.
func (p *lintPolicy) eachPod(yield func(c *lintClass, s *engine.PodState) bool) {
	for _, c := range p.classes {
		for _, e := range c.ends {
			for i := range e.pods {
				if !yield(c, &e.pods[i]) {
					return
				}
			}
		}
	}
}

// selectsAny reports whether a Service selects a Pod that the policy selects.
func (l *linter) selectsAny(s *engine.Service, p *lintPolicy) bool {
	return len(l.commonPods(s, p)) > 0
}

// commonPods returns the classes of the Pods that both a Service and a policy select.
func (l *linter) commonPods(s *engine.Service, p *lintPolicy) []*lintClass {
	selected := map[string]bool{}
	for name := range l.snapshot.PodsWithLabels(s.Namespace, s.Selector) {
		selected[name] = true
	}
	var list []*lintClass
	p.eachPod(func(c *lintClass, pod *engine.PodState) bool {
		if pod.Namespace == s.Namespace && selected[pod.Name] && !slices.Contains(list, c) {
			list = append(list, c)
		}
		return true
	})
	return list
}

// targetsOf returns the ports of Pods that the ports of a Service lead to: those of its object, and those of
// its EndpointSlices.
func (l *linter) targetsOf(s *engine.Service, p *lintPolicy) []engine.UnnamedPort {
	var list []engine.UnnamedPort
	for _, o := range s.Ports {
		target := engine.ServicePortDetail{TargetPort: o.Port}
		for _, d := range s.PortDetails {
			if d.Port == o.Port && d.Protocol == o.Protocol {
				target.Target, target.TargetPort = d.Target, cmp.Or(d.TargetPort, o.Port)
			}
		}
		if target.Target == "" {
			list = append(list, engine.UnnamedPort{Port: target.TargetPort, Protocol: o.Protocol})
		} else {
			for _, c := range l.commonPods(s, p) {
				for _, n := range c.Ports {
					if n.Name == target.Target && n.Protocol == o.Protocol {
						list = append(list, engine.UnnamedPort{Port: n.Port, Protocol: n.Protocol})
					}
				}
			}
		}
		for _, n := range l.snapshot.ServicePorts(s, o.Port, o.Protocol) {
			list = append(list, engine.UnnamedPort{Port: n, Protocol: o.Protocol})
		}
	}
	return list
}

// isTarget reports whether a port of a rule is a target port of a Service.
func (l *linter) isTarget(s *engine.Service, p *lintPolicy, port *engine.Port) bool {
	return slices.Contains(l.targetsOf(s, p), engine.UnnamedPort{Port: port.First, Protocol: port.Protocol})
}

// isContainerPort reports whether some Pod that the policy selects has a container port, named or not.
func (l *linter) isContainerPort(p *lintPolicy, port *engine.Port) bool {
	found := false
	p.eachPod(func(_ *lintClass, s *engine.PodState) bool {
		found = slices.Contains(l.snapshot.ContainerPorts(s.Namespace, s.Name),
			engine.UnnamedPort{Port: port.First, Protocol: port.Protocol})
		return !found
	})
	return found
}

// targetsText says where a port of a Service leads to.
func (l *linter) targetsText(s *engine.Service, p *lintPolicy, port *engine.Port) string {
	for _, d := range s.PortDetails {
		if d.Port != port.First || d.Protocol != port.Protocol {
			continue
		}
		if d.Target != "" {
			return "it leads to the port that they name " + d.Target
		}
		if d.TargetPort != 0 {
			return fmt.Sprintf("it leads to %d", d.TargetPort)
		}
	}
	return "see its target port"
}
