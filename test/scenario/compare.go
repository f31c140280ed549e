package scenario

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Compare returns how an answer differs from what is wanted: one line for each difference, none when all is as
// expected.
func (w Want) Compare(answer *netpoldv1.BatchAnswer) []string {
	var d differences
	switch {
	case answer.GetError() == nil && answer.GetResponse() == nil:
		d.add("there is no answer")
	case (w.Error == nil) != (answer.GetError() == nil):
		d.add("got %s", Text(answer))
	case w.Error != nil:
		w.Error.compare(answer.GetError(), &d)
	default:
		w.decision(answer.GetResponse(), &d)
	}
	return d
}

type differences []string

func (d *differences) add(format string, args ...any) { *d = append(*d, fmt.Sprintf(format, args...)) }

func (d *differences) equal(what string, got, want any) {
	if got != want {
		d.add("%s: got %v, want %v", what, got, want)
	}
}

func (w Want) decision(r *netpoldv1.AllowedResponse, d *differences) {
	d.equal("allowed", r.GetAllowed(), w.Allowed)
	d.equal("reason", r.GetReason(), w.Reason)
	if w.Egress != "" {
		d.equal("egress", rule(r.GetEgress()), w.Egress)
	}
	if w.Ingress != "" {
		d.equal("ingress", rule(r.GetIngress()), w.Ingress)
	}
	if w.EgressTier != "" {
		d.equal("egress_tier", tier(r.GetEgress()), w.EgressTier)
	}
	if w.IngressTier != "" {
		d.equal("ingress_tier", tier(r.GetIngress()), w.IngressTier)
	}
	if w.IsolatedBy != nil {
		side := r.GetEgress()
		if denied(w.Reason) == sideIngress {
			side = r.GetIngress()
		}
		d.equal("isolated_by", strings.Join(side.GetIsolatedBy(), ","), strings.Join(w.IsolatedBy, ","))
	}
	if w.Families != nil && !slices.Equal(w.Families, r.GetFamilies()) {
		d.add("families: got %v, want %v", r.GetFamilies(), w.Families)
	}
	if w.Backends != nil {
		d.equal("backends", Backends{r.GetBackendsAllowed(), r.GetBackendsTotal()}, *w.Backends)
	}
	if w.Notes != nil && r.GetSrc() != nil { // the oracle and the engine give no details
		var codes []string
		for _, n := range r.GetNotes() {
			codes = append(codes, n.GetCode())
		}
		d.equal("notes", strings.Join(codes, ","), strings.Join(w.Notes, ","))
	}
	// What holds of every answer, whether the file says it or not.
	d.equal("both sides allow", r.GetEgress().GetAllowed() && r.GetIngress().GetAllowed(), r.GetAllowed())
	for _, s := range []*netpoldv1.Side{r.GetEgress(), r.GetIngress()} {
		d.equal("a rule is told with its policy", s.RuleIndex != nil, s.GetPolicy() != "")
		d.equal("a kind is told with its policy (S50)", s.GetKind() != "", s.GetPolicy() != "")
		byNetworkPolicies := s.GetTier() == netpoldv1.Tier_TIER_NETWORK_POLICY
		if s.GetPolicy() != "" {
			d.equal("a NetworkPolicy is of its own tier", s.GetKind() == "NetworkPolicy", byNetworkPolicies)
		}
		d.equal("isolated_by is told where NetworkPolicies deny", len(s.GetIsolatedBy()) > 0,
			!s.GetAllowed() && byNetworkPolicies)
	}
}

func rule(s *netpoldv1.Side) string {
	if s.GetPolicy() == "" {
		return "-"
	}
	text := fmt.Sprintf("%s#%d", s.GetPolicy(), s.GetRuleIndex())
	if s.GetKind() != "NetworkPolicy" {
		text = s.GetKind() + "/" + text
	}
	if s.GetRuleName() != "" {
		text += ":" + s.GetRuleName()
	}
	return text
}

// tier returns the tier that decided a side, without its prefix; "-" for none.
func tier(s *netpoldv1.Side) string {
	if s.GetTier() == netpoldv1.Tier_TIER_UNSPECIFIED {
		return "-"
	}
	return strings.TrimPrefix(s.GetTier().String(), "TIER_")
}

func (w *WantError) compare(got *spb.Status, d *differences) {
	d.equal("code", codes.Code(got.GetCode()), w.Code) //nolint:gosec // a code is small
	info, fields := details(got)
	d.equal("reason", info.GetReason(), w.Reason)
	d.equal("domain", info.GetDomain(), "netpold")
	if w.Field != "" && !slices.Contains(fields, w.Field) {
		d.add("field: got %v, want %s", fields, w.Field)
	}
	if w.End != "" {
		at := append(fields, info.GetMetadata()["field"]) //nolint:gocritic // fields is this function's own
		if !slices.ContainsFunc(at, func(f string) bool { return f == w.End || strings.HasPrefix(f, w.End+".") }) {
			d.add("end: got %v, want %s", at, w.End)
		}
	}
}

// details are an error's ErrorInfo and the fields of its BadRequest, without the place in a batch.
func details(st *spb.Status) (*errdetails.ErrorInfo, []string) {
	info := new(errdetails.ErrorInfo)
	var fields []string
	for _, detail := range st.GetDetails() {
		message, err := detail.UnmarshalNew()
		if err != nil {
			continue // shows as a missing reason
		}
		switch m := message.(type) {
		case *errdetails.ErrorInfo:
			info = m
			if at, ok := m.GetMetadata()["field"]; ok {
				m.Metadata["field"] = alone(at)
			}
		case *errdetails.BadRequest:
			for _, v := range m.GetFieldViolations() {
				fields = append(fields, alone(v.GetField()))
			}
		}
	}
	return info, fields
}

// alone is a field's path as if its question had been asked alone.
func alone(field string) string {
	if rest, ok := strings.CutPrefix(field, "questions["); ok {
		_, rest, _ = strings.Cut(rest, "].")
		return rest
	}
	return field
}

// Text is an answer in one line, for messages of tests.
func Text(answer *netpoldv1.BatchAnswer) string {
	if st := answer.GetError(); st != nil {
		code := codes.Code(st.GetCode()) //nolint:gosec // a code is small
		return fmt.Sprintf("error %v: %s", code, st.GetMessage())
	}
	r := answer.GetResponse()
	return fmt.Sprintf("allowed=%t %v egress=%s (%s) ingress=%s (%s) families=%v backends=%d/%d", r.GetAllowed(),
		r.GetReason(),
		rule(r.GetEgress()), tier(r.GetEgress()), rule(r.GetIngress()), tier(r.GetIngress()), r.GetFamilies(),
		r.GetBackendsAllowed(), r.GetBackendsTotal())
}
