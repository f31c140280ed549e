package audit

import (
	"github.com/netpold/netpold/engine"
)

// A lintPolicy is a policy, with what its parts match.
type lintPolicy struct {
	key     engine.ObjectKey
	np      *engine.Policy
	cluster *engine.ClusterPolicy
	ignored string
	number  int
	// rules are those in force, by direction.
	rules [2][]*lintRule
	// classes are the Pods that the subject selects, and hosts the host-network Pods whose labels it matches.
	classes []*lintClass
	hosts   []string
}

// A lintRule is a rule of a policy.
type lintRule struct {
	Rule
	of     *lintPolicy
	action engine.Action
	from   *engine.Rule
	// entries are the peers of the object.
	entries []lintPeer
	// selectors and blocks are the peers of the engine that can match; anyPeer and anyPort report whether the
	// rule has no such list (S15).
	selectors        []engine.SelectorID
	blocks           []*engine.IPBlock
	anyPeer, anyPort bool
	// fixed are the ports by number, and names those by name.
	fixed engine.PortSet
	names []engine.Port
	// divided are the peers of a NetworkPolicy's rule, and trial what is found out about a cluster-wide one; nil
	// until they are asked for.
	divided *dividedPeers
	trial   *tierTrial
}

// A lintPeer is a peer of the object: one peer of the engine, or as many as it has networks.
type lintPeer struct {
	peers []engine.Peer
	// selector is the group; hasSelector reports whether there is one.
	selector    engine.SelectorID
	hasSelector bool
	blocks      []*engine.IPBlock
	// names reports whether it is domain names, which match nothing (S40).
	names bool
}

// object returns the policy's object.
func (p *lintPolicy) object() any {
	if p.np != nil {
		return p.np
	}
	return p.cluster
}

// tier returns the tier of the policy.
func (p *lintPolicy) tier() engine.Tier {
	if p.np != nil {
		return engine.NetworkPolicies
	}
	return p.cluster.Tier
}

// eachRule calls f for every rule of the policy.
func (p *lintPolicy) eachRule(f func(*lintRule)) {
	for _, rules := range p.rules {
		for _, u := range rules {
			f(u)
		}
	}
}

// exists reports whether the policy exists for a direction (S12, S32).
func (p *lintPolicy) exists(d Direction) bool {
	switch {
	case p.np == nil:
		return len(p.rules[side(d)]) > 0
	case d == Egress:
		return p.np.IsolatesEgress
	}
	return p.np.IsolatesIngress
}

// newNetworkPolicy returns a NetworkPolicy as a lint sees it.
func newNetworkPolicy(s *engine.Snapshot, o *engine.Policy) *lintPolicy {
	p := &lintPolicy{key: engine.KeyOf(o), np: o, ignored: o.LintIgnore}
	for d, rules := range map[Direction][]engine.Rule{Egress: o.Egress, Ingress: o.Ingress} {
		if !p.exists(d) {
			continue // S12
		}
		for i := range rules {
			u := &lintRule{
				Rule: Rule{Policy: o, Direction: d, Index: i}, of: p, action: engine.Allow, from: &rules[i],
			}
			u.compile(s, o.Namespace, nil)
			p.rules[side(d)] = append(p.rules[side(d)], u)
		}
	}
	return p
}

// newClusterPolicy returns a cluster-wide policy as a lint sees it.
func newClusterPolicy(s *engine.Snapshot, o *engine.ClusterPolicy) *lintPolicy {
	p := &lintPolicy{key: engine.KeyOf(o), cluster: o, ignored: o.LintIgnore}
	for d, rules := range map[Direction][]engine.ClusterRule{Egress: o.Egress, Ingress: o.Ingress} {
		for i := range rules {
			u := &lintRule{
				Rule: Rule{ClusterPolicy: o, Direction: d, Index: i}, of: p, action: rules[i].Action,
				from: &rules[i].Rule,
			}
			u.compile(s, "", rules[i].Origins)
			p.rules[side(d)] = append(p.rules[side(d)], u)
		}
	}
	return p
}

// compile looks up what the entries of the rule match.
func (u *lintRule) compile(s *engine.Snapshot, namespace string, origins []engine.PeerOrigin) {
	u.anyPeer, u.anyPort = len(u.from.Peers) == 0 && len(origins) == 0, len(u.from.Ports) == 0
	if origins == nil {
		for range u.from.Peers {
			origins = append(origins, engine.PeerOrigin{Peers: 1})
		}
	}
	first := 0
	for _, origin := range origins {
		e := lintPeer{peers: u.from.Peers[first : first+origin.Peers], names: len(origin.Names) > 0}
		first += origin.Peers
		for i := range e.peers {
			if b := e.peers[i].ValidBlock(); b != nil {
				e.blocks = append(e.blocks, b)
			} else if id, ok := s.SelectorOf(namespace, &e.peers[i]); ok {
				e.selector, e.hasSelector = id, true
				u.selectors = append(u.selectors, id)
			}
		}
		u.blocks = append(u.blocks, e.blocks...)
		u.entries = append(u.entries, e)
	}
	if u.anyPort {
		u.fixed = engine.EveryPort()
		return
	}
	var fixed []engine.PortRange
	for i := range u.from.Ports {
		switch p := &u.from.Ports[i]; {
		case isInvalidPort(p):
		case p.Name == "":
			fixed = append(fixed, engine.PortRange{Protocol: p.Protocol, First: p.First, Last: p.Last})
		case p.AnyProtocol && u.Policy != nil: // not in this tier
		default:
			u.names = append(u.names, *p)
		}
	}
	u.fixed = engine.NewPortSet(fixed...)
}

// isInvalidPort reports whether a port can match nothing, whatever there is (S23).
func isInvalidPort(p *engine.Port) bool {
	return p.Name == "" && (p.First == 0 || p.First > p.Last) || p.Protocol > engine.SCTP
}

// portsOn returns the ports of the rule on a destination with these named ports (S20, S21, S43).
func (u *lintRule) portsOn(named []engine.NamedPort) engine.PortSet {
	if len(u.names) == 0 || len(named) == 0 {
		return u.fixed
	}
	var list []engine.PortRange
	for i := range u.names {
		n := &u.names[i]
		for _, own := range named {
			if n.Names(own) {
				list = append(list, engine.PortRange{Protocol: own.Protocol, First: own.Port, Last: own.Port})
			}
		}
	}
	return u.fixed.Union(engine.NewPortSet(list...))
}
