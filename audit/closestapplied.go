package audit

import (
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// deniesWith reports whether the other side denies once a fix of this side is made. This side allows then, so
// the other one denies exactly if the pair is denied.
func (a *asked) deniesWith(c *Closest) bool {
	other := sideOf(a.e, Egress)
	if a.direction == Egress {
		other = sideOf(a.e, Ingress)
	}
	// One rule of this side is no matter for the other, but of two families another one may be allowed.
	if (c.Labels == nil || a.concernsThisSide(c.Labels)) && (other.Allowed || !a.hasBothFamilies()) {
		return !other.Allowed
	}
	snapshot, pair := a.fixed(c)
	d, err := snapshot.Allowed(pair)
	return err != nil || !d.Allowed
}

// concernsThisSide reports whether a change of labels can change nothing on the other side: labels of a
// namespace that the subject is not in, when no policy selects Pods by namespace.
func (a *asked) concernsThisSide(fix *LabelFix) bool {
	subject, peer := a.ends()
	return fix.OfNamespace && subject.Namespace != peer.Namespace && len(a.snapshot.ClusterPolicies()) == 0
}

// hasBothFamilies reports whether both ends have addresses in two families.
func (a *asked) hasBothFamilies() bool {
	return inBothFamilies(a.e.Src.IPs) && inBothFamilies(a.e.Dst.IPs)
}

func inBothFamilies(ips []netip.Addr) bool {
	return slices.ContainsFunc(ips, netip.Addr.Is4) && slices.ContainsFunc(ips, netip.Addr.Is6)
}

// fixed returns the snapshot with a fix made, and the pair to ask it about.
func (a *asked) fixed(c *Closest) (*engine.Snapshot, engine.Query) {
	switch {
	case c.Port != nil:
		port := engine.Port{Protocol: c.Port.Protocol, First: c.Port.First, Last: c.Port.Last}
		return a.with(fixedRule(c, func(r *engine.Rule) { r.Ports = append(slices.Clip(r.Ports), port) })), a.e.Pair
	case c.Labels == nil:
		peer := engine.Peer{Block: &engine.IPBlock{CIDR: c.CIDR}}
		return a.with(fixedRule(c, func(r *engine.Rule) { r.Peers = append(slices.Clip(r.Peers), peer) })), a.e.Pair
	}
	_, end := a.ends()
	switch {
	case c.Labels.OfNamespace:
		ns := &engine.Namespace{Name: end.Namespace, Labels: c.Labels.applied(end.NamespaceLabels)}
		return a.with(ns), a.e.Pair
	case end.Kind == engine.ResolvedHypothetical || len(end.IPs) <= 1:
		// Asked as a Pod that need not exist, which costs far less than a snapshot.
		pair := a.e.Pair
		changed := engine.ByLabels(&engine.LabelledPod{
			Namespace: end.Namespace, Labels: c.Labels.applied(end.Labels), Ports: end.Ports, IP: end.IP,
		})
		if a.direction == Egress {
			pair.Dst = changed
		} else {
			pair.Src = changed
		}
		return a.snapshot, pair
	}
	o, _ := a.snapshot.Object(engine.ObjectKey{Kind: engine.KindPod, Namespace: end.Namespace, Name: end.Name})
	pod, ok := o.(*engine.Pod)
	if !ok { // the snapshot was explained, so it has the Pod
		return a.snapshot, a.e.Pair
	}
	changed := *pod
	changed.Labels = c.Labels.applied(pod.Labels)
	return a.with(&changed), a.e.Pair
}

// with returns the snapshot with an object replaced.
func (a *asked) with(o engine.Object) *engine.Snapshot {
	return a.snapshot.With([]engine.Change{{Object: o}})
}

// fixedRule returns a copy of the policy of a closest rule, with the rule changed.
func fixedRule(c *Closest, change func(*engine.Rule)) *engine.Policy {
	p := *c.Policy
	rules := &p.Ingress
	if c.Direction == Egress {
		rules = &p.Egress
	}
	*rules = slices.Clone(*rules)
	change(&(*rules)[c.Index])
	return &p
}
