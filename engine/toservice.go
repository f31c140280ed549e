package engine

import (
	"cmp"
	"slices"
	"strconv"
)

// asService is the Service that the destination is, or nil.
func (s *state) asService(q *Query) (*Service, error) {
	var o *Service
	switch q.Dst.kind {
	case endpointService:
		if svc, ok := s.services.Get(nameKey{q.Dst.namespace, q.Dst.name}); ok {
			o = svc.object
		}
		if o == nil {
			return nil, &QueryError{NotFound, true, quoted("Service", q.Dst.namespace, q.Dst.name), "is not known: check the namespace and the name"}
		}
	case endpointIP:
		if owner := s.byIP(q.Dst.ip); !s.isService(q.Dst.ip, &owner, q.Port, q.Protocol) {
			return nil, nil
		}
		o, _ = s.serviceAt(q.Dst.ip, q.Port, q.Protocol)
	default:
		return nil, nil
	}
	subject := quoted("Service", o.Namespace, o.Name)
	if o.ExternalName {
		return nil, &QueryError{ExternalName, true, subject, "is an ExternalName Service, a name of DNS: ask about the address that it resolves to"}
	}
	if _, ok := o.port(q.Port, q.Protocol); !ok && !o.Headless {
		return nil, &QueryError{NoServicePort, true, subject, "has no port " + strconv.Itoa(int(q.Port)) + "/" + q.Protocol.String() + o.portList()}
	}
	return o, nil
}

func (o *Service) portList() string {
	if len(o.Ports) == 0 {
		return ": it has none"
	}
	text := ": it has "
	for i, p := range o.Ports {
		if i > 0 {
			text += ", "
		}
		text += strconv.Itoa(int(p.Port)) + "/" + p.Protocol.String()
	}
	return text
}

// toService answers about a Service, family by family: allowed in one when all pairs of a source and an endpoint are (S24).
func (s *state) toService(src []party, o *Service, q *Query) (Decision, error) {
	wanted, of := IPv4|IPv6, Families(0)
	if q.Dst.kind == endpointIP {
		wanted = familyOf(q.Dst.ip)
	}
	for i := range src {
		if f := src[i].families(); f != 0 {
			of |= f
		} else {
			of |= IPv4 | IPv6
		}
	}
	lists, have := map[Families][]backend{}, Families(0)
	for _, family := range []Families{IPv4, IPv6} {
		if wanted&family != 0 {
			if lists[family] = s.backends(o, q.Port, q.Protocol, family); len(lists[family]) > 0 {
				have |= family
			}
		}
	}
	if have == 0 {
		detail := "has no ready endpoint for port " + strconv.Itoa(int(q.Port)) + "/" + q.Protocol.String()
		return Decision{}, &QueryError{NoReadyEndpoint, true, quoted("Service", o.Namespace, o.Name), detail}
	}
	asked := have & of
	if asked == 0 {
		asked = have // none in common: no ipBlock takes part, and no family is told (S9)
	}
	var best *tally
	var allowed Families
	for _, family := range []Families{IPv4, IPv6} {
		if asked&family == 0 {
			continue
		}
		t := s.toBackends(src, o.Namespace, lists[family], q.Protocol, family)
		if t.allowed == t.total {
			allowed |= family
		}
		if best == nil || t.allowed == t.total && best.allowed < best.total {
			best = t
		}
	}
	best.families = allowed & of
	if q.Src.kind == endpointIP && q.Dst.kind == endpointIP {
		best.families = 0
	}
	return best.decision(), nil
}

// toBackends decides every pair of a source and an endpoint in one family, in order of name and then address.
func (s *state) toBackends(src []party, namespace string, list []backend, protocol Protocol, family Families) *tally {
	type end struct {
		party
		port uint16
		name nameKey
	}
	ends := make([]end, 0, len(list))
	for _, b := range list {
		e := end{port: b.port}
		if b.addr.IsValid() {
			e.party = s.byIP(b.addr)
		} else {
			e.party = s.byPod(s.pod(namespace, b.pod))
		}
		if e.pod != nil {
			e.name = e.pod.key()
		}
		ends = append(ends, e)
	}
	slices.SortFunc(ends, func(a, b end) int {
		return cmp.Or(a.name.compare(b.name), a.addr.Compare(b.addr), cmp.Compare(a.port, b.port))
	})
	t := &tally{}
	for i := range src {
		for j := range ends {
			out := decideIn(&src[i], &ends[j].party, protocol, ends[j].port, family, s.options)
			t.add(&out, family)
		}
	}
	return t
}

// decideIn answers for a pair in one family; a source that has addresses but none in it meets no ipBlock.
func decideIn(src, dst *party, protocol Protocol, port uint16, family Families, o Options) outcome {
	if why := exempt(src, dst); why != Unknown {
		return outcome{allowed: true, reason: why, egress: always(src, egress), ingress: always(dst, ingress)}
	}
	if f := src.families(); f != 0 && f&family == 0 {
		family = 0
	}
	return decide(src, dst, protocol, port, family, o)
}
