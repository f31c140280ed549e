package server

import (
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/extauthz"
)

// The names of grpc.health.v1 other than services.
const (
	// wholeServer is the server as a whole.
	wholeServer = ""
	// readiness is /readyz by gRPC: whether to send callers here at all. It also serves while the state is
	// stale, unless questions are refused then.
	readiness = "readiness"
)

// newHealth returns a health service on which nothing serves yet (S26).
func newHealth() *health.Server {
	h := health.NewServer()
	setHealth(h, false, false, DenyWhenStale)
	return h
}

// setHealth sets the health of the server as a whole and of each service. They serve after the first full
// sync while the state is not stale. setHealth does nothing after the health service was shut down.
func setHealth(h *health.Server, ready, stale bool, whenStale WhenStale) {
	serves := func(yes bool) healthv1.HealthCheckResponse_ServingStatus {
		if yes {
			return healthv1.HealthCheckResponse_SERVING
		}
		return healthv1.HealthCheckResponse_NOT_SERVING
	}
	for _, service := range []string{
		wholeServer, netpoldv1.DecisionService_ServiceDesc.ServiceName,
		netpoldv1.StatusService_ServiceDesc.ServiceName, netpoldv1.AuditService_ServiceDesc.ServiceName,
		extauthz.Name,
	} {
		h.SetServingStatus(service, serves(ready && !stale))
	}
	h.SetServingStatus(readiness, serves(ready && !(stale && whenStale == DenyWhenStale)))
}
