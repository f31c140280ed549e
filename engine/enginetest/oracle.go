// Package enginetest holds the slow truth that the engine is tested against.
//
//	Random ─► objects, batches of events, questions
//	          ├─► Oracle: the rules of docs/semantics.md, read aloud in plain loops ─┐
//	          └─► engine: indexes, classes, merged tables, snapshots ────────────────┴─► Diff, empty
//
// The [Oracle] shares no code with the engine but the types of objects and decisions, and prefers the shape
// of the rules to speed: every line that decides names its rule. What decides is stated there first, and then
// built in the engine. When the two differ, [Minimise] makes the case small enough to read.
package enginetest

import (
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// Oracle answers questions about a set of objects from the rules alone. It has no state of its own, so every
// answer reads all objects. It is safe for concurrent use while nobody changes the objects.
type Oracle struct {
	// Objects are the cluster's: at most one of each kind, namespace and name.
	Objects []engine.Object
	// Options are the cluster's.
	Options engine.Options
	// policiesAlone reports whether no pair is exempt (A2).
	policiesAlone bool
}

// Allowed answers q as the engine has to. The error is nil or a *[engine.QueryError].
func (o *Oracle) Allowed(q Question) (engine.Decision, error) {
	src, err := o.source(q.Src) // S27: the source's error comes first
	if err != nil {
		return engine.Decision{}, err
	}
	dst, err := o.destination(q)
	if err != nil {
		return engine.Decision{}, err
	}
	var d engine.Decision
	if dst.service != nil {
		if d, err = o.decideService(src, dst, q); err != nil {
			return engine.Decision{}, err
		}
	} else {
		d = o.decidePods(src, dst, q)
	}
	if q.Src.IP.IsValid() && q.Dst.IP.IsValid() {
		d.Families = 0
	}
	return d, nil
}

// decidePods decides each pair by itself. All have to be allowed (S24, S27).
func (o *Oracle) decidePods(src, dst group, q Question) engine.Decision {
	var pairs []engine.Decision
	for _, s := range src.parties {
		for _, d := range dst.parties {
			pairs = append(pairs, overFamilies(families(s, d), func(f engine.Families) engine.Decision {
				return o.decide(connection{
					src: s.inFamily(f), dst: d.inFamily(f), port: q.Port, protocol: q.Protocol,
				})
			}))
		}
	}
	if !src.many && !dst.many {
		return pairs[0]
	}
	return all(pairs)
}

// families returns those that a pair is decided in (S9). The family 0 means that it is decided once, and no
// ipBlock matches.
func families(s, d party) []engine.Families {
	has, wants := s.families(), d.families()
	switch {
	case s.askedByIP && d.askedByIP && has != wants:
		return []engine.Families{0} // two IPs of different families
	case s.askedByIP:
		return familyList(has)
	case d.askedByIP:
		return familyList(wants)
	case has == 0 && wants == 0:
		return []engine.Families{0}
	case has == 0:
		return familyList(wants)
	case wants == 0:
		return familyList(has)
	case has&wants == 0:
		return []engine.Families{0} // two Pods with none in common
	default:
		return familyList(has & wants)
	}
}

// overFamilies returns the decision over several families: it allows if one of them does. The reasons are
// those of the first family that allows, or else of the first (S9).
func overFamilies(fs []engine.Families, decide func(engine.Families) engine.Decision) engine.Decision {
	var out engine.Decision
	var allowed engine.Families
	for i, f := range fs {
		d := decide(f)
		if i == 0 || d.Allowed && !out.Allowed {
			out = d
		}
		if d.Allowed {
			allowed |= f
		}
	}
	out.Families = allowed
	return out
}

// all returns the decision over several pairs: it allows if every pair does. The reasons are those of the
// first pair that is denied, or else of the first (S24, S27).
func all(pairs []engine.Decision) engine.Decision {
	out := pairs[0]
	for _, p := range pairs {
		if out.Allowed && !p.Allowed {
			out = p
		}
	}
	out.Families, out.BackendsAllowed, out.BackendsTotal = engine.IPv4|engine.IPv6, 0, 0
	for _, p := range pairs {
		out.Families &= p.Families
		out.BackendsTotal++
		if p.Allowed {
			out.BackendsAllowed++
		}
	}
	return out
}

// A connection is a pair of parties with the addresses that they have in the family that is decided (S9).
type connection struct {
	src, dst party
	port     uint16
	protocol engine.Protocol
	// viaService reports whether dst is reached through a Service that translates its address (S24, S44).
	viaService bool
}

// decide decides one connection (S1).
func (o *Oracle) decide(c connection) engine.Decision {
	d := engine.Decision{Egress: o.side(c, true), Ingress: o.side(c, false)}
	d.Allowed = d.Egress.Allowed && d.Ingress.Allowed
	switch {
	case d.Allowed && isSelf(c) && o.exempt(c, true) != notExempt: // S2, S51
		d.Reason = engine.Self
	case d.Allowed && !o.policiesAlone && // S3, S51
		(runsOn(c.src, c.dst) && o.exempt(c, true) != notExempt || runsOn(c.dst, c.src)):
		d.Reason = engine.LocalNode
	case !d.Egress.Allowed:
		d.Reason = engine.DeniedAtEgress
	case !d.Ingress.Allowed:
		d.Reason = engine.DeniedAtIngress
	case d.Egress.Tier != engine.NoTier || d.Ingress.Tier != engine.NoTier:
		d.Reason = engine.AllowedByRule
	default:
		d.Reason = engine.NotIsolated
	}
	return d
}

// isSelf reports whether both parties are one Pod (S2).
func isSelf(c connection) bool { return c.src.pod != nil && c.src.pod == c.dst.pod }

// runsOn reports whether p is a Pod that runs on the Node that n is (S3, S4). A host-network Pod is its Node,
// and runs on none.
func runsOn(p, n party) bool { return p.subject && n.isNode && p.node != "" && p.node == n.node }

// networkPolicies returns what the NetworkPolicies decide about one direction of subject, without S2 and S3.
func (o *Oracle) networkPolicies(c connection, subject, peer party, egress bool) engine.Side {
	var s engine.Side
	if o.Options.IgnorePolicies {
		return engine.Side{Allowed: true}
	}
	for _, p := range sorted[*engine.Policy](o, func(p *engine.Policy) string { return p.Name }) {
		isolates, rules := p.IsolatesIngress, p.Ingress // S11, S12
		if egress {
			isolates, rules = p.IsolatesEgress, p.Egress
		}
		if !isolates || p.Namespace != subject.namespace || // S12, S10
			!matchSelector(p.Subject, subject.labels) {
			continue
		}
		s.Isolated, s.Tier = true, engine.NetworkPolicies
		s.Isolating = append(s.Isolating, p)
		for i, r := range rules { // S14
			if s.Policy == nil && o.matchRule(r, p.Namespace, c, peer) {
				s.Policy, s.Rule = p, i
			}
		}
	}
	s.Allowed = !s.Isolated || s.Policy != nil || o.allowsJoined(c, subject, peer, egress) // S13, S14
	return s
}

// matchRule reports whether a rule of a policy in namespace matches a connection with a peer (S15).
func (o *Oracle) matchRule(r engine.Rule, namespace string, c connection, peer party) bool {
	peers := len(r.Peers) == 0 || slices.ContainsFunc(r.Peers, func(x engine.Peer) bool {
		return o.matchPeer(x, namespace, peer)
	})
	if o.Options.ShareBlocks && len(r.Peers) > 0 {
		peers = o.matchSharedPeers(r.Peers, namespace, peer)
	}
	return peers && (len(r.Ports) == 0 || slices.ContainsFunc(r.Ports, func(p engine.Port) bool {
		return matchPort(p, c.dst, c.port, c.protocol)
	}))
}

// matchPeer reports whether the peer x, of a policy in namespace, matches e (S16).
func (o *Oracle) matchPeer(x engine.Peer, namespace string, e party) bool {
	if x.Nodes != nil { // not a field of NetworkPolicies
		return false
	}
	if x.Block != nil { // S23: never beside a selector
		return x.Namespaces == nil && x.Pods == nil &&
			!(o.Options.IPBlockIgnoresPods && e.inCluster) && // S19
			slices.ContainsFunc(e.addrs, func(a netip.Addr) bool { return matchBlock(*x.Block, a) })
	}
	if !e.subject || x.Namespaces == nil && x.Pods == nil { // S4, S5, S23
		return false
	}
	if x.Namespaces == nil && e.namespace != namespace ||
		x.Namespaces != nil && !matchSelector(*x.Namespaces, o.namespaceLabels(e.namespace)) {
		return false
	}
	return x.Pods == nil || matchSelector(*x.Pods, e.labels)
}

// matchBlock reports whether b contains a (S19). A block with anything invalid contains nothing (S23).
func matchBlock(b engine.IPBlock, a netip.Addr) bool {
	outside := func(x netip.Prefix) bool { return x.IsValid() && !x.Contains(a) }
	return b.CIDR.IsValid() && b.CIDR.Contains(a) &&
		!slices.ContainsFunc(b.Except, func(x netip.Prefix) bool { return !outside(x) })
}

// matchPort reports whether p matches a port of dst (S20, S22). A name is looked up on dst, which must be a
// Pod (S4, S21).
func matchPort(p engine.Port, dst party, port uint16, proto engine.Protocol) bool {
	if p.Name != "" {
		named := engine.NamedPort{Name: p.Name, Port: port, Protocol: proto}
		return !p.AnyProtocol && p.Protocol == proto && dst.subject && slices.Contains(dst.ports, named)
	}
	return p.Protocol == proto && p.First <= port && port <= p.Last
}

// matchSelector reports whether all requirements hold (S17).
func matchSelector(s engine.Selector, labels map[string]string) bool {
	for _, r := range s {
		value, has := labels[r.Key]
		among := slices.Contains(r.Values, value)
		switch r.Operator {
		case engine.In:
			if !has || !among {
				return false
			}
		case engine.NotIn:
			if has && among {
				return false
			}
		case engine.Exists:
			if !has {
				return false
			}
		case engine.DoesNotExist:
			if has {
				return false
			}
		default: // S23
			return false
		}
	}
	return true
}
