package audit_test

import (
	"cmp"
	"slices"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
)

// servicePorts finds ports of ingress rules that a Service of the selected Pods has, and that lead to none of
// them (S24).
func (n *naiveLint) servicePorts(u *naiveRule) {
	for i := range u.rule.Ports {
		p := &u.rule.Ports[i]
		if u.direction != audit.Ingress || !u.allows() || p.Name != "" || p.First == 0 || p.First != p.Last ||
			slices.ContainsFunc(u.policy.selected, func(pod *engine.Pod) bool {
				return slices.Contains(pod.UnnamedPorts, engine.UnnamedPort{Port: p.First, Protocol: p.Protocol}) ||
					slices.ContainsFunc(pod.Ports, func(own engine.NamedPort) bool {
						return own.Port == p.First && own.Protocol == p.Protocol
					})
			}) {
			continue
		}
		for _, o := range n.objects {
			if s, ok := o.(*engine.Service); ok && n.isPortNotTarget(s, u.policy, p) {
				u.warn(n, audit.ServicePortNotTarget, -1, i)
			}
		}
	}
}

// isPortNotTarget reports whether a Service selects Pods that a policy selects, and has a port of this number
// but no such target port. A headless Service leads each port to itself (S24).
func (n *naiveLint) isPortNotTarget(s *engine.Service, policy *naivePolicy, p *engine.Port) bool {
	common := slices.DeleteFunc(slices.Clone(policy.selected), func(pod *engine.Pod) bool {
		for k, v := range s.Selector {
			if got, ok := pod.Labels[k]; !ok || got != v {
				return true
			}
		}
		return pod.Namespace != s.Namespace
	})
	if s.ExternalName || s.Headless || len(s.Selector) == 0 || len(common) == 0 {
		return false
	}
	has := false
	for _, own := range s.Ports {
		has = has || own.Port == p.First && own.Protocol == p.Protocol
		for _, target := range n.targets(s, own, common) {
			if own.Protocol == p.Protocol && target == p.First {
				return false
			}
		}
	}
	return has
}

// targets returns the numbers that a port of a Service leads to on some Pods.
func (n *naiveLint) targets(s *engine.Service, port engine.ServicePort, pods []*engine.Pod) (list []uint16) {
	detail := engine.ServicePortDetail{TargetPort: port.Port}
	for _, d := range s.PortDetails {
		if d.Port == port.Port && d.Protocol == port.Protocol {
			detail.Target, detail.TargetPort = d.Target, cmp.Or(d.TargetPort, port.Port)
		}
	}
	if detail.Target == "" {
		list = append(list, detail.TargetPort)
	}
	for _, pod := range pods {
		for _, own := range pod.Ports {
			if detail.Target != "" && own.Name == detail.Target && own.Protocol == port.Protocol {
				list = append(list, own.Port)
			}
		}
	}
	for _, o := range n.objects {
		slice, ok := o.(*engine.EndpointSlice)
		if !ok || slice.Namespace != s.Namespace || slice.Service != s.Name {
			continue
		}
		for _, p := range slice.Ports {
			if p.Name == port.Name && p.Protocol == port.Protocol {
				list = append(list, p.Port)
			}
		}
	}
	return list
}

// allows reports whether the rule is one that allows.
func (u *naiveRule) allows() bool {
	return u.policy.np != nil || u.policy.cluster.Ingress[u.index].Action == engine.Allow
}
