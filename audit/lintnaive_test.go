package audit_test

import (
	"fmt"
	"strings"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// A naiveLint reads the table of codes aloud: plain loops over objects, without an index. It shares no code
// with the lint. Codes that say what changes no verdict are tried elsewhere.
type naiveLint struct {
	objects []engine.Object
	oracle  *enginetest.Oracle
	// found has what is found, as [foundText] writes it.
	found map[string]bool
}

// A naivePolicy is a policy of any kind.
type naivePolicy struct {
	object  engine.Object
	np      *engine.Policy
	cluster *engine.ClusterPolicy
	// selected are the Pods that it selects, and hosts the host-network Pods whose labels it matches.
	selected, hosts []*engine.Pod
}

// A naiveRule is a rule in force of a policy that selects a Pod.
type naiveRule struct {
	policy    *naivePolicy
	direction audit.Direction
	index     int
	rule      *engine.Rule
	origins   []engine.PeerOrigin
}

// foundText writes what of a finding the table decides.
func foundText(f *audit.Finding) string {
	by := ""
	if f.Code == audit.PriorityTie {
		for _, r := range f.By {
			by += fmt.Sprint(" ", engine.KeyOf(r.ClusterPolicy))
		}
	}
	return fmt.Sprint(f.Code, " ", f.Severity, " ", f.Policy, " ", f.Direction, f.Rule, f.Peer, f.Port, " ",
		f.WorkloadNamespace, f.Workload, f.Pods, by)
}

// add finds something of a policy, a rule or an entry; indexes that do not apply are -1.
func (n *naiveLint) add(c audit.Code, s audit.Severity, p *naivePolicy, d audit.Direction, rule, peer, port int) {
	n.found[foundText(&audit.Finding{
		Code: c, Severity: s, Policy: engine.KeyOf(p.object), Direction: d, Rule: rule, Peer: peer, Port: port,
	})] = true
}

// warn finds something of a rule, or of an entry of it.
func (u *naiveRule) warn(n *naiveLint, c audit.Code, peer, port int) {
	n.add(c, audit.SeverityWarning, u.policy, u.direction, u.index, peer, port)
}

// naively returns what the table says of objects, of all codes but those about verdicts.
func naively(objects []engine.Object, options engine.Options) map[string]bool {
	n := &naiveLint{objects, &enginetest.Oracle{Objects: objects, Options: options}, map[string]bool{}}
	policies := n.policies()
	for _, p := range policies {
		n.policy(p)
		if len(p.selected) > 0 {
			for _, u := range p.rules() {
				n.entries(&u)
				n.blocks(&u)
				n.servicePorts(&u)
			}
		}
	}
	n.ties(policies)
	n.notIsolated(policies)
	n.forgottenDNS(policies)
	n.unknownCodes()
	return n.found
}

// unknownCodes finds annotations with the one word that random objects have and that is no code.
func (n *naiveLint) unknownCodes() {
	for _, o := range n.objects {
		annotation, of := "", engine.KeyOf(o)
		switch o := o.(type) {
		case *engine.Policy:
			annotation = o.LintIgnore
		case *engine.ClusterPolicy:
			annotation = o.LintIgnore
		case *engine.Namespace:
			annotation, of = o.LintIgnore, engine.ObjectKey{Kind: engine.KindPolicy, Namespace: o.Name}
		}
		if strings.HasPrefix(annotation, "allow-all,") {
			n.found[foundText(&audit.Finding{
				Code: audit.UnknownCodeIgnored, Severity: audit.SeverityInfo, Policy: of, Rule: -1, Peer: -1, Port: -1,
			})] = true
		}
	}
}

// running returns the Pods that have not finished, those on the host network or the others.
func (n *naiveLint) running(host bool) (list []*engine.Pod) {
	for _, o := range n.objects {
		if p, ok := o.(*engine.Pod); ok && !p.Finished && p.HostNetwork == host {
			list = append(list, p)
		}
	}
	return list
}

// policies returns all policies and what they select.
func (n *naiveLint) policies() (list []*naivePolicy) {
	for _, o := range n.objects {
		p := &naivePolicy{object: o}
		p.np, _ = o.(*engine.Policy)
		p.cluster, _ = o.(*engine.ClusterPolicy)
		if p.np == nil && p.cluster == nil {
			continue
		}
		selects := func(pod *engine.Pod) bool {
			if p.np != nil {
				return pod.Namespace == p.np.Namespace && enginetest.Matches(p.np.Subject, pod.Labels)
			}
			return enginetest.Matches(p.cluster.Subject.Pods, pod.Labels) &&
				enginetest.Matches(p.cluster.Subject.Namespaces, n.oracle.NamespaceLabels(pod.Namespace))
		}
		for _, pod := range n.running(false) {
			if selects(pod) {
				p.selected = append(p.selected, pod)
			}
		}
		for _, pod := range n.running(true) {
			if selects(pod) {
				p.hosts = append(p.hosts, pod)
			}
		}
		list = append(list, p)
	}
	return list
}

// policy finds what is wrong with a policy as a whole.
func (n *naiveLint) policy(p *naivePolicy) {
	const warning = audit.SeverityWarning
	if len(p.selected) == 0 {
		n.add(audit.SelectsNothing, warning, p, 0, -1, -1, -1)
	}
	if len(p.hosts) > 0 {
		n.add(audit.SubjectHostNetwork, warning, p, 0, -1, -1, -1)
	}
	if p.np == nil {
		return
	}
	if !p.np.IsolatesEgress && len(p.np.Egress) > 0 {
		n.add(audit.RulesIgnored, warning, p, audit.Egress, -1, -1, -1)
	}
	if !p.np.IsolatesIngress && len(p.np.Ingress) > 0 {
		n.add(audit.RulesIgnored, warning, p, audit.Ingress, -1, -1, -1)
	}
	if p.np.TypesOmitted && len(p.np.Egress) > 0 && len(p.np.Ingress) == 0 && len(p.selected) > 0 {
		n.add(audit.IsolatesIngressByDefault, warning, p, audit.Ingress, -1, -1, -1)
	}
}

// rules returns the rules in force.
func (p *naivePolicy) rules() (list []naiveRule) {
	if o := p.cluster; o != nil {
		for i := range o.Egress {
			list = append(list, naiveRule{p, audit.Egress, i, &o.Egress[i].Rule, o.Egress[i].Origins})
		}
		for i := range o.Ingress {
			list = append(list, naiveRule{p, audit.Ingress, i, &o.Ingress[i].Rule, o.Ingress[i].Origins})
		}
		return list
	}
	for i := range p.np.Egress {
		if p.np.IsolatesEgress { // S12
			list = append(list, naiveRule{p, audit.Egress, i, &p.np.Egress[i], nil})
		}
	}
	for i := range p.np.Ingress {
		if p.np.IsolatesIngress {
			list = append(list, naiveRule{p, audit.Ingress, i, &p.np.Ingress[i], nil})
		}
	}
	return list
}
