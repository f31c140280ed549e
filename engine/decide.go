package engine

import (
	"net/netip"
	"unique"
)

// A party is an Endpoint as found in the snapshot: one side of a connection.
type party struct {
	// pod is set for a Pod asked by name, and for an ordinary Pod however asked.
	pod *pod
	// class is nil if no policy can apply to the party (S1).
	class *class
	// node is where the Pod runs, or the Node that the end is.
	node unique.Handle[string]
	// isNode: a Node's address or a host-network Pod (S4).
	isNode bool
	// inCluster: a Pod or a Node (S19).
	inCluster bool
	// askedByIP: asked by address, which is addr.
	askedByIP bool
	addr      netip.Addr
	// addrs are the addresses of an end asked otherwise.
	addrs []netip.Addr
}

// families returns the families in which p has an address.
func (p *party) families() Families {
	if p.askedByIP {
		return familyOf(p.addr)
	}
	return familiesOf(p.addrs)
}

// seenAs returns a side as the other side's rules match it in a family: by its class, nil for none, and by its address. An
// ipBlock looks at an address of that family alone, of none in family 0 (S9), and may not look at Pods and Nodes (S19).
func seenAs(class *hotClass, addr netip.Addr, inCluster bool, family Families, o Options) peer {
	p := peer{class: class}
	if familyOf(addr) == family && !(inCluster && o.IPBlockIgnoresPods) {
		p.addr = addr
	}
	return p
}

// asPeer returns p as the other side's rules match it in family; without a family no ipBlock matches.
func (p *party) asPeer(family Families, o Options) peer {
	var class *hotClass
	if p.class != nil {
		class = &p.class.hot
	}
	if p.askedByIP {
		return seenAs(class, p.addr, p.inCluster, family, o)
	}
	seen := peer{class: class}
	for _, ip := range p.addrs {
		switch s := seenAs(class, ip, p.inCluster, family, o); {
		case !s.addr.IsValid():
		case !seen.addr.IsValid():
			seen = s
		default:
			seen.more = append(seen.more, ip)
		}
	}
	return seen
}

// ask asks the rule tables in the order of tiers until one allows or denies. It returns that table, the rank of the rule that
// matched, or noRank for the default action, and the action. Without a table that decides, by is nil and all is allowed (S13).
func (ts *tiers) ask(protocol Protocol, port uint16, p *peer) (by *ruleTable, rank uint32, says action) {
	for _, t := range ts {
		if t == nil {
			continue
		}
		rank, says := t.match(protocol, port, p), t.defaultAction
		if rank != noRank {
			says = t.rules[rank].action
		}
		if says != pass {
			return t, rank, says
		}
	}
	return nil, noRank, allow
}

// decideSide writes the answer of the rule tables to side (S12, S13, S14).
func (ts *tiers) decideSide(protocol Protocol, port uint16, p *peer, side *Side) {
	t, rank, says := ts.ask(protocol, port, p)
	side.Allowed = says == allow
	if t == nil {
		return
	}
	side.Isolated, side.Isolating = true, t.policies
	if rank != noRank {
		side.Policy, side.Rule = t.rules[rank].policy, int(t.rules[rank].rule)
	}
}

// exemptSide allows p regardless of policy (S2, S3). It still records whether a policy isolates p, for the answer.
func exemptSide(p *party, d direction, side *Side) {
	side.Allowed = true
	if p.class == nil {
		return
	}
	for _, t := range p.class.hot.tiers[d] {
		if t != nil {
			side.Isolated, side.Isolating = true, t.policies
			return
		}
	}
}

// decide answers for two parties in one family: both sides must allow (S1). d must be zero.
func decide(src, dst *party, protocol Protocol, port uint16, family Families, o Options, d *Decision) {
	d.Egress.Allowed, d.Ingress.Allowed = true, true
	if src.class.isolated(egress) {
		p := dst.asPeer(family, o)
		src.class.hot.tiers[egress].decideSide(protocol, port, &p, &d.Egress)
	}
	if dst.class.isolated(ingress) {
		p := src.asPeer(family, o)
		dst.class.hot.tiers[ingress].decideSide(protocol, port, &p, &d.Ingress)
	}
	d.conclude()
}

// conclude sets the reason, and Allowed if both sides allow (S1).
func (d *Decision) conclude() {
	switch {
	case !d.Egress.Allowed:
		d.Reason = DeniedAtEgress
	case !d.Ingress.Allowed:
		d.Reason = DeniedAtIngress
	case d.Egress.Isolated || d.Ingress.Isolated:
		d.Allowed, d.Reason = true, AllowedByRule
	default:
		d.Allowed, d.Reason = true, NotIsolated
	}
}

// exemption returns Self for a Pod and itself (S2), LocalNode for a Pod and its Node (S3), and Unknown for all other pairs.
func exemption(src, dst *party) Reason {
	switch {
	case src.pod != nil && src.pod == dst.pod:
		return Self
	case src.isNode == dst.isNode || src.node != dst.node || src.node == (unique.Handle[string]{}):
		return Unknown
	case src.isNode && dst.class != nil, dst.isNode && src.class != nil:
		return LocalNode
	}
	return Unknown
}

// decideOrExempt allows a Pod to itself and to its Node (S2, S3), and otherwise calls decide. d must be zero.
func decideOrExempt(src, dst *party, protocol Protocol, port uint16, family Families, o Options, d *Decision) {
	if why := exemption(src, dst); why != Unknown {
		d.Allowed, d.Reason = true, why
		exemptSide(src, egress, &d.Egress)
		exemptSide(dst, ingress, &d.Ingress)
		return
	}
	decide(src, dst, protocol, port, family, o, d)
}

// pairFamilies returns the families in which a pair is decided (S9). 0 means once, and that no address takes part.
func pairFamilies(src, dst *party) Families {
	a, b := src.families(), dst.families()
	switch {
	case src.askedByIP && dst.askedByIP:
		return a & b
	case src.askedByIP:
		return a
	case dst.askedByIP:
		return b
	case a == 0:
		return b
	case b == 0:
		return a
	}
	return a & b
}

// decidePair answers for two parties in all of their families, and allows if one of them allows (S9). The decision is that of
// the first family that allows, or else of the first. d must be zero.
func decidePair(src, dst *party, protocol Protocol, port uint16, o Options, d *Decision) {
	families := pairFamilies(src, dst)
	if families != IPv4|IPv6 || !src.class.asksAddress(egress) && !dst.class.asksAddress(ingress) || exemption(src, dst) != Unknown {
		decideOrExempt(src, dst, protocol, port, families, o, d)
		if d.Allowed {
			d.Families = families
		}
		return
	}
	decide(src, dst, protocol, port, IPv4, o, d)
	var d6 Decision
	decide(src, dst, protocol, port, IPv6, o, &d6)
	switch {
	case d.Allowed && d6.Allowed:
		d.Families = IPv4 | IPv6
	case d.Allowed:
		d.Families = IPv4
	case d6.Allowed:
		*d = d6
		d.Families = IPv6
	}
}
