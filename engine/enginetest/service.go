package enginetest

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// destination resolves the destination. A Service's address means the Service (S24): of several that share
// it, the first by name that has the port.
func (o *Oracle) destination(q Question) (group, error) {
	if q.Dst.Service != nil {
		return o.service(q)
	}
	g, err := o.resolve(q.Dst, true)
	if err != nil || !q.Dst.IP.IsValid() {
		return g, err
	}
	var having, without []*engine.Service
	for _, s := range objectsOf[*engine.Service](o) {
		if s.Headless || s.ExternalName || !slices.Contains(s.IPs, q.Dst.IP.Unmap()) {
			continue
		}
		if _, ok := servicePort(s, q); ok {
			having = append(having, s)
		} else {
			without = append(without, s)
		}
	}
	switch {
	case len(having) > 0:
		s := slices.MinFunc(having, func(a, b *engine.Service) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
		})
		return group{service: s, vip: q.Dst.IP.Unmap()}, nil
	case g.parties[0].inCluster || len(without) == 0:
		return g, nil // the other ports of a Pod or Node are its own, node ports among them (S24)
	default:
		return group{}, failed(engine.NoServicePort, true, "Service", without[0].Namespace, without[0].Name)
	}
}

// service resolves a Service by name (S24).
func (o *Oracle) service(q Question) (group, error) {
	for _, s := range objectsOf[*engine.Service](o) {
		if s.Namespace != q.Dst.Service.Namespace || s.Name != q.Dst.Service.Name {
			continue
		}
		if s.ExternalName {
			return group{}, failed(engine.ExternalName, true, "Service", s.Namespace, s.Name)
		}
		if _, ok := servicePort(s, q); !ok && !s.Headless {
			return group{}, failed(engine.NoServicePort, true, "Service", s.Namespace, s.Name)
		}
		return group{service: s}, nil
	}
	name := q.Dst.Service
	return group{}, failed(engine.NotFound, true, "Service", name.Namespace, name.Name) // S27
}

// servicePort returns the port of the Service that was asked, and whether it has one (S24).
func servicePort(s *engine.Service, q Question) (engine.ServicePort, bool) {
	for _, p := range s.Ports {
		if p.Port == q.Port && p.Protocol == q.Protocol {
			return p, true
		}
	}
	return engine.ServicePort{}, false
}

// endpoints returns the endpoints of the Service that can be chosen in the family, each once, in order of
// name, address and port: the ready ones or, if there is none, those that still serve while terminating
// (S24).
func (o *Oracle) endpoints(s *engine.Service, q Question, f engine.Families) []party {
	var ready, draining []party
	for _, slice := range objectsOf[*engine.EndpointSlice](o) {
		if slice.Namespace != s.Namespace || slice.Service != s.Name {
			continue
		}
		for _, port := range targets(s, slice, q) {
			for _, x := range slice.Endpoints {
				e, ok := o.endpoint(slice.Namespace, x)
				if !ok || e.families() != 0 && e.families()&f == 0 {
					continue
				}
				e = e.inFamily(f)
				e.port = port
				if x.Ready {
					ready = append(ready, e)
				} else if x.Serving && x.Terminating {
					draining = append(draining, e)
				}
			}
		}
	}
	chosen := ready
	if len(ready) == 0 {
		chosen = draining
	}
	slices.SortStableFunc(chosen, byName)
	return slices.CompactFunc(chosen, func(a, b party) bool { return byName(a, b) == 0 })
}

// A Backend is an endpoint of a Service.
type Backend struct {
	// Pod is the Pod that it is; nil for a Node and for an address outside the cluster.
	Pod *engine.Pod
	// Addrs are those that it is asked by; none for a Pod that the slice names alone.
	Addrs []netip.Addr
	// Port is the target port.
	Port uint16
}

// Backends returns the endpoints that questions to a port of a Service may choose in a family (S24).
func (o *Oracle) Backends(s *engine.Service, port uint16, protocol engine.Protocol, f engine.Families) []Backend {
	q := Question{Port: port, Protocol: protocol}
	if _, ok := servicePort(s, q); s.ExternalName || !ok && !s.Headless {
		return nil
	}
	var list []Backend
	for _, e := range o.endpoints(s, q, f) {
		list = append(list, Backend{e.pod, e.addrs, e.port})
	}
	return list
}

