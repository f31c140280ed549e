package engine

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine/internal/persist"
)

// EachChangedPart yields the parts of the state in which s differs from before, some of them several times. It
// reports whether it could: otherwise any part may differ.
//
// If one snapshot was made of the other, even by many batches of changes, it takes time for what they wrote, and
// a microsecond or so for each kind of object. It reads what snapshots share: nobody has to note what a change
// touches, so that changes cost the same whether anybody asks or not.
func (s *Snapshot) EachChangedPart(before *Snapshot, yield func(Part)) (known bool) {
	a, b := &before.state, &s.state
	if a.options != b.options || a.nodesClassed != b.nodesClassed || a.bareNodeClass != b.bareNodeClass {
		return false
	}
	eachChangedClass(a, b, yield)
	eachChangedAddress(a, b, yield)
	eachChangedNamespace(a, b, yield)
	b.nodes.EachChanged(&a.nodes, sameRecord, func(name string) {
		yield(Part{kind: partNode, name: name})
	})
	b.workloads.EachChanged(&a.workloads, sameRecord, func(k workloadKey) {
		yield(Part{kind: partWorkload, namespace: k.namespace, workload: k.kind, name: k.name})
	})
	b.services.EachChanged(&a.services, sameRecord, func(k nameKey) {
		yield(Part{kind: partService, namespace: k.namespace, name: k.name})
	})
	b.slices.EachChanged(&a.slices, sameRecord, func(k nameKey) {
		yield(Part{kind: partSlice, namespace: k.namespace, name: k.name})
	})
	policies := func() { yield(Part{kind: partPolicies}) }
	b.policies.EachChanged(&a.policies, sameRecord, func(nameKey) { policies() })
	b.clusterPolicies.EachChanged(&a.clusterPolicies, sameRecord, func(ObjectKey) { policies() })
	return true
}

// eachChangedClass yields the classes that were replaced, came or went.
func eachChangedClass(a, b *state, yield func(Part)) {
	for id := range b.classes.Unshared(&a.classes) {
		if a.classes.Has(id) != b.classes.Has(id) || a.classes.Has(id) && a.classes.At(id) != b.classes.At(id) {
			yield(classPart(id))
		}
	}
}

// eachChangedAddress yields the addresses of which the owner or its record is another, or the Services.
func eachChangedAddress(a, b *state, yield func(Part)) {
	b.ipv4.EachChanged(&a.ipv4, sameRecord, func(k uint32) { yield(addressPart(ipv4Of(k))) })
	b.ipv6.EachChanged(&a.ipv6, sameRecord, func(k persist.WideKey) { yield(addressPart(ipv6Of(k))) })
	b.vips.EachChanged(&a.vips, slices.Equal[[]nameKey], func(ip netip.Addr) { yield(addressPart(ip)) })
}

// eachChangedNamespace yields the namespaces whose labels differ, and the Pods whose records do.
func eachChangedNamespace(a, b *state, yield func(Part)) {
	b.namespaces.EachChanged(&a.namespaces, sameRecord, func(name string) {
		var none persist.Map[string, *pod]
		old, fresh := &none, &none
		if ns, ok := a.namespaces.Get(name); ok {
			old = &ns.pods
		}
		if ns, ok := b.namespaces.Get(name); ok {
			fresh = &ns.pods
		}
		if !slices.Equal(a.labelsOf(name), b.labelsOf(name)) {
			yield(Part{kind: partNamespace, namespace: name})
		}
		fresh.EachChanged(old, sameRecord, func(pod string) { yield(podPart(nameKey{name, pod})) })
	})
}

// sameRecord reports whether two records are the same, by identity. Records are immutable.
func sameRecord[T comparable](a, b T) bool { return a == b }

// ipv4Of returns the address of a number; see [ipv4Key].
func ipv4Of(key uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], key)
	return netip.AddrFrom4(b)
}

// ipv6Of returns the address of two numbers; see [ipv6Key].
func ipv6Of(key persist.WideKey) netip.Addr {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], key.A)
	binary.LittleEndian.PutUint64(b[8:], key.B)
	return netip.AddrFrom16(b)
}
