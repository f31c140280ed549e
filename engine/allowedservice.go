package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// destinationService returns the Service that the destination of q stands for, by name or by address, or nil.
// It is an error if the Service cannot be asked on the port (S24).
func (s *state) destinationService(q *Query) (*Service, error) {
	var o *Service
	switch q.Dst.kind {
	case endpointService:
		if svc, ok := s.services.Get(nameKey{q.Dst.namespace, q.Dst.name}); ok {
			o = svc.object
		}
		if o == nil {
			return nil, &QueryError{
				NotFound, true, quoted("Service", q.Dst.namespace, q.Dst.name),
				"is not known: check the namespace and the name",
			}
		}
	case endpointIP:
		if owner := s.partyAt(q.Dst.ip); !s.translatesTo(q.Dst.ip, &owner, q.Port, q.Protocol) {
			return nil, nil
		}
		o, _ = s.serviceAt(q.Dst.ip, q.Port, q.Protocol)
	default:
		return nil, nil
	}
	subject := quoted("Service", o.Namespace, o.Name)
	if o.ExternalName {
		return nil, &QueryError{
			ExternalName, true, subject,
			"is an ExternalName Service, a name of DNS: ask about the address that it resolves to",
		}
	}
	if _, ok := o.port(q.Port, q.Protocol); !ok && !o.Headless {
		return nil, &QueryError{
			NoServicePort, true, subject,
			"has no port " + strconv.Itoa(int(q.Port)) + "/" + q.Protocol.String() + o.portList(),
		}
	}
	return o, nil
}

// fewPorts is the number of ports of a Service that an error names at most.
const fewPorts = 16

// portList returns the end of a message that says which ports the Service has.
func (o *Service) portList() string {
	if len(o.Ports) == 0 {
		return ": it has none"
	}
	var list []string
	for _, p := range o.Ports[:min(len(o.Ports), fewPorts)] {
		list = append(list, strconv.Itoa(int(p.Port))+"/"+p.Protocol.String())
	}
	if more := len(o.Ports) - fewPorts; more > 0 {
		list = append(list, strconv.Itoa(more)+" more")
	}
	return ": it has " + strings.Join(list, ", ")
}

// decideService answers for each source by itself, and allows if all sources are allowed (S27). Each source
// may be allowed in another family.
func (s *state) decideService(p *pace, src []party, o *Service, q *Query) (Decision, error) {
	c, err := s.choose(o, q)
	if err != nil {
		return Decision{}, err
	}
	all := tally{families: IPv4 | IPv6}
	for i := range src {
		t, decided := c.decide(s, p, &src[i], q)
		if !decided {
			return Decision{}, abandoned
		}
		all.merge(&t)
	}
	if q.Src.kind == endpointIP && q.Dst.kind == endpointIP {
		all.families = 0
	}
	return all.decision(), nil
}

// A choice has the endpoints of a Service that could be chosen for a question (S24). Every one counts,
// because a caller cannot know which one a connection will get.
type choice struct {
	backends [2][]backend // in the order of bothFamilies
	// families are those to decide in; addressed are those in which some endpoint has an address.
	families, addressed Families
	// translates reports whether the Service has an address of its own. A headless Service is only a name for
	// its endpoints (S24), so a Pod reaches itself through it by its own address (S44).
	translates bool
}

// choose returns the endpoints of a Service for a question about it, or the error that there is none. A
// question to one of the Service's addresses is about its family alone (S9).
func (s *state) choose(o *Service, q *Query) (c choice, err error) {
	c.translates = !o.Headless
	wanted := IPv4 | IPv6
	if q.Dst.kind == endpointIP {
		wanted = familyOf(q.Dst.ip)
	}
	for i, family := range bothFamilies {
		if wanted&family != 0 {
			c.backends[i] = s.backends(o, q, family)
		}
		if len(c.backends[i]) > 0 {
			c.families |= family
		}
		if slices.ContainsFunc(c.backends[i], func(e backend) bool { return len(e.familyAddrs) > 0 }) {
			c.addressed |= family
		}
	}
	if c.addressed != 0 { // endpoints without an address make no family of their own
		c.families = c.addressed
	}
	if c.families == 0 {
		detail := "has no ready endpoint for port " + strconv.Itoa(int(q.Port)) + "/" + q.Protocol.String()
		return choice{}, &QueryError{NoReadyEndpoint, true, quoted("Service", o.Namespace, o.Name), detail}
	}
	return c, nil
}

