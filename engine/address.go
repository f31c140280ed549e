package engine

import (
	"net/netip"
	"slices"
	"unique"
)

// address is who owns an IP.
type address struct {
	// pod is the ordinary Pod that owns it, else nil.
	pod *pod
	// node is the Node that the address is of, or else the one that pod runs on.
	node unique.Handle[string]
	// class is pod's.
	class uint32
	// ofNode says that it is a Node's, or of host-network Pods, which have their Node's identity (S4).
	ofNode bool
	// claims are all that claim it; nil where pod alone does.
	claims *[]claim
}

// claim is a Pod that reports an address as its own, or a Node: by its object, or by the host IPs of its Pods.
type claim struct {
	pod    *pod
	node   unique.Handle[string]
	object bool
}

func (s *state) address(ip netip.Addr) *address {
	if ip.Is4() {
		return s.ipv4.Find(ipv4Key(ip))
	}
	return s.ipv6.Find(ip.As16())
}

func ipv4Key(ip netip.Addr) uint32 {
	b := ip.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func (t *txn) claim(ip netip.Addr, c claim) {
	if ip = ip.Unmap(); ip.IsValid() {
		t.setClaims(ip, append(t.claims(ip), c))
	}
}

func (t *txn) release(ip netip.Addr, c claim) {
	ip = ip.Unmap()
	claims := t.claims(ip)
	if at := slices.Index(claims, c); at >= 0 {
		t.setClaims(ip, slices.Delete(claims, at, at+1))
	}
}

// claims is a fresh list of the claims to an address.
func (t *txn) claims(ip netip.Addr) []claim {
	a := t.address(ip)
	switch {
	case a == nil:
		return nil
	case a.claims == nil:
		return []claim{{pod: a.pod}}
	}
	return slices.Clone(*a.claims)
}

func (t *txn) setClaims(ip netip.Addr, claims []claim) {
	switch {
	case len(claims) > 0 && ip.Is4():
		t.ipv4.Set(t.edit, ipv4Key(ip), owner(claims))
	case len(claims) > 0:
		t.ipv6.Set(t.edit, ip.As16(), owner(claims))
	case ip.Is4():
		t.ipv4.Delete(t.edit, ipv4Key(ip))
	default:
		t.ipv6.Delete(t.edit, ip.As16())
	}
}

// owner decides among the claims: the newest Pod (S7); where that is a host-network Pod, its Node; where there is no Pod,
// the Node, by its object before its Pods, and then by name, so that the order of arrival never counts.
func owner(claims []claim) address {
	best := claims[0]
	for _, c := range claims[1:] {
		if c.before(best) {
			best = c
		}
	}
	a := address{node: best.node, class: noClass, ofNode: true}
	if best.pod != nil {
		a.node = best.pod.node
		if !best.pod.host {
			a.pod, a.class, a.ofNode = best.pod, best.pod.class, false
			if len(claims) == 1 {
				return a
			}
		}
	}
	a.claims = &claims
	return a
}

func (c claim) before(o claim) bool {
	switch {
	case c.pod != nil && o.pod != nil:
		return c.pod.newer(o.pod)
	case c.pod != nil || o.pod != nil:
		return c.pod != nil
	case c.object != o.object:
		return c.object
	}
	return c.node.Value() < o.node.Value()
}

// holds tells whether a Pod has an address that it reports (S7). Host-network Pods share their Node's.
func (s *state) holds(p *pod, ip netip.Addr) bool {
	a := s.address(ip)
	return a != nil && (a.pod == p || p.host && a.pod == nil)
}

// addressesOf are the addresses of a Pod (S7, S9): for a host-network Pod that has none, its Node's (S4).
func (s *state) addressesOf(p *pod) []netip.Addr {
	held := p.ips
	for i, ip := range held {
		if !s.holds(p, ip) {
			held = slices.Clone(held[:i])
			for _, ip := range p.ips[i+1:] {
				if s.holds(p, ip) {
					held = append(held, ip)
				}
			}
			break
		}
	}
	if p.host && len(held) == 0 && p.node != (unique.Handle[string]{}) {
		return s.nodeAddresses(p.node.Value())
	}
	return held
}

// nodeAddresses are the addresses of a Node (S5), sorted, without those that an ordinary Pod owns (S7).
func (s *state) nodeAddresses(name string) []netip.Addr {
	n, ok := s.nodes.Get(name)
	if !ok {
		return nil
	}
	var list []netip.Addr
	if n.object != nil {
		list = addresses(n.object.IPs)
	}
	for ip := range n.hostIPs {
		list = append(list, ip)
	}
	list = slices.DeleteFunc(list, func(ip netip.Addr) bool { return s.address(ip).pod != nil })
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}
