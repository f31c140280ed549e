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
	// nodeClass is that of the Node that the party is, by which peers `nodes` match it (S38); nil if no rule has such peers.
	nodeClass *hotClass
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

// seenAs returns a side as the other side's rules match it in a family: by its class, nil for none, and by its address. A block
// looks at an address of that family alone, of none in family 0 (S9). An ipBlock may not look at Pods and Nodes (S19).
func seenAs(class *hotClass, addr netip.Addr, inCluster bool, family Families, o Options) peer {
	p := peer{class: class, hidden: inCluster && o.IPBlockIgnoresPods}
	if familyOf(addr) == family {
		p.addr = addr
	}
	return p
}

// asPeer returns p as the other side's rules match it in family; without a family no block matches.
func (p *party) asPeer(family Families, o Options) peer {
	class := p.nodeClass
	if p.class != nil {
		class = &p.class.hot
	}
	if p.askedByIP {
		return seenAs(class, p.addr, p.inCluster, family, o)
	}
	seen := seenAs(class, netip.Addr{}, p.inCluster, 0, o)
	seen.addr = netip.Addr{}
	for _, ip := range p.addrs {
		switch {
		case familyOf(ip) != family:
		case !seen.addr.IsValid():
			seen.addr = ip
		default:
			seen.more = append(seen.more, ip)
		}
	}
	return seen
}

// ask asks the rule tables of direction d in the order of tiers until one allows or denies (S32). It returns that table, the
// rank of the rule that matched, or noRank for the default action, and the action. Without a table that decides, by is nil
// and all is allowed (S13).
func (c *hotClass) ask(d direction, protocol Protocol, port uint16, p *peer) (by *ruleTable, rank uint32, does Action) {
	t := c.tables[d]
	if t == nil {
		return nil, noRank, Allow
	}
	if rank, does = t.answer(protocol, port, p); does != Pass {
		return t, rank, does
	}
	return c.cold.askLater(d, protocol, port, p)
}

// answer returns the action of the first rule that matches and its rank, or the default action and noRank.
func (t *ruleTable) answer(protocol Protocol, port uint16, p *peer) (rank uint32, does Action) {
	rank, does = t.match(protocol, port, p), t.defaultAction
	if rank != noRank {
		does = t.rules[rank].action
	}
	return rank, does
}

// decideSide writes the answer of the rule tables to side (S12, S13, S14, S32).
func (c *hotClass) decideSide(d direction, protocol Protocol, port uint16, p *peer, side *Side) {
	t, rank, does := c.ask(d, protocol, port, p)
	side.Allowed = does == Allow
	if t == nil {
		return
	}
	side.record(t, rank)
	if t.tier == Admin {
		side.recordIsolation(c.networkPolicies(d))
	}
}

// record writes which table and rule decided. A rank of noRank is the default action.
func (s *Side) record(t *ruleTable, rank uint32) {
	s.Tier = t.tier
	if t.tier == NetworkPolicies {
		s.recordIsolation(t)
	}
	if rank != noRank {
		rule := &t.rules[rank]
		s.Policy, s.ClusterPolicy, s.Rule = rule.policy, rule.cluster, int(rule.rule)
	}
}

// recordIsolation writes the NetworkPolicies that isolate the side, whether they decided or not (S50). t may be nil.
func (s *Side) recordIsolation(t *ruleTable) {
	if t != nil {
		s.Isolated, s.Isolating = true, t.policies
	}
}

// exemptSide allows p regardless of policy (S2, S3). It still records whether a policy isolates p, for the answer.
func exemptSide(p *party, d direction, side *Side) {
	side.Allowed = true
	if p.class != nil {
		side.recordIsolation(p.class.hot.networkPolicies(d))
	}
}

// exemptInTier allows p in the NetworkPolicy tier whatever its rules, while the other tiers bind (S44).
func exemptInTier(p, other *party, d direction, protocol Protocol, port uint16, family Families, o Options, side *Side) {
	side.Allowed = true
	if p.class == nil || p.class.hot.tables[d] == nil {
		return
	}
	isolating := p.class.hot.networkPolicies(d)
	if isolating != nil && isolating == p.class.hot.tables[d] { // no other tier comes before
		side.record(isolating, noRank)
		return
	}
	seen := other.asPeer(family, o)
	for t := range p.class.tables(d) {
		if t.tier == NetworkPolicies {
			side.record(t, noRank)
			return
		}
		if rank, does := t.answer(protocol, port, &seen); does != Pass {
			side.Allowed = does == Allow
			side.record(t, rank)
			side.recordIsolation(isolating)
			return
		}
	}
}

// decide answers for two parties in one family: both sides must allow (S1). d must be zero.
func decide(src, dst *party, protocol Protocol, port uint16, family Families, o Options, d *Decision) {
	d.Egress.Allowed, d.Ingress.Allowed = true, true
	if src.class.restricted(egress) {
		p := dst.asPeer(family, o)
		src.class.hot.decideSide(egress, protocol, port, &p, &d.Egress)
	}
	if dst.class.restricted(ingress) {
		p := src.asPeer(family, o)
		dst.class.hot.decideSide(ingress, protocol, port, &p, &d.Ingress)
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
	case d.Egress.Tier != NoTier || d.Ingress.Tier != NoTier:
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

// exemptFromAll reports whether no tier is asked about an exempt pair (S44): a Pod reaches itself by its name or address, and
// its Node reaches it, whatever is denied.
func exemptFromAll(why Reason, src *party, viaService bool, o Options) bool {
	return o.LocalAboveTiers || why == Self && !viaService || why == LocalNode && src.isNode
}

// decideOrExempt allows a Pod to itself and to its Node (S2, S3, S44), and otherwise calls decide. viaService reports whether
// the destination was asked for through a Service. d must be zero.
func decideOrExempt(
	src, dst *party, protocol Protocol, port uint16, family Families, viaService bool, o Options, d *Decision,
) {
	why := exemption(src, dst)
	switch {
	case why == Unknown:
		decide(src, dst, protocol, port, family, o, d)
		return
	case exemptFromAll(why, src, viaService, o):
		exemptSide(src, egress, &d.Egress)
		exemptSide(dst, ingress, &d.Ingress)
	default:
		exemptInTier(src, dst, egress, protocol, port, family, o, &d.Egress)
		exemptInTier(dst, src, ingress, protocol, port, family, o, &d.Ingress)
	}
	if d.conclude(); d.Allowed { // S51
		d.Reason = why
	}
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
	if families != IPv4|IPv6 || !src.class.asksAddress(egress) && !dst.class.asksAddress(ingress) {
		decideOrExempt(src, dst, protocol, port, families, false, o, d)
		if d.Allowed {
			d.Families = families
		}
		return
	}
	decideOrExempt(src, dst, protocol, port, IPv4, false, o, d)
	var d6 Decision
	decideOrExempt(src, dst, protocol, port, IPv6, false, o, &d6)
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
