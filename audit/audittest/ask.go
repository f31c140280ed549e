package audittest

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
)

// Between returns the connections from a group to another on a port, at most one if L2 holds.
func (r *Reading) Between(src, dst uint32, protocol engine.Protocol, port uint16) []*Opened {
	var list []*Opened
	for _, o := range r.pairs[[2]uint32{src, dst}] {
		if hasPort(o.Ports, protocol, port) {
			list = append(list, o)
		}
	}
	return list
}

// Outside returns the connections between a group and an address outside the cluster on a port. toOutside
// reports whether the group is the source.
func (r *Reading) Outside(
	group uint32, toOutside bool, ip netip.Addr, protocol engine.Protocol, port uint16,
) []*Opened {
	var list []*Opened
	for i := range r.Connections {
		o := &r.Connections[i]
		cidrs, groups := o.SrcCIDRs, o.Dst
		if toOutside {
			cidrs, groups = o.DstCIDRs, o.Src
		}
		_, has := slices.BinarySearch(groups, group)
		if has && hasPort(o.Ports, protocol, port) &&
			slices.ContainsFunc(cidrs, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			list = append(list, o)
		}
	}
	return list
}

// hasPort reports whether ports have a port.
func hasPort(ports []audit.PortRange, protocol engine.Protocol, port uint16) bool {
	return slices.ContainsFunc(ports, func(p audit.PortRange) bool {
		return p.Protocol == protocol && p.First <= port && port <= p.Last
	})
}

// CheckFolded checks L4: sources of one treatment are in each connection together or not at all, and have one
// connection for each value. treatment returns a text for a group that is equal if all policies treat the
// groups alike as sources. selected reports whether the request selects a group as source.
func (r *Reading) CheckFolded(treatment func(*audit.Group) string, selected func(*audit.Group) bool) {
	alike := map[string][]uint32{}
	for i := range r.Groups {
		if g := &r.Groups[i]; selected(g) {
			alike[treatment(g)] = append(alike[treatment(g)], g.ID)
		}
	}
	for _, ids := range alike {
		values := map[string]bool{}
		for i := range r.Connections {
			o := &r.Connections[i]
			n := 0
			for _, id := range ids {
				if _, has := slices.BinarySearch(o.Src, id); has {
					n++
				}
			}
			if n != 0 && n != len(ids) {
				r.breaks("L4: sources %v are alike, and only some are in %+v", ids, *o.Connection)
			}
			if n == 0 || len(o.DstServices) > 0 {
				continue
			}
			value := fmt.Sprint(o.Ports, o.value(), len(o.DstCIDRs) > 0)
			if values[value] {
				r.breaks("L4: sources %v have two connections of %s", ids, value)
			}
			values[value] = true
		}
	}
}
