package server

import (
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/overload"
)

// withoutPlaces are the methods that are never refused because of overload (P41), and WatchAllowed, whose streams have
// a limit of their own.
var withoutPlaces = overload.Exempt{
	healthv1.Health_ServiceDesc.ServiceName, netpoldv1.StatusService_ServiceDesc.ServiceName,
	netpoldv1.DecisionService_WatchAllowed_FullMethodName,
}

// openGate returns what refuses what is beyond the limits of config.
func openGate(config *Config, callers *callers, m *metrics.Metrics) *overload.Gate {
	options := overload.Options{
		Limits: overload.Limits{
			InFlight: config.MaxInFlight, PerCaller: config.MaxInFlightPerCaller, Connections: config.MaxClientConnections,
		},
		Questions: map[string]func(any) int{netpoldv1.DecisionService_BatchAllowed_FullMethodName: questionsOf},
		Metrics:   m, Log: config.Logger,
	}
	if callers.tokens != nil {
		options.Known = callers.tokens.Known
	}
	return overload.New(options)
}

// questionsOf returns the number of questions of a BatchAllowedRequest.
func questionsOf(request any) int {
	batch, ok := request.(*netpoldv1.BatchAllowedRequest)
	if !ok {
		return 1
	}
	return len(batch.GetQuestions())
}

// reflected lets reflection see the services of a server, and registers its own through a registrar.
type reflected struct {
	grpc.ServiceRegistrar
	*grpc.Server
}

// RegisterService implements [grpc.ServiceRegistrar].
func (r reflected) RegisterService(desc *grpc.ServiceDesc, service any) {
	r.ServiceRegistrar.RegisterService(desc, service)
}
