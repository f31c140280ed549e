package wire

import (
	"errors"
	"fmt"

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
			Field: overlayField + "." + p.Path, Description: overlayText(p),
		})
	}
	fail := Invalid(violations)
	if missing {
		fail.Code, fail.Reason = codes.NotFound, ReasonNotFound
		fail.Metadata = map[string]string{"field": violations[0].GetField()}
	}
	return fail
}

// overlayText returns what is wrong, and in which document and object.
func overlayText(p *mirror.OverlayProblem) string {
	text := p.String()
	if p.File == "" && p.Document > 0 {
		text = fmt.Sprintf("document %d: %s", p.Document, text)
	}
	return text
}
