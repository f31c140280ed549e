package netpold_test

import (
	"testing"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

// If no server is healthy all are asked. They answer if they can, or say why not.
func TestWithoutAHealthyServer(t *testing.T) {
	t.Parallel()
	instance := servertest.Start(t, shop()...)
	instance.SetStale(true)
	client := instance.Client()
	question := &netpoldv1.AllowedRequest{Src: netpold.IP("10.0.1.4"), Dst: netpold.Pod("shop", "cart-0"),
		Port: 8080}
	for range 2 { // the second call knows already
		answer, err := client.Allowed(soon(t), question)
		if err != nil || !answer.GetStale() {
			t.Errorf("%v, %v", answer, err)
		}
		answers, err := client.BatchAllowed(soon(t),
			&netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{question}})
		if err != nil || !answers.GetStale() {
			t.Errorf("%v, %v", answers, err)
		}
	}
	instance.SetStale(false)
	answer, err := client.Allowed(soon(t), question)
	if err != nil || answer.GetStale() {
		t.Errorf("after: %v, %v", answer, err)
	}
}

// Servers that are healthy again are preferred again.
func TestBackToHealthyServers(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	f.health.SetServingStatus("netpold.v1.DecisionService", healthv1.HealthCheckResponse_NOT_SERVING)
	client := dial(t, f.address)
	ctx := soon(t)
	if _, err := client.Allowed(ctx, nil); err != nil || f.calls.Load() != 1 {
		t.Errorf("%v after %d calls", err, f.calls.Load())
	}
	f.health.SetServingStatus("netpold.v1.DecisionService", healthv1.HealthCheckResponse_SERVING)
	client.AwaitHealthy(ctx)
	if _, err := client.Allowed(ctx, nil); err != nil || ctx.Err() != nil || f.calls.Load() != 2 {
		t.Errorf("%v after %d calls", err, f.calls.Load())
	}
}

// Status also asks servers that are not healthy, because it shows why.
func TestStatusOfAServerThatIsNotHealthy(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	f.health.SetServingStatus("netpold.v1.DecisionService", healthv1.HealthCheckResponse_NOT_SERVING)
	client := dial(t, f.address)
	got, err := client.Status(soon(t))
	if err != nil || got.GetVersion() != f.address {
		t.Errorf("%v, %v", got, err)
	}
}
