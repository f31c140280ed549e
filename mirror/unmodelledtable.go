package mirror

import (
	"slices"
	"sync"
)

// An UnmodelledResource is a resource whose objects decide traffic and that netpold does not model.
type UnmodelledResource struct {
	// Group, Kind and Resource are as the API has them. Example: "cilium.io", "CiliumNetworkPolicy",
	// "ciliumnetworkpolicies".
	Group, Kind, Resource string
	// Namespaced means that its objects have a namespace.
	Namespaced bool
}

// calicoGroups are the API groups of Calico: its CRDs, and its own API server.
var calicoGroups = []string{"crd.projectcalico.org", "projectcalico.org"}

// UnmodelledResources returns the resources that decide traffic and are not modelled, in order of group and
// kind. The caller owns the slice.
func UnmodelledResources() []UnmodelledResource {
	table := []UnmodelledResource{
		{"cilium.io", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", false},
		{"cilium.io", "CiliumNetworkPolicy", "ciliumnetworkpolicies", true},
		{"crd.antrea.io", "ClusterNetworkPolicy", "clusternetworkpolicies", false},
		{"crd.antrea.io", "NetworkPolicy", "networkpolicies", true},
		{"crd.antrea.io", "Tier", "tiers", false},
		// Other networks of a Pod, which NetworkPolicies do not reach.
		{"k8s.cni.cncf.io", "MultiNetworkPolicy", "multi-networkpolicies", true},
		{"k8s.cni.cncf.io", "NetworkAttachmentDefinition", "network-attachment-definitions", true},
		{"k8s.ovn.org", "ClusterUserDefinedNetwork", "clusteruserdefinednetworks", false},
		{"k8s.ovn.org", "EgressFirewall", "egressfirewalls", true},
		{"k8s.ovn.org", "UserDefinedNetwork", "userdefinednetworks", true},
		{"network.openshift.io", "EgressNetworkPolicy", "egressnetworkpolicies", true},
		{"networking.gke.io", "FQDNNetworkPolicy", "fqdnnetworkpolicies", true},
		{"policy.linkerd.io", "AuthorizationPolicy", "authorizationpolicies", true},
		{"policy.linkerd.io", "Server", "servers", true},
		{"security.istio.io", "AuthorizationPolicy", "authorizationpolicies", true},
		{"security.istio.io", "PeerAuthentication", "peerauthentications", true},
		{"vpcresources.k8s.aws", "SecurityGroupPolicy", "securitygrouppolicies", true},
	}
	for _, group := range calicoGroups {
		table = append(table,
			UnmodelledResource{group, "GlobalNetworkPolicy", "globalnetworkpolicies", false},
			UnmodelledResource{group, "HostEndpoint", "hostendpoints", false},
			UnmodelledResource{group, "NetworkPolicy", "networkpolicies", true},
			UnmodelledResource{group, "StagedGlobalNetworkPolicy", "stagedglobalnetworkpolicies", false},
			UnmodelledResource{group, "StagedKubernetesNetworkPolicy", "stagedkubernetesnetworkpolicies", true},
			UnmodelledResource{group, "StagedNetworkPolicy", "stagednetworkpolicies", true},
			UnmodelledResource{group, "Tier", "tiers", false},
		)
	}
	slices.SortStableFunc(table, func(a, b UnmodelledResource) int {
		return compareKinds(a.Group, a.Kind, b.Group, b.Kind)
	})
	return table
}

// unmodelledByKind returns the entries by group and kind.
var unmodelledByKind = sync.OnceValue(func() map[[2]string]UnmodelledResource {
	byKind := map[[2]string]UnmodelledResource{}
	for _, r := range UnmodelledResources() {
		byKind[[2]string{r.Group, r.Kind}] = r
	}
	return byKind
})

// FindUnmodelled returns the entry of a kind and reports whether there is one.
func FindUnmodelled(group, kind string) (UnmodelledResource, bool) {
	r, ok := unmodelledByKind()[[2]string{group, kind}]
	return r, ok
}
