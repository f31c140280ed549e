package proxied

import (
	"strings"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// DenyDetail is how much a denial tells the client behind the proxy (P11). Each value tells more than the one
// before; the zero value tells nothing of the cluster.
type DenyDetail uint8

// The values of [DenyDetail].
const (
	TellNothing DenyDetail = iota
	TellReason
	TellPolicy
)

// The headers of a denial.
const (
	HeaderDecisionID = "x-netpold-decision-id"
	HeaderReason     = "x-netpold-reason"
	HeaderPolicy     = "x-netpold-policy"
)

// Reason returns the name of the reason (P11): a [Denial], or that of the policies without its prefix; "" for an
// error.
func (o *Outcome) Reason() string {
	switch {
	case o.Denied != "":
		return string(o.Denied)
	case o.Failure != nil || o.Response == nil:
		return ""
	}
	return strings.TrimPrefix(o.Response.GetReason().String(), "REASON_")
}

// EachHeader calls set for each header of a denial (P11).
func (o *Outcome) EachHeader(detail DenyDetail, set func(name, value string)) {
	set(HeaderDecisionID, o.DecisionID)
	if detail >= TellReason {
		set(HeaderReason, o.Reason())
	}
	if policies := o.policies(); detail >= TellPolicy && policies != "" {
		set(HeaderPolicy, policies)
	}
}

// Text returns the body of a denial: a line of text, or nothing.
func (o *Outcome) Text(detail DenyDetail) string {
	if detail < TellPolicy {
		return ""
	}
	text := "denied: " + o.Reason()
	if policies := o.policies(); policies != "" {
		text += " by " + policies
	}
	return text + " (decision " + o.DecisionID + ")\n"
}

// policies returns the policies that deny, separated by commas: those that isolate the side that is denied, at
// most 16, or the cluster-wide one with a rule that denies.
func (o *Outcome) policies() string {
	if o.Denied != "" {
		return ""
	}
	side := o.Response.GetIngress()
	if o.Response.GetReason() == netpoldv1.Reason_REASON_DENIED_AT_EGRESS {
		side = o.Response.GetEgress()
	}
	if side.GetAllowed() {
		return ""
	}
	if isolated := side.GetIsolatedBy(); len(isolated) > 0 {
		return strings.Join(isolated, ",")
	}
	return side.GetPolicy()
}
