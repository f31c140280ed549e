package engine

import (
	"cmp"
	"net/netip"
	"slices"
)

// Allowed answers a question. The error is always a [*QueryError]. A question between two addresses, or two Pods by name
// that hold all addresses they report, allocates nothing.
func (s *Snapshot) Allowed(q Query) (Decision, error) {
	if q.Src.ip.IsValid() && q.Dst.ip.IsValid() {
		src := s.byIP(q.Src.ip)
		if dst := s.byIP(q.Dst.ip); !s.isService(q.Dst.ip, &dst, q.Port, q.Protocol) {
			out, _ := decidePair(&src, &dst, q.Protocol, q.Port, s.options)
			return out.decision(0), nil
		}
	}
	if q.Src.kind == endpointPod && q.Dst.kind == endpointPod {
		return s.betweenPods(&q)
	}
	return s.allowedAny(&q)
}

func (s *state) betweenPods(q *Query) (Decision, error) {
	srcPod, err := s.running(q.Src, false)
	if err != nil {
		return Decision{}, err
	}
	dstPod, err := s.running(q.Dst, true)
	if err != nil {
		return Decision{}, err
	}
	src, dst := s.byPod(srcPod), s.byPod(dstPod)
	out, families := decidePair(&src, &dst, q.Protocol, q.Port, s.options)
	return out.decision(families), nil
}

// byIP is whatever owns an address (S5).
func (s *state) byIP(ip netip.Addr) party {
	p := party{byIP: true, addr: ip}
	if a := s.address(ip); a != nil {
		p.inCluster, p.isNode, p.node = true, a.ofNode, a.node
		if a.pod != nil {
			p.pod, p.class = a.pod, s.classes.At(a.class)
		}
	}
	return p
}

// byPod is a Pod that has not finished.
func (s *state) byPod(p *pod) party {
	end := party{pod: p, node: p.node, isNode: p.host, inCluster: true, addrs: s.addressesOf(p)}
	if p.class != noClass {
		end.class = s.classes.At(p.class)
	}
	return end
}

// isService tells whether an address asked as destination stands for a Service: a Pod's never does, a Node's only for the
// Service's own ports (S24).
func (s *state) isService(ip netip.Addr, owner *party, port uint16, protocol Protocol) bool {
	if s.vips.Len() == 0 || owner.class != nil {
		return false
	}
	svc, hasPort := s.serviceAt(ip, port, protocol)
	return svc != nil && (hasPort || !owner.inCluster)
}

// running finds a Pod by name (S6, S27).
func (s *state) running(e Endpoint, dst bool) (*pod, error) {
	p := s.pod(e.namespace, e.name)
	switch {
	case p == nil:
		return nil, &QueryError{NotFound, dst, quoted("Pod", e.namespace, e.name), "is not known: check the namespace and the name"}
	case p.finished:
		return nil, &QueryError{PodFinished, dst, quoted("Pod", e.namespace, e.name), "has finished (phase Succeeded or Failed): it has left the network"}
	}
	return p, nil
}

// parties resolves an end that is no Service. The list has several, in order of name, only for a workload.
func (s *state) parties(e Endpoint, dst bool) ([]party, error) {
	switch e.kind {
	case endpointIP:
		if !e.ip.IsValid() {
			return nil, &QueryError{InvalidQuestion, dst, "address", "is not valid"}
		}
		return []party{s.byIP(e.ip)}, nil
	case endpointPod:
		p, err := s.running(e, dst)
		if err != nil {
			return nil, err
		}
		return []party{s.byPod(p)}, nil
	case endpointLabels:
		if e.labelled != nil {
			p := party{class: s.hypothetical(e.labelled), inCluster: true, addrs: addresses([]netip.Addr{e.labelled.IP})}
			return []party{p}, nil
		}
	case endpointWorkload:
		return s.workloadPods(e, dst)
	case endpointService:
		return nil, &QueryError{InvalidQuestion, dst, quoted("Service", e.namespace, e.name), "cannot open connections: ask about a Pod or a workload as source"}
	case endpointNone:
	}
	return nil, &QueryError{InvalidQuestion, dst, "endpoint", "is missing: give an address, Pod, workload, Service or labels"}
}

