package server_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/server/servertest"
)

const (
	serving    = healthv1.HealthCheckResponse_SERVING
	notServing = healthv1.HealthCheckResponse_NOT_SERVING

	decisionService = "netpold.v1.DecisionService"
	statusService   = "netpold.v1.StatusService"
)

// S26: health is NOT_SERVING, overall and of each service, until the first full sync, and watchers get the
// change.
func TestS26HealthTurnsAtTheFirstSync(t *testing.T) {
	t.Parallel()
	source := servertest.NewSource()
	r := start(t, source, nil)
	client := healthv1.NewHealthClient(r.conn)
	services := []string{"", decisionService, statusService, "netpold.v1.AuditService", "readiness"}
	watches := map[string]healthv1.Health_WatchClient{}
	for _, service := range services {
		got, err := client.Check(soon(t), &healthv1.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != notServing {
			t.Errorf("before the sync, %q: %v, %v", service, got, err)
		}
		if watches[service], err = client.Watch(soon(t),
			&healthv1.HealthCheckRequest{Service: service}); err != nil {
			t.Fatal(err)
		}
		nextHealth(t, watches[service], notServing)
	}
	source.Apply(upserts(shop())...)
	for _, service := range services {
		nextHealth(t, watches[service], serving)
		got, err := client.Check(soon(t), &healthv1.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != serving {
			t.Errorf("after the sync, %q: %v, %v", service, got, err)
		}
	}
	_, err := client.Check(soon(t), &healthv1.HealthCheckRequest{Service: "netpold.v1.NoService"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("an unknown service: %v", err)
	}
}

// expectHealth fails the test unless the health of services is want.
func expectHealth(t *testing.T, r *running, want map[string]healthv1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	for service, status := range want {
		got, err := healthv1.NewHealthClient(r.conn).Check(soon(t), &healthv1.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != status {
			t.Errorf("health of %q is %v, %v; want %v", service, got, err, status)
		}
	}
}

// awaitHealth receives until a status comes: what the source said a moment ago may not be known yet.
func awaitHealth(t *testing.T, watch healthv1.Health_WatchClient, want healthv1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	for {
		got, err := watch.Recv()
		if err != nil {
			t.Fatalf("health never is %v: %v", want, err)
		}
		if got.GetStatus() == want {
			return
		}
	}
}

func nextHealth(t *testing.T, watch healthv1.Health_WatchClient,
	want healthv1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	got, err := watch.Recv()
	if err != nil || got.GetStatus() != want {
		t.Fatalf("health is %v, %v; want %v", got, err, want)
	}
}
