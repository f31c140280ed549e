// Package server is one process that answers netpold's questions: with ports, TLS, limits, health, metrics,
// the admin pages and an orderly end.
//
// It offers its callers doors, each a package of its own:
//
//	decisions/   DecisionService and StatusService of netpold.v1
//
// Doors never import each other. They share the packages in internal/: current returns the state to answer
// from, wire translates between protobuf and the engine, and metrics counts.
//
// A call passes the limits of gRPC, then the interceptors (metrics, recovery, deadline, log), then its door.
// The package does not know where the cluster's state comes from: it needs a [mirror.Source].
package server
