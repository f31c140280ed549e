package audit

import (
	"net/netip"

	"github.com/netpold/netpold/engine"
)

// DiffRequest asks what differs between two snapshots. The zero DiffRequest asks for everything.
type DiffRequest struct {
	Src, Dst Ends
	// Ports are those that are compared; what differs is cut to them. Empty means all.
	Ports []PortRange
	// What to compare beside Pods and the outside, and whether changes are told by the rules that allow.
	Nodes, Policies bool
	Match           Match
}

// Match says what is the same end in two snapshots.
type Match uint8

const (
	// MatchPods matches Pods by namespace and name.
	MatchPods Match = iota
	// MatchWorkloads matches workloads by kind, namespace and name: an end is allowed when all pairs of its Pods
	// are.
	MatchWorkloads
)

// ChangeKind is how a policy verdict differs.
type ChangeKind uint8

const (
	// Opened is denied before and allowed after.
	Opened ChangeKind = 1 + iota
	// Closed is allowed before and denied after.
	Closed
	// FamiliesChanged is allowed in both, in other families.
	FamiliesChanged
)

// Change says that the policy verdict, or its families, differs for every member of every source, every member
// of every destination and every port (D1).
type Change struct {
	Kind ChangeKind
	// Src, or SrcCIDRs if the source is outside.
	Src      GroupList
	SrcCIDRs []netip.Prefix
	// Dst, or DstCIDRs if the destination is outside.
	Dst      GroupList
	DstCIDRs []netip.Prefix
	// Ports are sorted by protocol, then first; disjoint and not touching.
	Ports         []PortRange
	Before, After ChangeState
}

// ChangeState is a policy verdict in one of two snapshots.
type ChangeState struct {
	Allowed bool
	// Families are those that allow it; 0 if no address took part (S9), or if it is denied.
	Families engine.Families
	// EgressBy and IngressBy are set if the request asks for policies.
	EgressBy, IngressBy Rule
}

// DiffItem is one result of a difference. Exactly one field is set. Groups of both snapshots come first, then
// changes with the sets that they name; progress may come at any place.
type DiffItem struct {
	Group    *Group
	Set      *Set
	Change   *Change
	Progress *Progress
}

// DiffSummary ends a difference.
type DiffSummary struct {
	// Opened, Closed and FamiliesChanged are ordered pairs of distinct Pods with such a port.
	Opened, Closed, FamiliesChanged uint64
	// ExternalOpened and ExternalClosed are groups with a port that was opened or closed to or from the outside.
	ExternalOpened, ExternalClosed int
	// The names, sorted, of workloads and policies that are in one snapshot alone, or that differ.
	WorkloadsAdded, WorkloadsRemoved                []string
	PoliciesAdded, PoliciesChanged, PoliciesRemoved []string
	// Truncated reports whether the caller stopped the difference.
	Truncated bool
}
