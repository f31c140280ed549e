// Package peers asks netpold's engine and other evaluators of NetworkPolicy the same questions about the same clusters, in one
// process each: whether they agree, and what a decision, a change, loading and memory cost.
//
// Every peer is used as its authors use it, in the shape that serves it best; its type says which.
package peers

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// Question asks whether Src may open a connection to Dst on destination Port. An address is a Pod's or nobody's.
type Question struct {
	Src, Dst netip.Addr
	Port     uint16
	Protocol corev1.Protocol
}

// Engine is a peer that has a cluster loaded. It is used by one goroutine.
type Engine interface {
	// Allowed answers a question.
	Allowed(Question) (bool, error)
	// SetPod tells that a Pod changed; the next answer counts it. The Pod keeps its name and addresses.
	SetPod(*corev1.Pod) error
}

// Peer is an evaluator of NetworkPolicy.
type Peer struct {
	// Name is the Go module's last element, as tables and benchmarks show it.
	Name string
	// Shape is how it is used here, for the reader of a table.
	Shape string
	// Load makes an engine of a cluster's objects, which belong to it from then on.
	Load func(*Objects) (Engine, error)
}

// All are netpold, which the others are compared with, and the others by name.
func All() []Peer {
	return []Peer{
		{"netpold", "the engine, fed through mirror/convert", loadNetpold},
		{"cyclonus", "matcher.Policy, built once and simplified as its commands do; Pods in a Go map by IP, as it keeps none", loadCyclonus},
		{"kube-network-policies", "PolicyEngine with the standard evaluator over informers' stores, Pods by its own IP index", loadKubePolicies},
		{"netpol-analyzer", "eval.PolicyEngine, its cache on; Pods by name from a Go map by IP, as it takes any IP for an outsider", loadAnalyzer},
		{"opa", "a prepared query of netpol.rego; Pods by IP and policies by namespace in the in-memory store, kept as AST values", loadOPA},
	}
}