// workloadPods are the Pods of a workload that have not finished (S27).
func (s *state) workloadPods(e Endpoint, dst bool) ([]party, error) {
	w, ok := s.workloads.Get(workloadKey{e.namespace, e.workload, e.name})
	if !ok {
		return nil, &QueryError{NotFound, dst, quoted(e.workload, e.namespace, e.name), "is not known by any Pod: check the kind, the namespace and the name"}
	}
	var pods []*pod
	for name := range w.pods.All() {
		if p := s.pod(e.namespace, name); !p.finished {
			pods = append(pods, p)
		}
	}
	if len(pods) == 0 {
		return nil, &QueryError{WorkloadFinished, dst, quoted(e.workload, e.namespace, e.name), "has no Pods left: all have finished"}
	}
	slices.SortFunc(pods, func(a, b *pod) int { return cmp.Compare(a.name, b.name) })
	list := make([]party, len(pods))
	for i, p := range pods {
		list[i] = s.byPod(p)
	}
	return list, nil
}

// allowedAny answers any question, through lists of ends.
func (s *state) allowedAny(q *Query) (Decision, error) {
	src, err := s.parties(q.Src, false)
	if err != nil {
		return Decision{}, err
	}
	if svc, err := s.asService(q); err != nil {
		return Decision{}, err
	} else if svc != nil {
		return s.toService(src, svc, q)
	}
	dst, err := s.parties(q.Dst, true)
	if err != nil {
		return Decision{}, err
	}
	t, known := tally{families: IPv4 | IPv6}, alike{}
	for i := range src {
		for j := range dst {
			out, families := known.decidePair(&src[i], &dst[j], q.Protocol, q.Port, s.options)
			t.add(&out, families)
		}
	}
	d := t.decision()
	if q.Src.kind != endpointWorkload && q.Dst.kind != endpointWorkload {
		d.BackendsAllowed, d.BackendsTotal = 0, 0
	}
	return d, nil
}

// alike remembers the outcomes of one question's pairs, so that large workloads are decided class by class.
type alike map[alikeKey]alikeOutcome

type alikeKey struct {
	src, dst *class
	families Families
}

type alikeOutcome struct {
	outcome
	families Families
}

// decidePair is [decidePair], once for all pairs that no rule can tell apart.
func (a alike) decidePair(src, dst *party, protocol Protocol, port uint16, o Options) (outcome, Families) {
	special := src.isNode || dst.isNode || src.pod != nil && src.pod == dst.pod
	if special || src.class.asksAddress(egress) || dst.class.asksAddress(ingress) {
		return decidePair(src, dst, protocol, port, o)
	}
	key := alikeKey{src.class, dst.class, pairFamilies(src, dst)}
	known, ok := a[key]
	if !ok {
		known.outcome, known.families = decidePair(src, dst, protocol, port, o)
		a[key] = known
	}
	return known.outcome, known.families
}

// tally adds up the outcomes of pairs: allowed when all of them are.
type tally struct {
	allowed, total uint32
	families       Families // those in which all pairs so far are allowed
	first, denied  outcome
}

func (t *tally) add(out *outcome, families Families) {
	if t.total == 0 {
		t.first = *out
	}
	if out.allowed {
		t.allowed++
	} else if t.allowed == t.total {
		t.denied = *out
	}
	t.total++
	t.families &= families
}

// join adds another tally.
func (t *tally) join(o *tally) {
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

func (t *tally) decision() Decision {
	out := &t.first
	if t.allowed < t.total {
		out, t.families = &t.denied, 0
	}
	d := out.decision(t.families)
	d.BackendsAllowed, d.BackendsTotal = t.allowed, t.total
	return d
}
