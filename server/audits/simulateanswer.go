package audits

import (
	"context"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/details"
	"github.com/netpold/netpold/server/internal/wire"
)

// sendAnswers sends the answers to the questions in both states (D3).
func (m *simulation) sendAnswers(ctx context.Context) *wire.Failure {
	if len(m.req.GetQuestions()) == 0 {
		return nil
	}
	goOn := func() bool { return m.yield(ctx) == nil }
	before, after := m.service.details.Of(&m.before), m.service.details.Of(&m.after)
	for i, question := range m.req.GetQuestions() {
		index := wire.QuestionIndex(i)
		answer := &netpoldv1.SimulatedAnswer{
			Index:  uint32(i),
			Before: answerIn(goOn, &m.before, &before, index, question),
			After:  answerIn(goOn, &m.after, &after, index, question),
		}
		if ctx.Err() != nil { // a question may have failed because of it
			return m.service.ended(ctx)
		}
		fail := m.send(ctx, &netpoldv1.SimulateResponse{Item: &netpoldv1.SimulateResponse_Answer{Answer: answer}})
		if fail != nil {
			return fail
		}
	}
	return nil
}

// answerIn answers a question as BatchAllowed does: one that is wrong fails alone.
func answerIn(
	goOn func() bool, state *current.State, detailer *details.Detailer, index wire.QuestionIndex,
	question *netpoldv1.AllowedRequest,
) *netpoldv1.BatchAnswer {
	failed := func(f *wire.Failure) *netpoldv1.BatchAnswer {
		return &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: f.Proto()}}
	}
	r := wire.RequestReader{Index: index}
	query := r.Query(question)
	r.RejectAtLeast(question)
	if len(r.Violations) > 0 {
		return failed(wire.Invalid(r.Violations))
	}
	decision, err := state.Snapshot.AllowedWhile(goOn, query)
	if err != nil {
		return failed(wire.EngineError(index, question, detailer.Advise(query, question, err)))
	}
	response := state.Fill(new(wire.Answer), &decision)
	if question.GetDetails() {
		detailer.Fill(goOn, response, query)
	}
	return &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: response}}
}
