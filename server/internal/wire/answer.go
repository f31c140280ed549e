package wire

import (
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// maxIsolatedBy limits the isolating policies that an answer names. People read no more, and answers of a
// batch stay small.
const maxIsolatedBy = 16

// An Answer holds a response and everything that it points to. So an answer takes one allocation, and a batch
// takes one too.
type Answer struct {
	Response        netpoldv1.AllowedResponse
	egress, ingress netpoldv1.Side
	// The optional rule index and the repeated families point into these.
	egressRule, ingressRule uint32
	families                [2]netpoldv1.IpFamily
}

// Fill writes a decision. The caller fills the revision, the token and staleness (S25).
func (a *Answer) Fill(d *engine.Decision) *netpoldv1.AllowedResponse {
	fillSide(&a.egress, &d.Egress, &a.egressRule)
	fillSide(&a.ingress, &d.Ingress, &a.ingressRule)
	if p := d.Egress.ClusterPolicy; p != nil {
		fillClusterPolicy(&a.egress, p, p.Egress, d.Egress.Rule, &a.egressRule)
	}
	if p := d.Ingress.ClusterPolicy; p != nil {
		fillClusterPolicy(&a.ingress, p, p.Ingress, d.Ingress.Rule, &a.ingressRule)
	}
	r := &a.Response
	r.Allowed = d.Allowed
	r.Reason = reasons.proto(d.Reason)
	r.Egress, r.Ingress = &a.egress, &a.ingress
	r.Families = protoFamilies(a.families[:0], d.Families)
	r.BackendsAllowed, r.BackendsTotal = d.BackendsAllowed, d.BackendsTotal
	return r
}

func fillSide(to *netpoldv1.Side, side *engine.Side, rule *uint32) {
	to.Allowed = side.Allowed
	to.Isolated = side.Isolated
	to.Tier = tiers.proto(side.Tier)
	if side.Policy != nil {
		to.Policy, to.Kind = policyName(side.Policy), "NetworkPolicy"
		*rule = uint32(side.Rule)
		to.RuleIndex = rule
	}
	if !side.Allowed && side.Tier == engine.NetworkPolicies && len(side.Isolating) > 0 { // S50
		to.IsolatedBy = make([]string, min(len(side.Isolating), maxIsolatedBy))
		to.IsolatedByTotal = uint32(len(side.Isolating))
		for i := range to.IsolatedBy {
			to.IsolatedBy[i] = policyName(side.Isolating[i])
		}
	}
}

// fillClusterPolicy writes the rule of a cluster-wide policy that allowed or denied (S50). rules are those of
// its direction.
func fillClusterPolicy(to *netpoldv1.Side, p *engine.ClusterPolicy, rules []engine.ClusterRule, index int,
	rule *uint32) {
	to.Policy, to.Kind, to.RuleName = p.Name, p.Kind.String(), rules[index].Name
	*rule = uint32(index)
	to.RuleIndex = rule
	if p.Kind != engine.BaselineAdminNetworkPolicy {
		to.Priority = new(p.Priority)
	}
}

func policyName(p *engine.Policy) string { return p.Namespace + "/" + p.Name }

func protoFamilies(to []netpoldv1.IpFamily, families engine.Families) []netpoldv1.IpFamily {
	if families&engine.IPv4 != 0 {
		to = append(to, netpoldv1.IpFamily_IP_FAMILY_IPV4)
	}
	if families&engine.IPv6 != 0 {
		to = append(to, netpoldv1.IpFamily_IP_FAMILY_IPV6)
	}
	return to
}
