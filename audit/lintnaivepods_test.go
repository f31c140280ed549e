package audit_test

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// addPods finds something of Pods: one finding for each workload, and for each Pod of none.
func (n *naiveLint) addPods(c audit.Code, d audit.Direction, pods []*engine.Pod) {
	severity := audit.SeverityWarning
	if c == audit.NotIsolated {
		severity = audit.SeverityInfo
	}
	byWorkload := map[string]*audit.Finding{}
	for _, p := range pods {
		f := audit.Finding{Code: c, Severity: severity, Direction: d, Rule: -1, Peer: -1, Port: -1}
		key := p.Namespace + "/" + p.Name
		if len(p.Workloads) > 0 {
			f.Workload, f.WorkloadNamespace = p.Workloads[len(p.Workloads)-1], p.Namespace
			key = fmt.Sprint(p.Namespace, f.Workload)
		} else {
			f.Policy = engine.ObjectKey{Kind: engine.KindPolicy, Namespace: p.Namespace}
		}
		if byWorkload[key] == nil {
			byWorkload[key] = &f
		}
		byWorkload[key].Pods = append(byWorkload[key].Pods, p.Name)
	}
	for _, f := range byWorkload {
		slices.Sort(f.Pods)
		n.found[foundText(f)] = true
	}
}

// isolating returns the NetworkPolicies that isolate a Pod for a direction (S12).
func isolating(policies []*naivePolicy, pod *engine.Pod, d audit.Direction) (list []*engine.Policy) {
	for _, p := range policies {
		if p.np != nil && slices.Contains(p.selected, pod) &&
			(d == audit.Egress && p.np.IsolatesEgress || d == audit.Ingress && p.np.IsolatesIngress) {
			list = append(list, p.np)
		}
	}
	return list
}

// notIsolated finds Pods that no policy isolates.
func (n *naiveLint) notIsolated(policies []*naivePolicy) {
	for _, d := range []audit.Direction{audit.Egress, audit.Ingress} {
		n.addPods(audit.NotIsolated, d, slices.DeleteFunc(n.running(false), func(p *engine.Pod) bool {
			return len(isolating(policies, p, d)) > 0
		}))
	}
}

// forgottenDNS finds Pods that cannot ask the cluster's DNS.
func (n *naiveLint) forgottenDNS(policies []*naivePolicy) {
	n.addPods(audit.EgressForgetsDNS, audit.Egress, slices.DeleteFunc(n.running(false), func(p *engine.Pod) bool {
		hasRule := slices.ContainsFunc(isolating(policies, p, audit.Egress), func(o *engine.Policy) bool {
			return len(o.Egress) > 0
		})
		return !hasRule || n.asksDNS(p)
	}))
}

// asksDNS reports whether the egress side of a Pod allows UDP 53 to an endpoint of Service
// kube-system/kube-dns or, if there is no such Service, to a Pod or an address outside the cluster.
func (n *naiveLint) asksDNS(p *engine.Pod) bool {
	type target struct {
		ends []enginetest.ListedEnd
		port uint16
	}
	var targets []target
	isService := false
	for _, o := range n.objects {
		s, ok := o.(*engine.Service)
		if !ok || s.Namespace != "kube-system" || s.Name != "kube-dns" {
			continue
		}
		isService = true
		for _, family := range []engine.Families{engine.IPv4, engine.IPv6} {
			for _, b := range n.oracle.Backends(s, 53, engine.UDP, family) {
				if b.Pod != nil {
					targets = append(targets, target{n.askedWays(b.Pod), b.Port})
				}
				for _, a := range b.Addrs {
					targets = append(targets, target{[]enginetest.ListedEnd{{Node: a}}, b.Port})
				}
			}
		}
	}
	if !isService {
		for _, pod := range n.running(false) {
			targets = append(targets, target{n.askedWays(pod), 53})
		}
		_, _, outside := ways(n.objects, n.oracle.Options)
		for _, a := range outside {
			targets = append(targets, target{[]enginetest.ListedEnd{{Outside: a}}, 53})
		}
	}
	egress := n.egressAlone()
	for _, t := range targets {
		for _, dst := range t.ends {
			for _, src := range n.askedWays(p) {
				if egress.PolicyVerdict(src, dst, t.port, engine.UDP).Allowed {
					return true
				}
			}
		}
	}
	return false
}

// askedWays returns a Pod by its name, and by each of its addresses.
func (n *naiveLint) askedWays(p *engine.Pod) []enginetest.ListedEnd {
	list := []enginetest.ListedEnd{{Pod: p}}
	for _, a := range n.addresses(p) {
		list = append(list, enginetest.ListedEnd{Node: a})
	}
	return list
}

// egressAlone returns an oracle of the same objects without what policies say of ingress.
func (n *naiveLint) egressAlone() *enginetest.Oracle {
	o := &enginetest.Oracle{Options: n.oracle.Options}
	for _, x := range n.objects {
		switch p := x.(type) {
		case *engine.Policy:
			c := *p
			c.Ingress, c.IsolatesIngress, x = nil, false, &c
		case *engine.ClusterPolicy:
			c := *p
			c.Ingress, x = nil, &c
		}
		o.Objects = append(o.Objects, x)
	}
	return o
}

// ties finds cluster-wide policies that have no order but by name (S34).
func (n *naiveLint) ties(policies []*naivePolicy) {
	isLast := func(p *engine.ClusterPolicy) bool { return p.Kind == engine.BaselineAdminNetworkPolicy }
	for _, later := range policies {
		if later.cluster == nil || isLast(later.cluster) {
			continue
		}
		var with []*engine.ClusterPolicy
		for _, other := range policies {
			a, b := other.cluster, later.cluster
			if a == nil || isLast(a) || a.Tier != b.Tier || a.Urgent != b.Urgent || a.Priority != b.Priority ||
				cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind)) >= 0 {
				continue
			}
			if slices.ContainsFunc(other.selected, func(p *engine.Pod) bool {
				return slices.Contains(later.selected, p)
			}) {
				with = append(with, a)
			}
		}
		if len(with) == 0 {
			continue
		}
		slices.SortFunc(with, func(a, b *engine.ClusterPolicy) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
		})
		f := &audit.Finding{
			Code: audit.PriorityTie, Severity: audit.SeverityWarning, Policy: engine.KeyOf(later.cluster),
			Rule: -1, Peer: -1, Port: -1,
		}
		for _, p := range with {
			f.By = append(f.By, audit.Rule{ClusterPolicy: p})
		}
		n.found[foundText(f)] = true
	}
}
