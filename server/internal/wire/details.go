package wire

import (
	"net/netip"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/notes"
)

// FillDetails writes what a caller that asks for details gets beside the decision: d, after the notes of the
// state.
func FillDetails(r *netpoldv1.AllowedResponse, d *engine.Details, ofState []notes.Note) {
	r.Src, r.Dst = resolved(&d.Src), resolved(&d.Dst)
	r.Port, r.Protocol = uint32(d.Port), protoProtocol(d.Protocol)
	all := ofState
	for i := range d.Notes {
		all = append(all, noteOf(d, &d.Notes[i]))
	}
	r.Notes = Notes(all)
}

func resolved(r *engine.Resolved) *netpoldv1.Resolved {
	to := &netpoldv1.Resolved{
		Kind: resolvedKind(r.Kind), Namespace: r.Namespace, Name: r.Name, Node: r.Node,
		Ip: addrText(r.IP), IpFamily: protoFamily(r.Family),
	}
	if r.Workload.Name != "" {
		to.Workload = &netpoldv1.WorkloadRef{Namespace: r.Namespace, Kind: r.Workload.Kind, Name: r.Workload.Name}
	}
	if r.Service != nil {
		to.Service = &netpoldv1.ServiceRef{Namespace: r.Service.Namespace, Name: r.Service.Name}
	}
	return to
}

func addrText(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}

func resolvedKind(k engine.ResolvedKind) netpoldv1.ResolvedKind {
	switch k {
	case engine.ResolvedPod:
		return netpoldv1.ResolvedKind_RESOLVED_KIND_POD
	case engine.ResolvedHostNetworkPod:
		return netpoldv1.ResolvedKind_RESOLVED_KIND_HOST_NETWORK_POD
	case engine.ResolvedNode:
		return netpoldv1.ResolvedKind_RESOLVED_KIND_NODE
	case engine.ResolvedExternal:
		return netpoldv1.ResolvedKind_RESOLVED_KIND_EXTERNAL
	case engine.ResolvedHypothetical:
		return netpoldv1.ResolvedKind_RESOLVED_KIND_HYPOTHETICAL
	case engine.ResolvedNothing:
	}
	return netpoldv1.ResolvedKind_RESOLVED_KIND_UNSPECIFIED
}

// protoFamily returns the wire's word for one family; unspecified for none and for several.
func protoFamily(f engine.Families) netpoldv1.IpFamily {
	switch f {
	case engine.IPv4:
		return netpoldv1.IpFamily_IP_FAMILY_IPV4
	case engine.IPv6:
		return netpoldv1.IpFamily_IP_FAMILY_IPV6
	}
	return netpoldv1.IpFamily_IP_FAMILY_UNSPECIFIED
}

func protoProtocol(p engine.Protocol) netpoldv1.Protocol {
	switch p {
	case engine.TCP:
		return netpoldv1.Protocol_PROTOCOL_TCP
	case engine.UDP:
		return netpoldv1.Protocol_PROTOCOL_UDP
	case engine.SCTP:
		return netpoldv1.Protocol_PROTOCOL_SCTP
	}
	return netpoldv1.Protocol_PROTOCOL_UNSPECIFIED
}
