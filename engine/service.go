package engine

import (
	"net/netip"
	"slices"
)

// A service is a Service and the names of its slices, sorted. The record exists while it has either, as
// slices may come before their Service. It is immutable: a change of the object or of the list makes a new
// one.
type service struct {
	object *Service // nil if only slices name it
	slices []string
}

// applyService stores a Service or takes its object away, and keeps vips, shared, directV4 and directV6 in step with
// its addresses.
func (t *txn) applyService(o *Service, gone bool) {
	key := nameKey{o.Namespace, o.Name}
	old, _ := t.services.Get(key)
	if old == nil {
		old = &service{}
	}
	if gone && old.object == nil {
		return
	}
	if old.object != nil {
		t.counts.Services--
		t.aside.removeService(t.edit, old.object)
		for _, ip := range vips(old.object) {
			keys, _ := t.vips.Get(ip)
			if at := slices.Index(keys, key); len(keys) == 1 {
				t.vips.Delete(t.edit, ip)
				if t.address(ip) != nil {
					t.shared--
				}
			} else {
				t.vips.Set(t.edit, ip, slices.Delete(slices.Clone(keys), at, at+1))
			}
			t.noteDirect(ip)
		}
	}
	fresh := &service{slices: old.slices}
	if !gone {
		fresh.object = o
		t.counts.Services++
		t.aside.addService(t.edit, o)
		for _, ip := range vips(o) {
			keys, _ := t.vips.Get(ip)
			if len(keys) == 0 && t.address(ip) != nil {
				t.shared++
			}
			at, _ := slices.BinarySearchFunc(keys, key, nameKey.compare)
			t.vips.Set(t.edit, ip, slices.Insert(slices.Clip(slices.Clone(keys)), at, key))
			t.noteDirect(ip)
		}
	}
	t.storeService(key, fresh)
}

// vips returns the addresses that stand for a Service's endpoints: none for a headless or an ExternalName
// Service (S24).
func vips(o *Service) []netip.Addr {
	if o.Headless || o.ExternalName {
		return nil
	}
	return addresses(o.IPs)
}

// storeService stores a record, or deletes one of which nothing is left.
func (t *txn) storeService(key nameKey, s *service) {
	if s.object == nil && len(s.slices) == 0 {
		t.services.Delete(t.edit, key)
		return
	}
	t.services.Set(t.edit, key, s)
}

// applySlice stores an EndpointSlice or takes it away. A slice may move from one Service to another.
func (t *txn) applySlice(o *EndpointSlice, gone bool) {
	key := nameKey{o.Namespace, o.Name}
	old, ok := t.slices.Get(key)
	if !ok && gone {
		return
	}
	if ok && (gone || old.Service != o.Service) {
		t.moveSlice(nameKey{old.Namespace, old.Service}, o.Name, removed)
	}
	if gone {
		t.counts.EndpointSlices--
		t.slices.Delete(t.edit, key)
		return
	}
	if !ok {
		t.counts.EndpointSlices++
	}
	t.slices.Set(t.edit, key, o)
	if !ok || old.Service != o.Service {
		t.moveSlice(nameKey{o.Namespace, o.Service}, o.Name, inserted)
	}
}

// moveSlice replaces the record of a Service by one with a slice inserted or removed, as move does.
func (t *txn) moveSlice(of nameKey, name string, move func([]string, string) []string) {
	old, _ := t.services.Get(of)
	fresh := &service{}
	if old != nil {
		*fresh = *old
	}
	fresh.slices = move(fresh.slices, name)
	t.storeService(of, fresh)
}

// port returns the Service's first port with this number and protocol, and whether it has one (S24).
func (o *Service) port(number uint16, protocol Protocol) (ServicePort, bool) {
	for _, p := range o.Ports {
		if p.Port == number && p.Protocol == protocol {
			return p, true
		}
	}
	return ServicePort{}, false
}

