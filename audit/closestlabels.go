package audit

import (
	"iter"
	"slices"

	"github.com/netpold/netpold/engine"
)

// fixLabels adds the fewest changes of the peer's labels that make a peer of the rule match it.
func (a *asked) fixLabels(c *Closest, p *engine.Policy, r *engine.RuleExplanation) bool {
	_, end := a.ends()
	if end.Kind != engine.ResolvedPod && end.Kind != engine.ResolvedHypothetical || a.isSelf() {
		return false
	}
	for i := range r.Peers {
		x := &r.Peers[i]
		if x.Why != engine.MissNamespace && x.Why != engine.MissPodLabels {
			continue
		}
		for fix := range a.labelFixes(p, &x.Peers[0], end) {
			if c.Labels != nil && c.Labels.changes() <= fix.changes() {
				break
			}
			if a.allowsWith(fix) {
				c.Labels, c.Peer = fix, x.Index
				break
			}
		}
	}
	return c.Labels != nil
}

// labelFixes yields the fewest changes of labels of end, or of its namespace, that make a peer match it. There
// are none if changes of one of them alone do not.
func (a *asked) labelFixes(p *engine.Policy, x *engine.Peer, end *engine.ExplainedEnd) iter.Seq[*LabelFix] {
	inNamespace := end.Namespace == p.Namespace
	if x.Namespaces != nil {
		inNamespace = matches(x.Namespaces, end.NamespaceLabels)
	}
	switch {
	case inNamespace && x.Pods != nil:
		return repairs(*x.Pods, end.Labels, false, a.mentioned())
	case x.Namespaces != nil && matches(x.Pods, end.Labels):
		return repairs(*x.Namespaces, end.NamespaceLabels, true, a.mentioned())
	}
	return func(func(*LabelFix) bool) {}
}

// mentioned returns the values that rules of tiers before NetworkPolicies ask labels of the peer for, by key.
// A fix must often avoid or meet one of them.
func (a *asked) mentioned() map[string][]string {
	if a.values != nil {
		return a.values
	}
	a.values = map[string][]string{}
	for i := range a.side.Tiers {
		t := &a.side.Tiers[i]
		if t.Tier == engine.NetworkPolicies {
			break
		}
		for _, p := range t.Policies {
			for j := range p.Rules {
				for k := range p.Rules[j].Peers {
					for _, peer := range p.Rules[j].Peers[k].Peers {
						a.mention(peer.Namespaces)
						a.mention(peer.Pods)
					}
				}
			}
		}
	}
	return a.values
}

func (a *asked) mention(s *engine.Selector) {
	if s == nil {
		return
	}
	for _, r := range *s {
		for _, value := range r.Values {
			if !slices.Contains(a.values[r.Key], value) {
				a.values[r.Key] = append(a.values[r.Key], value)
			}
		}
	}
}

// isSelf reports whether both ends are one Pod. A change of the peer is then one of the subject too.
func (a *asked) isSelf() bool {
	src, dst := &a.e.Src, &a.e.Dst
	return src.Kind == engine.ResolvedPod && dst.Kind == src.Kind && src.Namespace == dst.Namespace &&
		src.Name == dst.Name
}

// allowsWith reports whether the side allows after a change of the peer's labels that lets a rule of a
// NetworkPolicy match. Rules of tiers before may match too then, and deny.
func (a *asked) allowsWith(fix *LabelFix) bool {
	if !a.selectedAlike(fix) {
		return false
	}
	var changed *engine.ExplainedEnd
	for i := range a.side.Tiers {
		t := &a.side.Tiers[i]
		switch {
		case t.Tier == engine.NetworkPolicies:
			return true
		case len(t.Policies) == 0:
			continue
		case changed == nil:
			changed = a.peerWith(fix)
		}
		if action, spoken := speaks(t, changed); spoken && action != engine.Pass {
			return action == engine.Allow
		}
	}
	return false
}

// peerWith returns the peer after a change of its labels.
func (a *asked) peerWith(fix *LabelFix) *engine.ExplainedEnd {
	_, end := a.ends()
	changed := *end
	if fix.OfNamespace {
		changed.NamespaceLabels = fix.applied(end.NamespaceLabels)
	} else {
		changed.Labels = fix.applied(end.Labels)
	}
	return &changed
}

// speaks returns the action of the first rule of a tier that matches when the peer is another Pod, and whether
// there is one.
func speaks(t *engine.TierExplanation, peer *engine.ExplainedEnd) (_ engine.Action, spoken bool) {
	for i := range t.Policies {
		p := &t.Policies[i]
		for j := range p.Rules {
			if r := &p.Rules[j]; r.PortMatched && peerMatches(p.Policy, r, peer) {
				return r.Action, true
			}
		}
	}
	return engine.Pass, false
}

// peerMatches reports whether a peer of a rule matches a Pod that has the addresses of the explained one, and
// labels of its own. p is nil for a rule of a cluster-wide policy.
func peerMatches(p *engine.Policy, r *engine.RuleExplanation, pod *engine.ExplainedEnd) bool {
	if r.AnyPeer || r.NotUnderstood {
		return r.PeerMatched
	}
	for i := range r.Peers {
		x := &r.Peers[i]
		for j := range x.Peers {
			switch peer := &x.Peers[j]; {
			case peer.Namespaces == nil && peer.Pods == nil:
				if x.Matched { // a block: addresses are as they were
					return true
				}
			case x.Why == engine.MissInvalid, len(x.Names) > 0, peer.Block != nil, peer.Nodes != nil:
			case p != nil && peer.Namespaces == nil && pod.Namespace != p.Namespace:
			case matches(peer.Namespaces, pod.NamespaceLabels) && matches(peer.Pods, pod.Labels):
				return true
			}
		}
	}
	return false
}

// selectedAlike reports whether a change of labels of the peer leaves the subject to the policies that it has.
// Labels of a namespace that both are in may bring it others.
func (a *asked) selectedAlike(fix *LabelFix) bool {
	subject, end := a.ends()
	if !fix.OfNamespace || subject.Namespace != end.Namespace {
		return true
	}
	changed := fix.applied(end.NamespaceLabels)
	for _, p := range a.snapshot.ClusterPolicies() {
		has := len(p.Ingress) > 0
		if a.direction == Egress {
			has = len(p.Egress) > 0
		}
		of := &p.Subject.Namespaces
		if has && matches(of, end.NamespaceLabels) != matches(of, changed) && matches(&p.Subject.Pods, subject.Labels) {
			return false
		}
	}
	return true
}
