package decisions

import (
	"context"
	"iter"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/decide"
	"github.com/netpold/netpold/server/internal/details"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/wire"
)

// BatchAllowed answers many questions from one snapshot (S25), in the order asked. A question without an
// answer gets its own error (S28).
//
// The snapshot satisfies the at_least of the batch, or the call fails. It also satisfies the at_least of
// every question that can be satisfied within the call's deadline; the other questions fail alone.
func (s *Service) BatchAllowed(
	ctx context.Context, req *netpoldv1.BatchAllowedRequest,
) (*netpoldv1.BatchAllowedResponse, error) {
	questions := req.GetQuestions()
	state, unmet, fail := s.beginBatch(ctx, len(questions), req.GetAtLeast(), func(yield func(string) bool) {
		for _, question := range questions {
			if !yield(question.GetAtLeast()) {
				return
			}
		}
	})
	if fail != nil {
		return nil, s.failed(fail)
	}
	started := time.Now()
	response, err := s.answers(ctx, questions, &state, unmet)
	if err != nil {
		return nil, err
	}
	s.metrics.Took(metrics.BatchAllowed, time.Since(started))
	return response, nil
}

// beginBatch returns the state that answers a batch of n questions, and which of their tokens cannot be reached, and
// why. It waits for atLeast and for tokens, which has those of the questions.
func (s *Service) beginBatch(
	ctx context.Context, n int, atLeast string, tokens iter.Seq[string],
) (current.State, map[string]*wire.Failure, *wire.Failure) {
	if n > s.maxBatch {
		return current.State{}, nil, wire.BatchTooLarge("questions", n, s.maxBatch)
	}
	state, fail := s.state.Present()
	if fail != nil {
		return current.State{}, nil, fail
	}
	s.metrics.Batch(metrics.BatchAllowed, n)
	if atLeast != "" && atLeast != state.Token {
		if state, fail = s.state.Wait(ctx, atLeast); fail != nil {
			return current.State{}, nil, fail.AtLeast(wire.Alone)
		}
	}
	newest, unmet := s.waitEach(ctx, tokens, state)
	return newest, unmet, nil
}

// waitEach waits for the tokens of questions. It returns a state that is not older than from, nor than any token that can
// be reached. The map has the other tokens, and why they cannot be reached.
func (s *Service) waitEach(
	ctx context.Context, tokens iter.Seq[string], from current.State,
) (current.State, map[string]*wire.Failure) {
	var unmet map[string]*wire.Failure
	var seen map[string]bool // most batches have none
	newest := from
	for token := range tokens {
		if token == "" || token == from.Token || seen[token] {
			continue
		}
		if seen == nil {
			seen = make(map[string]bool)
		}
		seen[token] = true
		state, fail := s.state.Wait(ctx, token)
		if fail == nil {
			newest = current.Newer(newest, state)
			continue
		}
		if unmet == nil {
			unmet = make(map[string]*wire.Failure)
		}
		unmet[token] = fail
	}
	return newest, unmet
}

// batchAnswer is an answer and what wraps it in a batch.
type batchAnswer struct {
	wire.Answer
	wrapper netpoldv1.BatchAnswer
	oneof   netpoldv1.BatchAnswer_Response
}

// answers answers a batch from one state. unmet has the tokens that cannot be reached, and why.
func (s *Service) answers(
	ctx context.Context, questions []*netpoldv1.AllowedRequest, state *current.State,
	unmet map[string]*wire.Failure,
) (*netpoldv1.BatchAllowedResponse, error) {
	slab := make([]batchAnswer, len(questions))
	answers := make([]*netpoldv1.BatchAnswer, len(questions))
	var decided metrics.DecisionCounts
	var told errorBytes
	detailer := s.details.Of(state)
	var call decide.Call
	defer call.End()
	for i, question := range questions {
		b := &slab[i]
		answers[i] = &b.wrapper
		decision, fail := s.decide(ctx, &call, state, &detailer, wire.QuestionIndex(i), question, unmet)
		if ctx.Err() != nil { // the question may have failed because of it
			return nil, s.failed(current.Ended(ctx))
		}
		if fail != nil {
			s.metrics.Failed(fail)
			b.wrapper.Answer = &netpoldv1.BatchAnswer_Error{Error: told.proto(fail)}
			continue
		}
		decided.Add(decision.Reason)
		b.oneof.Response = state.Fill(&b.Answer, &decision)
		if question.GetDetails() {
			// Read again here, so that a question without details does not pay for passing it on.
			r := wire.RequestReader{Index: wire.QuestionIndex(i)}
			s.decider.Details(ctx, &call, state.Snapshot, &detailer, b.oneof.Response, r.Query(question))
		}
		b.wrapper.Answer = &b.oneof
	}
	s.metrics.DecidedMany(&decided)
	return &netpoldv1.BatchAllowedResponse{
		Answers: answers, Revision: state.Snapshot.Revision(), Token: state.Token, Stale: state.Stale,
	}, nil
}

// maxErrorBytes is how much the errors of a batch say in full, of a stream's too, and of one response of a watch. A
// client takes 4 MiB by default.
const maxErrorBytes = 1 << 20

// errorBytes counts what the errors of one response have said.
type errorBytes int

// proto returns the google.rpc.Status of a failure, which is brief once the errors before have said enough.
func (e *errorBytes) proto(f *wire.Failure) *spb.Status {
	if *e >= maxErrorBytes {
		return f.Brief().Proto()
	}
	st := f.Proto()
	*e += errorBytes(proto.Size(st))
	return st
}

// decide answers one question of a batch.
func (s *Service) decide(
	ctx context.Context, call *decide.Call, state *current.State, d *details.Detailer, index wire.QuestionIndex,
	question *netpoldv1.AllowedRequest, unmet map[string]*wire.Failure,
) (engine.Decision, *wire.Failure) {
	r := wire.RequestReader{Index: index}
	query := r.Query(question)
	// An empty token is never unmet.
	fail := unmet[question.GetAtLeast()]
	if fail == wire.MalformedToken {
		r.RejectToken()
	}
	if len(r.Violations) > 0 {
		return engine.Decision{}, wire.Invalid(r.Violations)
	}
	if fail != nil {
		return engine.Decision{}, fail.AtLeast(index)
	}
	return s.decider.Decide(ctx, call, state, d, query, question,
		func(err error) *wire.Failure { return wire.EngineError(index, question, err) })
}
