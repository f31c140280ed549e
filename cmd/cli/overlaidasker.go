package cli

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
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
	c.warn(response.GetOverlayWarnings())
	return response, nil
}

// warn prints warnings about the changes of --with, at the first call.
func (c *check) warn(warnings []*netpoldv1.OverlayWarning) {
	if !c.warned {
		c.warned = true
		c.inv.printWarnings(c.overlay, warnings)
	}
}

// A refusedOverlayError is the error, for people, of a call whose overlay was refused: no question has an answer.
type refusedOverlayError struct {
	error
	cause error // as the call returned it
}

// Unwrap returns the error itself.
func (e *refusedOverlayError) Unwrap() error { return e.error }

// An overlaidAsker answers questions with the changes of --with made.
type overlaidAsker struct {
	check   *check
	auditor auditor
}

// Allowed implements [asker].
func (a *overlaidAsker) Allowed(
	ctx context.Context, question *netpoldv1.AllowedRequest,
) (*netpoldv1.AllowedResponse, error) {
	atLeast := question.GetAtLeast()
	question = proto.CloneOf(question)
	question.AtLeast = ""
	batch, err := a.BatchAllowed(ctx, &netpoldv1.BatchAllowedRequest{
		Questions: []*netpoldv1.AllowedRequest{question}, AtLeast: atLeast,
	})
	if refused, ok := errors.AsType[*refusedOverlayError](err); ok {
		return nil, refused.cause
	}
	if err != nil {
		return nil, err
	}
	if len(batch.GetAnswers()) != 1 {
		return nil, status.Error(codes.Internal, "the server did not answer the question once")
	}
	answer := batch.GetAnswers()[0]
	stripOuterFields(answer.GetError())
	if answer.GetResponse() == nil {
		return nil, status.ErrorProto(answer.GetError())
	}
	return answer.GetResponse(), nil
}

// BatchAllowed implements [asker]. Its error may be a [*refusedOverlayError].
func (a *overlaidAsker) BatchAllowed(
	ctx context.Context, batch *netpoldv1.BatchAllowedRequest,
) (*netpoldv1.BatchAllowedResponse, error) {
	response := new(netpoldv1.BatchAllowedResponse)
	err := a.auditor.simulate(ctx, &netpoldv1.SimulateRequest{
		Overlay: a.check.overlay.message(), Questions: batch.GetQuestions(), QuestionsOnly: true,
		AtLeast: batch.GetAtLeast(),
	}, func(m *netpoldv1.SimulateResponse) error {
		if header := m.GetHeader(); header != nil {
			a.check.warn(header.GetOverlayWarnings())
		}
		if answer := m.GetAnswer(); answer != nil {
			response.Answers = append(response.Answers, answer.GetAfter())
		}
		return nil
	})
	if a.check.overlay.isRefused(err) {
		return nil, &refusedOverlayError{a.check.inv.overlayError(a.check.overlay, err), err}
	}
	return response, err
}