// bothFamilies has the families in the order in which they are decided.
var bothFamilies = [2]Families{IPv4, IPv6}

// decide answers for one source, family by family, and allows if one of them allows (S9). A family allows if
// all its endpoints are allowed (S24). The tally is that of the first family that allows, or else of the
// first.
//
// A source that has addresses, but in no family of the endpoints, meets no block, and the answer names no
// family (S9).
//
// It reports whether it came to the end, rather than being told to give up.
func (c *choice) decide(s *state, p *pace, src *party, q *Query) (best tally, decided bool) {
	of, have := src.families(), c.families
	if of == 0 || !src.askedByIP && q.Dst.kind == endpointIP { // the address asked decides the family (S9)
		of = have
	}
	foreign := of&have == 0
	if foreign {
		of = have
	}
	var allowed Families
	for i, family := range bothFamilies {
		if of&have&family == 0 {
			continue
		}
		t := tally{familyIndex: uint8(i), family: family}
		if foreign {
			t.family = 0
		}
		for j := range c.backends[i] {
			if !p.next() {
				return tally{}, false
			}
			var d Decision
			b := &c.backends[i][j]
			s.decideOrExempt(src, &b.party, q.Protocol, b.port, t.family, c.translates, &d)
			t.add(&d)
		}
		if t.allowed == t.total && !foreign {
			allowed |= family
		}
		if best.total == 0 || t.allowed == t.total && best.allowed < best.total {
			best = t
		}
	}
	best.families = allowed
	if c.addressed == 0 && q.Dst.kind != endpointIP && src.families() == 0 {
		best.families = 0 // neither side has an address (S9)
	}
	return best, true
}

// A backend is an endpoint of a Service in one family, and the port that it is asked on.
type backend struct {
	party
	port uint16
	name nameKey // the Pod's; zero for any other endpoint
	// familyAddrs are its addresses in the family, sorted.
	familyAddrs []netip.Addr
}

// compare orders backends by name, addresses and port. Equal backends are the same endpoint.
func (e backend) compare(o backend) int {
	return cmp.Or(
		e.name.compare(o.name),
		slices.CompareFunc(e.familyAddrs, o.familyAddrs, netip.Addr.Compare),
		cmp.Compare(e.port, o.port),
	)
}

// backends returns the endpoints in one family that could be chosen, each once, in order of name, address and
// port.
func (s *state) backends(o *Service, q *Query, family Families) []backend {
	refs := s.backendRefs(o, q.Port, q.Protocol, family)
	list := make([]backend, 0, len(refs))
	for _, ref := range refs {
		b := backend{port: ref.port}
		if ref.addr.IsValid() {
			b.party, b.familyAddrs = s.addressParty(ref.addr, ref.owner), []netip.Addr{ref.addr}
		} else {
			b.party = s.podParty(s.pod(o.Namespace, ref.pod))
			for _, ip := range b.addrs {
				if familyOf(ip) == family {
					b.familyAddrs = append(b.familyAddrs, ip)
				}
			}
			slices.SortFunc(b.familyAddrs, netip.Addr.Compare)
		}
		if b.pod != nil {
			b.name = b.pod.key()
		}
		list = append(list, b)
	}
	slices.SortFunc(list, backend.compare)
	return slices.CompactFunc(list, func(a, b backend) bool { return a.compare(b) == 0 })
}
