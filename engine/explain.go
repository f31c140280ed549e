package engine

import (
	"net/netip"
	"unique"
)

// Explanation says why a question has its answer: what every rule that concerns the deciding pair does with
// it. It is computed from the records that decisions are compiled from, and never contradicts a [Decision].
type Explanation struct {
	// Answer is what [Snapshot.Allowed] answers.
	Answer Decision
	// TooFar reports whether more pairs than were to be looked at are allowed before the first denied one.
	// Nothing but Answer is set then.
	TooFar bool
	// Src and Dst are the ends of the pair that the answer's Reason and Sides are about.
	Src, Dst ExplainedEnd
	// Pair asks about that pair alone: two Pods, addresses or LabelledPods.
	Pair Query
	// Port and Protocol are as decided on that pair: behind a Service, the endpoint's port.
	Port     uint16
	Protocol Protocol
	// Service is the one that stood for Dst; nil for none. It must not be modified.
	Service *Service
	// Family is the one that is explained: the first allowed one, or else the first that was decided; 0 if no
	// address took part (S9).
	Family Families
	// Decision is that of the pair alone.
	Decision        Decision
	Egress, Ingress SideExplanation
}

// ExplainedEnd is an end of the pair, with all that rules may ask of it.
type ExplainedEnd struct {
	Resolved
	// IPs are the address that was asked, or else all that the end has.
	IPs []netip.Addr
	// Labels are those of the Pod, or of the Node.
	Labels map[string]string
	// NodeLabels are those of the Node whose identity the end has (S38): its own, or that of a host-network
	// Pod. They must not be modified.
	NodeLabels map[string]string
	// NamespaceLabels are those of the Pod's namespace, kubernetes.io/metadata.name among them (S18).
	NamespaceLabels map[string]string
	// Ports are the named ports, sorted (S21). They must not be modified.
	Ports []NamedPort
}

// SideExplanation explains one [Side].
type SideExplanation struct {
	// Applies reports whether policies can concern the end. They do not concern an external address, a Node
	// or a host-network Pod, and then nothing else is set but Allowed.
	Applies bool
	Allowed bool
	Exempt  Exemption
	// Tiers has all three, in the order in which they are asked.
	Tiers []TierExplanation
}

// Exemption is the reason why NetworkPolicies do not count for a side or, where S44 puts it before all tiers,
// no policies do.
type Exemption uint8

// The exemptions.
const (
	NotExempt Exemption = iota
	// ExemptSelf: a Pod to itself (S2).
	ExemptSelf
	// ExemptLocalNode: a Pod and the Node that it runs on (S3).
	ExemptLocalNode
	// ExemptHairpin: a Pod to itself through a Service (S44).
	ExemptHairpin
)

// TierExplanation explains one tier of a side.
type TierExplanation struct {
	Tier Tier
	// Verdict is the tier's by itself, whatever tiers before it say. It counts only if Policies is not empty.
	// Pass means that the tier leaves the connection to the next one.
	Verdict Action
	// Decided reports whether the tier decided the side.
	Decided bool
	// Policies are those that select the end and exist for the direction, in the order in which they count.
	Policies []PolicyExplanation
}

// PolicyExplanation explains one policy. Policy or ClusterPolicy is set; neither may be modified.
type PolicyExplanation struct {
	Policy        *Policy
	ClusterPolicy *ClusterPolicy
	Rules         []RuleExplanation
}

// RuleExplanation explains one rule.
type RuleExplanation struct {
	// Index is the rule's in the list of its policy for the direction.
	Index int
	// Name is empty for a rule of a NetworkPolicy.
	Name   string
	Action Action
	// NotUnderstood reports whether the rule is closed by S45: its entries are not those of the object.
	NotUnderstood bool
	// Matched is PeerMatched and PortMatched. Each of them is the OR of its entries.
	Matched, PeerMatched, PortMatched bool
	// AnyPeer and AnyPort report whether the rule has no such list, so that it matches all (S15).
	AnyPeer, AnyPort bool
	// Decided reports whether it is the rule that the [Side] names.
	Decided bool
	// Reached reports whether no rule before it in its tier has matched. A NetworkPolicy's always is.
	Reached bool
	Peers   []PeerExplanation
	Ports   []PortExplanation
}

