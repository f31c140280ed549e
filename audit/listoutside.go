package audit

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// connectionsToOutside returns the connections of a role of sources to addresses outside the cluster.
func (l *List) connectionsToOutside(src *roleGroups) []folded {
	if !l.dst.hasOutside() || src.kind == NodeGroup {
		return nil
	}
	var list []folded
	for _, x := range cutOutside(l.roles.OutsideOfSource(src.role), l.ports, &l.dst) {
		list = append(list, folded{connection: &Connection{
			DstCIDRs: x.CIDRs, Ports: x.Ports, Families: familiesOf(x.CIDRs), EgressBy: ruleOf(x.By, Egress),
		}})
	}
	return list
}

// connectionsFromOutside returns the connections from addresses outside the cluster, in order.
func (l *List) connectionsFromOutside() []folded {
	if !l.src.hasOutside() {
		return nil
	}
	type key struct {
		cidrs, ports string
		by           engine.DecidingRule
	}
	found := map[key]int{}
	var list []folded
	for i := range l.destinations {
		dst := &l.destinations[i]
		if dst.kind == NodeGroup {
			continue
		}
		for _, x := range cutOutside(l.roles.OutsideOfDestination(dst.role), l.ports, &l.src) {
			k := key{fmt.Sprint(x.CIDRs), fmt.Sprint(x.Ports), x.By}
			at, ok := found[k]
			if !ok {
				at = len(list)
				found[k] = at
				list = append(list, folded{connection: &Connection{
					SrcCIDRs: x.CIDRs, Ports: x.Ports, Families: familiesOf(x.CIDRs),
					IngressBy: ruleOf(x.By, Ingress),
				}})
			}
			list[at].singles = append(list[at].singles, dst.ids...)
		}
	}
	for i := range list {
		l.order(&list[i].targets)
	}
	return list
}

// hasOutside reports whether addresses outside the cluster are meant.
func (s *endSet) hasOutside() bool { return s.allOutside || len(s.outside) > 0 }

// cutOutside returns results cut to the ports that are listed, nil for all, and to the addresses that one
// side of the request selects. Results that become equal but for their CIDRs are joined.
func cutOutside(list []engine.OutsideReach, ports engine.PortSet, of *endSet) []engine.OutsideReach {
	if ports == nil && of.allOutside {
		return list
	}
	var out []engine.OutsideReach
	for _, x := range list {
		if x.Ports = cutPorts(x.Ports, ports); len(x.Ports) == 0 {
			continue
		}
		if !of.allOutside {
			if x.CIDRs = within(x.CIDRs, of.outside); len(x.CIDRs) == 0 {
				continue
			}
		}
		at := slices.IndexFunc(out, func(o engine.OutsideReach) bool {
			return o.By == x.By && o.Ports.Equal(x.Ports)
		})
		if at < 0 {
			out = append(out, x)
			continue
		}
		out[at].CIDRs = engine.JoinCIDRs(slices.Concat(out[at].CIDRs, x.CIDRs))
	}
	return out
}

// within returns the parts of cidrs that are in one of the addresses, as few CIDRs.
func within(cidrs, addresses []netip.Prefix) []netip.Prefix {
	var list []netip.Prefix
	for _, a := range addresses {
		if slices.ContainsFunc(cidrs, func(p netip.Prefix) bool { return p.Contains(a.Addr()) }) {
			list = append(list, a)
		}
	}
	return engine.JoinCIDRs(list)
}

// familiesOf returns the families of CIDRs.
func familiesOf(cidrs []netip.Prefix) engine.Families {
	var f engine.Families
	for _, p := range cidrs {
		if p.Addr().Is4() {
			f |= engine.IPv4
		} else {
			f |= engine.IPv6
		}
	}
	return f
}
