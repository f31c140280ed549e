package server

import (
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// maxIsolatedBy is how many isolating policies an answer names: enough for people, and too few to make a batch of answers
// large.
const maxIsolatedBy = 16

// answer holds a response and all that it refers to, so that one allocation serves a call, and another a whole batch.
type answer struct {
	response        netpoldv1.AllowedResponse
	egress, ingress netpoldv1.Side
	// rules and families are what the optional field and the repeated field point into.
	egressRule, ingressRule uint32
	families                [2]netpoldv1.IpFamily
}

// batchAnswer is an answer in its place in a batch.
type batchAnswer struct {
	answer
	place    netpoldv1.BatchAnswer
	response netpoldv1.BatchAnswer_Response
}

// fill writes a decision, and what it rests on (S25).
func (a *answer) fill(d *engine.Decision, on *basis) *netpoldv1.AllowedResponse {
	fillSide(&a.egress, &d.Egress, &a.egressRule)
	fillSide(&a.ingress, &d.Ingress, &a.ingressRule)
	r := &a.response
	r.Allowed = d.Allowed
	r.Reason = protoReason(d.Reason)
	r.Egress, r.Ingress = &a.egress, &a.ingress
	r.Families = protoFamilies(a.families[:0], d.Families)
	r.Revision = on.Snapshot.Revision()
	r.Token = on.Token
	r.Stale = on.stale
	r.BackendsAllowed, r.BackendsTotal = d.BackendsAllowed, d.BackendsTotal
	return r
}

func fillSide(to *netpoldv1.Side, side *engine.Side, rule *uint32) {
	to.Allowed = side.Allowed
	to.Isolated = side.Isolated
	if side.Policy != nil {
		to.Policy = policyName(side.Policy)
		*rule = uint32(side.Rule)
		to.RuleIndex = rule
	}
	if !side.Allowed && len(side.Isolating) > 0 {
		to.IsolatedBy = make([]string, min(len(side.Isolating), maxIsolatedBy))
		to.IsolatedByTotal = uint32(len(side.Isolating))
		for i := range to.IsolatedBy {
			to.IsolatedBy[i] = policyName(side.Isolating[i])
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

func protoReason(reason engine.Reason) netpoldv1.Reason {
	switch reason {
	case engine.Self:
		return netpoldv1.Reason_REASON_SELF
	case engine.LocalNode:
		return netpoldv1.Reason_REASON_LOCAL_NODE
	case engine.NotIsolated:
		return netpoldv1.Reason_REASON_NOT_ISOLATED
	case engine.AllowedByRule:
		return netpoldv1.Reason_REASON_ALLOWED_BY_RULE
	case engine.DeniedAtEgress:
		return netpoldv1.Reason_REASON_DENIED_AT_EGRESS
	case engine.DeniedAtIngress:
		return netpoldv1.Reason_REASON_DENIED_AT_INGRESS
	case engine.Unknown:
		return netpoldv1.Reason_REASON_UNSPECIFIED
	default:
		return netpoldv1.Reason_REASON_UNSPECIFIED
	}
}
