package enginetest

import (
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// An exemption is how far a side is exempt from policies (S44).
type exemption int

const (
	notExempt exemption = iota
	// exemptInTier: the NetworkPolicy tier allows it whatever its rules; the other tiers bind.
	exemptInTier
	// exemptFromAll: no tier is asked.
	exemptFromAll
)

// exempt returns how far the side of one direction is exempt (S2, S3, S44).
func (o *Oracle) exempt(c connection, egress bool) exemption {
	local := exemptInTier
	if o.Options.LocalAboveTiers {
		local = exemptFromAll
	}
	switch {
	case o.policiesAlone:
		return notExempt
	case isSelf(c) && c.viaService && o.Options.DecideOwnService,
		runsOn(c.src, c.dst) && o.Options.DecideOwnNode:
		return notExempt
	case isSelf(c) && c.viaService:
		return local
	case isSelf(c):
		return exemptFromAll
	case egress && runsOn(c.src, c.dst):
		return local
	case !egress && runsOn(c.dst, c.src):
		return exemptFromAll
	}
	return notExempt
}

// side decides one direction of a connection, tier by tier (S32): egress of the source, or ingress of the
// destination.
func (o *Oracle) side(c connection, egress bool) engine.Side {
	subject, peer := c.dst, c.src
	if egress {
		subject, peer = c.src, c.dst
	}
	if !subject.subject { // S1, S4, S36
		return engine.Side{Allowed: true}
	}
	s := o.networkPolicies(c, subject, peer, egress)
	isolated := engine.Side{Isolated: s.Isolated, Isolating: s.Isolating} // S50: of NetworkPolicies alone
	switch o.exempt(c, egress) {
	case exemptFromAll:
		isolated.Allowed = true
		return isolated
	case exemptInTier:
		s.Allowed, s.Policy, s.Rule = true, nil, 0
	case notExempt:
	}
	if decided, ok := o.clusterTier(engine.Admin, c, subject, peer, egress, isolated); ok {
		return decided
	}
	if s.Isolated { // S33
		return s
	}
	if decided, ok := o.clusterTier(engine.Baseline, c, subject, peer, egress, isolated); ok {
		return decided
	}
	return engine.Side{Allowed: true} // S32: if none decides, the side allows
}

// clusterTier returns side as the first matching rule of a tier decides it, and whether one does: it does not
// if no rule matches, or the first passes (S34).
func (o *Oracle) clusterTier(
	tier engine.Tier, c connection, subject, peer party, egress bool, side engine.Side,
) (engine.Side, bool) {
	if o.Options.IgnorePolicies {
		return engine.Side{}, false
	}
	policies := slices.DeleteFunc(objectsOf[*engine.ClusterPolicy](o), func(p *engine.ClusterPolicy) bool {
		return p.Tier != tier
	})
	slices.SortFunc(policies, before)
	for _, p := range policies {
		if !matchSelector(p.Subject.Namespaces, o.namespaceLabels(subject.namespace)) || // S36
			!matchSelector(p.Subject.Pods, subject.labels) {
			continue
		}
		rules := p.Ingress
		if egress {
			rules = p.Egress
		}
		for i, r := range rules {
			if !o.matchClusterRule(r, c, peer) {
				continue
			}
			switch r.Action {
			case engine.Pass:
				return engine.Side{}, false
			case engine.Allow:
				side.Allowed = true
			default:
				side.Allowed = false
			}
			side.Tier, side.ClusterPolicy, side.Rule = tier, p, i
			return side, true
		}
	}
	return engine.Side{}, false
}

// before orders the policies of a tier, written out from S34 and S45. It is negative if a comes before b.
func before(a, b *engine.ClusterPolicy) int {
	switch {
	case a.Urgent != b.Urgent:
		if a.Urgent {
			return -1
		}
		return 1
	case (a.Kind == engine.BaselineAdminNetworkPolicy) != (b.Kind == engine.BaselineAdminNetworkPolicy):
		if b.Kind == engine.BaselineAdminNetworkPolicy {
			return -1
		}
		return 1
	case a.Priority < b.Priority:
		return -1
	case a.Priority > b.Priority:
		return 1
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	}
	return int(a.Kind) - int(b.Kind)
}

// matchClusterRule reports whether a rule matches (S35).
func (o *Oracle) matchClusterRule(r engine.ClusterRule, c connection, peer party) bool {
	peers := len(r.Peers) == 0 || slices.ContainsFunc(r.Peers, func(x engine.Peer) bool {
		return o.matchClusterPeer(x, peer)
	})
	ports := len(r.Ports) == 0 || slices.ContainsFunc(r.Ports, func(x engine.Port) bool {
		return matchClusterPort(x, c)
	})
	return peers && ports
}

// matchClusterPeer reports whether the peer x matches e (S37 to S39). A peer of two kinds, or of none,
// matches nothing.
func (o *Oracle) matchClusterPeer(x engine.Peer, e party) bool {
	byPods := x.Namespaces != nil || x.Pods != nil
	switch {
	case x.Block != nil && x.Nodes != nil, x.Block != nil && byPods, x.Nodes != nil && byPods:
		return false
	case x.Block != nil: // S39: whatever the party is
		return slices.ContainsFunc(e.addrs, func(a netip.Addr) bool { return matchBlock(*x.Block, a) })
	case x.Nodes != nil: // S38
		return e.isNode && e.node != "" && matchSelector(*x.Nodes, o.nodeLabels(e.node))
	case byPods: // S37
		return e.subject &&
			(x.Namespaces == nil || matchSelector(*x.Namespaces, o.namespaceLabels(e.namespace))) &&
			(x.Pods == nil || matchSelector(*x.Pods, e.labels))
	}
	return false
}

// nodeLabels returns the labels of a Node; none for a Node without an object (S38).
func (o *Oracle) nodeLabels(name string) map[string]string {
	for _, n := range objectsOf[*engine.Node](o) {
		if n.Name == name {
			return n.Labels
		}
	}
	return nil
}

// matchClusterPort reports whether p matches the port and protocol of a connection (S41 to S43).
func matchClusterPort(p engine.Port, c connection) bool {
	if p.Name == "" || !p.AnyProtocol {
		return matchPort(p, c.dst, c.port, c.protocol)
	}
	named := engine.NamedPort{Name: p.Name, Port: c.port, Protocol: c.protocol}
	return c.dst.subject && slices.Contains(c.dst.ports, named)
}
