package propose

import (
	"net/netip"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// A Proposal is NetworkPolicies that admit observed flows.
type Proposal struct {
	Mode Mode
	// Policies are sorted by namespace and name. Each stands alone: without the others no flow is denied more.
	Policies []Policy
	// Without are units that flows need rules for and that no labels tell apart, so that no policy can select
	// them, sorted.
	Without []*Unit
	// Counts says what became of the flows. Span is that of the admitted ones.
	Counts Counts
	Span   flows.Span

	named []namedRule
	pairs []*pair
	// units are those of the whole observation.
	units func(namespace string, w engine.Workload, pod string) *Unit
}

// A Policy is a NetworkPolicy for one unit.
type Policy struct {
	Namespace, Name string
	Unit            *Unit
	// Isolates are the policy types, and Rules what is admitted, by direction.
	Isolates [directions]bool
	Rules    [directions][]Rule
	// Today reports whether NetworkPolicies isolate the unit for the direction today.
	Today [directions]bool
	// Open are directions of which flows cannot get rules, by the reason.
	Open []Open
}

// Open is why some flows of a unit get no rule in a direction. What is not isolated today stays so.
type Open struct {
	Direction Direction
	// Peer is the end that no rule can name; nil for another reason.
	Peer *End
	// Mixed means that NetworkPolicies isolate some of its Pods alone.
	Mixed bool
}

// A Rule admits peers on ports.
type Rule struct {
	// Units are peers by labels, sorted, and CIDRs the fewest that have exactly the addresses.
	Units []*Unit
	CIDRs []netip.Prefix
	Ports engine.PortSet
	// Behind are the flows that the rule is made of.
	Behind []Behind
}

// Behind is the flows behind a peer of a rule, or behind all of its addresses.
type Behind struct {
	// Unit is nil for addresses: so many CIDRs, of the Nodes named; First of CIDRs names the only one.
	Unit  *Unit
	CIDRs []netip.Prefix
	// Nodes have some of the addresses.
	Nodes []string
	// Flows are the number of flows, and Span is theirs.
	Flows uint64
	Span  flows.Span
}

// A namedRule is what a comment names, for the check.
type namedRule struct {
	owner     *Unit
	direction Direction
	peer      *Unit
	cidrs     []netip.Prefix
	ports     engine.PortSet
}

// A Skip names a direction of a unit that gets no rules.
type Skip struct {
	Unit      *Unit
	Direction Direction
}
