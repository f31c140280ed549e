package enginetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/netpold/netpold/engine"
)

// Diff returns how got differs from want, field by field; empty if they are equal. Policies are compared by
// namespace and name, and errors by code and end, so that two copies of one object are equal.
func Diff(got engine.Decision, gotErr error, want engine.Decision, wantErr error) string {
	var d differences
	if gotErr != nil || wantErr != nil {
		d.note("error", errorText(gotErr), errorText(wantErr))
		if gotErr != nil {
			d.note("Allowed beside an error", got.Allowed, false)
		}
		return d.text()
	}
	d.note("Allowed", got.Allowed, want.Allowed)
	d.note("Reason", got.Reason, want.Reason)
	d.note("Families", familyText(got.Families), familyText(want.Families))
	d.note("BackendsAllowed", got.BackendsAllowed, want.BackendsAllowed)
	d.note("BackendsTotal", got.BackendsTotal, want.BackendsTotal)
	d.side("Egress", got.Egress, want.Egress)
	d.side("Ingress", got.Ingress, want.Ingress)
	return d.text()
}

// A differences collects what differs.
type differences []string

// note adds a field if got and want differ.
func (d *differences) note(field string, got, want any) {
	if got != want {
		*d = append(*d, fmt.Sprintf("%s: got %v, want %v", field, got, want))
	}
}

// side adds the fields of a side that differ.
func (d *differences) side(name string, got, want engine.Side) {
	d.note(name+".Allowed", got.Allowed, want.Allowed)
	d.note(name+".Isolated", got.Isolated, want.Isolated)
	d.note(name+".Tier", got.Tier, want.Tier)
	d.note(name+".Policy and rule", ruleText(got), ruleText(want))
	d.note(name+".Isolating", policyText(got.Isolating...), policyText(want.Isolating...))
}

// text returns all differences on one line.
func (d *differences) text() string { return strings.Join(*d, "; ") }

// ruleText returns the rule that decided a side, with its policy.
func ruleText(s engine.Side) string {
	switch {
	case s.Policy != nil && s.ClusterPolicy != nil:
		return "two policies"
	case s.ClusterPolicy != nil:
		return fmt.Sprintf("%s %s[%d]", s.ClusterPolicy.Kind, s.ClusterPolicy.Name, s.Rule)
	case s.Policy == nil:
		return "none"
	}
	return fmt.Sprintf("%s[%d]", policyText(s.Policy), s.Rule)
}

// policyText returns the names of policies, in their order.
func policyText(list ...*engine.Policy) string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.Namespace + "/" + p.Name
	}
	return strings.Join(names, ",")
}

// errorText returns the code and the end of an error. An error that is no QueryError is spelt out, as none
// may be.
func errorText(err error) string {
	var q *engine.QueryError
	switch {
	case err == nil:
		return "none"
	case !errors.As(err, &q) || q == nil:
		return fmt.Sprintf("%T, no *engine.QueryError: %v", err, err)
	}
	end := "src"
	if q.Dst {
		end = "dst"
	}
	codes := [...]string{
		"InvalidQuestion", "NotFound", "PodFinished", "WorkloadFinished", "NoServicePort", "NoReadyEndpoint",
		"ExternalName",
	}
	if int(q.Code) >= len(codes) {
		return fmt.Sprintf("code %d at %s", q.Code, end)
	}
	return codes[q.Code] + " at " + end
}

// familyText returns a set of families in words.
func familyText(f engine.Families) string {
	return [...]string{"none", "IPv4", "IPv6", "both"}[f&3]
}
