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
	// peers, ports and misses are room for what is said of the entries of all rules of the side.
	peers  []PeerExplanation
	ports  []PortExplanation
	misses []Miss
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
	q.makeRoom(policies)
	e.Tiers = make([]TierExplanation, 0, Baseline-Admin+1)
	for tier := Admin; tier <= Baseline; tier++ {
		t := s.explainTier(tier, restricting(policies, tier, d), &q)
		if tier == NetworkPolicies && inTier && len(t.Policies) > 0 {
			t.Verdict = Allow // whatever its rules say (S44)
		}
		if s.options.JoinDirections && t.Decided && q.side.Allowed {
			t.Verdict = Allow // by a rule of the other direction, perhaps
		}
		e.Tiers = append(e.Tiers, t)
	}
	return e
}

// makeRoom makes room for the entries of policies, in few pieces of memory.
func (q *sideQuestion) makeRoom(policies []*policy) {
	peers, ports := 0, 0
	for _, p := range policies {
		if !p.isolates[q.direction] {
			continue
		}
		for i := range p.rules[q.direction] {
			from, of := p.ruleSource(q.direction, i)
			peers += max(len(from.Peers), len(of.Origins))
			ports += len(p.rules[q.direction][i].ports)
		}
	}
	q.peers, q.ports = make([]PeerExplanation, 0, peers), make([]PortExplanation, 0, ports)
}

// ruleSource returns the rule of an object that a rule of a policy is made of, and the cluster-wide one that it is
// part of; an empty one if there is none.
func (p *policy) ruleSource(d direction, i int) (*Rule, *ClusterRule) {
	if p.cluster == nil {
		return &[directions][]Rule{p.source.Egress, p.source.Ingress}[d][i], &noClusterRule
	}
	c := &[directions][]ClusterRule{p.cluster.Egress, p.cluster.Ingress}[d][i]
	return &c.Rule, c
}

// noClusterRule is empty.
var noClusterRule ClusterRule

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
	from, of := p.ruleSource(q.direction, i)
	e := RuleExplanation{
		Index: i, Name: of.Name, Action: r.action, NotUnderstood: of.NotUnderstood,
		AnyPeer: r.anyPeer, AnyPort: r.anyPort,
	}
	first := len(q.peers)
	q.peers = appendPeers(q.peers, from.Peers, s.missesOfPeers(p, from, r, q), of.Origins)
	e.Peers = slices.Clip(q.peers[first:])
	first = len(q.ports)
	for j := range r.ports {
		miss := missOfPort(&r.ports[j], q)
		q.ports = append(q.ports, PortExplanation{
			Index: j, Matched: miss == MissNone, Why: miss, Port: r.ports[j],
		})
	}
	e.Ports = slices.Clip(q.ports[first:])
	e.PeerMatched, e.PortMatched = r.anyPeer, r.anyPort
	for j := range e.Peers {
		e.PeerMatched = e.PeerMatched || e.Peers[j].Matched
	}
	for j := range e.Ports {
		e.PortMatched = e.PortMatched || e.Ports[j].Matched
	}
	e.Matched = e.PeerMatched && e.PortMatched
	e.Decided = q.side.Rule == i && (p.source != nil && p.source == q.side.Policy ||
		p.cluster != nil && p.cluster == q.side.ClusterPolicy)
	return e
}

// appendPeers appends the peers of the object from what the engine has of them. Of several, the one that gets
// furthest says why none matched.
func appendPeers(list []PeerExplanation, peers []Peer, misses []Miss, origins []PeerOrigin) []PeerExplanation {
	if len(peers) == 0 {
		return list
	}
	if origins == nil {
		for i, miss := range misses {
			list = append(list, PeerExplanation{
				Index: i, Peers: peers[i : i+1 : i+1], Why: miss, Matched: miss == MissNone,
			})
		}
		return list
	}
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
