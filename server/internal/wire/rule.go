package wire

import (
	"github.com/netpold/netpold/audit"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Rule returns the name of a rule; nil for none.
func Rule(r audit.Rule) *netpoldv1.RuleRef {
	to := &netpoldv1.RuleRef{Direction: directions.proto(r.Direction), RuleIndex: uint32(r.Index)}
	switch {
	case r.Policy != nil:
		to.Kind, to.Namespace, to.Name = "NetworkPolicy", r.Policy.Namespace, r.Policy.Name
	case r.ClusterPolicy != nil:
		to.Kind, to.Name = r.ClusterPolicy.Kind.String(), r.ClusterPolicy.Name
		rules := r.ClusterPolicy.Ingress
		if r.Direction == audit.Egress {
			rules = r.ClusterPolicy.Egress
		}
		if r.Index < len(rules) {
			to.RuleName = rules[r.Index].Name
		}
	default:
		return nil
	}
	return to
}
