package engine

import (
	"math"
	"net/netip"
	"unique"
)

// Details is what a person may want to know beside a decision: what its two ends turned out to be, and what
// the asker may not know. It never changes a verdict.
type Details struct {
	// Src and Dst are the ends of the pair that the decision's Reason and Sides are about.
	Src, Dst Resolved
	// Port and Protocol are as decided on that pair: behind a Service, the endpoint's port.
	Port     uint16
	Protocol Protocol
	// Notes are in a fixed order: by code, and of the source before the destination.
	Notes []Note
}

// Resolved is what one end of a pair turned out to be. Fields that do not apply are zero.
type Resolved struct {
	Kind ResolvedKind
	// Namespace and Name are the Pod's. A LabelledPod has a namespace alone.
	Namespace, Name string
	// Workload is the one that was asked, or else the topmost that the Pod belongs to.
	Workload Workload
	// Service is the one that was asked by name or by one of its addresses; nil for none. It must not be
	// modified.
	Service *Service
	// Node is the Node itself, or where the Pod runs.
	Node string
	// IP is the address that was asked, or else the first one in Family; not valid for an end without one.
	IP netip.Addr
	// Family is the address family that the pair was decided in; 0 if no address took part (S9).
	Family Families
	// Created is when the Pod was created, in Unix seconds; 0 if that is not known, and for what is no Pod.
	Created int64
	// NewestPolicy is when the newest of the policies was created, of any tier, that restrict this end in the
	// direction of the connection, in Unix seconds; 0 if none does, or if none says. [Snapshot.Details] alone
	// fills it.
	NewestPolicy int64
}

// ResolvedKind is the kind of a [Resolved].
type ResolvedKind uint8

// The kinds of what an end turns out to be.
const (
	// ResolvedNothing is the kind of the zero Resolved.
	ResolvedNothing ResolvedKind = iota
	// ResolvedPod is a Pod that policies can select.
	ResolvedPod
	// ResolvedHostNetworkPod is a Pod on the host network, asked by name (S4).
	ResolvedHostNetworkPod
	// ResolvedNode is a Node, by one of its addresses (S5).
	ResolvedNode
	// ResolvedExternal is an address of no Pod and no Node (S5).
	ResolvedExternal
	// ResolvedHypothetical is a LabelledPod.
	ResolvedHypothetical
)

// Details returns the details of the decision that [Snapshot.Allowed] makes of q. It decides anew, and
// allocates. The error is that of the decision. goOn is that of [Snapshot.AllowedWhile].
func (s *Snapshot) Details(goOn func() bool, q Query) (Details, error) {
	p, err := s.decidingPair(&pace{goOn: goOn}, &q, allPairs)
	if err != nil {
		return Details{}, err
	}
	d := Details{
		Src: s.resolve(&q.Src, &p.src, &p), Dst: s.resolve(&q.Dst, &p.dst, &p),
		Port: p.port, Protocol: q.Protocol,
	}
	if !d.Src.IP.IsValid() && !d.Dst.IP.IsValid() {
		d.Src.Family, d.Dst.Family = 0, 0
	}
	d.Src.NewestPolicy = s.newestRestricting(egress, &p.src)
	d.Dst.NewestPolicy = s.newestRestricting(ingress, &p.dst)
	d.Dst.Service = p.service
	if q.Src.kind == endpointIP && !p.src.inCluster { // a Service's address is external as source (S24)
		d.Src.Service, _ = s.serviceAt(q.Src.ip, q.Port, q.Protocol)
	}
	d.Notes = s.notes(&q, &p)
	return d, nil
}

// A pair is a source and a destination, and what was decided about them. Its port is never 0, which marks
// that there is none yet.
type pair struct {
	src, dst party
	port     uint16
	protocol Protocol
	// family is the one whose addresses took part, the first of several; 0 for none.
	family Families
	// service is the one that stood for dst; nil for none.
	service  *Service
	decision Decision
}

// A pairLimit is how many pairs of a question are looked at for a denied one.
type pairLimit int

// The limits without a number.
const (
	allPairs pairLimit = math.MaxInt
	// firstPair is for a question of which all pairs are allowed.
	firstPair pairLimit = 1
)

