package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// likeFlag is the name of the setting that chooses a plugin.
const likeFlag = "like"

// meaningFlags are the settings of what decisions mean. A plugin's row may set each of them.
var meaningFlags = []string{
	"ipblock-matches-pods", "own-node-exempt", "own-service-exempt", "policies-enforced", "policy-tiers",
	"local-above-tiers",
}

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
	const off = "false"
	cilium := map[string]string{"ipblock-matches-pods": off, "own-node-exempt": off}
	ciliumDeparts := []mirror.Departure{
		{Trait: mirror.AsksSCTP, Effect: "Cilium knows SCTP only with sctp.enabled"},
		{Trait: mirror.IsClusterNetworkPolicy,
			Effect: "Cilium reads them from 1.20 on, with k8sClusterNetworkPolicy.enabled"},
		{Trait: mirror.IsOlderTier, Effect: "Cilium is not known to read them"},
	}
	unknownTiers := func(effect string) []mirror.Departure {
		return []mirror.Departure{
			{Trait: mirror.IsClusterNetworkPolicy, Effect: effect}, {Trait: mirror.IsOlderTier, Effect: effect},
		}
	}
	// kindnet is kube-network-policies and a few routes.
	kubeNetworkPolicies := map[string]string{
		"own-node-exempt": off, "own-service-exempt": off, "policy-tiers": PolicyTiersOff,
	}
	noTiers := map[string]string{"policy-tiers": PolicyTiersOff}
	return []Plugin{
		{Name: Kubernetes, Title: "the Kubernetes API"},
		{Name: "antrea", Title: "Antrea", Settings: map[string]string{"own-node-exempt": off},
			Departures: unknownTiers("Antrea reads them behind feature gates that are off by default")},
		{Name: "aws-vpc-cni", Title: "the Amazon VPC CNI", Settings: noTiers},
		{Name: "azure-cilium", Title: "Azure CNI Powered by Cilium", Settings: cilium, Departures: ciliumDeparts},
		{Name: "azure-npm", Title: "Azure Network Policy Manager", Departures: append([]mirror.Departure{{
			Trait: mirror.HasIPv6Block, Effect: "Azure Network Policy Manager does not apply such a policy at all, " +
				"so that it isolates nothing",
		}}, unknownTiers("Azure Network Policy Manager is not known to read them")...)},
		{Name: "calico", Title: "Calico", Settings: map[string]string{"own-node-exempt": off},
			Departures: []mirror.Departure{
				{Trait: mirror.IsClusterNetworkPolicy, Effect: "Calico reads them from 3.32 on"},
				{Trait: mirror.IsOlderTier, Effect: "Calico from 3.32 on does not read them"},
			}},
		{Name: "cilium", Title: "Cilium", Settings: cilium, Departures: ciliumDeparts},
		{Name: "flannel", Title: "Flannel", Settings: map[string]string{"policies-enforced": off}},
		{Name: "gke-dataplane-v2", Title: "GKE Dataplane V2", Settings: cilium,
			Departures: append([]mirror.Departure{{
				Trait: mirror.AsksSCTP, Effect: "whether GKE Dataplane V2 knows SCTP is not known",
			}}, unknownTiers("GKE Dataplane V2 is not known to read them")...)},
		{Name: "kindnet", Title: "kindnet", Settings: kubeNetworkPolicies},
		{Name: "kube-network-policies", Title: "kube-network-policies", Settings: kubeNetworkPolicies},
		{Name: "ovn-kubernetes", Title: "OVN-Kubernetes", Settings: map[string]string{"own-node-exempt": off},
			Departures: []mirror.Departure{
				{Trait: mirror.NamesPorts, Effect: "OVN-Kubernetes takes a named port for every port of the protocol, " +
					"and so allows more"},
				{Trait: mirror.IsClusterNetworkPolicy, Effect: "OVN-Kubernetes is not known to read them"},
			}},
		{Name: "weave", Title: "Weave Net", Settings: noTiers, Departures: []mirror.Departure{
			{Trait: mirror.NamesPorts, Effect: "Weave Net does not apply such a policy at all, so that it " +
				"isolates nothing"},
			{Trait: mirror.HasPortRange, Effect: "Weave Net looks at the first port alone, and so allows less"},
		}},
	}
}

