package metrics

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Unary calls count as by the interceptor of the library.
func TestUnaryCountsAsTheLibrary(t *testing.T) {
	t.Parallel()
	ours := &Metrics{GRPC: grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram())}
	ours.calls.library = ours.GRPC
	library := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram())
	for _, intercept := range []grpc.UnaryServerInterceptor{ours.Unary, library.UnaryServerInterceptor()} {
		for _, method := range []string{"/netpold.v1.DecisionService/Allowed", "/netpold.v1.StatusService/GetStatus"} {
			for _, err := range []error{nil, nil, status.Error(codes.NotFound, ""), context.DeadlineExceeded, errors.New(""),
				status.Error(codes.Unauthenticated, "")} {
				_, got := intercept(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: method},
					func(context.Context, any) (any, error) { return "", err })
				if !errors.Is(got, err) {
					t.Errorf("%v is returned as %v", err, got)
				}
			}
		}
	}
	want, got := countsOf(t, library), countsOf(t, ours.GRPC)
	for series := range got {
		if _, counted := want[series]; !counted && got[series] == 0 {
			delete(got, series) // the library makes it at its first event
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 10 {
		t.Errorf("-library +ours:\n%s", diff)
	}
}

// countsOf returns what was counted, by name and labels; of a histogram, how often.
func countsOf(t *testing.T, of prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(of)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetName() + "=" + label.GetValue()
			}
			counts[name] = countOf(metric)
		}
	}
	return counts
}

func countOf(metric *dto.Metric) float64 {
	if histogram := metric.GetHistogram(); histogram != nil {
		return float64(histogram.GetSampleCount())
	}
	return metric.GetCounter().GetValue()
}
