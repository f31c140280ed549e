package server

import (
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// healthServices are the names that grpc.health.v1 knows: "" is the server as a whole.
func healthServices() []string {
	return []string{"", netpoldv1.DecisionService_ServiceDesc.ServiceName, netpoldv1.StatusService_ServiceDesc.ServiceName}
}

// newHealth is a health service on which nothing serves yet (S26).
func newHealth() *health.Server {
	h := health.NewServer()
	setHealth(h, healthv1.HealthCheckResponse_NOT_SERVING)
	return h
}

func setHealth(h *health.Server, status healthv1.HealthCheckResponse_ServingStatus) {
	for _, service := range healthServices() {
		h.SetServingStatus(service, status)
	}
}
