package audit

import (
	"net/netip"

	"github.com/netpold/netpold/engine"
)

// ListRequest asks who may reach whom on what. The zero ListRequest asks for everything.
type ListRequest struct {
	Src, Dst Ends
	// Ports are those that are listed; what is listed is cut to them. Empty means all.
	Ports []PortRange
	// What to list beside connections between Pods and the outside.
	Nodes, Services, Exposure, Policies bool
	Only                                Only
}

// Only is a condition on groups: connections without such a group at either end are left out.
type Only uint8

// The conditions.
const (
	// OnlyAny is no condition.
	OnlyAny Only = iota
	// OnlyIsolated groups are isolated for a direction.
	OnlyIsolated
	// OnlyOpen groups are not isolated for a direction.
	OnlyOpen
	// OnlyExposed groups can be reached by an external address, or by any Pod of any namespace.
	OnlyExposed
)

// Group is Pods of one workload that no policy tells apart, or addresses of a Node that are treated alike.
type Group struct {
	// ID is 1, 2, ... in the order by kind, namespace, workload kind, workload name and first member's name.
	ID   uint32
	Kind GroupKind
	// Namespace is empty for Nodes.
	Namespace string
	// Workload is the outermost one; zero for a Pod of none, which is a group alone, and for Nodes.
	Workload engine.Workload
	// Members are sorted by name.
	Members []Member
	// Families are those in which each member has an address.
	Families engine.Families
	// Partial reports whether the workload has other groups.
	Partial bool
	// IsolatedEgress and IsolatedIngress report whether some NetworkPolicy isolates the group (S12).
	IsolatedEgress, IsolatedIngress bool
	// Presence is set in differences alone.
	Presence Presence
}

// GroupKind is what the members of a [Group] are.
type GroupKind uint8

// The kinds of groups, in the order in which they are sent.
const (
	PodGroup GroupKind = 1 + iota
	// HostNetworkGroup is Pods to whose side no policy applies (S4).
	HostNetworkGroup
	NodeGroup
	// HypotheticalGroup is a Pod that need not exist.
	HypotheticalGroup
)

// Presence is in which of two states a group is.
type Presence uint8

// The presences.
const (
	PresentUnset Presence = iota
	PresentInBoth
	PresentBefore
	PresentAfter
)

// Member is a Pod, or a Node.
type Member struct {
	Name string
	// Node is where the Pod runs.
	Node string
	// IPs are the addresses that count (S7).
	IPs []netip.Addr
}

// Item is one result of a list. Exactly one field is set. Groups come first, then connections with the sets
// that they name, then exposures; progress may come at any place.
type Item struct {
	Group      *Group
	Set        *Set
	Connection *Connection
	Exposure   *Exposure
	Progress   *Progress
}

// Set is a list of groups that several connections name.
type Set struct {
	ID uint32
	// Groups ascend.
	Groups []uint32
}

// GroupList is groups, by themselves and as sets. No group is in it twice. Groups and Sets ascend.
type GroupList struct {
	Groups, Sets []uint32
}

// Connection says that every member of every source may open connections to every member of every
// destination on every port, in exactly these families. What no connection says is denied (L1).
type Connection struct {
	// Src, or SrcCIDRs if the source is outside.
	Src      GroupList
	SrcCIDRs []netip.Prefix
	// Dst, or DstCIDRs if the destination is outside, or DstServices.
	Dst         GroupList
	DstCIDRs    []netip.Prefix
	DstServices []ServicePort
	// Ports are sorted by protocol, then first; disjoint and not touching. Empty for DstServices.
	Ports []PortRange
	// Families are those that allow it; 0 if no address took part (S9). With CIDRs they are those of the CIDRs.
	Families engine.Families
	// EgressBy and IngressBy are set if the request asks for policies: the rules that a decision names.
	EgressBy, IngressBy Rule
}

// ServicePort is a port of a Service.
type ServicePort struct {
	Namespace, Name string
	Protocol        engine.Protocol
	Port            uint16
}

// Exposure says that every Pod, there or not, that the selectors match is allowed by the group's side on these
// ports (E1).
type Exposure struct {
	Group     uint32
	Direction Direction
	// Namespaces and Pods are selectors as kubectl writes them; "" is all.
	Namespaces, Pods string
	// Except are Pods that are not meant. Only denying tiers make some.
	Except []ExposureExcept
	Ports  []PortRange
	// Named are ports that the other Pod names, for egress alone.
	Named []NamedPort
	By    []Rule
}

// ExposureExcept is Pods that an [Exposure] does not mean.
type ExposureExcept struct {
	Namespaces, Pods string
}

// NamedPort is a port by name.
type NamedPort struct {
	Protocol engine.Protocol
	Name     string
}

// Progress is how far a list is.
type Progress struct {
	// Connections are those handed out so far.
	Connections uint64
	// SourcesDone of SourcesTotal are done.
	SourcesDone, SourcesTotal int
}

// ListSummary ends a list.
type ListSummary struct {
	Groups      int
	Connections uint64
	// PairsAllowed of PairsTotal ordered pairs of distinct Pods have a port.
	PairsAllowed, PairsTotal uint64
	// UnaskableServices are those that cannot be asked (S24), if Services are included.
	UnaskableServices int
	// Truncated reports whether the caller stopped the list.
	Truncated bool
}
