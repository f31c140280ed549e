package engine

import (
	"net/netip"
	"unique"
)

// A party is an Endpoint as found in the snapshot: one side of a connection. It has all that a decision reads
// of that side, so that deciding looks nothing up by name or address.
//
//	                      pod   class   isNode   inCluster
//	Pod                   yes   yes     no       yes
//	host-network Pod      *     no      yes      yes        * if asked by name
//	Node's address        no    no      yes      yes
//	LabelledPod           no    yes     no       yes
//	any other address     no    no      no       no
type party struct {
	// pod is set for a Pod asked by name, and for an ordinary Pod in any case.
	pod *pod
	// class is nil if no policy can apply to the party (S1).
	class *class
	// node is the Node where the Pod runs, or that the party is; zero for none.
	node unique.Handle[string]
	// isNode reports whether the party has a Node's identity: a Node's address or a host-network Pod (S4).
	isNode bool
	// nodeClass is the class of the Node that the party is, by which peers `nodes` match it (S38); nil if no
	// rule has such peers.
	nodeClass *hotClass
	// inCluster reports whether the party is a Pod or a Node, which an ipBlock may be told to ignore (S19).
	inCluster bool
	// askedByIP reports whether the party was asked by an address, which is then addr: it decides the family
	// (S9).
	askedByIP bool
	addr      netip.Addr
	// addrs has the addresses of a party that was asked otherwise, of both families.
	addrs []netip.Addr
}

// families returns the families in which p has an address; 0 for a Pod that has none yet (S8).
func (p *party) families() Families {
	if p.askedByIP {
		return familyOf(p.addr)
	}
	return familiesOf(p.addrs)
}

// seenAs returns a side as the other side's rules match it in a family: by its class, nil for none, and by
// its address.
//
// A block looks at an address of that family alone, and at none in family 0 (S9). Whether the ipBlocks of
// NetworkPolicies look at Pods and Nodes is an option (S19). This is the one place that decides both.
func seenAs(class *hotClass, addr netip.Addr, inCluster bool, family Families, o Options) peer {
	p := peer{class: class, hidden: inCluster && o.IPBlockIgnoresPods}
	if familyOf(addr) == family {
		p.addr = addr
	}
	return p
}

// asPeer returns p as the other side's rules match it in family. Without a family no block matches. It
// allocates only if p has several addresses of the family.
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

// ask asks the rule tables of direction d in the order of tiers until one allows or denies (S32). It returns
// that table, the rank of the rule that matched, and the action. The rank is noRank if no rule matched and
// the table's default action decided. If no table decides, by is nil and the side allows (S13).
func (c *hotClass) ask(
	d direction, protocol Protocol, port uint16, p *peer,
) (by *ruleTable, rank uint32, does Action) {
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
		does = actionOf(rank)
	}
	return rank, does
}

// decideSide writes the answer of the rule tables of direction d to side (S12, S13, S14, S32). p is the other
// party.
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

// record writes which table and which rule of it decided. A rank of noRank means the default action.
func (s *Side) record(t *ruleTable, rank uint32) {
	s.Tier = t.tier
	if t.tier == NetworkPolicies {
		s.recordIsolation(t)
	}
	switch {
	case rank == noRank:
	case t.tier == NetworkPolicies:
		rule := &t.rules[placeOf(rank)]
		s.Policy, s.Rule = rule.policy, int(rule.rule)
	default:
		rule := &t.rare.clusterRules[placeOf(rank)]
		s.ClusterPolicy, s.Rule = rule.policy, int(rule.rule)
	}
}

// recordIsolation writes the NetworkPolicies that isolate the side, whether they decided or not (S50). t may
// be nil.
func (s *Side) recordIsolation(t *ruleTable) {
	if t != nil {
		s.Isolated, s.Isolating = true, t.policies
	}
}

// exemptSide allows p regardless of policy (S2, S3). It still records whether a policy isolates p, for the
// answer.
func exemptSide(p *party, d direction, side *Side) {
	side.Allowed = true
	if p.class != nil {
		side.recordIsolation(p.class.hot.networkPolicies(d))
	}
}

// exemptInTier allows p in the NetworkPolicy tier whatever its rules, while the other tiers bind (S44). A
// NetworkPolicy that isolates p decides, unless Admin rules did before; without one, Baseline rules are
// asked.
func exemptInTier(
	p, other *party, d direction, protocol Protocol, port uint16, family Families, o Options, side *Side,
) {
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

// decide answers for two parties in one family by their rule tables alone: both sides must allow (S1). d must
// be zero.
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

// conclude sets Reason, and Allowed if both sides allow (S1, S51). Egress comes first if both deny.
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

// exemption returns Self for a Pod and itself (S2), LocalNode for a Pod and the Node it runs on (S3), and
// Unknown for all other pairs. A Pod on no Node yet is local to none.
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

// exemptFromAll reports whether no tier is asked about an exempt pair (S44): a Pod reaches itself by its name
// or address, and its Node reaches it, whatever policies deny. The other two exemptions are of the
// NetworkPolicy tier.
func exemptFromAll(why Reason, src *party, viaService bool, o Options) bool {
	return o.LocalAboveTiers || why == Self && !viaService || why == LocalNode && src.isNode
}

// isDecided reports whether the options leave a pair that would be exempt to the rules.
func isDecided(why Reason, src *party, viaService bool, o Options) bool {
	return o.DecideOwnNode && why == LocalNode && !src.isNode ||
		o.DecideOwnService && why == Self && viaService
}

// decideOrExempt allows a Pod to itself and to its Node (S2, S3, S44), and otherwise calls decide. viaService
// reports whether the destination is reached through a Service. d must be zero.
func decideOrExempt(
	src, dst *party, protocol Protocol, port uint16, family Families, viaService bool, o Options, d *Decision,
) {
	why := exemption(src, dst)
	switch {
	case why == Unknown, isDecided(why, src, viaService, o):
		decide(src, dst, protocol, port, family, o, d)
		return
	case exemptFromAll(why, src, viaService, o):
		exemptSide(src, egress, &d.Egress)
		exemptSide(dst, ingress, &d.Ingress)
	default:
		exemptInTier(src, dst, egress, protocol, port, family, o, &d.Egress)
		exemptInTier(dst, src, ingress, protocol, port, family, o, &d.Ingress)
	}
	if d.conclude(); d.Allowed { // otherwise the reason is that of a denial (S51)
		d.Reason = why
	}
}

// pairFamilies returns the families in which a pair is decided (S9). A side asked by IP decides the family; a
// side without an address leaves it to the other. 0 means that the pair is decided once and no address takes
// part.
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

// asksAddresses reports whether the addresses of a pair take part in its decision: some rule has a block, and
// the pair is not exempt from all tiers.
func asksAddresses(src, dst *party, o Options) bool {
	if !src.class.asksAddress(egress) && !dst.class.asksAddress(ingress) {
		return false
	}
	why := exemption(src, dst)
	return why == Unknown || !exemptFromAll(why, src, false, o)
}

// decidePair answers for two parties in all of their families, and allows if one of them allows (S9). The
// decision is that of the first family that allows, or else that of IPv4. If no address takes part, both
// families have one answer, and it is computed once. d must be zero.
func decidePair(src, dst *party, protocol Protocol, port uint16, o Options, d *Decision) {
	families := pairFamilies(src, dst)
	if families != IPv4|IPv6 || !asksAddresses(src, dst, o) {
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
