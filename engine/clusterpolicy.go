package engine

import "cmp"

// ClusterPolicy is a ClusterNetworkPolicy, an AdminNetworkPolicy or a BaselineAdminNetworkPolicy (S30), with what is not
// understood already turned into what follows from it (S45).
type ClusterPolicy struct {
	// Kind and Name are the policy's identity: two kinds may have one name.
	Kind ClusterPolicyKind
	Name string
	// Tier is [Admin] or [Baseline]. An AdminNetworkPolicy is in the one, a BaselineAdminNetworkPolicy in the other.
	Tier Tier
	// Priority orders the policies of a tier, lowest first (S34). A BaselineAdminNetworkPolicy has none.
	Priority int32
	// Urgent puts the policy before all others of its tier, as one whose place is not understood (S45).
	Urgent bool
	// Subject is the group of Pods that the policy applies to (S36).
	Subject ClusterSubject
	// Egress and Ingress are the rules, at the places that the API gives them.
	Egress, Ingress []ClusterRule
	// Created is the creation time in Unix seconds; 0 if it is not known. Decisions do not read it.
	Created int64
	// LintIgnore is the annotation netpold.dev/lint-ignore. Decisions do not read it.
	LintIgnore string
}

// ClusterSubject is a group of Pods in the whole cluster. The zero ClusterSubject is all Pods.
type ClusterSubject struct {
	// Namespaces selects namespaces, and Pods the Pods in them.
	Namespaces, Pods Selector
}

// ClusterRule does its action for what one of its peers and one of its ports match (S35).
type ClusterRule struct {
	// Name is the rule's own; it may be empty, and need not be unique.
	Name   string
	Action Action
	// NotUnderstood reports whether the rule is closed as S45 says. Decisions do not read it.
	NotUnderstood bool
	// Rule has the peers and ports. An empty list matches everything, as for a NetworkPolicy; a list that
	// matches nothing has the zero [Peer]. A [Peer] with Block matches any end that has an address in it (S39).
	Rule
	// Origins are the peers of the object, in order, if some are not one of Peers each; otherwise nil.
	// Decisions do not read them.
	Origins []PeerOrigin
}

// PeerOrigin is a peer as the object of a [ClusterRule] has it.
type PeerOrigin struct {
	// Peers is how many of the rule's Peers it became; they follow one another.
	Peers int
	// Names are its domain names, which match nothing (S40); nil for other peers.
	Names []string
}

// ClusterPolicyKind is the kind of a [ClusterPolicy]. The order is that of policies that tie in all else (S34).
type ClusterPolicyKind uint8

// The kinds of cluster-wide policy.
const (
	ClusterNetworkPolicy ClusterPolicyKind = iota
	AdminNetworkPolicy
	BaselineAdminNetworkPolicy
	clusterPolicyKinds
)

// String returns the kind as Kubernetes writes it.
func (k ClusterPolicyKind) String() string {
	switch k {
	case ClusterNetworkPolicy:
		return "ClusterNetworkPolicy"
	case AdminNetworkPolicy:
		return "AdminNetworkPolicy"
	case BaselineAdminNetworkPolicy:
		return "BaselineAdminNetworkPolicy"
	case clusterPolicyKinds: // is no kind
	}
	return ""
}

// Action is what a rule, or the end of a tier, does to a connection. The zero Action denies.
type Action uint8

// The actions.
const (
	Deny Action = iota
	Allow
	// Pass leaves the connection to the next tier.
	Pass
)

// Tier is one of the groups of policies that are asked one after another until one decides (S32).
type Tier uint8

// The tiers, in the order in which they are asked.
const (
	// NoTier: no tier decided.
	NoTier Tier = iota
	// Admin has the ClusterNetworkPolicies of that tier, and the AdminNetworkPolicies.
	Admin
	// NetworkPolicies has the NetworkPolicies; it decides for every Pod that they isolate (S33).
	NetworkPolicies
	// Baseline has the ClusterNetworkPolicies of that tier, and the BaselineAdminNetworkPolicy.
	Baseline
	tiers
)

// String returns the tier as policies name it, and "NetworkPolicy" for theirs.
func (t Tier) String() string {
	switch t {
	case Admin:
		return "Admin"
	case NetworkPolicies:
		return "NetworkPolicy"
	case Baseline:
		return "Baseline"
	case NoTier, tiers: // have no name
	}
	return ""
}

// Compare orders policies of one tier as they are asked (S34).
func (p *ClusterPolicy) Compare(o *ClusterPolicy) int {
	if byPlace := cmp.Or(
		compareBool(o.Urgent, p.Urgent),
		compareBool(p.Kind == BaselineAdminNetworkPolicy, o.Kind == BaselineAdminNetworkPolicy),
		cmp.Compare(p.Priority, o.Priority),
	); byPlace != 0 {
		return byPlace
	}
	return cmp.Or(cmp.Compare(p.Name, o.Name), cmp.Compare(p.Kind, o.Kind))
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (p *ClusterPolicy) key() ObjectKey {
	return ObjectKey{KindClusterNetworkPolicy + Kind(p.Kind), "", p.Name}
}