// serviceAt returns the Service that an address stands for, or nil. It reports whether that Service has the
// port. Of several Services that share the address, it is the first by name that has the port, or else the
// first by name (S24).
func (s *state) serviceAt(ip netip.Addr, port uint16, protocol Protocol) (*Service, bool) {
	keys, _ := s.vips.Get(ip)
	var first *Service
	for _, key := range keys {
		svc, _ := s.services.Get(key)
		if _, ok := svc.object.port(port, protocol); ok {
			return svc.object, true
		}
		if first == nil {
			first = svc.object
		}
	}
	return first, false
}

// A backendRef is one endpoint of a Service, as its slices give it, and the port that it is asked on.
type backendRef struct {
	addr netip.Addr
	// owner is the owner of addr; nil for nobody in the cluster.
	owner *address
	pod   string // a name in the Service's namespace, if addr is not valid
	port  uint16
}

// backendRefs returns the endpoints in one family that a question to a Service's port could reach (S24), in
// the order of the slices: those that are ready or, if none is, those that still serve while terminating.
//
// An endpoint whose address nobody owns, although its slice says that it is a Pod's, is left out: the Pod is
// gone or was not read, so its policies are not known. An endpoint of nobody's and of no Pod's is an address
// outside the cluster.
func (s *state) backendRefs(o *Service, port uint16, protocol Protocol, family Families) []backendRef {
	svc, _ := s.services.Get(nameKey{o.Namespace, o.Name})
	var ready, terminating []backendRef
	for _, name := range svc.slices {
		slice, _ := s.slices.Get(nameKey{o.Namespace, name})
		for _, target := range targetPorts(o, slice, port, protocol) {
			for i := range slice.Endpoints {
				e := &slice.Endpoints[i]
				if !e.Ready && !(e.Serving && e.Terminating) {
					continue
				}
				b := backendRef{addr: e.Addr.Unmap(), pod: e.Pod, port: target}
				if !s.inFamily(o.Namespace, b, family) {
					continue
				}
				if b.addr.IsValid() {
					if b.owner = s.address(b.addr); b.owner == nil && e.Pod != "" {
						continue
					}
				}
				if e.Ready {
					ready = append(ready, b)
				} else {
					terminating = append(terminating, b)
				}
			}
		}
	}
	if len(ready) == 0 {
		return terminating
	}
	return ready
}

// targetPorts returns the ports that a slice maps a Service's port to, each once. Ports of a Service and of
// its slices correspond by name. A headless Service maps nothing, so that its endpoints are asked on the very
// port (S24).
func targetPorts(o *Service, slice *EndpointSlice, port uint16, protocol Protocol) []uint16 {
	if o.Headless {
		return []uint16{port}
	}
	var list []uint16
	for _, own := range o.Ports {
		if own.Port != port || own.Protocol != protocol {
			continue
		}
		for _, p := range slice.Ports {
			if p.Name == own.Name && p.Protocol == own.Protocol && !slices.Contains(list, p.Port) {
				list = append(list, p.Port)
			}
		}
	}
	return list
}

// inFamily reports whether an endpoint takes part in an address family. A Pod that has no address yet takes
// part in both (S8); a Pod that is not there or has finished, in none (S6).
func (s *state) inFamily(namespace string, b backendRef, family Families) bool {
	if b.addr.IsValid() {
		return family == familyOf(b.addr)
	}
	p := s.pod(namespace, b.pod)
	if p == nil || p.finished {
		return false
	}
	has := familiesOf(s.addressesOf(p))
	return has == 0 || has&family != 0
}

// familyOf returns the family of an unmapped address, or 0 for an invalid one.
func familyOf(ip netip.Addr) Families {
	switch {
	case ip.Is4():
		return IPv4
	case ip.IsValid():
		return IPv6
	}
	return 0
}

// familiesOf returns the families that unmapped addresses are of.
func familiesOf(ips []netip.Addr) Families {
	var f Families
	for _, ip := range ips {
		f |= familyOf(ip)
	}
	return f
}
