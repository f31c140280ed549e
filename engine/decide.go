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

// A verdict is what the policies of all tiers say about one side.
type verdict struct {
	// tier decided; NoTier if none did, so that the side allows (S32).
	tier   Tier
	allows bool
	// match is the rule of a cluster-wide policy that decided. place is that of the rule of a NetworkPolicy,
	// or noRank.
	match clusterMatch
	place uint32
}

// ask returns what the policies that select c say in direction d. p is the other party.
func (c *hotClass) ask(s *state, d direction, protocol Protocol, port uint16, p *peer) verdict {
	if c.tiered(d) {
		return c.askTiers(s.tiers, d, protocol, port, p)
	}
	return c.askNetworkPolicies(d, protocol, port, p)
}

// askNetworkPolicies does what ask does, of the NetworkPolicy tier alone. It allows by a rule, and denies if
// none matches (S12, S13, S14).
func (c *hotClass) askNetworkPolicies(d direction, protocol Protocol, port uint16, p *peer) verdict {
	t := c.tables[d]
	if t == nil {
		return verdict{allows: true, place: noRank}
	}
	place := t.match(protocol, port, p)
	return verdict{tier: NetworkPolicies, allows: place != noRank, place: place}
}

// askTiers does what ask does, of all tiers in their order (S32). c must be tiered.
func (c *hotClass) askTiers(x *clusterRules, d direction, protocol Protocol, port uint16, p *peer) verdict {
	if v := c.askTier(x, Admin, d, protocol, port, p); v.tier != NoTier {
		return v
	}
	if c.tables[d] != nil { // S33
		return c.askNetworkPolicies(d, protocol, port, p)
	}
	return c.askTier(x, Baseline, d, protocol, port, p)
}

// askTier does what ask does, of the Admin or the Baseline tier alone (S34). c must be tiered.
func (c *hotClass) askTier(
	x *clusterRules, tier Tier, d direction, protocol Protocol, port uint16, p *peer,
) verdict {
	match := x.first(tier, d, c, protocol, port, p)
	does := match.action()
	if does == Pass {
		return verdict{allows: true, place: noRank}
	}
	return verdict{tier: tier, allows: does == Allow, match: match, place: noRank}
}

// decideSide writes the answer of the policies that select c to side. p is the other party.
func (c *hotClass) decideSide(s *state, d direction, protocol Protocol, port uint16, p *peer, side *Side) {
	v := c.ask(s, d, protocol, port, p)
	c.record(s, d, &v, side)
}

// record writes a verdict to side. It writes the NetworkPolicies that isolate c, whether they decided or not
// (S50).
func (c *hotClass) record(s *state, d direction, v *verdict, side *Side) {
	side.Allowed, side.Tier = v.allows, v.tier
	if t := c.tables[d]; t != nil {
		side.Isolated, side.Isolating = true, t.policies
		if v.place != noRank {
			rule := &t.rules[v.place]
			side.Policy, side.Rule = rule.policy, int(rule.rule)
		}
	}
	if v.tier == Admin || v.tier == Baseline {
		side.ClusterPolicy, side.Rule = s.tiers.bySlot[v.match.slot].cluster, v.match.index()
	}
}

// exemptSide allows p regardless of policy (S2, S3). It still records whether a policy isolates p, for the
// answer.
func exemptSide(p *party, d direction, side *Side) {
	side.Allowed = true
	if p.class != nil {
		p.class.hot.record(nil, d, &verdict{allows: true, place: noRank}, side)
	}
}

// exemptInTier allows p in the NetworkPolicy tier whatever its rules, while the other tiers bind (S44). A
// NetworkPolicy that isolates p decides, unless Admin rules did before; without one, Baseline rules are
// asked.
func (s *state) exemptInTier(
	p, other *party, d direction, protocol Protocol, port uint16, family Families, side *Side,
) {
	side.Allowed = true
	if p.class == nil {
		return
	}
	c, v := &p.class.hot, verdict{allows: true, place: noRank}
	seen := other.asPeer(family, s.options)
	if c.tiered(d) {
		v = c.askTier(s.tiers, Admin, d, protocol, port, &seen)
	}
	switch {
	case v.tier != NoTier:
	case c.tables[d] != nil:
		v.tier = NetworkPolicies
	case c.tiered(d):
		v = c.askTier(s.tiers, Baseline, d, protocol, port, &seen)
	}
	c.record(s, d, &v, side)
}

// decide answers for two parties in one family by their rule tables alone: both sides must allow (S1). d must
// be zero.
func (s *state) decide(src, dst *party, protocol Protocol, port uint16, family Families, d *Decision) {
	d.Egress.Allowed, d.Ingress.Allowed = true, true
	if src.class.restricted(egress) {
		p := dst.asPeer(family, s.options)
		src.class.hot.decideSide(s, egress, protocol, port, &p, &d.Egress)
	}
	if dst.class.restricted(ingress) {
		p := src.asPeer(family, s.options)
		dst.class.hot.decideSide(s, ingress, protocol, port, &p, &d.Ingress)
	}
	if s.options.JoinDirections && src.class != nil && dst.class != nil {
		toDst, toSrc := dst.asPeer(family, s.options), src.asPeer(family, s.options)
		s.joinDirections(&src.class.hot, &dst.class.hot, protocol, port, &toDst, &toSrc, d)
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
func (s *state) decideOrExempt(
	src, dst *party, protocol Protocol, port uint16, family Families, viaService bool, d *Decision,
) {
	why := exemption(src, dst)
	switch {
	case why == Unknown, isDecided(why, src, viaService, s.options):
		s.decide(src, dst, protocol, port, family, d)
		return
	case exemptFromAll(why, src, viaService, s.options):
		exemptSide(src, egress, &d.Egress)
		exemptSide(dst, ingress, &d.Ingress)
	default:
		s.exemptInTier(src, dst, egress, protocol, port, family, &d.Egress)
		s.exemptInTier(dst, src, ingress, protocol, port, family, &d.Ingress)
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
func (s *state) asksAddresses(src, dst *party) bool {
	if !s.asksAddress(src.class, egress) && !s.asksAddress(dst.class, ingress) {
		return false
	}
	why := exemption(src, dst)
	return why == Unknown || !exemptFromAll(why, src, false, s.options)
}

// decidePair answers for two parties in all of their families, and allows if one of them allows (S9). The
// decision is that of the first family that allows, or else that of IPv4. If no address takes part, both
// families have one answer, and it is computed once. d must be zero.
func (s *state) decidePair(src, dst *party, protocol Protocol, port uint16, d *Decision) {
	families := pairFamilies(src, dst)
	if families != IPv4|IPv6 || !s.asksAddresses(src, dst) {
		s.decideOrExempt(src, dst, protocol, port, families, false, d)
		if d.Allowed {
			d.Families = families
		}
		return
	}
	s.decideOrExempt(src, dst, protocol, port, IPv4, false, d)
	var d6 Decision
	s.decideOrExempt(src, dst, protocol, port, IPv6, false, &d6)
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