// targets returns the ports that the Service's port means in one slice: those of its name, or the very port
// for a headless Service (S24).
func targets(s *engine.Service, slice *engine.EndpointSlice, q Question) []uint16 {
	if s.Headless {
		return []uint16{q.Port}
	}
	asked, _ := servicePort(s, q)
	var ports []uint16
	for _, p := range slice.Ports {
		if p.Name == asked.Name && p.Protocol == asked.Protocol {
			ports = append(ports, p.Port)
		}
	}
	return ports
}

// endpoint returns whatever owns the endpoint's address, or the Pod that it names. An address that nothing
// owns is no endpoint if the slice says that it is a Pod's (S24).
func (o *Oracle) endpoint(namespace string, x engine.SliceEndpoint) (party, bool) {
	if x.Addr.IsValid() {
		e := o.partyAt(x.Addr)
		return e, e.inCluster || x.Pod == ""
	}
	for _, p := range o.running() {
		if p.Namespace == namespace && p.Name == x.Pod {
			return o.podParty(p), true
		}
	}
	return party{}, false
}

// byName orders endpoints: those that are no Pod first, then by the Pod's name, then by address and port.
func byName(a, b party) int {
	var p, q Name
	if a.pod != nil {
		p = Name{a.pod.Namespace, a.pod.Name}
	}
	if b.pod != nil {
		q = Name{b.pod.Namespace, b.pod.Name}
	}
	return cmp.Or(cmp.Compare(p.Namespace, q.Namespace), cmp.Compare(p.Name, q.Name),
		slices.CompareFunc(a.addrs, b.addrs, netip.Addr.Compare), cmp.Compare(a.port, b.port))
}

// decideService decides for each source by itself. All have to be allowed (S27).
func (o *Oracle) decideService(src, dst group, q Question) (engine.Decision, error) {
	// The families that a chosen endpoint takes part in, and those that one has an address in. If an address
	// was asked, no other family counts (S9).
	var served, addressed []engine.Families
	for _, f := range familyList(engine.IPv4 | engine.IPv6) {
		if dst.vip.IsValid() && f != familyOf(dst.vip) {
			continue
		}
		ends := o.endpoints(dst.service, q, f)
		if len(ends) > 0 {
			served = append(served, f)
		}
		if slices.ContainsFunc(ends, hasAddress) {
			addressed = append(addressed, f)
		}
	}
	if len(addressed) > 0 { // endpoints without an address make no family of their own
		served = addressed
	}
	if len(served) == 0 {
		s := dst.service
		return engine.Decision{}, failed(engine.NoReadyEndpoint, true, "Service", s.Namespace, s.Name)
	}
	var sources []engine.Decision
	for _, s := range src.parties {
		sources = append(sources, o.decideSource(s, dst, served, q))
	}
	out := all(sources)
	out.BackendsAllowed, out.BackendsTotal = 0, 0
	for _, d := range sources {
		out.BackendsAllowed += d.BackendsAllowed
		out.BackendsTotal += d.BackendsTotal
	}
	return out, nil
}

// hasAddress reports whether an endpoint has an address in its family (S8).
func hasAddress(e party) bool { return len(e.addrs) > 0 }

// decideSource decides about the endpoints of a Service for one source: in one family all of them have to be
// allowed (S24). If the source has none of their families, no ipBlock matches and the answer names no family.
// A question to the Service's address is in that address's family (S9).
func (o *Oracle) decideSource(s party, dst group, served []engine.Families, q Question) engine.Decision {
	common := slices.DeleteFunc(slices.Clone(served), func(f engine.Families) bool {
		return s.families() != 0 && s.families()&f == 0 && (s.askedByIP || !dst.vip.IsValid())
	})
	foreign := len(common) == 0
	if foreign {
		common = served
	}
	out := overFamilies(common, func(f engine.Families) engine.Decision {
		var pairs []engine.Decision
		for _, e := range o.endpoints(dst.service, q, f) {
			seen := f
			if foreign {
				seen = 0
			}
			pairs = append(pairs, o.decide(connection{
				src: s.inFamily(seen), dst: e.inFamily(seen), port: e.port, protocol: q.Protocol,
				viaService: !dst.service.Headless,
			}))
		}
		return all(pairs)
	})
	addressed := slices.ContainsFunc(served, func(f engine.Families) bool {
		return slices.ContainsFunc(o.endpoints(dst.service, q, f), hasAddress)
	})
	if foreign || len(s.addrs) == 0 && !dst.vip.IsValid() && !addressed { // neither side has an address (S9)
		out.Families = 0
	}
	return out
}
