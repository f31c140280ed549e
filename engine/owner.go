package engine

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"unique"

	"github.com/netpold/netpold/engine/internal/persist"
)

// address is who owns an IP: an ordinary Pod or, where pod is nil, a Node. It is kept small: with its key, two fit a cache
// line.
type address struct {
	// class is pod's, or noClass.
	class uint32
	// pod is the ordinary Pod that owns it.
	pod *pod
	// claims are all that claim it, with the Node whose address it is; nil where pod alone does.
	claims *claims
}

// claims are the claims to one address.
type claims struct {
	owner *persist.Edit
	all   []claim
	// best is the claim that counts (S7).
	best claim
}

// node is the Node that the address is of, or else the one that its Pod runs on.
func (a *address) node() unique.Handle[string] {
	if a.pod != nil {
		return a.pod.node
	}
	if p := a.claims.best.pod; p != nil {
		return p.node // host-network Pods have their Node's identity (S4)
	}
	return a.claims.best.node
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
	return binary.BigEndian.Uint32(b[:])
}

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

// replaceClaim replaces a Pod's claim with one for its new record. The order of claims does not change.
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

// setClaims stores who owns an address: the best claim's Pod or, where that is a host-network Pod or a Node, nobody but
// the Node.
func (t *txn) setClaims(ip netip.Addr, mine *claims) {
	if len(mine.all) == 0 {
		if t.vips.Find(ip) != nil {
			t.shared--
		}
		if ip.Is4() {
			t.ipv4.Delete(t.edit, ipv4Key(ip))
		} else {
			t.ipv6.Delete(t.edit, ip.As16())
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
		t.ipv6.Set(t.edit, ip.As16(), a)
	}
	t.noteDirect(ip)
}

// chooseBest finds the best claim: the newest Pod's (S7); where there is no Pod, a Node's, by its object before its Pods, and
// then by name, so that the order of arrival never counts.
func (c *claims) chooseBest() {
	for i := range c.all {
		if i == 0 || c.all[i].beats(c.best) {
			c.best = c.all[i]
		}
	}
}

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

// ownsAddress reports whether a Pod has an address that it reports (S7). Host-network Pods share their Node's.
func (s *state) ownsAddress(p *pod, ip netip.Addr) bool {
	a := s.address(ip)
	return a != nil && (a.pod == p || p.host && a.pod == nil)
}

// addressesOf returns the addresses of a Pod (S7, S9): for a host-network Pod that has none, its Node's (S4).
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
