package engine

import (
	"net/netip"
	"unique"
)

// party is one end of a connection, resolved.
type party struct {
	// pod is set for a Pod asked by name, and for an ordinary Pod however asked.
	pod *pod
	// class is nil for an end that no policy can apply to (S1).
	class *class
	// node is where the Pod runs, or the Node that the end is.
	node unique.Handle[string]
	// isNode: a Node's address or a host-network Pod (S4).
	isNode bool
	// inCluster: a Pod or a Node (S19).
	inCluster bool
	// byIP: asked by address, which is addr.
	byIP bool
	addr netip.Addr
	// addrs are the addresses of an end asked otherwise.
	addrs []netip.Addr
}

// families is what the end has an address in.
func (p *party) families() Families {
	if p.byIP {
		return familyOf(p.addr)
	}
	return familiesOf(p.addrs)
}

// asPeer is how the other end's rules see this one in a family; 0 is none.
func (p *party) asPeer(family Families, o Options) peer {
	seen := peer{class: p.class}
	if family == 0 || o.IPBlockIgnoresPods && p.inCluster {
		return seen
	}
	if p.byIP {
		if familyOf(p.addr) == family {
			seen.addr = p.addr
		}
		return seen
	}
	for i, ip := range p.addrs {
		if familyOf(ip) == family {
			if !seen.addr.IsValid() {
				seen.addr = p.addrs[i]
			} else {
				seen.more = append(seen.more, ip)
			}
		}
	}
	return seen
}

// ruling is what one end's tiers say.
type ruling struct {
	// tier spoke, by the rule of this rank, or noRank where it had the last word; nil where no tier isolates.
	tier    *tier
	rank    uint32
	allowed bool
}

// outcome is the decision of a pair, for one family.
type outcome struct {
	allowed         bool
	reason          Reason
	egress, ingress ruling
}

// walk asks a class's tiers in order until one says allow or deny.
func walk(tiers []*tier, protocol Protocol, port uint16, p *peer) ruling {
	for _, t := range tiers {
		rank, says := t.match(protocol, port, p), t.otherwise
		if rank != noRank {
			says = t.rules[rank].says
		}
		if says != pass {
			return ruling{tier: t, rank: rank, allowed: says == allow}
		}
	}
	return ruling{allowed: true, rank: noRank} // S13
}

// always is the ruling of an end whose policies do not count: it tells whether they isolate it.
func always(p *party, d direction) ruling {
	r := ruling{allowed: true, rank: noRank}
	if p.class != nil && len(p.class.tiers[d]) > 0 {
		r.tier = p.class.tiers[d][0]
	}
	return r
}

// decide answers for two ends in one family (S1).
func decide(src, dst *party, protocol Protocol, port uint16, family Families, o Options) outcome {
	out := outcome{egress: ruling{allowed: true, rank: noRank}, ingress: ruling{allowed: true, rank: noRank}}
	if src.class != nil && len(src.class.tiers[egress]) > 0 {
		p := dst.asPeer(family, o)
		out.egress = walk(src.class.tiers[egress], protocol, port, &p)
	}
	if dst.class != nil && len(dst.class.tiers[ingress]) > 0 {
		p := src.asPeer(family, o)
		out.ingress = walk(dst.class.tiers[ingress], protocol, port, &p)
	}
	out.allowed = out.egress.allowed && out.ingress.allowed
	switch {
	case !out.egress.allowed:
		out.reason = DeniedAtEgress
	case !out.ingress.allowed:
		out.reason = DeniedAtIngress
	case out.egress.tier != nil || out.ingress.tier != nil:
		out.reason = AllowedByRule
	default:
		out.reason = NotIsolated
	}
	return out
}

// exempt tells whether a pair is allowed whatever the policies say (S2, S3).
func exempt(src, dst *party) Reason {
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

// decideExempt is decide, after what is allowed whatever the policies say.
func decideExempt(src, dst *party, protocol Protocol, port uint16, family Families, o Options) outcome {
	if why := exempt(src, dst); why != Unknown {
		return outcome{allowed: true, reason: why, egress: always(src, egress), ingress: always(dst, ingress)}
	}
	return decide(src, dst, protocol, port, family, o)
}

// pairFamilies are the families in which a pair is decided (S9): 0 means once, with no address taking part.
func pairFamilies(src, dst *party) Families {
	a, b := src.families(), dst.families()
	switch {
	case src.byIP && dst.byIP:
		return a & b
	case src.byIP:
		return a
	case dst.byIP:
		return b
	case a == 0:
		return b
	case b == 0:
		return a
	}
	return a & b
}

// decidePair answers for two ends in all of their families: allowed when one of them allows. The outcome is that of the
// first family that allows, else of the first.
func decidePair(src, dst *party, protocol Protocol, port uint16, o Options) (outcome, Families) {
	families := pairFamilies(src, dst)
	if families != IPv4|IPv6 || exempt(src, dst) != Unknown {
		out := decideExempt(src, dst, protocol, port, families, o)
		if !out.allowed {
			families = 0
		}
		return out, families
	}
	out4 := decide(src, dst, protocol, port, IPv4, o)
	if !src.class.asksAddress(egress) && !dst.class.asksAddress(ingress) {
		if !out4.allowed {
			families = 0
		}
		return out4, families
	}
	out6 := decide(src, dst, protocol, port, IPv6, o)
	switch {
	case out4.allowed && out6.allowed:
		return out4, IPv4 | IPv6
	case out4.allowed:
		return out4, IPv4
	case out6.allowed:
		return out6, IPv6
	}
	return out4, 0
}

// decision writes an outcome for callers.
func (out *outcome) decision(families Families) Decision {
	return Decision{
		Allowed: out.allowed, Reason: out.reason, Families: families,
		Egress: out.egress.side(), Ingress: out.ingress.side(),
	}
}

func (r *ruling) side() Side {
	s := Side{Allowed: r.allowed}
	if r.tier != nil {
		s.Isolated, s.Isolating = true, r.tier.policies
		if r.rank != noRank {
			ref := r.tier.rules[r.rank]
			s.Policy, s.Rule = r.tier.policies[ref.policy], int(ref.rule)
		}
	}
	return s
}
