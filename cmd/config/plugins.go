package config

import "github.com/netpold/netpold/mirror"

// A Plugin is a row of the table that --like reads: a network plugin, and the settings that answer as it
// does.
type Plugin struct {
	// Name is what --like takes.
	Name string
	// Title is its name for people.
	Title string
	// Settings are those of the row, by flag. All others keep their defaults.
	Settings map[string]string
	// Departures are what no setting follows, as far as policies show it.
	Departures []mirror.Departure
}

// Kubernetes is the first of the plugins: the API's own meaning.
const Kubernetes = "kubernetes"

// Plugins returns the table of --like, the API's own meaning first and the others by name. Why a row is as it
// is stands in docs/semantics.md, "What your network plugin does", with the sources. A test compares the two.
func Plugins() []Plugin {
	const on, off = "true", "false"
	decidesOwnNode := map[string]string{"own-node-exempt": off}
	readsNoTiers := map[string]string{"policy-tiers": PolicyTiersOff}
	likeCilium := map[string]string{"ipblock-matches-pods": off, "own-node-exempt": off}
	// kindnet is kube-network-policies and a few routes.
	likeKubeNetworkPolicies := map[string]string{
		"own-node-exempt": off, "own-service-exempt": off, "policy-tiers": PolicyTiersOff,
	}
	return []Plugin{
		{Name: Kubernetes, Title: "the Kubernetes API"},
		{Name: "antrea", Title: "Antrea", Settings: decidesOwnNode,
			Departures: departsByTiers("Antrea reads them behind feature gates that are off by default")},
		{Name: "aws-vpc-cni", Title: "the Amazon VPC CNI", Settings: readsNoTiers},
		{Name: "azure-cilium", Title: "Azure CNI Powered by Cilium", Settings: likeCilium,
			Departures: ciliumDeparts()},
		{Name: "azure-npm", Title: "Azure Network Policy Manager", Departures: azureDeparts()},
		{Name: "calico", Title: "Calico", Settings: decidesOwnNode, Departures: []mirror.Departure{
			{Trait: mirror.IsClusterNetworkPolicy, Effect: "Calico reads them from 3.32 on"},
			{Trait: mirror.IsOlderTier, Effect: "Calico from 3.32 on does not read them"},
		}},
		{Name: "cilium", Title: "Cilium", Settings: likeCilium, Departures: ciliumDeparts()},
		{Name: "flannel", Title: "Flannel", Settings: map[string]string{"policies-enforced": off}},
		{Name: "gke-dataplane-v2", Title: "GKE Dataplane V2", Settings: likeCilium, Departures: gkeDeparts()},
		{Name: "kindnet", Title: "kindnet", Settings: likeKubeNetworkPolicies},
		{Name: "kube-network-policies", Title: "kube-network-policies", Settings: likeKubeNetworkPolicies},
		{Name: "kube-router", Title: "kube-router", Settings: map[string]string{
			"joined-directions": on, "own-node-exempt": off, "policy-tiers": PolicyTiersOff, "shared-ipblocks": on,
		}, Departures: kubeRouterDeparts()},
		{Name: "ovn-kubernetes", Title: "OVN-Kubernetes", Settings: decidesOwnNode, Departures: []mirror.Departure{
			{Trait: mirror.NamesPorts,
				Effect: "OVN-Kubernetes takes a named port for every port of the protocol, and so allows more"},
			{Trait: mirror.IsClusterNetworkPolicy, Effect: "OVN-Kubernetes is not known to read them"},
		}},
		{Name: "weave", Title: "Weave Net", Settings: readsNoTiers, Departures: []mirror.Departure{
			{Trait: mirror.NamesPorts, Effect: "Weave Net does not apply such a policy at all, so that it " +
				"isolates nothing"},
			{Trait: mirror.HasPortRange, Effect: "Weave Net looks at the first port alone, and so allows less"},
		}},
	}
}

// departsByTiers returns one effect for the cluster-wide policies of every kind.
func departsByTiers(effect string) []mirror.Departure {
	return []mirror.Departure{
		{Trait: mirror.IsClusterNetworkPolicy, Effect: effect}, {Trait: mirror.IsOlderTier, Effect: effect},
	}
}

func ciliumDeparts() []mirror.Departure {
	return []mirror.Departure{
		{Trait: mirror.AsksSCTP, Effect: "Cilium knows SCTP only with sctp.enabled"},
		{Trait: mirror.IsClusterNetworkPolicy,
			Effect: "Cilium reads them from 1.20 on, with k8sClusterNetworkPolicy.enabled"},
		{Trait: mirror.IsOlderTier, Effect: "Cilium is not known to read them"},
	}
}

func kubeRouterDeparts() []mirror.Departure {
	return []mirror.Departure{
		{Trait: mirror.NamesPorts, Effect: "kube-router may open other ports and other Pods than those of the name"},
		{Trait: mirror.HasWholeIPv6Block,
			Effect: "kube-router takes ::/0 for 2000::/3 and fd00::/8, and so matches less"},
	}
}

func azureDeparts() []mirror.Departure {
	return append(departsByTiers("Azure Network Policy Manager is not known to read them"), mirror.Departure{
		Trait:  mirror.HasIPv6Block,
		Effect: "Azure Network Policy Manager does not apply such a policy at all, so that it isolates nothing",
	})
}

func gkeDeparts() []mirror.Departure {
	return append(departsByTiers("GKE Dataplane V2 is not known to read them"), mirror.Departure{
		Trait: mirror.AsksSCTP, Effect: "whether GKE Dataplane V2 knows SCTP is not known",
	})
}
