package engine

import (
	"net/netip"
	"slices"
)

// A service is a Service, if it has an object, and the names of its slices.
type service struct {
	object *Service
	slices []string
}

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

// vips returns the addresses that stand for a Service's endpoints.
func vips(o *Service) []netip.Addr {
	if o.Headless || o.ExternalName {
		return nil
	}
	return addresses(o.IPs)
}

func (t *txn) storeService(key nameKey, s *service) {
	if s.object == nil && len(s.slices) == 0 {
		t.services.Delete(t.edit, key)
		return
	}
	t.services.Set(t.edit, key, s)
}

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

func (t *txn) moveSlice(of nameKey, name string, move func([]string, string) []string) {
	old, _ := t.services.Get(of)
	fresh := &service{}
	if old != nil {
		*fresh = *old
	}
	fresh.slices = move(fresh.slices, name)
	t.storeService(of, fresh)
}

// port returns the Service's port with this number and protocol (S24).
func (o *Service) port(number uint16, protocol Protocol) (ServicePort, bool) {
	for _, p := range o.Ports {
		if p.Port == number && p.Protocol == protocol {
			return p, true
		}
	}
	return ServicePort{}, false
}

// serviceAt is the Service that an address stands for: of several that share it, the first by name that has the port. The
// second result tells that it has.
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

// backendRef is one endpoint of a Service and the port that it is asked on.
type backendRef struct {
	addr netip.Addr
	// owner is who has addr; nil for nobody in the cluster.
	owner *address
	pod   string // where addr is not valid
	port  uint16
}

// backendRefs are the endpoints in one family that a question to a Service's port could reach: those that are ready, or where
// none is, those that still serve while terminating (S24). An address that nothing owns, and that a slice says is a Pod's, is
// no backend.
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
						continue // the Pod is not there
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

// targetPorts are the ports that a slice maps a Service's port to. A headless Service maps nothing (S24).
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

// inFamily reports whether an endpoint is one in an address family. An endpoint that has no address is in each.
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

func familyOf(ip netip.Addr) Families {
	switch {
	case ip.Is4():
		return IPv4
	case ip.IsValid():
		return IPv6
	}
	return 0
}

func familiesOf(ips []netip.Addr) Families {
	var f Families
	for _, ip := range ips {
		f |= familyOf(ip)
	}
	return f
}
