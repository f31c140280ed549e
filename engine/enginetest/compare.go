package enginetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/netpold/netpold/engine"
)

// Diff tells how got differs from want, empty when they are equal. Policies are compared by namespace and name, errors by code and end.
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

type differences []string

func (d *differences) note(field string, got, want any) {
	if got != want {
		*d = append(*d, fmt.Sprintf("%s: got %v, want %v", field, got, want))
	}
}

func (d *differences) side(name string, got, want engine.Side) {
	d.note(name+".Allowed", got.Allowed, want.Allowed)
	d.note(name+".Isolated", got.Isolated, want.Isolated)
	d.note(name+".Tier", got.Tier, want.Tier)
	d.note(name+".Policy and rule", ruleText(got), ruleText(want))
	d.note(name+".Isolating", policyText(got.Isolating...), policyText(want.Isolating...))
}

func (d *differences) text() string { return strings.Join(*d, "; ") }

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

func policyText(list ...*engine.Policy) string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.Namespace + "/" + p.Name
	}
	return strings.Join(names, ",")
}

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
	codes := [...]string{"InvalidQuestion", "NotFound", "PodFinished", "WorkloadFinished", "NoServicePort", "NoReadyEndpoint", "ExternalName"}
	if int(q.Code) >= len(codes) {
		return fmt.Sprintf("code %d at %s", q.Code, end)
	}
	return codes[q.Code] + " at " + end
}

func familyText(f engine.Families) string {
	return [...]string{"none", "IPv4", "IPv6", "both"}[f&3]
}
