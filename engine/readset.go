package engine

import (
	"net/netip"
	"slices"
	"unique"
)

// QueryKey is a [Query] as a comparable value that is quick to hash. Equal keys mean the same question. It
// holds no pointer into a snapshot.
type QueryKey struct {
	srcNamespace, srcName, srcWorkload string
	dstNamespace, dstName, dstWorkload string
	// src and dst are addresses, zero for an end of another kind.
	src, dst         [16]byte
	port             uint16
	srcKind, dstKind endpointKind
	protocol         Protocol
}

// Key returns the key of the question, and whether it has one. It has none if an end is a LabelledPod, is
// missing, or has an address with a zone.
func (q *Query) Key() (QueryKey, bool) {
	k := QueryKey{
		srcNamespace: q.Src.namespace, srcName: q.Src.name, srcWorkload: q.Src.workload,
		dstNamespace: q.Dst.namespace, dstName: q.Dst.name, dstWorkload: q.Dst.workload,
		port: q.Port, srcKind: q.Src.kind, dstKind: q.Dst.kind, protocol: q.Protocol,
	}
	var src, dst bool
	k.src, src = q.Src.keyPart()
	k.dst, dst = q.Dst.keyPart()
	return k, src && dst
}

// keyPart returns the part of the key that an end's names do not give: its address. It reports whether the
// end has a key.
func (e *Endpoint) keyPart() (ip [16]byte, ok bool) {
	switch e.kind {
	case endpointIP:
		return e.ip.As16(), e.ip.IsValid() && e.ip.Zone() == ""
	case endpointPod, endpointWorkload, endpointService:
		return ip, true
	case endpointNone, endpointLabels:
	}
	return ip, false
}

// FansOut reports whether an end of a question may stand for several Pods: a workload, or a Service by name
// or by address. The answer is then made of many decisions, and worth remembering.
func (s *Snapshot) FansOut(q *Query) bool {
	switch q.Dst.kind {
	case endpointWorkload, endpointService:
		return true
	case endpointIP:
		if s.isServiceAddress(q.Dst.ip) {
			return true
		}
	case endpointNone, endpointPod, endpointLabels:
	}
	return q.Src.kind == endpointWorkload
}

// isServiceAddress reports whether an address is a Service's. It asks what decisions read first: a direct address is no
// Service's (see [notDirect]), and the decision reads the same cache line next.
func (s *state) isServiceAddress(ip netip.Addr) bool {
	if s.direct(ip)&notDirect == 0 {
		return false
	}
	return s.vips.Find(ip) != nil
}

// A ReadSet is what the decision of a question was computed from: the immutable records that its ends led to,
// by identity.
//
//	svc/shop/web ─► *service ─► *EndpointSlice ─► 10.0.0.9 ─► { *pod, *class }
//	                                              10.0.0.7 ─► { *pod, *class }
//
// A decision is a function of these records and the question alone. So it is the decision of every [Snapshot]
// that still has them ([Snapshot.StillHolds]), whatever else has changed, and nothing need be invalidated
// (S29).
//
// A ReadSet is immutable. It keeps the records in memory, 24 bytes and up for each, but no Snapshot.
type ReadSet struct {
	options Options
	records []record
}

// Records returns the number of records, of 24 bytes each.
func (r *ReadSet) Records() int { return len(r.records) }

// A record is one step on the way from a question to its decision. The zero record says that nothing was
// found.
type record struct {
	// object is a *pod, *claims, *workload, *service or *EndpointSlice.
	object any
	// class is that of a Pod or of a Node (S38). It stands for all policies that concern the Pod and for the
	// labels of its Namespace: when one of them changes, the class is replaced.
	class *class
}

// ReadSet returns what the decision of the question is computed from, and whether there is such a set. There
// is none for a question with a LabelledPod or a missing end. Nor is there one for a Pod by name that is not
// there, that has lost an address to another (S7), or that is on the host network and reports no address.
func (s *Snapshot) ReadSet(q *Query) (ReadSet, bool) {
	var few [16]record
	t := tracer{state: &s.state, collects: true, records: few[:0]}
	t.visitQuestion(q)
	if t.differs {
		return ReadSet{}, false
	}
	return ReadSet{s.options, slices.Clone(t.records)}, true
}

// StillHolds reports whether s still has all that a decision of the question was computed from, so that s
// would decide the same (S29). It follows the question's ends to the Pods that they stand for, and asks no
// policy.
func (s *Snapshot) StillHolds(q *Query, r *ReadSet) bool {
	if r.options != s.options {
		return false
	}
	t := tracer{state: &s.state, records: r.records}
	t.visitQuestion(q)
	return !t.differs && t.at == len(r.records)
}

// A tracer follows a question to all that its decision is computed from, always in the same order. It either
// collects the records, compares them with those collected before, or yields the parts of the state instead
// (see [Part]).
//
// Each record says how many follow it: a workload has its Pods, a Service its slices, a slice its endpoints.
// So two traces are equal only if all ends lead to the same.
//
// Invariant: whatever a decision reads of the state is visited here, or a remembered decision would outlive
// it.
type tracer struct {
	*state
	yield    func(Part) // nil unless parts are yielded; then there are no records
	collects bool       // otherwise it compares
	records  []record
	at       int // the next record to compare with
	// differs reports whether the trace is another, or there is none.
	differs bool
}

