package audit

import "github.com/netpold/netpold/engine"

// Ends selects ends of connections. What is named by any of Endpoints, Namespaces and the selectors is meant;
// with none of them, all of the scope. The zero Ends selects everything.
type Ends struct {
	Scope Scope
	// Endpoints are made by [engine.ByIP], [engine.ByPod], [engine.ByWorkload] and [engine.ByLabels]; as
	// destination, if the request includes Services, by [engine.ByService] too.
	Endpoints []engine.Endpoint
	// Namespaces are those all of whose Pods are meant.
	Namespaces []string
	// Pods and NamespaceLabels select Pods by labels, both at once. A nil selector selects all if the other is
	// set.
	Pods, NamespaceLabels *engine.Selector
}

// Scope is what kind of ends is meant.
type Scope uint8

// The scopes.
const (
	// ScopeAll is what is in the cluster, and what is outside.
	ScopeAll Scope = iota
	// ScopeCluster is what is in the cluster alone.
	ScopeCluster
	// ScopeExternal is what is outside alone.
	ScopeExternal
)

// Direction is a direction of a connection, as seen from the end that a policy selects.
type Direction uint8

// The directions.
const (
	Egress Direction = 1 + iota
	Ingress
)

// PortRange is an inclusive range of ports of one protocol.
type PortRange = engine.PortRange

// Rule names a rule of a policy. Exactly one of Policy and ClusterPolicy is set, and must not be modified. The
// zero Rule is none.
type Rule struct {
	Policy        *engine.Policy
	ClusterPolicy *engine.ClusterPolicy
	Direction     Direction
	// Index is the rule's place in the list of its policy for the direction.
	Index int
}
