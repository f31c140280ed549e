package watches

import (
	"net/netip"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// An ends has the ends that watched questions have, each once, and finds those that depend on a part of the state:
//
//	address 10.0.0.9 ─► the end 10.0.0.9
//	class 17 ─► list of the addresses whose Pods have the class
//	any part ─► set of the ends that depend on more than that: named ends, addresses of Services and of Nodes
//
// Nearly all ends are addresses of Pods or of nobody, and cost some 90 bytes with their place in the map.
type ends struct {
	all       slab[end]
	byAddress map[[16]byte]uint32
	byName    map[engine.Endpoint]uint32
	// others has what is known of ends that are not just an address.
	others map[uint32]*other
	// classes has, by the id of a class, the first of the list of ends of the class.
	classes []uint32
	byPart  map[engine.Part]map[uint32]struct{}
	// scratch is room for the parts of an end.
	scratch []engine.Part
}

// An end is one end of watched questions. It has no pointers; see [slab].
type end struct {
	// address is that of an end by IP; that of a named end is zero.
	address [16]byte
	// first is the first of the list of the questions with this end.
	first place
	// class is the class of the Pod that owns the address, plus 1; 0 for none. next and previous are the
	// neighbours in the list of the class.
	class, next, previous uint32
	// named reports whether the end is not one by IP.
	named bool
	// touched reports whether the end is among those to be looked at again.
	touched bool
}

// An other is what is known of an end that is named, or that depends on more than its address and a class.
type other struct {
	endpoint engine.Endpoint
	asked    *netpoldv1.Endpoint // as the caller asked; nil for an end by IP
	parts    []engine.Part
}

// acquire returns the end of an endpoint, which it makes if there is none. The caller adds a question to it.
func (x *ends) acquire(e *engine.Endpoint, asked *netpoldv1.Endpoint, s *engine.Snapshot) (uint32, *end) {
	ip, byIP := e.Address()
	if byIP {
		if number, ok := x.byAddress[ip.As16()]; ok {
			return number, x.all.at(number)
		}
	} else if number, ok := x.byName[*e]; ok {
		return number, x.all.at(number)
	}
	if x.byAddress == nil {
		x.byAddress, x.byName = map[[16]byte]uint32{}, map[engine.Endpoint]uint32{}
		x.others, x.byPart = map[uint32]*other{}, map[engine.Part]map[uint32]struct{}{}
	}
	number, end := x.all.allocate()
	if byIP {
		end.address = ip.As16()
		x.byAddress[end.address] = number
	} else {
		end.named = true
		x.byName[*e] = number
		x.others[number] = &other{endpoint: *e, asked: asked}
	}
	x.link(number, end, s)
	return number, end
}

// release forgets an end without questions.
func (x *ends) release(number uint32, e *end) {
	x.unlink(number, e)
	if e.named {
		delete(x.byName, x.others[number].endpoint)
		delete(x.others, number)
	} else {
		delete(x.byAddress, e.address)
	}
	x.all.release(number)
}

// endpoint returns the endpoint of an end, and how the caller asked for a named one.
func (x *ends) endpoint(number uint32) (engine.Endpoint, *netpoldv1.Endpoint) {
	if e := x.all.at(number); !e.named {
		return engine.ByIP(netip.AddrFrom16(e.address)), nil
	}
	o := x.others[number]
	return o.endpoint, o.asked
}

// link files an end under all parts that it depends on in s.
func (x *ends) link(number uint32, e *end, s *engine.Snapshot) {
	endpoint, _ := x.endpoint(number)
	own, byIP := endpoint.Address()
	parts, class, simple := x.scratch[:0], uint32(0), byIP
	s.EachPart(&endpoint, func(p engine.Part) {
		if ip, ok := p.Address(); ok && byIP && ip == own {
			return // found by the address
		}
		if id, ok := p.Class(); ok && (class == 0 || class == id+1) {
			class = id + 1
		} else {
			simple = false
		}
		parts = append(parts, p)
	})
	x.scratch = parts
	if simple {
		x.joinClass(number, e, class)
		return
	}
	o := x.others[number]
	if o == nil {
		o = &other{endpoint: endpoint}
		x.others[number] = o
	}
	o.parts = append([]engine.Part(nil), parts...)
	for _, p := range o.parts {
		if x.byPart[p] == nil {
			x.byPart[p] = map[uint32]struct{}{}
		}
		x.byPart[p][number] = struct{}{}
	}
}

// unlink undoes link.
func (x *ends) unlink(number uint32, e *end) {
	x.leaveClass(e)
	o := x.others[number]
	if o == nil {
		return
	}
	for _, p := range o.parts {
		delete(x.byPart[p], number)
		if len(x.byPart[p]) == 0 {
			delete(x.byPart, p)
		}
	}
	if o.parts = nil; !e.named {
		delete(x.others, number)
	}
}

// joinClass puts an end into the list of a class, which is given plus 1; 0 for none.
func (x *ends) joinClass(number uint32, e *end, class uint32) {
	e.class, e.previous, e.next = class, 0, 0
	if class == 0 {
		return
	}
	for int(class) > len(x.classes) {
		x.classes = append(x.classes, 0)
	}
	first := &x.classes[class-1]
	if e.next = *first; e.next != 0 {
		x.all.at(e.next).previous = number
	}
	*first = number
}

// leaveClass takes an end out of the list of its class, if it is in one.
func (x *ends) leaveClass(e *end) {
	if e.class == 0 {
		return
	}
	if e.previous != 0 {
		x.all.at(e.previous).next = e.next
	} else {
		x.classes[e.class-1] = e.next
	}
	if e.next != 0 {
		x.all.at(e.next).previous = e.previous
	}
	e.class, e.previous, e.next = 0, 0, 0
}

// eachOfPart yields the ends that depend on a part. relink reports whether they may depend on other parts once
// that part has changed. The ends must not be linked meanwhile.
func (x *ends) eachOfPart(p *engine.Part, yield func(number uint32, e *end, relink bool)) {
	if ip, ok := p.Address(); ok {
		if number, ok := x.byAddress[ip.As16()]; ok {
			yield(number, x.all.at(number), true)
		}
	}
	if id, ok := p.Class(); ok && int(id) < len(x.classes) {
		for number := x.classes[id]; number != 0; {
			e := x.all.at(number)
			yield(number, e, false) // another class under the id would be another owner of the address
			number = e.next
		}
	}
	for number := range x.byPart[*p] {
		yield(number, x.all.at(number), true)
	}
}
