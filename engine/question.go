package engine

import (
	"net/netip"
	"strconv"
)

// Query is a question: may Src open a new connection to Dst on destination Port?
type Query struct {
	Src, Dst Endpoint
	// Port is the destination port; for a Service, the Service's port.
	Port     uint16
	Protocol Protocol
}

// Endpoint is one end of a connection as it is asked about: an address, a Pod, workload or Service by name,
// or a LabelledPod. It is made by [ByIP], [ByPod], [ByWorkload], [ByService] and [ByLabels], which look
// nothing up. The zero Endpoint is no end, and asking about it is an error.
type Endpoint struct {
	kind            endpointKind
	ip              netip.Addr // unmapped
	namespace, name string
	workload        string // the kind of the workload that name names
	labelled        *LabelledPod
}

// An endpointKind says which fields of an [Endpoint] are set.
type endpointKind uint8

const (
	endpointNone endpointKind = iota
	endpointIP
	endpointPod
	endpointWorkload
	endpointService
	endpointLabels
)

// ByIP returns the endpoint that owns ip (S5): a Pod, a Node, a Service, or nothing in the cluster. An
// IPv4-mapped IPv6 address is the IPv4 address (S9).
func ByIP(ip netip.Addr) Endpoint { return Endpoint{kind: endpointIP, ip: ip.Unmap()} }

// ByPod returns the endpoint that is a Pod.
func ByPod(namespace, name string) Endpoint {
	return Endpoint{kind: endpointPod, namespace: namespace, name: name}
}

// ByWorkload returns the endpoint that stands for all Pods of a workload that have not finished (S27).
func ByWorkload(namespace string, w Workload) Endpoint {
	return Endpoint{kind: endpointWorkload, namespace: namespace, name: w.Name, workload: w.Kind}
}

// ByService returns the endpoint that is a Service. Only a destination can be one (S24).
func ByService(namespace, name string) Endpoint {
	return Endpoint{kind: endpointService, namespace: namespace, name: name}
}

// ByLabels returns the endpoint that is a Pod which need not exist. p must not be modified while it is asked
// about.
func ByLabels(p *LabelledPod) Endpoint { return Endpoint{kind: endpointLabels, labelled: p} }

// LabelledPod describes a Pod that need not exist. It is on no Node, and differs from every other Pod: no
// question about it is about itself (S2).
type LabelledPod struct {
	Namespace string
	Labels    map[string]string
	// Ports are its named ports (S21). Without them no rule with a named port matches it as destination.
	Ports []NamedPort
	// IP is its address; the zero Addr for none. Without it no ipBlock matches it (S8).
	IP netip.Addr
}

// Decision answers a [Query] and says why. The zero Decision denies.
type Decision struct {
	Allowed bool
	Reason  Reason
	// Egress is the source's side, Ingress the destination's. If an end stands for several Pods, they and
	// Reason are those of the first denied pair in order of name, or of the first pair if all are allowed.
	Egress, Ingress Side
	// Families are those in which it is allowed; 0 if both ends were asked by IP (S9).
	Families Families
	// BackendsAllowed of BackendsTotal pairs of source and destination are allowed. Both are 0 unless an end
	// is a workload or a Service.
	BackendsAllowed, BackendsTotal uint32
}

// Side is the decision of one end: egress of the source or ingress of the destination. The zero Side denies.
type Side struct {
	Allowed bool
	// Isolated reports whether a NetworkPolicy isolates the end for this direction (S12).
	Isolated bool
	// Tier is the tier that decided; [NoTier] if none did, or the end is exempt from all (S44, S50).
	Tier Tier
	// Policy has the rule that allowed, the first by policy name and then index; nil when none did.
	Policy *Policy
	// ClusterPolicy has the rule that decided, if Tier is [Admin] or [Baseline]; else nil (S50).
	ClusterPolicy *ClusterPolicy
	// Rule is that rule's index in the list of Policy or ClusterPolicy for the direction.
	Rule int
	// Isolating are all NetworkPolicies that isolate the end for the direction, sorted by name. The slice is
	// shared with the snapshot and must not be modified.
	Isolating []*Policy
}

// Reason is the rule that decided.
type Reason uint8

// The reasons. If both sides deny, the reason is DeniedAtEgress.
const (
	// Unknown is the reason of the zero Decision.
	Unknown Reason = iota
	// Self: a Pod may always reach itself (S2).
	Self
	// LocalNode: a Pod and the Node it runs on (S3).
	LocalNode
	// NotIsolated: no tier decided on either side, or no policy can apply (S1, S13, S32).
	NotIsolated
	// AllowedByRule: a tier decided on at least one side, and every side that one decided has a rule that
	// allows (S14, S51).
	AllowedByRule
	// DeniedAtEgress: the source is isolated and no rule matches, or a cluster-wide policy denies.
	DeniedAtEgress
	// DeniedAtIngress: the destination is isolated and no rule matches, or a cluster-wide policy denies.
	DeniedAtIngress
)

// Allowed reports whether the reason is one to allow.
func (r Reason) Allowed() bool { return Self <= r && r <= AllowedByRule }

// String returns the reason in words that are stable, such as "denied_at_egress".
func (r Reason) String() string {
	switch r {
	case Unknown:
		return "unknown"
	case Self:
		return "self"
	case LocalNode:
		return "local_node"
	case NotIsolated:
		return "not_isolated"
	case AllowedByRule:
		return "allowed_by_rule"
	case DeniedAtEgress:
		return "denied_at_egress"
	case DeniedAtIngress:
		return "denied_at_ingress"
	}
	return "reason(" + strconv.Itoa(int(r)) + ")"
}

// Families is a set of address families. The zero set often means that no address took part (S9).
type Families uint8

// The address families.
const (
	IPv4 Families = 1 << iota
	IPv6
)

// QueryError says why a question has no answer (S24, S27, S28).
type QueryError struct {
	Code ErrorCode
	// Dst reports whether it is about the destination; otherwise it is about the source.
	Dst bool
	// Subject names what was asked: `Pod "shop/web-0"`.
	Subject string
	// Detail is what is wrong and what to do.
	Detail string
}

// Error joins the end, the subject and the detail.
func (e *QueryError) Error() string {
	end := "src: "
	if e.Dst {
		end = "dst: "
	}
	return end + e.Subject + " " + e.Detail
}

// ErrorCode is the kind of a [QueryError].
type ErrorCode uint8

// The kinds of error.
const (
	// InvalidQuestion: an end is missing or has no valid address, or the source is a Service (S28).
	InvalidQuestion ErrorCode = iota
	// NotFound: unknown by name (S27).
	NotFound
	// PodFinished: a Pod that has finished (S6).
	PodFinished
	// WorkloadFinished: a workload all of whose Pods have finished (S24).
	WorkloadFinished
	// NoServicePort: the Service has no such port (S24).
	NoServicePort
	// NoReadyEndpoint: the Service has no endpoint that could be chosen (S24).
	NoReadyEndpoint
	// ExternalName: the Service is a name of DNS (S24).
	ExternalName
	// Abandoned: the caller did not wait; see [Snapshot.AllowedWhile].
	Abandoned
)

// quoted returns a kind and a quoted "namespace/name" for a message.
func quoted(kind, namespace, name string) string {
	return kind + " " + strconv.Quote(namespace+"/"+name)
}
