package audit

import (
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A dnsEnd is an endpoint of the cluster's DNS.
type dnsEnd struct {
	end  *lintEnd // nil for an address outside the cluster
	addr netip.Addr
	port uint16
}

// dnsEnds returns the endpoints of Service kube-system/kube-dns for UDP 53, and whether there is such a Service.
// It may have none.
func (l *linter) dnsEnds() (list []dnsEnd, isService bool) {
	key := engine.ObjectKey{Kind: engine.KindService, Namespace: "kube-system", Name: "kube-dns"}
	if _, ok := l.snapshot.Object(key); !ok {
		return nil, false
	}
	targets := l.snapshot.ServiceTargets(key.Namespace, key.Name, 53, engine.UDP)
	byAddr := map[netip.Addr]*lintEnd{}
	byName := map[string]*lintEnd{}
	for _, e := range l.ends {
		for i := range e.pods {
			for _, a := range e.pods[i].IPs {
				byAddr[a] = e
			}
			if e.pods[i].Namespace == key.Namespace {
				byName[e.pods[i].Name] = e
			}
		}
		if e.byIP {
			byAddr[e.addrs[0]] = e
		}
	}
	for _, t := range targets {
		d := dnsEnd{end: byAddr[t.IP], addr: t.IP, port: t.Port}
		if !t.IP.IsValid() {
			d.end = byName[t.Pod]
		}
		list = append(list, d)
	}
	return list, true
}

// forgetsDNS reports whether Pods are isolated for egress by policies with an egress rule, and their egress
// side allows UDP 53 to no endpoint of the DNS or, if there is no such Service, to no Pod and no outside address.
func (l *linter) forgetsDNS(c *lintClass, e *lintEnd, dns []dnsEnd, isService bool) bool {
	stack := c.stacks[side(Egress)]
	if l.options.IgnorePolicies || !slices.ContainsFunc(stack.policies, func(p *lintPolicy) bool {
		return len(p.rules[side(Egress)]) > 0
	}) {
		return false
	}
	for _, d := range dns {
		if d.end == nil {
			seen := l.viewOutside(d.addr)
			if l.allowed(c, Egress, &seen, nil).Contains(engine.UDP, d.port) {
				return false
			}
		} else if l.allowsPort(e, d.end, engine.UDP, d.port) {
			return false
		}
	}
	return isService || !l.allowsAny(e)
}

// allowsPort reports whether the egress side of s allows a port to q, in whatever way both are asked for.
func (l *linter) allowsPort(s, q *lintEnd, protocol engine.Protocol, port uint16) (allows bool) {
	eachQuestion(s, q, func(_, seen *view) bool {
		allows = l.allowed(s.class, Egress, seen, nil).Contains(protocol, port)
		return !allows
	})
	return allows
}

// An egressSide is all that what Pods may reach depends on.
type egressSide struct {
	stack *lintStack
	tiers *tierStack
	has   [2]bool // addresses of each family
}

// allowsAny reports whether the egress side of s, which is isolated, allows UDP 53 to any Pod or any address
// outside the cluster.
func (l *linter) allowsAny(s *lintEnd) bool {
	c := s.class
	key := egressSide{c.stacks[side(Egress)], c.tiers[side(Egress)], s.forms()[0].has}
	found, ok := l.resolves[key]
	if !ok {
		for _, rules := range key.stack.tiers {
			found = found || slices.ContainsFunc(rules, func(u *lintRule) bool { return l.allowsAnyBy(s, u) })
		}
		l.resolves[key] = found
	}
	return found
}

// allowsAnyBy reports whether the egress side of s allows UDP 53 to anything that one of its rules allows it to.
func (l *linter) allowsAnyBy(s *lintEnd, u *lintRule) bool {
	fixed := u.fixed.Contains(engine.UDP, 53)
	if u.action != engine.Allow || !fixed && len(u.names) == 0 {
		return false
	}
	for _, q := range l.candidates(u) {
		if q.class != nil && u.portsOn(q.ports()).Contains(engine.UDP, 53) && l.allowsPort(s, q, engine.UDP, 53) {
			return true
		}
	}
	if !fixed || len(u.blocks) == 0 && !u.anyPeer {
		return false
	}
	return slices.ContainsFunc(outside(s.class.stacks[side(Egress)]), func(r lintRange) bool {
		seen := l.viewOutside(r.first)
		return l.matches(u, &seen) && l.allowed(s.class, Egress, &seen, nil).Contains(engine.UDP, 53) &&
			l.hasOutside(r)
	})
}
