package decisions

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/decide"
	"github.com/netpold/netpold/server/internal/details"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/wire"
)

// Register registers the service so that questions by IP are read from the wire, and answers written to it, without
// messages: those cost a batch more than its decisions. The server needs [wire.Codec]. Callers see no difference.
// Interceptors see a [wire.Question] or [wire.Questions], and a [wire.Encoded]: where they want messages, register the
// service with [netpoldv1.RegisterDecisionServiceServer].
func Register(with grpc.ServiceRegistrar, service *Service) {
	desc := netpoldv1.DecisionService_ServiceDesc
	desc.Methods = append([]grpc.MethodDesc(nil), desc.Methods...)
	d := &direct{
		service:     service,
		allowedInfo: grpc.UnaryServerInfo{Server: service, FullMethod: netpoldv1.DecisionService_Allowed_FullMethodName},
		batchInfo:   grpc.UnaryServerInfo{Server: service, FullMethod: netpoldv1.DecisionService_BatchAllowed_FullMethodName},
	}
	handlers := map[string]grpc.MethodHandler{"Allowed": d.allowed, "BatchAllowed": d.batchAllowed}
	for i := range desc.Methods {
		if handler := handlers[desc.Methods[i].MethodName]; handler != nil {
			desc.Methods[i].Handler = handler
		}
	}
	with.RegisterService(&desc, service)
}

// A direct has the handlers without messages.
type direct struct {
	service                *Service
	allowedInfo, batchInfo grpc.UnaryServerInfo
}

var unusedQuestions = sync.Pool{New: func() any { return new(wire.Question) }}

func (d *direct) allowed(_ any, ctx context.Context, decode func(any) error,
	through grpc.UnaryServerInterceptor) (any, error) {
	q, _ := unusedQuestions.Get().(*wire.Question)
	defer func() {
		*q = wire.Question{}
		unusedQuestions.Put(q)
	}()
	if err := decode(q); err != nil {
		return nil, err
	}
	if through == nil {
		return d.service.allowed(ctx, q)
	}
	return through(ctx, q, &d.allowedInfo, d.service.allowed)
}

func (d *direct) batchAllowed(_ any, ctx context.Context, decode func(any) error,
	through grpc.UnaryServerInterceptor) (any, error) {
	q := wire.TakeQuestions(d.service.maxBatch)
	defer q.Release()
	if err := decode(q); err != nil {
		return nil, err
	}
	if through == nil {
		return d.service.batchAllowed(ctx, q)
	}
	return through(ctx, q, &d.batchInfo, d.service.batchAllowed)
}

// allowed is Allowed for a [wire.Question].
func (s *Service) allowed(ctx context.Context, request any) (any, error) {
	q, _ := request.(*wire.Question)
	if q.Message != nil {
		return s.Allowed(ctx, q.Message)
	}
	state, fail := s.state.Present()
	if fail != nil {
		return nil, s.failed(fail)
	}
	started := time.Now()
	detailer := s.details.Of(&state)
	var decision engine.Decision
	var call decide.Call
	defer call.End()
	if fail := s.byIP(ctx, &call, &state, &detailer, &q.ByIP, wire.Alone, &decision); fail != nil {
		return nil, s.failed(fail)
	}
	s.metrics.Decided(decision.Reason, 1)
	response := wire.EncodeAnswer(&decision, ofSnapshot(&state))
	s.metrics.Took(metrics.Allowed, time.Since(started))
	return response, nil
}

// batchAllowed is BatchAllowed for [wire.Questions].
func (s *Service) batchAllowed(ctx context.Context, request any) (any, error) {
	questions, _ := request.(*wire.Questions)
	if questions.Message != nil {
		return s.BatchAllowed(ctx, questions.Message)
	}
	state, unmet, fail := s.beginBatch(ctx, questions.Len(), questions.AtLeast, questions.Tokens)
	if fail != nil {
		return nil, s.failed(fail)
	}
	started := time.Now()
	response, err := s.encode(ctx, questions, &state, unmet)
	if err != nil {
		return nil, err
	}
	s.metrics.Took(metrics.BatchAllowed, time.Since(started))
	return response, nil
}

// looksEach is after how many questions a batch looks whether its caller is still there. Looking may cost as much as
// deciding.
const looksEach = 64

// encode is answers, without messages.
func (s *Service) encode(
	ctx context.Context, questions *wire.Questions, state *current.State, unmet map[string]*wire.Failure,
) (*wire.Encoded, error) {
	response := wire.EncodeBatch(questions.Len(), ofSnapshot(state))
	var decided metrics.DecisionCounts
	var told errorBytes
	detailer := s.details.Of(state)
	var call decide.Call
	defer call.End()
	var decision engine.Decision
	var fail *wire.Failure
	for i := range questions.Len() {
		byIP, message := questions.At(i)
		index := wire.QuestionIndex(i)
		if message == nil {
			fail = s.byIP(ctx, &call, state, &detailer, byIP, index, &decision)
		} else {
			decision, fail = s.decide(ctx, &call, state, &detailer, index, message, unmet)
		}
		if (fail != nil || i%looksEach == 0) && ctx.Err() != nil { // it may have failed because of that
			return nil, s.failed(current.Ended(ctx))
		}
		switch {
		case fail != nil:
			s.metrics.Failed(fail)
			response.AddMessage(&netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: told.proto(fail)}})
			continue
		case message.GetDetails():
			// Read again here, so that a question without details does not pay for passing it on.
			r := wire.RequestReader{Index: index}
			answer := state.Fill(new(wire.Answer), &decision)
			s.decider.Details(ctx, &call, state.Snapshot, &detailer, answer, r.Query(message))
			response.AddMessage(&netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: answer}})
		default:
			response.Add(&decision)
		}
		decided.Add(decision.Reason)
	}
	s.metrics.DecidedMany(&decided)
	response.End()
	return response, nil
}

// byIP decides a question by IP. Nearly all are between single ends: these are asked of the engine at once, since they
// neither wait nor are remembered.
func (s *Service) byIP(
	ctx context.Context, call *decide.Call, state *current.State, d *details.Detailer, q *wire.IPQuery,
	index wire.QuestionIndex, decision *engine.Decision,
) (fail *wire.Failure) {
	if state.Snapshot.DecideAddresses(q.Src, q.Dst, q.Port, q.Protocol, decision) {
		return nil
	}
	*decision, fail = s.decider.Decide(ctx, call, state, d, q.Query(), nil,
		func(err error) *wire.Failure { return wire.EngineErrorByIPAt(index, err) })
	return fail
}

func ofSnapshot(state *current.State) wire.OfSnapshot {
	return wire.OfSnapshot{Revision: state.Snapshot.Revision(), Token: state.Token, Stale: state.Stale}
}
