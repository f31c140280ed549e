package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
	"strings"
)

// Outside divides the world outside the cluster (S5) into parts that the policies of a snapshot cannot tell
// apart. It remembers what it computed, so it is not safe for concurrent use.
type Outside struct {
	state *state
	// blocks has the prefixes of all blocks, excepted ones too, by the namespace of their policy.
	blocks map[string][]netip.Prefix
	// parts remembers the addresses by the policies and families that they were made for.
	parts map[string][]netip.Addr
}

// Outside returns the parts of the world outside the cluster. It reads all policies: it is for questions that
// people ask.
func (s *Snapshot) Outside() *Outside {
	o := &Outside{state: &s.state, blocks: map[string][]netip.Prefix{}, parts: map[string][]netip.Addr{}}
	for _, p := range s.policies.All() {
		o.addBlocks(p.source.Namespace, p)
	}
	for _, p := range s.clusterPolicies.All() {
		o.addBlocks(everywhere, p)
	}
	return o
}

// everywhere stands for the namespace of a cluster-wide policy, which can select any Pod.
const everywhere = ""

// addBlocks adds the prefixes of the blocks of a policy, which can select Pods of a namespace.
func (o *Outside) addBlocks(of string, p *policy) {
	for _, rules := range p.rules {
		for i := range rules {
			for _, b := range rules[i].blocks {
				o.blocks[of] = append(o.blocks[of], b.CIDR.Masked())
				for _, e := range b.Except {
					o.blocks[of] = append(o.blocks[of], e.Masked())
				}
			}
		}
	}
}

// Addresses returns one address of each part, in order of address, of the given families. A question between
// one of others and any address that no Pod, Node or Service has is answered as one of these addresses is:
// they differ only where a policy that can select a party of others tells addresses apart. Without others,
// all policies count. The slice must not be modified.
func (o *Outside) Addresses(families Families, others ...Endpoint) []netip.Addr {
	namespaces, known := o.state.namespacesOf(others)
	if !known {
		namespaces = namespaces[:0]
		for name := range o.blocks {
			namespaces = append(namespaces, name)
		}
	}
	namespaces = append(namespaces, everywhere)
	namespaces = slices.DeleteFunc(namespaces, func(name string) bool { return len(o.blocks[name]) == 0 })
	slices.Sort(namespaces)
	namespaces = slices.Compact(namespaces)
	key := string(rune(families)) + strings.Join(namespaces, "/") // which no name of a namespace contains
	list, ok := o.parts[key]
	if !ok {
		list = o.divide(families, namespaces)
		o.parts[key] = list
	}
	return list
}

// divide returns one address of each part that the blocks of the namespaces make.
func (o *Outside) divide(families Families, namespaces []string) []netip.Addr {
	all := []netip.Prefix{
		netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0),
	}
	for _, name := range namespaces {
		all = append(all, o.blocks[name]...)
	}
	all = slices.DeleteFunc(all, func(p netip.Prefix) bool { return families&familyOf(p.Addr()) == 0 })
	all = nested(all)
	var list []netip.Addr
	for i := range all {
		if addr, ok := o.state.outsideIn(all[i], inside(all, i)); ok {
			list = append(list, addr)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

// namespacesOf returns the namespaces whose policies can select a party of the endpoints, in any order. It
// reports whether they are known: without an endpoint they are not.
func (s *state) namespacesOf(endpoints []Endpoint) (names []string, known bool) {
	for i := range endpoints {
		switch e := &endpoints[i]; e.kind {
		case endpointIP:
			names = s.appendOwners(names, e.ip)
		case endpointPod, endpointWorkload:
			names = append(names, e.namespace)
		case endpointService:
			names = s.appendBackends(names, nameKey{e.namespace, e.name})
		case endpointLabels:
			if e.labelled == nil {
				return nil, false
			}
			names = append(names, e.labelled.Namespace)
		case endpointNone:
			return nil, false
		}
	}
	return names, len(endpoints) > 0
}

// appendOwners appends the namespaces of the Pod and of the backends of the Services that have addr.
func (s *state) appendOwners(names []string, addr netip.Addr) []string {
	if !addr.IsValid() {
		return names
	}
	if a := s.address(addr); a != nil && a.pod != nil {
		names = append(names, a.pod.namespace)
	}
	keys, _ := s.vips.Get(addr)
	for _, key := range keys {
		names = s.appendBackends(names, key)
	}
	return names
}

// appendBackends appends the namespaces of the Pods behind a Service. An address in a slice can be that of a
// Pod of another namespace.
func (s *state) appendBackends(names []string, key nameKey) []string {
	names = append(names, key.namespace)
	svc, _ := s.services.Get(key)
	if svc == nil {
		return names
	}
	for _, name := range svc.slices {
		slice, _ := s.slices.Get(nameKey{key.namespace, name})
		for i := range slice.Endpoints {
			addr := slice.Endpoints[i].Addr.Unmap()
			if !addr.IsValid() {
				continue // a Pod of the Service's namespace
			}
			if a := s.address(addr); a != nil && a.pod != nil && a.pod.namespace != key.namespace {
				names = append(names, a.pod.namespace)
			}
		}
	}
	return names
}

// nested sorts prefixes, each once, so that every prefix stands right before those inside it.
func nested(all []netip.Prefix) []netip.Prefix {
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return slices.Compact(all)
}

// inside returns the prefixes inside all[i], which follow it.
func inside(all []netip.Prefix, i int) []netip.Prefix {
	later := all[i+1:]
	return later[:sort.Search(len(later), func(j int) bool { return !all[i].Contains(later[j].Addr()) })]
}

// outsideIn returns an address of p that none of the prefixes inside p contains and that nothing in the
// cluster has.
func (s *state) outsideIn(p netip.Prefix, inner []netip.Prefix) (netip.Addr, bool) {
	for _, addr := range familiar(p) {
		contains := func(q netip.Prefix) bool { return q.Contains(addr) }
		if s.isOutside(addr) && !slices.ContainsFunc(inner, contains) {
			return addr, true
		}
	}
	addr := p.Addr()
	for _, q := range inner {
		for ; addr.IsValid() && addr.Less(q.Addr()); addr = addr.Next() {
			if s.isOutside(addr) {
				return addr, true
			}
		}
		if q.Contains(addr) { // otherwise a prefix around q was passed
			addr = last(q).Next()
		}
	}
	for ; addr.IsValid() && p.Contains(addr); addr = addr.Next() {
		if s.isOutside(addr) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// familiar returns addresses of p that people recognise as one of a host. Of all addresses these are reserved
// for documents (RFC 5737, RFC 3849). Otherwise it is the second, as the first often has no host.
func familiar(p netip.Prefix) []netip.Addr {
	switch {
	case p.Bits() == 0 && p.Addr().Is4():
		return []netip.Addr{
			netip.AddrFrom4([4]byte{192, 0, 2, 1}), netip.AddrFrom4([4]byte{198, 51, 100, 1}),
			netip.AddrFrom4([4]byte{1, 1, 1, 1}),
		}
	case p.Bits() == 0:
		return []netip.Addr{netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1})}
	case p.Bits() < p.Addr().BitLen():
		return []netip.Addr{p.Addr().Next()}
	}
	return nil
}

// isOutside reports whether no Pod, Node or Service has addr (S5).
func (s *state) isOutside(addr netip.Addr) bool {
	return s.address(addr) == nil && s.vips.Find(addr) == nil
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for i := p.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 1 << (7 - i%8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}
