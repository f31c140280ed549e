package wire

import (
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// networkPolicy is the kind of a policy that has a namespace.
const networkPolicy = "NetworkPolicy"

// A said is what an answer says of one side, for its message and for its wire form.
type said struct {
	allowed, isolated bool
	tier              netpoldv1.Tier
	// namespace is that of policy, if its kind is networkPolicy.
	namespace, policy string
	kind, ruleName    string
	// rule counts from 0; -1 for none.
	rule int
	// priority is nil for none.
	priority *int32
	// isolating are those that are named, of isolatingTotal.
	isolating      []*engine.Policy
	isolatingTotal int
}

// say fills in what is said of a side. rules are those of the cluster-wide policy for the direction, if that decided.
func (s *said) say(side *engine.Side, rules []engine.ClusterRule) {
	*s = said{allowed: side.Allowed, isolated: side.Isolated, tier: tiers.proto(side.Tier), rule: -1}
	if p := side.Policy; p != nil {
		s.namespace, s.policy, s.kind, s.rule = p.Namespace, p.Name, networkPolicy, side.Rule
	}
	if !side.Allowed && side.Tier == engine.NetworkPolicies { // S50
		s.isolating, s.isolatingTotal = side.Isolating[:min(len(side.Isolating), maxIsolatedBy)], len(side.Isolating)
	}
	if p := side.ClusterPolicy; p != nil { // the rule that allowed or denied (S50)
		s.namespace, s.policy, s.kind, s.ruleName, s.rule = "", p.Name, p.Kind.String(), rules[side.Rule].Name, side.Rule
		if p.Kind != engine.BaselineAdminNetworkPolicy {
			s.priority = &p.Priority
		}
	}
}

// rulesOf returns the rules of the cluster-wide policies that decided the sides; nil where none did.
func rulesOf(d *engine.Decision) (egress, ingress []engine.ClusterRule) {
	if p := d.Egress.ClusterPolicy; p != nil {
		egress = p.Egress
	}
	if p := d.Ingress.ClusterPolicy; p != nil {
		ingress = p.Ingress
	}
	return egress, ingress
}
