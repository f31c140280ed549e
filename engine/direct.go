package engine

import "net/netip"

// AllowedDirect returns the reason of the decision that [Snapshot.Allowed] makes about two addresses, in less
// time. It reports whether it could; if not, ask Allowed.
//
// It can for nearly all pairs of addresses of one family: those of two Pods, or of a Pod and an address outside
// the cluster. With [Options.JoinDirections] it cannot deny. It does not ask the ingress side once the egress side denied, as the reason is known by then. It
// allocates nothing.
func (s *Snapshot) AllowedDirect(
	src, dst netip.Addr, port uint16, protocol Protocol,
) (reason Reason, direct bool) {
	from, to, direct := s.directClasses(src, dst)
	if !direct {
		return Unknown, false
	}
	if from != nil && from.tables[egress] != nil && !from.tiered(egress) && from.deniesEgress(to, port) {
		return DeniedAtEgress, !s.options.JoinDirections
	}
	family := familyOf(src)
	if from != nil && to != nil && from.tiered(egress) && to.tiered(ingress) && family == IPv4 {
		if reason = s.tiers.remembered(from, to, src, dst, port, protocol); reason != Unknown {
			return reason, true
		}
	}
	reason = NotIsolated
	if from != nil && (from.tables[egress] != nil || from.tiered(egress)) {
		p := seenAs(to, dst, to != nil, family, s.options)
		v := from.ask(&s.state, egress, protocol, port, &p)
		if !v.allows {
			return DeniedAtEgress, !s.options.JoinDirections
		}
		if v.tier != NoTier {
			reason = AllowedByRule
		}
	}
	if to != nil && (to.tables[ingress] != nil || to.tiered(ingress)) {
		p := seenAs(from, src, from != nil, family, s.options)
		v := to.ask(&s.state, ingress, protocol, port, &p)
		if !v.allows {
			return DeniedAtIngress, !s.options.JoinDirections
		}
		if v.tier != NoTier {
			reason = AllowedByRule
		}
	}
	return reason, true
}

// DecideAddresses makes the decision that [Snapshot.Allowed] makes about two addresses, without a [Query] and what that
// costs: d becomes the decision. It reports whether it could; if not, ask Allowed. It cannot if dst is a Service's
// address (S24). It allocates nothing.
func (s *Snapshot) DecideAddresses(src, dst netip.Addr, port uint16, protocol Protocol, d *Decision) bool {
	*d = Decision{}
	return src.IsValid() && dst.IsValid() && s.decideAddresses(src.Unmap(), dst.Unmap(), port, protocol, d)
}

// notDirect marks the addresses that need a longer look. The tables directV4 and directV6 give for an address
//
//	0           nobody in the cluster has it
//	class + 1   an ordinary Pod owns it, and nothing but the Pod's class takes part in a decision
//	notDirect   any other: a Node's, a host-network Pod's, a Service's, or one of several of a Pod
//
// So one look-up, which reads one cache line, settles most addresses. A Pod with several addresses of
// one family is not direct because two of them may be the ends of one question, which is then about the Pod and
// itself (S2).
const notDirect = 1 << 31

// noteDirect keeps what decisions read first of an address in step. It must be called whenever the claims to ip change, or
// the Services that have it.
func (t *txn) noteDirect(ip netip.Addr) {
	direct := t.directOf(ip, t.address(ip))
	switch {
	case ip.Is4() && direct == 0:
		t.directV4.Delete(t.edit, ipv4Key(ip))
	case ip.Is4():
		t.directV4.Set(t.edit, ipv4Key(ip), direct)
	case direct == 0:
		t.directV6.Delete(t.edit, ipv6Key(ip))
	default:
		t.directV6.Set(t.edit, ipv6Key(ip), direct)
	}
}

// direct returns what the table of its family gives for an address; see [notDirect].
func (s *state) direct(ip netip.Addr) uint32 {
	if ip.Is4() {
		return s.directV4.Get(ipv4Key(ip))
	}
	return s.directV6.Get(ipv6Key(ip))
}

