package server

import (
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// wholeServer is the name of the server as a whole in grpc.health.v1.
const wholeServer = ""

// newHealth is a health service on which no question is answered yet (S26). The status is told from the start on: it is how
// one sees what is missing.
func newHealth() *health.Server {
	h := health.NewServer()
	setHealth(h, false, false)
	h.SetServingStatus(netpoldv1.StatusService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	return h
}

// setHealth tells those who send callers how the server does:
//
//   - the server as a whole serves from the first full sync on. That its state is stale is no reason to restart it, nor to leave
//     callers without any server when all are;
//   - DecisionService serves only while the state is not stale, so that callers who can choose go to a server that is current.
//
// It does nothing once the health service is shut down.
func setHealth(h *health.Server, ready, stale bool) {
	set := func(service string, serves bool) {
		status := healthv1.HealthCheckResponse_NOT_SERVING
		if serves {
			status = healthv1.HealthCheckResponse_SERVING
		}
		h.SetServingStatus(service, status)
	}
	set(wholeServer, ready)
	set(netpoldv1.DecisionService_ServiceDesc.ServiceName, ready && !stale)
}
