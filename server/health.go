package server

import (
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// wholeServer is the name of the server as a whole in grpc.health.v1.
const wholeServer = ""

// newHealth is a health service on which nothing serves yet (S26).
func newHealth() *health.Server {
	h := health.NewServer()
	setHealth(h, false, false)
	return h
}

// setHealth tells those who send callers how the server does: as a whole and of each service, it serves from the first full
// sync on, while its state is not stale. It does nothing once the health service is shut down.
func setHealth(h *health.Server, ready, stale bool) {
	status := healthv1.HealthCheckResponse_NOT_SERVING
	if ready && !stale {
		status = healthv1.HealthCheckResponse_SERVING
	}
	for _, service := range []string{
		wholeServer, netpoldv1.DecisionService_ServiceDesc.ServiceName, netpoldv1.StatusService_ServiceDesc.ServiceName,
	} {
		h.SetServingStatus(service, status)
	}
}
