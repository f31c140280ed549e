package engine

import "slices"

// notesOfTiers returns what an end lacks for a rule of a cluster-wide policy to match it, where that might
// change the verdict. Unlike a NetworkPolicy, such a rule may also deny: one that is missed allows.
func (s *state) notesOfTiers(q *Query, p *pair) []Note {
	if s.clusterPolicies.Len() == 0 {
		return nil // to explain both sides takes longer than all other details
	}
	var list []Note
	for d, side := range [directions]*Side{&p.decision.Egress, &p.decision.Ingress} {
		if p.denied() && side.Allowed {
			continue // the other side denies, whatever this one does
		}
		e := s.explainSide(direction(d), p)
		l := tierNotes{state: s, pair: p, toDst: direction(d) == egress, other: &p.src}
		if l.toDst {
			l.other = &p.dst
		}
		l.labelled = q.Dst.kind == endpointLabels
		l.portName = Note{Code: NotePortNameMissing, Dst: true}
		l.address = Note{Code: NoteNoAddress, Dst: l.toDst}
		l.namespace = Note{Code: NoteNamespaceUnknown, Dst: l.toDst}
		if l.other.pod != nil {
			l.namespace.Namespace = l.other.pod.namespace
		}
		if exempt, inTier := s.exemptionOf(p); exempt == NotExempt || inTier {
			l.addSide(&e)
			l.addSubject(s.sideQuestion(direction(d), p))
		}
		for _, n := range []Note{l.portName, l.address, l.namespace, l.subject} {
			if len(n.ClusterPolicies) > 0 {
				list = append(list, n)
			}
		}
	}
	return list
}

// tierNotes collects the notes about the cluster-wide policies of one side.
type tierNotes struct {
	state *state
	*pair
	// toDst reports whether the side is that of egress. other is the party that its rules have as peer.
	toDst bool
	other *party
	// labelled reports whether dst is a LabelledPod.
	labelled bool

	portName, address, namespace Note
	// subject is about the Namespace of the side's own Pod.
	subject Note
}

// addSide looks at the rules that were reached and did not match.
func (l *tierNotes) addSide(e *SideExplanation) {
	for _, t := range e.Tiers {
		for _, p := range t.Policies {
			for i := range p.Rules {
				r := &p.Rules[i]
				if p.ClusterPolicy != nil && r.Reached && !r.Matched && l.matters(&t, r.Action) {
					l.addRule(p.ClusterPolicy, r)
				}
			}
		}
		if t.Decided {
			return
		}
	}
}

// matters reports whether a rule of the tier might change the verdict if it matched. Pass changes nothing
// where the tier does not decide, nor where what comes next allows too.
func (l *tierNotes) matters(t *TierExplanation, action Action) bool {
	switch action {
	case Deny:
		return !l.denied()
	case Allow:
		return l.denied()
	case Pass:
	}
	return t.Decided && (l.denied() || t.Tier != Baseline)
}

// addRule adds what the ends lack for a rule to match, if it would then match as a whole.
func (l *tierNotes) addRule(p *ClusterPolicy, r *RuleExplanation) {
	var names, keys []string
	lacksAddress := false
	for _, port := range r.Ports {
		if l.labelled && l.dst.class != nil && port.Why == MissNoSuchName {
			names = append(names, port.Port.Name)
		}
	}
	for _, e := range r.Peers {
		switch e.Why {
		case MissNoAddress:
			lacksAddress = lacksAddress || l.other.inCluster && !l.other.askedByIP && len(l.other.addrs) == 0
		case MissNamespace:
			if l.state.hasUnknownLabels(l.other) {
				keys = append(keys, namespaceKeys(e.Peers)...)
			}
		default:
		}
	}
	if !r.PortMatched && len(names) == 0 || !r.PeerMatched && !lacksAddress && len(keys) == 0 {
		return
	}
	if !r.PortMatched {
		l.portName.addCluster(p, names)
	}
	if !r.PeerMatched {
		l.namespace.addCluster(p, keys)
		if lacksAddress {
			l.address.addCluster(p, []string{""})
			l.address.Names = nil
		}
	}
}

// addSubject looks at the policies that might select the side's own Pod if its Namespace were read, at those
// that come before what decided.
func (l *tierNotes) addSubject(q sideQuestion) {
	if !l.state.hasUnknownLabels(q.subject) {
		return
	}
	l.subject = Note{Code: NoteNamespaceUnknown, Dst: !l.toDst, Namespace: q.subject.class.namespace}
	labels := l.state.labelsOf(q.subject.class.namespace)
	var might []*policy
	for _, p := range l.state.clusterPolicies.All() {
		sel := l.state.selectors.At(p.subject)
		if !sel.namespaces.matches(labels) && sel.pods.matches(q.subject.podLabels()) && q.isBefore(p) {
			might = append(might, p)
		}
	}
	slices.SortFunc(might, comparePolicies)
	for _, p := range might {
		t := l.state.explainTier(p.tier, []*policy{p}, &q)
		if slices.ContainsFunc(t.Policies[0].Rules, func(r RuleExplanation) bool {
			return r.Reached && r.Matched && l.matters(&t, r.Action)
		}) {
			l.subject.addCluster(p.cluster, otherKeys(l.state.selectors.At(p.subject).namespaces))
		}
	}
}

// isBefore reports whether a cluster-wide policy is asked before what decided the side.
func (q *sideQuestion) isBefore(p *policy) bool {
	if decided := q.side.ClusterPolicy; decided != nil && p.tier == q.side.Tier {
		return p.cluster.Compare(decided) < 0
	}
	return q.side.Tier == NoTier || p.tier <= q.side.Tier
}

// addCluster is [Note.add] for a cluster-wide policy.
func (n *Note) addCluster(p *ClusterPolicy, names []string) {
	if len(names) > 0 && !slices.Contains(n.ClusterPolicies, p) {
		n.ClusterPolicies = append(n.ClusterPolicies, p)
	}
	n.addNames(names)
}
