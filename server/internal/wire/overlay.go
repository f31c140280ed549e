package wire

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// overlayField is the name of the field of requests.
const overlayField = "overlay"

// Overlay returns the overlay of a request. The failure names the changes that have nothing set.
func Overlay(o *netpoldv1.Overlay) (*mirror.Overlay, *Failure) {
	to := &mirror.Overlay{Prune: o.GetPrune(), Changes: make([]mirror.OverlayChange, len(o.GetChanges()))}
	var violations []*errdetails.BadRequest_FieldViolation
	for i, c := range o.GetChanges() {
		switch c := c.GetChange().(type) {
		case *netpoldv1.OverlayChange_Apply:
			to.Changes[i].Apply = c.Apply
		case *netpoldv1.OverlayChange_Delete:
			x := c.Delete
			to.Changes[i].Delete = &mirror.OverlayTarget{Kind: x.GetKind(), Namespace: x.GetNamespace(), Name: x.GetName()}
		case *netpoldv1.OverlayChange_Labels:
			x := c.Labels
			to.Changes[i].Labels = &mirror.LabelChange{
				OverlayTarget: mirror.OverlayTarget{Kind: x.GetKind(), Namespace: x.GetNamespace(), Name: x.GetName()},
				Set:           x.GetSet(), Remove: x.GetRemove(),
			}
		default:
			violations = append(violations, &errdetails.BadRequest_FieldViolation{
				Field: fmt.Sprintf("%s.changes[%d]", overlayField, i), Description: "set one of apply, delete and labels",
			})
		}
	}
	if violations != nil {
		return nil, Invalid(violations)
	}
	return to, nil
}

// OverlayFailure returns the failure for an error of a [mirror.OverlayReader]. If all that is wrong is that
// objects are not there, it is NOT_FOUND.
func OverlayFailure(err error) *Failure {
	if large, ok := errors.AsType[*mirror.OverlayTooLargeError](err); ok {
		return AuditTooLarge(overlayField, "objects", large.Actual, mirror.MaxOverlayObjects,
			"leave out what does not change, or make several requests of it")
	}
	refused, ok := errors.AsType[*mirror.OverlayError](err)
	if !ok {
		return &Failure{Code: codes.Internal, Message: "overlay: " + err.Error()}
	}
	missing := true
	var violations []*errdetails.BadRequest_FieldViolation
	for i := range refused.Problems {
		p := &refused.Problems[i]
		missing = missing && p.Missing
		violations = append(violations, &errdetails.BadRequest_FieldViolation{
			Field: overlayField + "." + p.Path, Description: inDocument(&p.Problem, p.String()),
		})
	}
	fail := Invalid(violations)
	if missing {
		fail.Code, fail.Reason = codes.NotFound, ReasonNotFound
		fail.Metadata = map[string]string{"field": violations[0].GetField()}
	}
	return fail
}

// maxOverlayWarnings limits the warnings of one answer.
const maxOverlayWarnings = 1000

// OverlayWarnings returns the warnings about an overlay. Those of one change that differ only in their object
// are one.
func OverlayWarnings(warnings []mirror.OverlayProblem) []*netpoldv1.OverlayWarning {
	var list []*netpoldv1.OverlayWarning
	for len(warnings) > 0 {
		path := warnings[0].Path
		n := slices.IndexFunc(warnings, func(w mirror.OverlayProblem) bool { return w.Path != path })
		if n < 0 {
			n = len(warnings)
		}
		if len(list) == maxOverlayWarnings {
			return append(list, &netpoldv1.OverlayWarning{
				Field: overlayField, Description: fmt.Sprintf("and %d more warnings", len(warnings)),
			})
		}
		problems := make([]mirror.Problem, n)
		for i := range problems {
			problems[i] = warnings[i].Problem
		}
		for _, folded := range mirror.FoldProblems(problems) {
			list = append(list, &netpoldv1.OverlayWarning{
				Field: overlayField + "." + path, Description: inDocument(&folded.Problem, folded.String()),
			})
		}
		warnings = warnings[n:]
	}
	return list
}

// inDocument returns the text of a problem with its document, if it has no file to go with.
func inDocument(p *mirror.Problem, text string) string {
	if p.File == "" && p.Document > 0 {
		text = fmt.Sprintf("document %d: %s", p.Document, text)
	}
	return text
}
