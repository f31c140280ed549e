package wire

import (
	"net/netip"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

var (
	groupKinds = newEnum(map[audit.GroupKind]netpoldv1.GroupKind{
		audit.PodGroup:          netpoldv1.GroupKind_GROUP_KIND_POD,
		audit.HostNetworkGroup:  netpoldv1.GroupKind_GROUP_KIND_HOST_NETWORK,
		audit.NodeGroup:         netpoldv1.GroupKind_GROUP_KIND_NODE,
		audit.HypotheticalGroup: netpoldv1.GroupKind_GROUP_KIND_HYPOTHETICAL,
	})
	presences = newEnum(map[audit.Presence]netpoldv1.Presence{
		audit.PresentUnset:  netpoldv1.Presence_PRESENCE_UNSPECIFIED,
		audit.PresentInBoth: netpoldv1.Presence_PRESENCE_BOTH,
		audit.PresentBefore: netpoldv1.Presence_PRESENCE_BEFORE,
		audit.PresentAfter:  netpoldv1.Presence_PRESENCE_AFTER,
	})
	directions = newEnum(map[audit.Direction]netpoldv1.Direction{
		audit.Egress:  netpoldv1.Direction_DIRECTION_EGRESS,
		audit.Ingress: netpoldv1.Direction_DIRECTION_INGRESS,
	})
)

// Group returns a group of a list or of a difference.
func Group(g *audit.Group) *netpoldv1.Group {
	to := &netpoldv1.Group{
		Id: g.ID, Kind: groupKinds.proto(g.Kind), Namespace: g.Namespace, Partial: g.Partial,
		IsolatedEgress: g.IsolatedEgress, IsolatedIngress: g.IsolatedIngress, Presence: presences.proto(g.Presence),
		Families: protoFamilies(nil, g.Families),
		Members:  make([]*netpoldv1.Member, len(g.Members)),
	}
	if g.Workload.Name != "" {
		to.Workload = &netpoldv1.WorkloadRef{Namespace: g.Namespace, Kind: g.Workload.Kind, Name: g.Workload.Name}
	}
	members := make([]netpoldv1.Member, len(g.Members)) // one allocation for all
	for i := range g.Members {
		m := &g.Members[i]
		members[i].Name, members[i].Node = m.Name, m.Node
		for _, ip := range m.IPs {
			members[i].Ips = append(members[i].Ips, ip.String())
		}
		to.Members[i] = &members[i]
	}
	return to
}

// ListItem returns a result of a list but for progress, which has a cursor that only its server makes.
func ListItem(item *audit.Item) *netpoldv1.ListConnectionsResponse {
	to := new(netpoldv1.ListConnectionsResponse)
	switch {
	case item.Group != nil:
		to.Item = &netpoldv1.ListConnectionsResponse_Group{Group: Group(item.Group)}
	case item.Set != nil:
		to.Item = &netpoldv1.ListConnectionsResponse_Set{
			Set: &netpoldv1.Set{Id: item.Set.ID, Groups: item.Set.Groups},
		}
	case item.Connection != nil:
		to.Item = &netpoldv1.ListConnectionsResponse_Connection{Connection: connection(item.Connection)}
	case item.Exposure != nil:
		to.Item = &netpoldv1.ListConnectionsResponse_Exposure{Exposure: exposure(item.Exposure)}
	}
	return to
}

func connection(c *audit.Connection) *netpoldv1.Connection {
	to := &netpoldv1.Connection{
		SrcGroups: c.Src.Groups, SrcSets: c.Src.Sets, SrcCidrs: prefixTexts(c.SrcCIDRs),
		DstGroups: c.Dst.Groups, DstSets: c.Dst.Sets, DstCidrs: prefixTexts(c.DstCIDRs),
		Ports: PortRanges(c.Ports), Families: protoFamilies(nil, c.Families),
		EgressBy: Rule(c.EgressBy), IngressBy: Rule(c.IngressBy),
	}
	for _, s := range c.DstServices {
		to.DstServices = append(to.DstServices, &netpoldv1.ServicePort{
			Namespace: s.Namespace, Name: s.Name, Protocol: protocols.proto(s.Protocol), Port: uint32(s.Port),
		})
	}
	return to
}

func exposure(e *audit.Exposure) *netpoldv1.Exposure {
	to := &netpoldv1.Exposure{
		Group: e.Group, Direction: directions.proto(e.Direction), Namespaces: e.Namespaces, Pods: e.Pods,
		Ports: PortRanges(e.Ports),
	}
	for _, x := range e.Except {
		to.Except = append(to.Except, &netpoldv1.ExposureExcept{Namespaces: x.Namespaces, Pods: x.Pods})
	}
	for _, named := range e.Named {
		to.NamedPorts = append(to.NamedPorts,
			&netpoldv1.PortName{Protocol: protocols.proto(named.Protocol), Name: named.Name})
	}
	for _, by := range e.By {
		to.By = append(to.By, Rule(by))
	}
	return to
}

// PortRanges returns ranges of ports.
func PortRanges(ranges []engine.PortRange) []*netpoldv1.PortRange {
	if len(ranges) == 0 {
		return nil
	}
	all := make([]netpoldv1.PortRange, len(ranges))
	to := make([]*netpoldv1.PortRange, len(ranges))
	for i, r := range ranges {
		all[i].Protocol, all[i].First, all[i].Last = protocols.proto(r.Protocol), uint32(r.First), uint32(r.Last)
		to[i] = &all[i]
	}
	return to
}

func prefixTexts(prefixes []netip.Prefix) []string {
	var texts []string
	for _, p := range prefixes {
		texts = append(texts, p.String())
	}
	return texts
}
