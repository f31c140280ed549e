package server

import (
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// The names of grpc.health.v1 that are no services.
const (
	// wholeServer is the server as a whole.
	wholeServer = ""
	// readiness is whether questions are answered, from a stale state too unless that is refused: what /readyz tells, for
	// those who ask by gRPC whether to send callers at all.
	readiness = "readiness"
)

// newHealth is a health service on which nothing serves yet (S26).
func newHealth() *health.Server {
	h := health.NewServer()
	setHealth(h, false, false, DenyWhenStale)
	return h
}

// setHealth tells those who send callers how the server does: as a whole and of each service, it serves from the first full
// sync on, while its state is not stale. It does nothing once the health service is shut down.
func setHealth(h *health.Server, ready, stale bool, whenStale WhenStale) {
	serves := func(yes bool) healthv1.HealthCheckResponse_ServingStatus {
		if yes {
			return healthv1.HealthCheckResponse_SERVING
		}
		return healthv1.HealthCheckResponse_NOT_SERVING
	}
	for _, service := range []string{
		wholeServer, netpoldv1.DecisionService_ServiceDesc.ServiceName, netpoldv1.StatusService_ServiceDesc.ServiceName,
	} {
		h.SetServingStatus(service, serves(ready && !stale))
	}
	h.SetServingStatus(readiness, serves(ready && !(stale && whenStale == DenyWhenStale)))
}
