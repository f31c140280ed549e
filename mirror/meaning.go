package mirror

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// Meaning is what decisions follow: the API's own meaning, or what a network plugin makes of it.
type Meaning struct {
	// Like names what is followed, as --like does: "kubernetes" or a plugin, such as "cilium".
	Like string
	// Plugin is its name for people. Example: "Cilium".
	Plugin string
	// EnforcesNone means that the plugin enforces no policy of any kind.
	EnforcesNone bool
	// Switches are the settings of the meaning by name, those at their default too. Example:
	// {"ipblock-matches-pods": "false"}.
	Switches map[string]string
	// Departures are what the plugin does otherwise and no switch follows, as far as policies show it.
	Departures []Departure
}

// IgnoresTiers reports whether cluster-wide policies play no part (S31).
func (m *Meaning) IgnoresTiers() bool { return m.Switches["policy-tiers"] == "off" }

// Departure is something that a plugin does with some policies and that answers do not follow.
type Departure struct {
	Trait Trait
	// Effect says what the plugin does with such policies. Example: "it does not apply them at all".
	Effect string
}

// Trait is what a policy has that a plugin treats otherwise.
type Trait uint8

// The traits.
const (
	// NamesPorts: a rule asks for a port by name (S21).
	NamesPorts Trait = iota
	// HasPortRange: a rule has endPort (S20).
	HasPortRange
	// AsksSCTP: a rule asks for SCTP (S22).
	AsksSCTP
	// HasIPv6Block: a rule has an ipBlock of IPv6 addresses.
	HasIPv6Block
	// HasWholeIPv6Block: a rule has the ipBlock ::/0.
	HasWholeIPv6Block
	// IsClusterNetworkPolicy: it is one.
	IsClusterNetworkPolicy
	// IsOlderTier: it is an AdminNetworkPolicy or the BaselineAdminNetworkPolicy.
	IsOlderTier
)

// kinds returns the kinds of cluster-wide policies that have the trait; none for a trait of NetworkPolicies.
func (t Trait) kinds() []engine.ClusterPolicyKind {
	switch t {
	case IsClusterNetworkPolicy:
		return []engine.ClusterPolicyKind{engine.ClusterNetworkPolicy}
	case IsOlderTier:
		return []engine.ClusterPolicyKind{engine.AdminNetworkPolicy, engine.BaselineAdminNetworkPolicy}
	default:
		return nil
	}
}

// String returns what a policy with the trait does: "asks for ports by name".
func (t Trait) String() string {
	switch t {
	case NamesPorts:
		return "asks for ports by name"
	case HasPortRange:
		return "has an endPort"
	case AsksSCTP:
		return "asks for SCTP"
	case HasWholeIPv6Block:
		return "has the ipBlock ::/0"
	default:
		return "has an ipBlock of IPv6 addresses"
	}
}

// isOf reports whether a NetworkPolicy has the trait in a direction that it isolates.
func (t Trait) isOf(p *engine.Policy) bool {
	has := func(r engine.Rule) bool {
		if t == HasIPv6Block || t == HasWholeIPv6Block {
			return slices.ContainsFunc(r.Peers, func(x engine.Peer) bool {
				return x.Block != nil && x.Block.CIDR.Addr().Is6() && (t == HasIPv6Block || x.Block.CIDR.Bits() == 0)
			})
		}
		return slices.ContainsFunc(r.Ports, t.isOfPort)
	}
	return p.IsolatesIngress && slices.ContainsFunc(p.Ingress, has) ||
		p.IsolatesEgress && slices.ContainsFunc(p.Egress, has)
}

func (t Trait) isOfPort(p engine.Port) bool {
	switch t {
	case NamesPorts:
		return p.Name != ""
	case HasPortRange:
		return p.Name == "" && p.First < p.Last && (p.First > 1 || p.Last < 65535)
	default: // AsksSCTP
		return p.Protocol == engine.SCTP
	}
}

// notEnforced returns the note that no policy counts, or "".
func notEnforced(status *Status, snapshot *engine.Snapshot) string {
	if !snapshot.Options().IgnorePolicies {
		return ""
	}
	why := "the setting policies-enforced is false"
	if status.Meaning.EnforcesNone {
		why = fmt.Sprintf("%s enforces none (--like=%s)", status.Meaning.Plugin, status.Meaning.Like)
	}
	return "no policy counts, so that every connection is allowed: " + why
}

// departures returns the note about policies that the plugin treats otherwise than answers say, or "".
func departures(meaning *Meaning, snapshot *engine.Snapshot) string {
	if len(meaning.Departures) == 0 || snapshot.Options().IgnorePolicies {
		return ""
	}
	names := make([][]string, len(meaning.Departures))
	for i, d := range meaning.Departures {
		names[i] = kindsOf(snapshot, d.Trait.kinds())
	}
	for _, p := range snapshot.Policies() {
		for i, d := range meaning.Departures {
			if d.Trait.kinds() == nil && d.Trait.isOf(p) {
				names[i] = append(names[i], p.Namespace+"/"+p.Name)
			}
		}
	}
	var texts []string
	for i, d := range meaning.Departures {
		switch n := len(names[i]); {
		case n > 0 && d.Trait.kinds() != nil:
			texts = append(texts, strings.Join(names[i], ", ")+": "+d.Effect)
		case n == 1:
			texts = append(texts, fmt.Sprintf("%s %s: %s", names[i][0], d.Trait, d.Effect))
		case n > 1:
			texts = append(texts, fmt.Sprintf("each of %s %s: %s", listed(names[i], n), d.Trait, d.Effect))
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return fmt.Sprintf("--like=%s cannot follow %s in everything, "+
		"and answers about these policies are the API's: %s",
		meaning.Like, meaning.Plugin, strings.Join(texts, "; "))
}

// kindsOf counts the policies of each kind that there are: "2 AdminNetworkPolicies".
func kindsOf(snapshot *engine.Snapshot, kinds []engine.ClusterPolicyKind) []string {
	counts := snapshot.Counts()
	var texts []string
	for _, kind := range kinds {
		switch n := counts.ClusterPolicies[kind]; {
		case n == 1:
			texts = append(texts, "1 "+kind.String())
		case n > 1:
			texts = append(texts, fmt.Sprintf("%d %sies", n, strings.TrimSuffix(kind.String(), "y")))
		}
	}
	return texts
}