// directOf returns the number of an address, as at [notDirect]. a is its owner, nil for none.
func (s *state) directOf(ip netip.Addr, a *address) uint32 {
	service := s.vips.Find(ip) != nil
	switch {
	case a == nil && !service:
		return 0
	case service || a.pod == nil || a.class >= notDirect-1 || several(a.pod.ips, familyOf(ip)):
		return notDirect
	}
	return a.class + 1
}

// several reports whether more than one of ips is of a family.
func several(ips []netip.Addr, family Families) bool {
	n := 0
	for _, ip := range ips {
		if familyOf(ip) == family {
			n++
		}
	}
	return n > 1
}

// directClasses returns the classes of two addresses, nil for one outside the cluster, and whether both are
// direct. One address twice is not, as the pair may be exempt (S2), nor is an IPv4 address written as one of IPv6.
func (s *state) directClasses(src, dst netip.Addr) (from, to *hotClass, direct bool) {
	if src.Is4() != dst.Is4() || src == dst || src.Is4In6() || dst.Is4In6() {
		return nil, nil, false
	}
	var a, b uint32
	if src.Is4() {
		a, b = s.directV4.Get(ipv4Key(src)), s.directV4.Get(ipv4Key(dst))
	} else {
		a, b = s.directV6.Get(ipv6Key(src)), s.directV6.Get(ipv6Key(dst))
	}
	if (a|b)&notDirect != 0 {
		return nil, nil, false
	}
	if a != 0 {
		from = s.hotClasses.At(a - 1)
	}
	if b != 0 {
		to = s.hotClasses.At(b - 1)
	}
	return from, to, true
}

// decideAddresses answers a question between two addresses, and reports whether it could. It cannot if the
// destination is a Service's address (S24). Except for pairs that may be exempt it makes no parties, and
// allocates nothing.
//
// It decides as decidePair does, in one family: both ends were asked by IP, so addresses of different
// families meet no block (S9). d must be zero.
func (s *state) decideAddresses(src, dst netip.Addr, port uint16, protocol Protocol, d *Decision) bool {
	from, to, direct := s.directClasses(src, dst)
	var toDst, toSrc peer
	if direct {
		family := familyOf(src)
		toDst = seenAs(to, dst, to != nil, family, s.options)
		toSrc = seenAs(from, src, from != nil, family, s.options)
	} else {
		srcAt, dstAt := s.address(src), s.address(dst)
		if dstAt != nil && dstAt.pod != nil {
			to = s.hotClasses.At(dstAt.class)
		}
		if (to == nil && s.vips.Len() > 0 || s.shared > 0) && s.vips.Find(dst) != nil {
			return false
		}
		if srcAt != nil && srcAt.pod != nil {
			from = s.hotClasses.At(srcAt.class)
		}
		// Two addresses of one Pod, two of Nodes, or a Pod's and its Node's: the pair may be exempt (S2, S3).
		if srcAt != nil && dstAt != nil && (srcAt.pod == dstAt.pod ||
			(srcAt.pod == nil || dstAt.pod == nil) && srcAt.node() == dstAt.node()) {
			a, b := s.partyAt(src), s.partyAt(dst)
			s.decidePair(&a, &b, protocol, port, d)
			d.Families = 0
			return true
		}
		family := familyOf(src) & familyOf(dst)
		toDst = seenAs(to, dst, dstAt != nil, family, s.options)
		toSrc = seenAs(from, src, srcAt != nil, family, s.options)
		if s.nodeSelectors > 0 {
			toDst.class, toSrc.class = s.classAt(to, dstAt), s.classAt(from, srcAt)
		}
	}
	d.Egress.Allowed, d.Ingress.Allowed = true, true
	if from != nil {
		from.decideSide(s, egress, protocol, port, &toDst, &d.Egress)
	}
	if to != nil {
		to.decideSide(s, ingress, protocol, port, &toSrc, &d.Ingress)
	}
	if s.options.JoinDirections {
		s.joinDirections(from, to, protocol, port, &toDst, &toSrc, d)
	}
	d.conclude()
	return true
}
