package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netpold/netpold/cmd/assertion"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A claim is what an assertion claims of one port, and what the answers so far say. It has several questions
// if an endpoint is any.
type claim struct {
	of   *assertion.Assertion
	port assertion.Port
	// as is the first question that is answered as claimed, other the first that is not. wrong says how other
	// is answered.
	as, other *netpoldv1.AllowedRequest
	wrong     string
	// failure is the first error of a question.
	failure string
}

// record records the answer to one question.
func (c *claim) record(q *netpoldv1.AllowedRequest, answer *netpoldv1.BatchAnswer) {
	if st := answer.GetError(); st != nil {
		if c.failure == "" {
			c.failure = st.GetMessage()
		}
		return
	}
	switch wrong := contradiction(c.of, answer.GetResponse()); {
	case wrong == "" && c.as == nil:
		c.as = q
	case wrong != "" && c.other == nil:
		c.other, c.wrong = q, wrong
	}
}

// verdict returns the outcome of the port, and what is true instead of the claim.
func (c *claim) verdict() (outcome, string) {
	switch {
	case c.failure != "":
		return noReply, fmt.Sprintf("%s has no answer: %s", c.port, c.failure)
	case c.other == nil:
		return holds, ""
	}
	message := fmt.Sprintf("%s is %s", c.port, c.wrong)
	anyEnd, preposition := (*netpoldv1.AllowedRequest).GetSrc, "from"
	if c.of.Src.Endpoint != nil {
		anyEnd, preposition = (*netpoldv1.AllowedRequest).GetDst, "to"
	}
	if c.of.Src.Endpoint == nil || c.of.Dst.Endpoint == nil {
		message += " " + preposition + " " + anyEnd(c.other).GetIp()
		if c.as != nil {
			message += ", though as claimed " + preposition + " " + anyEnd(c.as).GetIp()
		}
	}
	return fails, message
}

// contradiction returns what an answer says instead of the claim; empty if it agrees.
func contradiction(a *assertion.Assertion, answer *netpoldv1.AllowedResponse) string {
	switch {
	case answer.GetAllowed() && !a.Allowed:
		return "allowed"
	case !answer.GetAllowed() && a.Allowed:
		return "denied"
	case a.Allowed || a.By == "":
		return ""
	}
	side := answer.GetIngress()
	if answer.GetReason() == netpoldv1.Reason_REASON_DENIED_AT_EGRESS {
		side = answer.GetEgress()
	}
	if hasClusterPolicy(side) {
		by := side.GetKind() + "/" + side.GetPolicy()
		if by == a.By {
			return ""
		}
		return "denied by " + by
	}
	named := side.GetIsolatedBy()
	switch total := int(side.GetIsolatedByTotal()); {
	case slices.Contains(named, a.By):
		return ""
	case total > len(named):
		return fmt.Sprintf("denied by %d policies, and %s is not among the first %d", total, a.By, len(named))
	default:
		return "denied by " + strings.Join(named, ", ")
	}
}