// stopped reports whether there is no use in going on: there is no trace, or it is another.
func (t *tracer) stopped() bool { return t.differs && t.yield == nil }

// part yields a part of the state, if parts are wanted.
func (t *tracer) part(p Part) {
	if t.yield != nil {
		t.yield(p)
	}
}

// visit collects a record, or compares it with the next one.
func (t *tracer) visit(r record) {
	switch {
	case t.yield != nil:
	case t.collects:
		t.records = append(t.records, r)
	case t.at < len(t.records) && t.records[t.at] == r:
		t.at++
	default:
		t.differs = true
	}
}

// visitQuestion visits both ends and, for a destination by address, the Services that it may stand for (S24).
// Which of them it is depends on their ports, so all are visited.
func (t *tracer) visitQuestion(q *Query) {
	t.visitEndpoint(&q.Src)
	t.visitEndpoint(&q.Dst)
	if q.Dst.kind != endpointIP {
		return
	}
	if keys := t.vips.Find(q.Dst.ip); keys != nil {
		for _, key := range *keys {
			t.visitService(key)
		}
	}
}

// visitEndpoint visits one end of the question.
func (t *tracer) visitEndpoint(e *Endpoint) {
	switch e.kind {
	case endpointIP:
		t.visitAddress(e.ip)
	case endpointPod:
		t.visitPod(nameKey{e.namespace, e.name})
	case endpointWorkload:
		t.visitWorkload(workloadKey{e.namespace, e.workload, e.name})
	case endpointService:
		t.visitService(nameKey{e.namespace, e.name})
	case endpointNone, endpointLabels:
		t.differs = true
	}
}

// visitAddress visits the owner of an address (S5): a Pod or, for a Node, the claims of which the best is the
// Node's.
func (t *tracer) visitAddress(ip netip.Addr) {
	t.part(addressPart(ip))
	switch a := t.address(ip); {
	case a == nil:
		t.visit(record{})
	case a.pod != nil:
		t.visit(record{a.pod, t.classOf(a.pod)})
	default:
		t.visit(record{a.claims, t.nodeClass(a.node())})
	}
}

// classOf returns the class of a Pod, or that of its Node for one on the host network.
func (t *tracer) classOf(p *pod) *class {
	if p.class == noClass {
		return t.nodeClass(p.node)
	}
	t.part(classPart(p.class))
	return t.classes.At(p.class)
}

// nodeClass returns the class of a Node, or nil if it has none. The class is replaced when the Node's labels
// change, or the rules that ask for them (S38).
func (t *tracer) nodeClass(name unique.Handle[string]) *class {
	t.partOfNode(name)
	if c := t.nodeClassAt(name); c != nil {
		return c.cold
	}
	return nil
}

// visitPod visits a Pod by name, which need not be there. All addresses that it reports must be its own or, on
// the host network, no other Pod's: only then is it decided by just these (S7).
func (t *tracer) visitPod(key nameKey) {
	t.part(podPart(key))
	p := t.pod(key.namespace, key.name)
	if p == nil || p.host && len(p.ips) == 0 {
		t.differs = true
		if p != nil && t.yield != nil {
			t.partsOfNodeAddresses(p.node)
		}
		return
	}
	t.visit(record{p, t.classOf(p)})
	if p.finished {
		return // it has no addresses (S6)
	}
	for _, ip := range p.ips {
		t.part(addressPart(ip))
		if a := t.address(ip); a == nil || a.pod != p && (a.pod != nil || !p.host) {
			if t.differs = true; t.stopped() {
				return
			}
		}
	}
}

// visitWorkload visits a workload, whose record says which Pods it has, and the Pods.
func (t *tracer) visitWorkload(key workloadKey) {
	t.part(Part{kind: partWorkload, namespace: key.namespace, workload: key.kind, name: key.name})
	w, _ := t.workloads.Get(key)
	t.visit(record{object: w})
	if w == nil {
		return
	}
	for name := range w.pods.All() {
		if t.stopped() {
			return
		}
		t.visitPod(nameKey{key.namespace, name})
	}
}

// visitService visits a Service, whose record says which slices it has, the slices, and the owners of their
// endpoints.
func (t *tracer) visitService(key nameKey) {
	t.part(Part{kind: partService, namespace: key.namespace, name: key.name})
	svc, _ := t.services.Get(key)
	t.visit(record{object: svc})
	if svc == nil {
		return
	}
	for _, name := range svc.slices {
		slice, _ := t.slices.Get(nameKey{key.namespace, name})
		t.part(Part{kind: partSlice, namespace: key.namespace, name: name})
		t.visit(record{object: slice})
		for i := range slice.Endpoints {
			if t.stopped() {
				return
			}
			if e := &slice.Endpoints[i]; e.Addr.IsValid() {
				t.visitAddress(e.Addr.Unmap())
			} else if named := (nameKey{key.namespace, e.Pod}); t.pod(named.namespace, named.name) != nil {
				t.visitPod(named)
			} else {
				t.part(podPart(named))
				t.visit(record{})
			}
		}
	}
}
