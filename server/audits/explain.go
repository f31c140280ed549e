package audits

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/wire"
)

// Explain answers a question as DecisionService/Allowed does from the same state, and says why.
func (s *Service) Explain(
	ctx context.Context, req *netpoldv1.ExplainRequest,
) (*netpoldv1.ExplainResponse, error) {
	ctx, a, fail := s.begin(ctx, metrics.Explain, req.GetQuestion().GetAtLeast(), wire.Within)
	if fail != nil {
		return nil, s.failed(metrics.Explain, fail)
	}
	defer a.end()
	if fail := rejectOverlay(req.GetOverlay()); fail != nil {
		return nil, s.failed(metrics.Explain, fail)
	}
	_ = ctx
	return nil, status.Error(codes.Unimplemented, "Explain is not there yet")
}
