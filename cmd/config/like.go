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
	"ipblock-matches-pods", "own-node-exempt", "own-service-exempt",
	"policies-enforced", "policy-tiers", "local-above-tiers", "joined-directions", "shared-ipblocks",
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
		"whether an ipBlock matches addresses of Pods and Nodes too; "+
			"with =false it matches only those outside the cluster")
	f.BoolVar(&s.OwnNodeExempt, "own-node-exempt", true,
		"whether NetworkPolicies leave a Pod's connections to its own Node alone; "+
			"with =false they decide these as all others")
	f.BoolVar(&s.OwnServiceExempt, "own-service-exempt", true,
		"whether NetworkPolicies leave a Pod alone that reaches itself through a Service; "+
			"with =false they decide this too")
	f.Var(NewChoice(&s.PolicyTiers, PolicyTiersAuto, PolicyTiersOff), "policy-tiers",
		"whether ClusterNetworkPolicies, AdminNetworkPolicies and the BaselineAdminNetworkPolicy count; "+
			"off for a cluster whose network plugin ignores them")
	f.BoolVar(&s.LocalAboveTiers, "local-above-tiers", false,
		"whether no cluster-wide policy can cut a Pod off from its own Node, or from itself through a Service, "+
			"as far as --own-node-exempt and --own-service-exempt leave these alone")
	f.BoolVar(&s.JoinedDirections, "joined-directions", false,
		"whether the rules of a NetworkPolicy for both directions count for both sides "+
			"of connections between the Pods that it selects")
	f.BoolVar(&s.SharedIPBlocks, "shared-ipblocks", false,
		"whether the ipBlocks of a rule are one set, in which the longest cidr or except decides")
	f.BoolVar(&s.PoliciesEnforced, "policies-enforced", true,
		"whether policies count at all; "+
			"with =false every connection is allowed, as where no network plugin enforces policies")
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

// checkLocalAboveTiers returns an error if --local-above-tiers cannot count: it only moves exemptions that
// there are before tiers that there are (S44).
func (c *Config) checkLocalAboveTiers() error {
	s := &c.State
	switch {
	case !s.LocalAboveTiers:
	case s.IgnoresTiers():
		return fmt.Errorf("--local-above-tiers cannot count beside %s, with which there are no tiers: leave one out",
			c.settingText("policy-tiers"))
	case !s.OwnNodeExempt && !s.OwnServiceExempt:
		return fmt.Errorf("--local-above-tiers cannot count beside %s and %s, with which nothing is exempt that it "+
			"could put before the tiers: leave it out, or set one of them to true",
			c.settingText("own-node-exempt"), c.settingText("own-service-exempt"))
	}
	return nil
}

// settingText returns a setting of the meaning with its value, and with the row of --like if that set it.
// Example: "--policy-tiers=off (of --like=kindnet)".
func (c *Config) settingText(name string) string {
	text := fmt.Sprintf("--%s=%s", name, c.lookup(name).Value)
	if _, ofRow := c.plugin().Settings[name]; ofRow && c.Origin(name) == FromDefault {
		text += fmt.Sprintf(" (of --%s=%s)", likeFlag, c.State.Like)
	}
	return text
}

// Engine returns the options of the cluster that the settings make.
func (s *State) Engine() engine.Options {
	return engine.Options{
		IPBlockIgnoresPods: !s.IPBlockMatchesPods,
		LocalAboveTiers:    s.LocalAboveTiers,
		DecideOwnNode:      !s.OwnNodeExempt,
		DecideOwnService:   !s.OwnServiceExempt,
		JoinDirections:     s.JoinedDirections,
		ShareBlocks:        s.SharedIPBlocks,
		IgnorePolicies:     !s.PoliciesEnforced,
	}
}

// Meaning returns what decisions follow, for status and notes.
func (c *Config) Meaning() mirror.Meaning {
	p := c.plugin()
	m := mirror.Meaning{
		Like: p.Name, Plugin: p.Title, EnforcesNone: p.Settings["policies-enforced"] == "false",
		Switches: map[string]string{}, Departures: p.Departures,
	}
	for _, name := range meaningFlags {
		m.Switches[name] = c.lookup(name).Value.String()
	}
	return m
}
