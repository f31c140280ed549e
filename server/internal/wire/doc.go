// Package wire translates between the protobuf messages and the engine.
//
//	request ── RequestReader, ReadColumns ──> engine.Query    or the violations (S28)
//	engine.Decision ── Answer ──> response
//	an error of the engine, a limit, a violation ── Failure ──> google.rpc.Status
package wire
