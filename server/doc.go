// Package server answers netpold's questions over gRPC.
//
// A call's way, from the wire to the engine and back:
//
//	bytes ── gRPC limits ── metrics ── recovery ── deadline ── log ──┐
//	                                                                 ▼
//	       Source.State (once a call: S25) ◄──────────────── Decisions.Allowed
//	                                                                 │ question.go: proto ─► engine.Query, or BadRequest (S28)
//	                                                                 ▼
//	                                                     engine.Snapshot.Allowed
//	                                                                 │ answer.go, failure.go: Decision or error ─► proto
//	                                                                 ▼
//	                                                               bytes
//
// The package knows nothing of where the cluster's state comes from: it needs a [mirror.Source].
// [Decisions] is the service itself and works without a network; [Server] adds the ports, TLS, health, reflection, metrics,
// the admin pages and an orderly end.
package server