// decidingPair returns the pair that Reason and Sides of q's decision are about: the first denied one, or
// else the first. It looks at a limited number of pairs.
func (s *state) decidingPair(p *pace, q *Query, limit pairLimit) (pair, error) {
	src, err := s.parties(q.Src, false)
	if err != nil {
		return pair{}, err
	}
	svc, err := s.destinationService(q)
	if err != nil {
		return pair{}, err
	} else if svc != nil {
		return s.decidingBackend(p, src, svc, q, limit)
	}
	dst, err := s.parties(q.Dst, true)
	if err != nil {
		return pair{}, err
	}
	var first pair
	known := pairMemo{known: map[pairKey]*Decision{}}
	for i := range src {
		for j := range dst {
			if limit == 0 {
				return first, nil
			}
			if !p.next() {
				return pair{}, abandoned
			}
			limit--
			d := known.decide(s, &src[i], &dst[j], q.Protocol, q.Port)
			if d.Allowed && first.port != 0 {
				continue
			}
			first = pair{src: src[i], dst: dst[j], port: q.Port, protocol: q.Protocol, decision: *d}
			first.family = d.Families
			if !d.Allowed {
				first.family = pairFamilies(&src[i], &dst[j])
			}
			if first.family&IPv4 != 0 {
				first.family = IPv4
			}
			if !d.Allowed {
				return first, nil
			}
		}
	}
	return first, nil
}

// decidingBackend is decidingPair for a destination that a Service stands for: the pair of a source and one
// backend.
func (s *state) decidingBackend(
	p *pace, src []party, o *Service, q *Query, limit pairLimit,
) (pair, error) {
	c, err := s.choose(o, q)
	if err != nil {
		return pair{}, err
	}
	var first pair
	for i := range src {
		t, decided := c.decide(s, p, &src[i], q)
		if !decided {
			return pair{}, abandoned
		}
		denied := t.allowed < t.total && pairLimit(t.deniedAt) < limit
		if denied || first.port == 0 {
			end := &c.backends[t.familyIndex][0]
			first = pair{src: src[i], protocol: q.Protocol, family: t.family, service: o, decision: t.first}
			if denied {
				end, first.decision = &c.backends[t.familyIndex][t.deniedAt], t.denied
			}
			first.dst, first.port = end.party, end.port
		}
		if limit -= pairLimit(t.total); denied || limit <= 0 {
			break
		}
	}
	return first, nil
}

// resolve returns what an end of a pair turned out to be.
func (s *state) resolve(asked *Endpoint, p *party, of *pair) Resolved {
	r := Resolved{Family: of.family, IP: p.addressIn(of.family)}
	if p.node != (unique.Handle[string]{}) {
		r.Node = p.node.Value()
	}
	switch {
	case asked.kind == endpointLabels:
		r.Kind, r.Namespace = ResolvedHypothetical, asked.labelled.Namespace
	case p.pod != nil:
		r.Kind, r.Namespace, r.Name, r.Created = ResolvedPod, p.pod.namespace, p.pod.name, p.pod.created
		if p.pod.host {
			r.Kind = ResolvedHostNetworkPod
		}
		if n := len(p.pod.workloads); n > 0 {
			r.Workload = p.pod.workloads[n-1]
		}
		if asked.kind == endpointWorkload {
			r.Workload = Workload{Kind: asked.workload, Name: asked.name}
		}
	case p.isNode:
		r.Kind = ResolvedNode
	default:
		r.Kind = ResolvedExternal
	}
	return r
}

// newestRestricting returns when the newest policy that restricts a party in direction d was created; 0 if none
// does.
func (s *state) newestRestricting(d direction, p *party) int64 {
	if !p.class.restricted(d) {
		return 0
	}
	var newest int64
	found := s.selectionOf(p.class.namespace, p.podLabels())
	for _, list := range [...][]*policy{found.clusterPolicies, found.policies} {
		for _, o := range list {
			if o.isolates[d] {
				newest = max(newest, o.created())
			}
		}
	}
	return newest
}

// addressIn returns the address that p was asked by, or its first one in a family; of any family for 0.
func (p *party) addressIn(family Families) netip.Addr {
	if p.askedByIP {
		return p.addr
	}
	for _, ip := range p.addrs {
		if family == 0 || familyOf(ip) == family {
			return ip
		}
	}
	return netip.Addr{}
}
