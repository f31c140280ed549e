package wire

import (
	"slices"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

var severities = newEnum(map[audit.Severity]netpoldv1.Severity{
	audit.SeverityInfo:    netpoldv1.Severity_SEVERITY_INFO,
	audit.SeverityWarning: netpoldv1.Severity_SEVERITY_WARNING,
	audit.SeverityError:   netpoldv1.Severity_SEVERITY_ERROR,
})

// LintRequest reads a request for a lint.
func (r *RequestReader) LintRequest(req *netpoldv1.LintRequest) *audit.LintRequest {
	to := &audit.LintRequest{Namespaces: req.GetNamespaces(), Suppressed: req.GetSuppressed()}
	for _, filter := range []struct {
		field string
		words []string
	}{{"codes", req.GetCodes()}, {"namespaces", req.GetNamespaces()}} {
		if len(filter.words) > maxWords {
			r.reject(filter.field, "has %d words, more than %d: leave some out", len(filter.words), maxWords)
		}
	}
	for _, c := range req.GetCodes() {
		to.Codes = append(to.Codes, audit.Code(c))
	}
	least := slices.Index(severities, req.GetLeast())
	if least < 0 {
		r.reject("least", "%d is no severity: give SEVERITY_INFO, SEVERITY_WARNING or SEVERITY_ERROR", req.GetLeast())
	} else {
		to.Least = audit.Severity(least) // 0, which is all, for UNSPECIFIED
	}
	return to
}

// InvalidEntries returns what problems put out of force in policies (S23, S45).
func InvalidEntries(problems []mirror.Problem) []audit.InvalidEntry {
	kinds := map[string]engine.Kind{}
	for k := range engine.KindBaselineAdminNetworkPolicy + 1 {
		if name := audit.PolicyKind(k); name != "" {
			kinds[name] = k
		}
	}
	var list []audit.InvalidEntry
	for i := range problems {
		p := &problems[i]
		kind, isPolicy := kinds[p.Kind]
		if !isPolicy || p.Warning || p.Name == "" || kind != engine.KindPolicy && !p.Closed {
			continue
		}
		list = append(list, audit.InvalidEntry{
			Policy: engine.ObjectKey{Kind: kind, Namespace: p.Namespace, Name: p.Name}, Field: p.Field,
			Message: p.Message,
		})
	}
	return list
}

// Finding returns a finding. locate returns where a policy was read; nil if nothing knows.
func Finding(f *audit.Finding, locate func(engine.ObjectKey) mirror.Location) *netpoldv1.Finding {
	to := &netpoldv1.Finding{
		Code: string(f.Code), Severity: severities.proto(f.Severity), Direction: directions.proto(f.Direction),
		RuleIndex: optionalIndex(f.Rule), PeerIndex: optionalIndex(f.Peer), PortIndex: optionalIndex(f.Port),
		Pods: f.Pods, Message: f.Message, Remedy: f.Remedy, Suppressed: f.Suppressed, Fingerprint: f.Fingerprint,
	}
	if f.Policy != (engine.ObjectKey{}) {
		to.Policy = &netpoldv1.PolicyRef{Namespace: f.Policy.Namespace, Name: f.Policy.Name}
		if f.Policy.Name != "" {
			to.Policy.Kind = audit.PolicyKind(f.Policy.Kind)
			if locate != nil {
				at := locate(f.Policy)
				to.Policy.File, to.Policy.Document, to.Policy.Line = at.File, uint32(at.Document), uint32(at.Line)
			}
		}
	}
	if f.Workload != (engine.Workload{}) {
		to.Workload = &netpoldv1.WorkloadRef{
			Namespace: f.WorkloadNamespace, Kind: f.Workload.Kind, Name: f.Workload.Name,
		}
	}
	for _, r := range f.By {
		to.By = append(to.By, Rule(r))
	}
	return to
}

// optionalIndex returns an index; nil for a negative one.
func optionalIndex(i int) *uint32 {
	if i < 0 {
		return nil
	}
	n := uint32(i)
	return &n
}

// LintSummary returns the end of a lint, without how long it took.
func LintSummary(s *audit.LintSummary) *netpoldv1.LintSummary {
	to := &netpoldv1.LintSummary{
		Errors: uint32(s.Errors), Warnings: uint32(s.Warnings), Infos: uint32(s.Infos),
		Suppressed: uint32(s.Suppressed), ByCode: map[string]uint32{},
	}
	for c, n := range s.ByCode {
		to.ByCode[string(c)] = uint32(n)
	}
	return to
}
