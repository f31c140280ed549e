package wire

import (
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Counts returns the numbers of objects of a snapshot.
func Counts(n engine.Counts) *netpoldv1.ObjectCounts {
	return &netpoldv1.ObjectCounts{
		Pods:            uint32(n.Pods),
		Namespaces:      uint32(n.Namespaces),
		NetworkPolicies: uint32(n.Policies),
		Nodes:           uint32(n.Nodes),
		Services:        uint32(n.Services),
		EndpointSlices:  uint32(n.EndpointSlices),
		Classes:         uint32(n.Classes),
		Selectors:       uint32(n.Selectors),

		ClusterNetworkPolicies:       uint32(n.ClusterPolicies[engine.ClusterNetworkPolicy]),
		AdminNetworkPolicies:         uint32(n.ClusterPolicies[engine.AdminNetworkPolicy]),
		BaselineAdminNetworkPolicies: uint32(n.ClusterPolicies[engine.BaselineAdminNetworkPolicy]),
	}
}
