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
	egress, ingress := rulesOf(d)
	var s said
	s.say(&d.Egress, egress)
	s.fill(&a.egress, &a.egressRule)
	s.say(&d.Ingress, ingress)
	s.fill(&a.ingress, &a.ingressRule)
	r := &a.Response
	r.Allowed = d.Allowed
	r.Reason = reasons.proto(d.Reason)
	r.Egress, r.Ingress = &a.egress, &a.ingress
	r.Families = protoFamilies(a.families[:0], d.Families)
	r.BackendsAllowed, r.BackendsTotal = d.BackendsAllowed, d.BackendsTotal
	return r
}

// fill writes what is said of a side. The message points to rule.
func (s *said) fill(to *netpoldv1.Side, rule *uint32) {
	to.Allowed, to.Isolated, to.Tier = s.allowed, s.isolated, s.tier
	to.Policy, to.Kind, to.RuleName = s.policy, s.kind, s.ruleName
	if s.kind == networkPolicy {
		to.Policy = s.namespace + "/" + s.policy
	}
	if s.rule >= 0 {
		*rule = uint32(s.rule)
		to.RuleIndex = rule
	}
	if s.priority != nil {
		to.Priority = new(*s.priority)
	}
	if len(s.isolating) > 0 {
		to.IsolatedBy, to.IsolatedByTotal = make([]string, len(s.isolating)), uint32(s.isolatingTotal)
		for i, p := range s.isolating {
			to.IsolatedBy[i] = policyName(p)
		}
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