// PeerExplanation explains one peer, at its index in the object.
type PeerExplanation struct {
	Index   int
	Matched bool
	Why     Miss // MissNone if it matched
	// Peers are what the engine has of it: one, or one for each network. They must not be modified.
	Peers []Peer
	// Names are the domain names that nothing resolves (S40).
	Names []string
}

// PortExplanation explains one port, at its index in the object.
type PortExplanation struct {
	Index   int
	Matched bool
	Why     Miss // MissNone if it matched
	Port    Port
}

// Explain returns why [Snapshot.Allowed] answers q as it does. It decides anew, and allocates in proportion
// to the rules that concern the pair. Of a denied question it looks at no more than maxPairs pairs, in their
// order, to find the first denied one. The error is that of the decision. goOn is that of
// [Snapshot.AllowedWhile].
func (s *Snapshot) Explain(goOn func() bool, q Query, maxPairs int) (Explanation, error) {
	answer, err := s.AllowedWhile(goOn, q)
	if err != nil {
		return Explanation{}, err
	}
	limit := pairLimit(maxPairs)
	if answer.Allowed {
		limit = firstPair
	}
	p, err := s.decidingPair(&pace{goOn: goOn}, &q, limit)
	if err != nil {
		return Explanation{}, err
	}
	if p.decision.Allowed != answer.Allowed {
		return Explanation{Answer: answer, TooFar: true}, nil
	}
	e := Explanation{
		Answer: answer, Src: s.explainEnd(&q.Src, &p.src, &p), Dst: s.explainEnd(&q.Dst, &p.dst, &p),
		Port: p.port, Protocol: p.protocol, Service: p.service, Family: p.family, Decision: p.decision,
		Pair: Query{Src: p.src.alone(&q.Src), Dst: p.dst.alone(&q.Dst), Port: p.port, Protocol: p.protocol},
	}
	e.Dst.Service = p.service
	if len(e.Src.IPs) == 0 && len(e.Dst.IPs) == 0 {
		e.Family, e.Src.Family, e.Dst.Family = 0, 0, 0
	}
	e.Egress = s.explainSide(egress, &p)
	e.Ingress = s.explainSide(ingress, &p)
	return e, nil
}

// alone returns the endpoint that is p and stands for nothing else. asked is the one that p was found by.
func (p *party) alone(asked *Endpoint) Endpoint {
	switch {
	case asked.kind == endpointLabels:
		return *asked
	case p.askedByIP || p.pod == nil:
		return ByIP(p.addressIn(0))
	}
	return ByPod(p.pod.namespace, p.pod.name)
}

// explainEnd returns an end of a pair with all that rules may ask of it.
func (s *state) explainEnd(asked *Endpoint, p *party, of *pair) ExplainedEnd {
	e := ExplainedEnd{Resolved: s.resolve(asked, p, of), IPs: p.addrs}
	if p.askedByIP {
		e.IPs = []netip.Addr{p.addr}
	}
	switch {
	case p.pod != nil:
		e.Labels, e.Ports = labelMap(p.pod.labels), p.pod.ports
	case p.class != nil:
		e.Labels, e.Ports = labelMap(p.class.labels), p.class.ports
	}
	if p.isNode && p.node != (unique.Handle[string]{}) {
		if n, ok := s.nodes.Get(p.node.Value()); ok && n.object != nil {
			e.NodeLabels = n.object.Labels
		}
	}
	if p.pod == nil && p.class == nil {
		e.Labels = e.NodeLabels
	}
	if e.Namespace != "" {
		e.NamespaceLabels = labelMap(s.labelsOf(e.Namespace))
	}
	return e
}

// labelMap returns labels as a map.
func labelMap(labels []label) map[string]string {
	m := make(map[string]string, len(labels))
	for _, l := range labels {
		m[l.key] = l.value
	}
	return m
}
