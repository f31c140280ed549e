package engine

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"unique"

	"github.com/netpold/netpold/engine/internal/persist"
)

// An address is the owner of an IP: an ordinary Pod or, if pod is nil, a Node (S5, S7).
//
//	10.0.0.9 ─► claims: [ shop/web-0 │ shop/web-1, newer: best ] ─► pod: shop/web-1
//
// All claims are kept, and the best one owns the address. So when it goes, the next best takes over, and the
// order in which claims come never counts. An address that one Pod alone claims, as nearly all are, has no
// list. It is kept small: with its key, two fit in a cache line.
type address struct {
	// class is that of pod, or noClass.
	class uint32
	// pod is the ordinary Pod that owns the address; nil for a Node.
	pod *pod
	// claims are all claims; nil if pod's is the only one. Never nil for a Node.
	claims *claims
}

// A claims holds the claims to one address. It may be written only under the edit that owns it.
type claims struct {
	owner *persist.Edit
	all   []claim // in no particular order
	// best is the claim that counts (S7).
	best claim
}

// node returns the Node that has the address or, for an ordinary Pod, the Node that it runs on.
func (a *address) node() unique.Handle[string] {
	if a.pod != nil {
		return a.pod.node
	}
	if p := a.claims.best.pod; p != nil {
		return p.node // host-network Pods have their Node's identity (S4)
	}
	return a.claims.best.node
}

// A claim is a Pod that reports an address as its own, or a Node that has it: by its object, or by the host
// IPs that its Pods report (S5). Claims are compared by value.
type claim struct {
	pod    *pod
	node   unique.Handle[string] // zero if pod is set
	object bool                  // set for a claim by a Node's object
}

// address returns the owner of an unmapped address, or nil if nobody in the cluster has it. It must not be
// modified.
func (s *state) address(ip netip.Addr) *address {
	if ip.Is4() {
		return s.ipv4.Find(ipv4Key(ip))
	}
	return s.ipv6.Find(ipv6Key(ip))
}

// ipv4Key returns an IPv4 address as a number.
func ipv4Key(ip netip.Addr) uint32 {
	b := ip.As4()
	return binary.BigEndian.Uint32(b[:])
}

// ipv6Key returns an IPv6 address as two numbers, zero for an invalid one. It does not ask As16, whose array is copied in one
// piece after it was written in two: the processor waits for all that comes before in order to do that.
func ipv6Key(ip netip.Addr) (k persist.WideKey) {
	if b := ip.AsSlice(); len(b) == 16 {
		k.A, k.B = binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])
	}
	return k
}

// addClaim adds a claim to an address. An invalid address has no claims.
func (t *txn) addClaim(ip netip.Addr, c claim) {
	ip = ip.Unmap()
	if !ip.IsValid() {
		return
	}
	if t.address(ip) == nil {
		t.setClaims(ip, &claims{owner: t.edit, all: []claim{c}, best: c})
		return
	}
	mine := t.claimsTo(ip)
	mine.all = append(mine.all, c)
	if c.beats(mine.best) {
		mine.best = c
	}
	t.setClaims(ip, mine)
}

// removeClaim removes a claim. It does nothing if there is no such claim.
func (t *txn) removeClaim(ip netip.Addr, c claim) {
	ip = ip.Unmap()
	if t.address(ip) == nil {
		return
	}
	mine := t.claimsTo(ip)
	at := slices.Index(mine.all, c)
	if at < 0 {
		return
	}
	mine.all = slices.Delete(mine.all, at, at+1)
	mine.chooseBest()
	t.setClaims(ip, mine)
}

// replaceClaim replaces a Pod's claim with one for its new record, which differs in its class alone. So the
// best claim stays the best.
func (t *txn) replaceClaim(ip netip.Addr, old, fresh *pod) {
	mine := t.claimsTo(ip)
	mine.all[slices.Index(mine.all, claim{pod: old})] = claim{pod: fresh}
	if mine.best.pod == old {
		mine.best.pod = fresh
	}
	t.setClaims(ip, mine)
}

// claimsTo returns the claims to ip for writing. The address must have some.
func (t *txn) claimsTo(ip netip.Addr) *claims {
	a := t.address(ip)
	switch {
	case a.claims == nil:
		only := claim{pod: a.pod}
		return &claims{owner: t.edit, all: []claim{only}, best: only}
	case a.claims.owner == t.edit:
		return a.claims
	}
	return &claims{owner: t.edit, all: slices.Clone(a.claims.all), best: a.claims.best}
}

// setClaims stores the owner of an address: the Pod of the best claim or, if that is a Node's or a
// host-network Pod's, the Node (S4). Without claims the address goes. It keeps shared, directV4 and directV6 in step.
func (t *txn) setClaims(ip netip.Addr, mine *claims) {
	if len(mine.all) == 0 {
		if t.vips.Find(ip) != nil {
			t.shared--
		}
		if ip.Is4() {
			t.ipv4.Delete(t.edit, ipv4Key(ip))
		} else {
			t.ipv6.Delete(t.edit, ipv6Key(ip))
		}
		t.noteDirect(ip)
		return
	}
	if t.address(ip) == nil && t.vips.Find(ip) != nil {
		t.shared++
	}
	a := address{class: noClass, claims: mine}
	if p := mine.best.pod; p != nil && !p.host {
		a.class, a.pod = p.class, p
		if len(mine.all) == 1 {
			a.claims = nil
		}
	}
	if ip.Is4() {
		t.ipv4.Set(t.edit, ipv4Key(ip), a)
	} else {
		t.ipv6.Set(t.edit, ipv6Key(ip), a)
	}
	t.noteDirect(ip)
}

// chooseBest sets best to the claim that no other beats.
func (c *claims) chooseBest() {
	for i := range c.all {
		if i == 0 || c.all[i].beats(c.best) {
			c.best = c.all[i]
		}
	}
}

// beats reports whether c counts before o: a newer Pod before an older one, a Pod before a Node, a Node's
// object before what its Pods report, and then by name (S7). It is a total order, so that the order of
// arrival never counts.
func (c claim) beats(o claim) bool {
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

// ownsAddress reports whether a Pod has an address that it reports (S7). Host-network Pods share the Node's
// addresses, so for them any address that no ordinary Pod owns is theirs (S4).
func (s *state) ownsAddress(p *pod, ip netip.Addr) bool {
	a := s.address(ip)
	return a != nil && (a.pod == p || p.host && a.pod == nil)
}

// addressesOf returns the addresses of a Pod (S7, S9). For a host-network Pod that has none, they are its
// Node's (S4). It allocates only if another Pod owns one of them, or for the Node's. The slice must not be
// modified.
func (s *state) addressesOf(p *pod) []netip.Addr {
	held := p.ips
	for i, ip := range held {
		if !s.ownsAddress(p, ip) {
			held = slices.Clone(held[:i])
			for _, ip := range p.ips[i+1:] {
				if s.ownsAddress(p, ip) {
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

// nodeAddresses returns the addresses of a Node (S5), sorted, without those that an ordinary Pod owns (S7).
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