// pluginNames returns the names of the table in its order.
func pluginNames() []string {
	var all []string
	for _, p := range Plugins() {
		all = append(all, p.Name)
	}
	return all
}

// plugin returns the row that --like chose.
func (c *Config) plugin() *Plugin {
	all := Plugins()
	at := slices.IndexFunc(all, func(p Plugin) bool { return p.Name == c.State.Like })
	return &all[max(at, 0)] // a name that is none does not get past the flag
}

// addMeaningFlags adds --like and the settings that it sets.
func (s *State) addMeaningFlags(f *pflag.FlagSet) {
	f.Var(NewChoice(&s.Like, pluginNames()...), likeFlag,
		"answer as `PLUGIN` does: "+strings.Join(pluginNames(), ", ")+
			"; it sets the flags of its row in docs/semantics.md that are not set otherwise")
	f.BoolVar(&s.IPBlockMatchesPods, "ipblock-matches-pods", true,
		"whether an ipBlock matches addresses of Pods and Nodes too; with =false it matches only those outside "+
			"the cluster")
	f.BoolVar(&s.OwnNodeExempt, "own-node-exempt", true,
		"whether NetworkPolicies leave a Pod's connections to its own Node alone; with =false they decide these "+
			"as all others")
	f.BoolVar(&s.OwnServiceExempt, "own-service-exempt", true,
		"whether NetworkPolicies leave a Pod alone that reaches itself through a Service; with =false they "+
			"decide this too")
	f.Var(NewChoice(&s.PolicyTiers, PolicyTiersAuto, PolicyTiersOff), "policy-tiers",
		"whether ClusterNetworkPolicies, AdminNetworkPolicies and the BaselineAdminNetworkPolicy count; "+
			"off for a cluster whose network plugin ignores them")
	f.BoolVar(&s.LocalAboveTiers, "local-above-tiers", false,
		"whether no cluster-wide policy can cut a Pod off from its own Node, or from itself through a Service")
	f.BoolVar(&s.PoliciesEnforced, "policies-enforced", true,
		"whether policies count at all; with =false every connection is allowed, as where no network plugin "+
			"enforces policies")
}

// applyLike sets what the row of --like sets and nothing else has set.
func (c *Config) applyLike() error {
	for _, name := range slices.Sorted(maps.Keys(c.plugin().Settings)) {
		flag := c.lookup(name)
		if c.Origin(name) != FromDefault {
			continue
		}
		if err := settable(flag).Set(c.plugin().Settings[name]); err != nil {
			return fmt.Errorf("--%s=%s: --%s: %w", likeFlag, c.State.Like, name, err)
		}
	}
	return nil
}

// Engine returns the options of the cluster that the settings make.
func (s *State) Engine() engine.Options {
	return engine.Options{
		IPBlockIgnoresPods: !s.IPBlockMatchesPods,
		LocalAboveTiers:    s.LocalAboveTiers,
		DecideOwnNode:      !s.OwnNodeExempt,
		DecideOwnService:   !s.OwnServiceExempt,
		IgnorePolicies:     !s.PoliciesEnforced,
	}
}

// Meaning returns what decisions follow, for status and notes.
func (c *Config) Meaning() mirror.Meaning {
	p := c.plugin()
	m := mirror.Meaning{Like: p.Name, Plugin: p.Title, Switches: map[string]string{}, Departures: p.Departures}
	for _, name := range meaningFlags {
		m.Switches[name] = c.lookup(name).Value.String()
	}
	return m
}
