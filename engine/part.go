package engine

import (
	"net/netip"
	"unique"
)

// A Part names a part of a cluster's state: an address and who owns it, a class of Pods, an object. A decision is
// computed from a few parts, which [Snapshot.EachPart] yields for each end. If a later snapshot decides otherwise,
// [Snapshot.EachChangedPart] yields one of them.
//
//	10.0.0.9 ─► the address 10.0.0.9, and the class of the Pod that owns it
//
// So whoever keeps decisions finds those that a change may concern by looking up what it changed. Unlike a
// [ReadSet], a Part has no record of a snapshot, and costs no memory of one. Parts are comparable; equal parts are
// the same.
type Part struct {
	kind partKind
	// class is the id of a class.
	class uint32
	ip    netip.Addr
	// workload is the kind of the workload that name names.
	namespace, name, workload string
}

// A partKind says which fields of a [Part] are set.
type partKind uint8

const (
	// partAddress is an address: who owns it, and which Services have it.
	partAddress partKind = iota
	// partClass is a class of Pods or Nodes: all policies that concern them, and the labels of their Namespace. It
	// stands for what an id means: another class that takes over the id is a change.
	partClass
	partPod
	partWorkload
	partService
	partSlice
	// partNode is a Node: its addresses, and its class.
	partNode
	// partNamespace is the labels of a Namespace.
	partNamespace
	// partPolicies is all policies of every kind.
	partPolicies
)

func addressPart(ip netip.Addr) Part { return Part{kind: partAddress, ip: ip} }
func classPart(id uint32) Part       { return Part{kind: partClass, class: id} }
func podPart(key nameKey) Part {
	return Part{kind: partPod, namespace: key.namespace, name: key.name}
}

// Address returns the address that the part is; false if it is another part.
func (p *Part) Address() (netip.Addr, bool) { return p.ip, p.kind == partAddress }

// Class returns the id of the class that the part is; false if it is another part. Ids are small numbers.
func (p *Part) Class() (uint32, bool) { return p.class, p.kind == partClass }

// Address returns the unmapped address of an endpoint by IP; false for another one.
func (e *Endpoint) Address() (netip.Addr, bool) { return e.ip, e.kind == endpointIP }

// EachPart yields the parts of the state that decisions about an end are computed from, some of them several
// times. A decision depends on those of both ends, and on the question. What [Snapshot.Details] adds depends on
// more.
func (s *Snapshot) EachPart(e *Endpoint, yield func(Part)) {
	t := tracer{state: &s.state, yield: yield}
	switch e.kind {
	case endpointIP:
		t.visitAddress(e.ip)
		if keys := t.vips.Find(e.ip); keys != nil {
			for _, key := range *keys {
				t.visitService(key)
			}
		}
	case endpointLabels: // its class is made for each question
		yield(Part{kind: partPolicies})
		yield(Part{kind: partNamespace, namespace: e.labelled.Namespace})
	default:
		t.visitEndpoint(e)
	}
}

// partOfNode yields a Node, and its class if it has one.
func (t *tracer) partOfNode(name unique.Handle[string]) {
	if t.yield == nil || name == (unique.Handle[string]{}) {
		return
	}
	t.yield(Part{kind: partNode, name: name.Value()})
	if t.nodeSelectors == 0 {
		return
	}
	id := t.bareNodeClass
	if n, ok := t.nodes.Get(name.Value()); ok && n.class != noClass {
		id = n.class
	}
	t.yield(classPart(id))
}

// partsOfNodeAddresses yields a Node and its addresses: those of a host-network Pod that has none (S4).
func (t *tracer) partsOfNodeAddresses(name unique.Handle[string]) {
	if name == (unique.Handle[string]{}) {
		return
	}
	t.partOfNode(name)
	n, ok := t.nodes.Get(name.Value())
	if !ok {
		return
	}
	if n.object != nil {
		for _, ip := range addresses(n.object.IPs) {
			t.yield(addressPart(ip))
		}
	}
	for ip := range n.hostIPs {
		t.yield(addressPart(ip))
	}
}
