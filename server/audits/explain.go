package audits

import (
	"context"
	"fmt"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits/explaintext"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/wire"
)

// maxPairs is how many pairs an explanation looks at for a denied one (A8).
const maxPairs = 256

// Explain answers a question as DecisionService/Allowed does from the same state, and says why. Its error is a
// gRPC status: the comments of the proto's service list them.
func (s *Service) Explain(
	ctx context.Context, req *netpoldv1.ExplainRequest,
) (*netpoldv1.ExplainResponse, error) {
	question := req.GetQuestion()
	ctx, a, fail := s.begin(ctx, metrics.Explain, question.GetAtLeast(), wire.Within)
	if fail != nil {
		return nil, s.failed(metrics.Explain, fail)
	}
	defer a.end()
	if fail := a.layOver(req.GetOverlay()); fail != nil {
		return nil, s.failed(metrics.Explain, fail)
	}
	response, fail := a.explain(ctx, question)
	if fail != nil {
		return nil, s.failed(metrics.Explain, fail)
	}
	return response, nil
}

// explain explains the answer to a question.
func (a *call) explain(
	ctx context.Context, question *netpoldv1.AllowedRequest,
) (*netpoldv1.ExplainResponse, *wire.Failure) {
	r := wire.RequestReader{Index: wire.Within}
	query := r.Query(question)
	if len(r.Violations) > 0 {
		return nil, wire.Invalid(r.Violations)
	}
	snapshot := a.state.Snapshot
	detailer := a.service.details.Of(&a.state)
	goOn := func() bool { return a.yield(ctx) == nil }
	e, err := snapshot.Explain(goOn, query, maxPairs)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, a.service.ended(ctx)
	case err != nil:
		return nil, wire.EngineError(wire.Within, question, detailer.Advise(query, question, err))
	case e.TooFar:
		return nil, wire.AuditTooLarge("question", "pairs of source and destination", int(e.Answer.BackendsTotal),
			maxPairs, fmt.Sprintf("the first %d are allowed, and %d after them denied: ask about Pods by name",
				maxPairs, e.Answer.BackendsTotal-e.Answer.BackendsAllowed))
	}
	response := wire.Explanation(&e, audit.ClosestRules(snapshot, &e), query.Port, a.locate)
	answer := a.state.Fill(new(wire.Answer), &e.Answer)
	if question.GetDetails() {
		detailer.Fill(goOn, answer, query)
	}
	response.Answer, response.OverlayWarnings = answer, a.warnings
	response.Text = explaintext.Text(response, false)
	return response, nil
}

// locate returns where a policy was read, if the source knows. One that the overlay brought was read nowhere, also
// if another of its name was.
func (a *call) locate(key engine.ObjectKey) mirror.Location {
	locator, ok := a.service.source.(mirror.Locator)
	if !ok {
		return mirror.Location{}
	}
	if a.isChanged(key) {
		return mirror.Location{}
	}
	return locator.Locate(key)
}

// isChanged reports whether the overlay brought, replaced or deleted an object, so that what is known of it
// besides the snapshot is of another.
func (a *call) isChanged(key engine.ObjectKey) bool {
	if !a.overlaid {
		return false
	}
	below, _ := a.below.Object(key)
	now, ok := a.state.Snapshot.Object(key)
	return !ok || now != below
}
