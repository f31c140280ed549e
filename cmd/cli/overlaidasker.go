package cli

import (
	"context"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// overlaid explains the answer to a question with the changes of --with made, and prints warnings about them
// once. Errors have the fields of those of the question asked alone.
func (c *check) overlaid(
	ctx context.Context, from auditor, question *netpoldv1.AllowedRequest,
) (*netpoldv1.ExplainResponse, error) {
	response, err := from.explain(ctx, &netpoldv1.ExplainRequest{Question: question, Overlay: c.overlay.message()})
	if err != nil {
		st := status.Convert(err).Proto()
		stripOuterFields(st)
		return nil, status.ErrorProto(st)
	}
	if !c.warned {
		c.warned = true
		c.inv.printWarnings(c.overlay, response.GetOverlayWarnings())
	}
	return response, nil
}

// A refusedOverlay is the error, for people, of a call whose overlay was refused: no question has an answer.
type refusedOverlay struct{ error }

// Unwrap returns the error itself.
func (e *refusedOverlay) Unwrap() error { return e.error }

// An overlaidAsker answers questions with the changes of --with made.
type overlaidAsker struct {
	check   *check
	auditor auditor
}

// Allowed implements [asker].
func (a *overlaidAsker) Allowed(
	ctx context.Context, question *netpoldv1.AllowedRequest,
) (*netpoldv1.AllowedResponse, error) {
	response, err := a.check.overlaid(ctx, a.auditor, question)
	return response.GetAnswer(), err
}

// BatchAllowed implements [asker]. Its error may be a [*refusedOverlay].
func (a *overlaidAsker) BatchAllowed(
	ctx context.Context, batch *netpoldv1.BatchAllowedRequest,
) (*netpoldv1.BatchAllowedResponse, error) {
	response := new(netpoldv1.BatchAllowedResponse)
	for _, question := range batch.GetQuestions() {
		if batch.GetAtLeast() != "" {
			question = proto.CloneOf(question)
			question.AtLeast = batch.GetAtLeast()
		}
		answer, err := a.Allowed(ctx, question)
		switch {
		case a.check.overlay.isRefused(err):
			return nil, &refusedOverlay{a.check.inv.overlayError(a.check.overlay, err)}
		case err != nil:
			response.Answers = append(response.Answers,
				&netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: status.Convert(err).Proto()}})
		default:
			response.Answers = append(response.Answers,
				&netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: answer}})
		}
	}
	return response, nil
}
