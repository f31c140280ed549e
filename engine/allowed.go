package engine

import (
	"cmp"
	"net/netip"
	"slices"
)

// Allowed answers a question. The error is nil or a [*QueryError]; the Decision then is the zero one, which
// denies. It is safe for concurrent use. A question between two addresses, or between two Pods by name that
// own all addresses that they report, allocates nothing.
func (s *Snapshot) Allowed(q Query) (Decision, error) { return s.AllowedWhile(nil, q) }

// AllowedWhile is [Snapshot.Allowed], but asks goOn now and then, and gives up with the code [Abandoned] once
// that returns false. Only questions of at least [PairsBetween] pairs ask it. A nil goOn never gives up.
func (s *Snapshot) AllowedWhile(goOn func() bool, q Query) (d Decision, err error) {
	switch {
	case q.Src.kind == endpointIP && q.Dst.kind == endpointIP && q.Src.ip.IsValid() && q.Dst.ip.IsValid():
		if s.decideAddresses(q.Src.ip, q.Dst.ip, q.Port, q.Protocol, &d) {
			return d, nil
		}
	case q.Src.kind == endpointPod && q.Dst.kind == endpointPod:
		err = s.decidePods(&q, &d)
		return d, err
	}
	return s.allowedAny(&pace{goOn: goOn}, &q)
}

// decidePods answers a question between two Pods by name.
func (s *state) decidePods(q *Query, d *Decision) error {
	srcPod, err := s.runningPod(q.Src, false)
	if err != nil {
		return err
	}
	dstPod, err := s.runningPod(q.Dst, true)
	if err != nil {
		return err
	}
	src, dst := s.podParty(srcPod), s.podParty(dstPod)
	s.decidePair(&src, &dst, q.Protocol, q.Port, d)
	return nil
}

// partyAt returns the party that owns an address (S5): an ordinary Pod, a Node, or nothing in the cluster.
func (s *state) partyAt(ip netip.Addr) party { return s.addressParty(ip, s.address(ip)) }

// addressParty returns the party that is asked by the address ip, which a owns; a is nil if nobody in the
// cluster does.
func (s *state) addressParty(ip netip.Addr, a *address) party {
	p := party{askedByIP: true, addr: ip}
	if a != nil {
		p.inCluster, p.isNode, p.node = true, a.pod == nil, a.node()
		if a.pod != nil {
			p.pod, p.class = a.pod, s.classes.At(a.class)
		} else {
			p.nodeClass = s.nodeClassAt(p.node)
		}
	}
	return p
}

// podParty returns the party that is a Pod asked by name. The Pod must not have finished.
func (s *state) podParty(p *pod) party {
	found := party{pod: p, node: p.node, isNode: p.host, inCluster: true, addrs: s.addressesOf(p)}
	if p.class != noClass {
		found.class = s.classes.At(p.class)
	} else {
		found.nodeClass = s.nodeClassAt(p.node)
	}
	return found
}

// translatesTo reports whether an address asked as destination stands for a Service (S24). An address that is
// also a Pod's or a Node's does so only for the Service's own ports, as kube-proxy translates no others.
func (s *state) translatesTo(ip netip.Addr, owner *party, port uint16, protocol Protocol) bool {
	svc, hasPort := s.serviceAt(ip, port, protocol)
	return svc != nil && (hasPort || !owner.inCluster)
}

// runningPod returns the Pod that e names, or the error that it is not known (S27) or has finished (S6). dst
// reports whether e is the destination.
func (s *state) runningPod(e Endpoint, dst bool) (*pod, error) {
	p := s.pod(e.namespace, e.name)
	switch {
	case p == nil:
		return nil, &QueryError{
			NotFound, dst, quoted("Pod", e.namespace, e.name),
			"is not known: check the namespace and the name",
		}
	case p.finished:
		return nil, &QueryError{
			PodFinished, dst, quoted("Pod", e.namespace, e.name),
			"has finished (phase Succeeded or Failed): it has left the network",
		}
	}
	return p, nil
}

// parties returns the parties that an end stands for, at least one. It has several, in order of name, only
// for a workload. A Service is an error: as a source it is none, and a destination is resolved by choose.
func (s *state) parties(e Endpoint, dst bool) ([]party, error) {
	switch e.kind {
	case endpointIP:
		if !e.ip.IsValid() {
			return nil, &QueryError{InvalidQuestion, dst, "address", "is not valid"}
		}
		return []party{s.partyAt(e.ip)}, nil
	case endpointPod:
		p, err := s.runningPod(e, dst)
		if err != nil {
			return nil, err
		}
		return []party{s.podParty(p)}, nil
	case endpointLabels:
		if e.labelled != nil && e.labelled.Namespace == nodeScope {
			return nil, &QueryError{InvalidQuestion, dst, "namespace", "is the name of none"}
		}
		if e.labelled != nil {
			p := party{
				class: s.hypotheticalClass(e.labelled), inCluster: true,
				addrs: addresses([]netip.Addr{e.labelled.IP}),
			}
			return []party{p}, nil
		}
	case endpointWorkload:
		return s.workloadPods(e, dst)
	case endpointService:
		return nil, &QueryError{
			InvalidQuestion, dst, quoted("Service", e.namespace, e.name),
			"cannot open connections: ask about a Pod or a workload as source",
		}
	case endpointNone:
	}
	return nil, &QueryError{
		InvalidQuestion, dst, "endpoint",
		"is missing: give an address, Pod, workload, Service or labels",
	}
}

