package engine

import "slices"

// A sideQuestion is what the rules of one side are asked.
type sideQuestion struct {
	direction direction
	subject   *party
	// other is the peer, and seen the same as rules match it.
	other *party
	seen  peer
	// dst is the destination, on which port names are looked up.
	dst      *party
	port     uint16
	protocol Protocol
	// side is the decision.
	side *Side
}

// sideQuestion returns what the rules of one side of a pair are asked.
func (s *state) sideQuestion(d direction, p *pair) sideQuestion {
	q := sideQuestion{
		direction: d, subject: &p.src, other: &p.dst, dst: &p.dst, side: &p.decision.Egress,
		port: p.port, protocol: p.protocol,
	}
	if d == ingress {
		q.subject, q.other, q.side = &p.dst, &p.src, &p.decision.Ingress
	}
	q.seen = q.other.asPeer(p.family, s.options)
	return q
}

// podLabels returns the labels of a party that policies can select.
func (p *party) podLabels() []label {
	if p.pod != nil {
		return p.pod.labels
	}
	return p.class.labels
}

// explainSide explains the side of one direction of a pair.
func (s *state) explainSide(d direction, p *pair) SideExplanation {
	q := s.sideQuestion(d, p)
	e := SideExplanation{Applies: q.subject.class != nil, Allowed: q.side.Allowed}
	if !e.Applies {
		return e
	}
	var inTier bool
	e.Exempt, inTier = s.exemptionOf(p)
	found := s.selectionOf(q.subject.class.namespace, q.subject.podLabels())
	policies := append(found.clusterPolicies, found.policies...)
	slices.SortFunc(policies, comparePolicies)
	for tier := Admin; tier <= Baseline; tier++ {
		t := s.explainTier(tier, restricting(policies, tier, d), &q)
		if tier == NetworkPolicies && inTier && len(t.Policies) > 0 {
			t.Verdict = Allow // whatever its rules say (S44)
		}
		e.Tiers = append(e.Tiers, t)
	}
	return e
}

// exemptionOf returns the exemption of a pair. inTier reports whether it is of the NetworkPolicy tier alone
// (S44).
func (s *state) exemptionOf(p *pair) (_ Exemption, inTier bool) {
	viaService := p.service != nil && !p.service.Headless
	why := exemption(&p.src, &p.dst)
	if why == Unknown || isDecided(why, &p.src, viaService, s.options) {
		return NotExempt, false
	}
	inTier = !exemptFromAll(why, &p.src, viaService, s.options)
	switch {
	case why == LocalNode:
		return ExemptLocalNode, inTier
	case viaService:
		return ExemptHairpin, inTier
	}
	return ExemptSelf, inTier
}

// explainTier explains the policies of one tier, which are in the order in which they count.
func (s *state) explainTier(tier Tier, policies []*policy, q *sideQuestion) TierExplanation {
	t := TierExplanation{Tier: tier, Verdict: Pass, Decided: q.side.Tier == tier}
	if tier == NetworkPolicies {
		t.Verdict = Deny
	}
	if len(policies) > 0 {
		t.Policies = make([]PolicyExplanation, 0, len(policies))
	}
	spoken := false // a rule has matched
	for _, p := range policies {
		e := PolicyExplanation{Policy: p.source, ClusterPolicy: p.cluster}
		if n := len(p.rules[q.direction]); n > 0 {
			e.Rules = make([]RuleExplanation, 0, n)
		}
		for i := range p.rules[q.direction] {
			r := s.explainRule(p, i, q)
			r.Reached = tier == NetworkPolicies || !spoken
			if r.Matched && !spoken {
				t.Verdict, spoken = r.Action, true
			}
			e.Rules = append(e.Rules, r)
		}
		t.Policies = append(t.Policies, e)
	}
	return t
}

// explainRule explains the rule at index i of a policy.
func (s *state) explainRule(p *policy, i int, q *sideQuestion) RuleExplanation {
	r := &p.rules[q.direction][i]
	e := RuleExplanation{Index: i, Action: r.action, AnyPeer: r.anyPeer, AnyPort: r.anyPort}
	var from *Rule
	var origins []PeerOrigin
	if p.cluster == nil {
		from = &[directions][]Rule{p.source.Egress, p.source.Ingress}[q.direction][i]
	} else {
		c := &[directions][]ClusterRule{p.cluster.Egress, p.cluster.Ingress}[q.direction][i]
		from, origins = &c.Rule, c.Origins
		e.Name, e.NotUnderstood = c.Name, c.NotUnderstood
	}
	e.Peers = joinPeers(from.Peers, s.missesOfPeers(p, from, r, q), origins)
	if len(r.ports) > 0 {
		e.Ports = make([]PortExplanation, 0, len(r.ports))
	}
	for j := range r.ports {
		miss := missOfPort(&r.ports[j], q)
		e.Ports = append(e.Ports, PortExplanation{
			Index: j, Matched: miss == MissNone, Why: miss, Port: r.ports[j],
		})
	}
	e.PeerMatched = r.anyPeer || slices.ContainsFunc(e.Peers, func(p PeerExplanation) bool { return p.Matched })
	e.PortMatched = r.anyPort || slices.ContainsFunc(e.Ports, func(p PortExplanation) bool { return p.Matched })
	e.Matched = e.PeerMatched && e.PortMatched
	e.Decided = q.side.Rule == i && (p.source != nil && p.source == q.side.Policy ||
		p.cluster != nil && p.cluster == q.side.ClusterPolicy)
	return e
}

// joinPeers returns the peers of the object from what the engine has of them. Of several, the one that gets
// furthest says why none matched.
func joinPeers(peers []Peer, misses []Miss, origins []PeerOrigin) []PeerExplanation {
	if len(peers) == 0 {
		return nil
	}
	if origins == nil {
		list := make([]PeerExplanation, len(peers))
		for i, miss := range misses {
			list[i] = PeerExplanation{Index: i, Peers: peers[i : i+1 : i+1], Why: miss, Matched: miss == MissNone}
		}
		return list
	}
	list := make([]PeerExplanation, 0, len(origins))
	for i, o := range origins {
		e := PeerExplanation{Index: i, Peers: peers[:o.Peers:o.Peers], Names: o.Names, Why: MissInvalid}
		for _, miss := range misses[:o.Peers] {
			e.Matched = e.Matched || miss == MissNone
			e.Why = max(e.Why, miss)
		}
		switch {
		case e.Matched:
			e.Why = MissNone
		case len(o.Names) > 0:
			e.Why = MissNamesNotResolved
		}
		list = append(list, e)
		peers, misses = peers[o.Peers:], misses[o.Peers:]
	}
	return list
}
