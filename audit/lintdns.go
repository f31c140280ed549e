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

// dnsEnds returns the endpoints of Service kube-system/kube-dns for UDP 53; none if there is no such Service or
// nothing behind it.
func (l *linter) dnsEnds() []dnsEnd {
	targets := l.snapshot.ServiceTargets("kube-system", "kube-dns", 53, engine.UDP)
	if len(targets) == 0 {
		return nil
	}
	byAddr := map[netip.Addr]*lintEnd{}
	byName := map[string]*lintEnd{}
	for _, e := range l.ends {
		for i := range e.pods {
			for _, a := range e.pods[i].IPs {
				byAddr[a] = e
			}
			if e.pods[i].Namespace == "kube-system" {
				byName[e.pods[i].Name] = e
			}
		}
		if e.byIP {
			byAddr[e.addrs[0]] = e
		}
	}
	var list []dnsEnd
	for _, t := range targets {
		d := dnsEnd{end: byAddr[t.IP], addr: t.IP, port: t.Port}
		if !t.IP.IsValid() {
			d.end = byName[t.Pod]
		}
		list = append(list, d)
	}
	return list
}

// forgetsDNS reports whether Pods are isolated for egress by policies with an egress rule, and their egress
// side allows UDP 53 to no endpoint of the DNS or, if there is none, to no Pod and no outside address.
func (l *linter) forgetsDNS(c *lintClass, e *lintEnd, dns []dnsEnd) bool {
	stack := c.stacks[side(Egress)]
	if l.options.IgnorePolicies || !slices.ContainsFunc(stack.policies, func(p *lintPolicy) bool {
		return len(p.rules[side(Egress)]) > 0
	}) {
		return false
	}
	for _, d := range dns {
		if d.end == nil {
			seen := view{addrs: []netip.Addr{d.addr}}
			if l.allowed(stack, &seen, nil, nil).Contains(engine.UDP, d.port) {
				return false
			}
		} else if l.allowsPort(stack, e, d.end, engine.UDP, d.port) {
			return false
		}
	}
	return len(dns) > 0 || !l.allowsAny(stack, e, engine.UDP, 53)
}

// allowsPort reports whether the egress side of s allows a port to q, in whatever way both are asked for.
func (l *linter) allowsPort(stack *lintStack, s, q *lintEnd, protocol engine.Protocol, port uint16) bool {
	for _, sf := range s.forms() {
		for _, qf := range q.forms() {
			for _, family := range decided(&sf, &qf) {
				seen := qf.seenIn(family)
				if l.allowed(stack, &seen, q.ports(), nil).Contains(protocol, port) {
					return true
				}
			}
		}
	}
	return false
}

// allowsAny reports whether the egress side of s, which is isolated, allows a port to any Pod or any address
// outside the cluster.
func (l *linter) allowsAny(stack *lintStack, s *lintEnd, protocol engine.Protocol, port uint16) bool {
	for _, rules := range stack.tiers {
		for _, u := range rules {
			if u.action != engine.Allow {
				continue
			}
			for _, q := range l.candidates(u) {
				if q.class != nil && u.portsOn(q.ports()).Contains(protocol, port) &&
					l.allowsPort(stack, s, q, protocol, port) {
					return true
				}
			}
			if !u.fixed.Contains(protocol, port) || len(u.blocks) == 0 && !u.anyPeer {
				continue
			}
			for _, r := range outside(stack, u) {
				seen := r.view()
				if l.matches(u, &seen) && l.allowed(stack, &seen, nil, nil).Contains(protocol, port) &&
					l.hasOutside(r) {
					return true
				}
			}
		}
	}
	return false
}
