package engine

import (
	"net/netip"
	"slices"
	"unique"
)

// QueryKey is a [Query] as a comparable value that is quick to hash. Equal keys mean the same question.
type QueryKey struct {
	srcNamespace, srcName, srcWorkload string
	dstNamespace, dstName, dstWorkload string
	// src and dst are addresses; which end has one is told by its kind.
	src, dst         [16]byte
	port             uint16
	srcKind, dstKind endpointKind
	protocol         Protocol
}

// Key returns the key of the question. It has none, and the result is false, where an end is given by labels or is none, or its address
// has a zone.
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

// keyPart is the part of an end's key that its names do not tell, and whether it has a key.
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

// FansOut reports whether an end of a question stands for several Pods: a workload, or a Service by name or by address.
// Deciding is then many decisions in one.
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

// isServiceAddress reports whether an address is a Service's. A direct one is none (see [directClasses]), and the decision reads
// next what says so.
func (s *state) isServiceAddress(ip netip.Addr) bool {
	if ip.Is4() && s.directV4.Get(ipv4Key(ip))&notDirect == 0 {
		return false
	}
	return s.vips.Find(ip) != nil
}

// A ReadSet is what the decision of a question was computed from: by identity, the immutable records that its ends led to. A
// decision is a function of them and the question alone, so that it is the decision of every [Snapshot] that still has
// them ([Snapshot.StillHolds]), whatever else has changed.
//
// A ReadSet is immutable. It keeps the records in memory, 24 bytes and up for each, but no Snapshot.
type ReadSet struct {
	options Options
	records []record
}

// Records is how many records it holds, of 24 bytes each.
func (r *ReadSet) Records() int { return len(r.records) }

// record is one step on the way from a question to its decision; the zero record is that there was nothing.
type record struct {
	// object is a *pod, *claims, *workload, *service or *EndpointSlice.
	object any
	// class is that of a Pod. It stands for all policies that concern the Pod, and for its Namespace's labels: when they
	// change, it is replaced.
	class *class
}

// ReadSet returns what the decision of the question is computed from. There is none, and the result is false, for a question
// with an end by labels, or none, and where a Pod by name is not there, has lost an address to another (S7) or, on the host
// network, has none of its own.
func (s *Snapshot) ReadSet(q *Query) (ReadSet, bool) {
	var few [16]record
	t := tracer{state: &s.state, collects: true, records: few[:0]}
	t.visitQuestion(q)
	if t.differs {
		return ReadSet{}, false
	}
	return ReadSet{s.options, slices.Clone(t.records)}, true
}

// StillHolds reports whether s has all that a decision of the question was computed from, so that it is the decision of s (S29). It
// follows the question's ends to the Pods that they stand for, and asks no policy.
func (s *Snapshot) StillHolds(q *Query, r *ReadSet) bool {
	if r.options != s.options {
		return false
	}
	t := tracer{state: &s.state, records: r.records}
	t.visitQuestion(q)
	return !t.differs && t.at == len(r.records)
}

// tracer follows a question to all that its decision is computed from, always in the same order: each record tells how many
// follow it, so that two traces are equal only where all ends lead to the same.
type tracer struct {
	*state
	// collects: records are collected, or else compared with.
	collects bool
	records  []record
	at       int
	// differs: there is no trace, or it is another.
	differs bool
}

func (t *tracer) visit(r record) {
	switch {
	case t.collects:
		t.records = append(t.records, r)
	case t.at < len(t.records) && t.records[t.at] == r:
		t.at++
	default:
		t.differs = true
	}
}

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

func (t *tracer) visitEndpoint(e *Endpoint) {
	switch e.kind {
	case endpointIP:
		t.visitAddress(e.ip)
	case endpointPod:
		t.visitPod(t.pod(e.namespace, e.name))
	case endpointWorkload:
		t.visitWorkload(workloadKey{e.namespace, e.workload, e.name})
	case endpointService:
		t.visitService(nameKey{e.namespace, e.name})
	case endpointNone, endpointLabels:
		t.differs = true
	}
}

// visitAddress meets whatever owns an address (S5): a Pod, or the claims of which the best is a Node's.
func (t *tracer) visitAddress(ip netip.Addr) {
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
	return t.classes.At(p.class)
}

// nodeClass returns the class of a Node, which is replaced when its labels or the rules that ask for them change (S38); nil if
// there is none.
func (t *tracer) nodeClass(name unique.Handle[string]) *class {
	if c := t.nodeClassAt(name); c != nil {
		return c.cold
	}
	return nil
}

// pod meets a Pod by name. All addresses that it reports must be its own or, on the host network, no other Pod's: then they
// are what it is decided by (S7).
func (t *tracer) visitPod(p *pod) {
	if p == nil || p.host && len(p.ips) == 0 {
		t.differs = true
		return
	}
	t.visit(record{p, t.classOf(p)})
	if p.finished {
		return // has no addresses, and counts nowhere
	}
	for _, ip := range p.ips {
		if a := t.address(ip); a == nil || a.pod != p && (a.pod != nil || !p.host) {
			t.differs = true
			return
		}
	}
}

// visitWorkload meets the workload, which tells which Pods it has, and them.
func (t *tracer) visitWorkload(key workloadKey) {
	w, _ := t.workloads.Get(key)
	t.visit(record{object: w})
	if w == nil {
		return
	}
	for name := range w.pods.All() {
		if t.differs {
			return
		}
		t.visitPod(t.pod(key.namespace, name))
	}
}

// visitService meets the Service, which tells which slices it has, them, and whatever owns the endpoints that they tell.
func (t *tracer) visitService(key nameKey) {
	svc, _ := t.services.Get(key)
	t.visit(record{object: svc})
	if svc == nil {
		return
	}
	for _, name := range svc.slices {
		slice, _ := t.slices.Get(nameKey{key.namespace, name})
		t.visit(record{object: slice})
		for i := range slice.Endpoints {
			if t.differs {
				return
			}
			if e := &slice.Endpoints[i]; e.Addr.IsValid() {
				t.visitAddress(e.Addr.Unmap())
			} else if p := t.pod(key.namespace, e.Pod); p != nil {
				t.visitPod(p)
			} else {
				t.visit(record{})
			}
		}
	}
}
