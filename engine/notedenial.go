package engine

import "slices"

// denied reports whether the pair was denied.
func (p *pair) denied() bool { return !p.decision.Allowed }

// meansReverse reports whether a denied connection was probably meant the other way: a rule with peers and
// ports allows the destination to open it to the source. That nothing forbids the reverse says little, as
// this is so for most denials.
func (s *state) meansReverse(p *pair) bool {
	if !p.denied() || p.src.pod != nil && p.src.pod == p.dst.pod {
		return false
	}
	var reverse Decision
	s.decidePair(&p.dst, &p.src, p.protocol, p.port, &reverse)
	return reverse.Allowed && (reverse.Egress.isExplicit(egress) || reverse.Ingress.isExplicit(ingress))
}

// isExplicit reports whether the side was decided by a rule with peers and ports.
func (s *Side) isExplicit(d direction) bool {
	var r *Rule
	switch {
	case s.Policy != nil:
		r = &[directions][]Rule{s.Policy.Egress, s.Policy.Ingress}[d][s.Rule]
	case s.ClusterPolicy != nil:
		r = &[directions][]ClusterRule{s.ClusterPolicy.Egress, s.ClusterPolicy.Ingress}[d][s.Rule].Rule
	default:
		return false
	}
	return len(r.Peers) > 0 && len(r.Ports) > 0
}

// notesOfDenial returns what each side that NetworkPolicies deny lacks for a rule to match: a port name, an
// address, or labels.
func (s *state) notesOfDenial(q *Query, p *pair) []Note {
	var list []Note
	for d, side := range [directions]*Side{&p.decision.Egress, &p.decision.Ingress} {
		if !side.Allowed && side.Tier == NetworkPolicies {
			l := lacking{
				pair: p, direction: direction(d), other: &p.src, labelled: q.Dst.kind == endpointLabels,
			}
			if l.direction == egress {
				l.other = &p.dst
			}
			list = append(list, s.notesOfSide(&l, side.Isolating)...)
		}
	}
	return list
}

// A lacking is one denying side of a pair, where something may be lacking for a rule to match.
type lacking struct {
	*pair
	direction direction
	// other is the party that the rules have as peer.
	other *party
	// labelled reports whether dst is a LabelledPod.
	labelled bool
}

// notesOfSide returns the notes about one side. It looks at every rule of the policies that deny it, outside
// the merged tables: a note is for people, and a decision never waits for it.
func (s *state) notesOfSide(l *lacking, policies []*Policy) []Note {
	toDst := l.direction == egress
	portName := Note{Code: NotePortNameMissing, Dst: true}
	address := Note{Code: NoteNoAddress, Dst: toDst}
	namespace := Note{Code: NoteNamespaceUnknown, Dst: toDst}
	if l.other.pod != nil {
		address.Namespace, address.Name = l.other.pod.namespace, l.other.pod.name
		namespace.Namespace = l.other.pod.namespace
	}
	peer := l.other.asPeer(l.family, s.options)
	for _, source := range policies {
		compiled, ok := s.policies.Get(nameKey{source.Namespace, source.Name})
		if !ok {
			continue
		}
		rules := source.Ingress
		if toDst {
			rules = source.Egress
		}
		for i := range compiled.rules[l.direction] {
			r := &compiled.rules[l.direction][i]
			if l.labelled && r.hasPeer(&peer) {
				portName.add(source, r.missingNames(l.dst.class, l.protocol))
			}
			if !r.hasPort(l.dst.class, l.protocol, l.port) {
				continue
			}
			if len(r.blocks) > 0 && s.lacksAddress(l.other) {
				address.add(source, []string{""})
			}
			if s.hasUnknownLabels(l.other) {
				namespace.add(source, namespaceKeys(rules[i].Peers))
			}
		}
	}
	address.Names = nil
	return slices.DeleteFunc([]Note{portName, address, namespace}, func(n Note) bool {
		return len(n.Policies) == 0
	})
}

// add adds a policy and names, unless there are no names.
func (n *Note) add(p *Policy, names []string) {
	if len(names) > 0 && !slices.Contains(n.Policies, p) {
		n.Policies = append(n.Policies, p)
	}
	n.addNames(names)
}

// addNames adds names, each once and in order.
func (n *Note) addNames(names []string) {
	for _, name := range names {
		if at, found := slices.BinarySearch(n.Names, name); !found {
			n.Names = slices.Insert(n.Names, at, name)
		}
	}
}

// lacksAddress reports whether p has no address yet that an ipBlock could match once it has one (S8).
func (s *state) lacksAddress(p *party) bool {
	return p.inCluster && !p.askedByIP && len(p.addrs) == 0 && !s.options.IPBlockIgnoresPods
}

// hasUnknownLabels reports whether p is a Pod whose Namespace object is not there (S18).
func (s *state) hasUnknownLabels(p *party) bool {
	if p.pod == nil || p.class == nil {
		return false
	}
	ns, ok := s.namespaces.Get(p.pod.namespace)
	return ok && ns.object == nil
}

// namespaceKeys returns the label keys that peers ask namespaces for, except the one that every namespace
// has.
func namespaceKeys(peers []Peer) []string {
	var keys []string
	for i := range peers {
		if peers[i].Namespaces != nil {
			keys = append(keys, otherKeys(*peers[i].Namespaces)...)
		}
	}
	return keys
}

// otherKeys returns the label keys that a selector asks namespaces for, except the one that every namespace
// has.
func otherKeys(namespaces Selector) []string {
	var keys []string
	for _, r := range namespaces {
		if asksLabel(r) {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

// hasPeer reports whether a rule of a NetworkPolicy matches a peer (S15, S19).
func (r *rule) hasPeer(p *peer) bool {
	if r.anyPeer {
		return true
	}
	if p.class != nil && slices.ContainsFunc(r.selectors, p.class.isSelectedBy) {
		return true
	}
	return p.addr.IsValid() && !p.hidden && slices.ContainsFunc(r.blocks, func(b *IPBlock) bool {
		return b.Contains(p.addr) || slices.ContainsFunc(p.more, b.Contains)
	})
}

// hasPort reports whether a rule matches a port of a destination of class dst, which is nil for no Pod (S15,
// S21).
func (r *rule) hasPort(dst *class, protocol Protocol, port uint16) bool {
	return r.anyPort || slices.ContainsFunc(r.ports, func(p Port) bool {
		if p.Name != "" {
			return p.Protocol == protocol && dst != nil && dst.hasNamedPort(p.Name, protocol, port)
		}
		return p.Protocol == protocol && p.First <= port && port <= p.Last
	})
}

// missingNames returns the port names of a rule, of one protocol, that no port of the class has.
func (r *rule) missingNames(dst *class, protocol Protocol) []string {
	var names []string
	for _, p := range r.ports {
		has := func(n NamedPort) bool { return n.Name == p.Name && n.Protocol == protocol }
		if p.Name != "" && p.Protocol == protocol && !slices.ContainsFunc(dst.ports, has) {
			names = append(names, p.Name)
		}
	}
	return names
}