// workloadPods returns the Pods of a workload that have not finished, in order of name (S27). A workload
// without such Pods is an error (S24).
func (s *state) workloadPods(e Endpoint, dst bool) ([]party, error) {
	w, ok := s.workloads.Get(workloadKey{e.namespace, e.workload, e.name})
	if !ok {
		return nil, &QueryError{
			NotFound, dst, quoted(e.workload, e.namespace, e.name),
			"is not known by any Pod: check the kind, the namespace and the name",
		}
	}
	var pods []*pod
	for name := range w.pods.All() {
		if p := s.pod(e.namespace, name); !p.finished {
			pods = append(pods, p)
		}
	}
	if len(pods) == 0 {
		return nil, &QueryError{
			WorkloadFinished, dst, quoted(e.workload, e.namespace, e.name),
			"has no Pods left: all have finished",
		}
	}
	slices.SortFunc(pods, func(a, b *pod) int { return cmp.Compare(a.name, b.name) })
	list := make([]party, len(pods))
	for i, p := range pods {
		list[i] = s.podParty(p)
	}
	return list, nil
}

// allowedAny answers any question: every pair of a source and a destination by itself, and then all together.
// Errors of the source come before those of the destination (S27).
func (s *state) allowedAny(p *pace, q *Query) (Decision, error) {
	src, err := s.parties(q.Src, false)
	if err != nil {
		return Decision{}, err
	}
	if svc, err := s.destinationService(q); err != nil {
		return Decision{}, err
	} else if svc != nil {
		return s.decideService(p, src, svc, q)
	}
	dst, err := s.parties(q.Dst, true)
	if err != nil {
		return Decision{}, err
	}
	t, known := tally{families: IPv4 | IPv6}, pairMemo{known: map[pairKey]*Decision{}}
	for i := range src {
		for j := range dst {
			if !p.next() {
				return Decision{}, abandoned
			}
			t.add(known.decide(s, &src[i], &dst[j], q.Protocol, q.Port))
		}
	}
	d := t.decision()
	if q.Src.kind != endpointWorkload && q.Dst.kind != endpointWorkload {
		d.BackendsAllowed, d.BackendsTotal = 0, 0
	}
	if q.Src.kind == endpointIP && q.Dst.kind == endpointIP {
		d.Families = 0
	}
	return d, nil
}

// abandoned is the error of a question that was given up. It is shared and must not be modified.
var abandoned = &QueryError{
	Code: Abandoned, Subject: "question", Detail: "was given up: the caller did not wait",
}

// A pairMemo remembers the decisions of one question's pairs, so that large workloads are decided class by
// class: two workloads of 1,000 replicas are a million pairs, and often one decision.
type pairMemo struct {
	known map[pairKey]*Decision
	// own is the last decision of a pair that was decided by itself.
	own Decision
}

// A pairKey is all that tells pairs apart if no address takes part and no side is exempt.
type pairKey struct {
	src, dst *class
	families Families
}

// decide calls [decidePair], once for all pairs that no rule tells apart. Pairs that may be exempt (S2, S3)
// and pairs whose addresses take part are decided each by itself. The Decision must not be modified, and is valid until
// the next call.
func (a *pairMemo) decide(s *state, src, dst *party, protocol Protocol, port uint16) *Decision {
	special := src.isNode || dst.isNode || src.pod != nil && src.pod == dst.pod
	if special || s.asksAddress(src.class, egress) || s.asksAddress(dst.class, ingress) {
		a.own = Decision{}
		s.decidePair(src, dst, protocol, port, &a.own)
		return &a.own
	}
	key := pairKey{src.class, dst.class, pairFamilies(src, dst)}
	d := a.known[key]
	if d == nil {
		d = &Decision{}
		s.decidePair(src, dst, protocol, port, d)
		a.known[key] = d
	}
	return d
}

// A tally adds up the decisions of pairs, and allows if all pairs are allowed (S24, S27). Its families must
// begin with both, as each pair takes some away.
type tally struct {
	allowed, total uint32
	families       Families // in which all pairs so far are allowed
	// first is the decision of the first pair, and denied that of the first pair that is denied.
	first, denied Decision
	// deniedAt is the index of denied among the pairs.
	deniedAt uint32
	// familyIndex and family are set for one source and a Service: which list of [choice] was decided, and in
	// which family, 0 if no address takes part.
	familyIndex uint8
	family      Families
}

// add adds the decision of the next pair.
func (t *tally) add(d *Decision) {
	if t.total == 0 {
		t.first = *d
	}
	if d.Allowed {
		t.allowed++
	} else if t.allowed == t.total {
		t.denied, t.deniedAt = *d, t.total
	}
	t.total++
	t.families &= d.Families
}

// merge adds the pairs of another tally after those of t. It does not keep deniedAt, familyIndex and family.
func (t *tally) merge(o *tally) {
	if t.total == 0 {
		t.first = o.first
	}
	if t.allowed == t.total {
		t.denied = o.denied
	}
	t.allowed += o.allowed
	t.total += o.total
	t.families &= o.families
}

// decision returns the decision of all pairs: that of the first denied pair, or else of the first pair.
func (t *tally) decision() Decision {
	d := t.first
	d.Families = t.families
	if t.allowed < t.total {
		d = t.denied
		d.Families = 0
	}
	d.BackendsAllowed, d.BackendsTotal = t.allowed, t.total
	return d
}
