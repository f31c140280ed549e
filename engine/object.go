package engine

import (
	"cmp"
	"net/netip"
	"strconv"
)

// Object is one thing of the cluster: *Pod, *Namespace, *Node, *Policy, *ClusterPolicy, *Service or
// *EndpointSlice.
//
// An Object given to [Cluster.Apply] belongs to the engine from then on: the caller must not change it, nor
// what it refers to.
type Object interface {
	key() ObjectKey
}

// Kind is the kind of an [Object].
type Kind uint8

// The kinds of objects.
const (
	KindPod Kind = iota
	KindNamespace
	KindPolicy
	KindNode
	KindService
	KindEndpointSlice
	KindClusterNetworkPolicy
	KindAdminNetworkPolicy
	KindBaselineAdminNetworkPolicy
)

// ObjectKey names an object among all objects of a cluster. Its Namespace is empty for kinds that have none.
type ObjectKey struct {
	Kind            Kind
	Namespace, Name string
}

// Compare orders keys by kind, namespace and name.
func (k ObjectKey) Compare(o ObjectKey) int {
	return cmp.Or(
		cmp.Compare(k.Kind, o.Kind), cmp.Compare(k.Namespace, o.Namespace), cmp.Compare(k.Name, o.Name),
	)
}

// KeyOf returns the key of an object. Two objects with one key are versions of one object.
func KeyOf(o Object) ObjectKey { return o.key() }

func (p *Pod) key() ObjectKey           { return ObjectKey{KindPod, p.Namespace, p.Name} }
func (n *Namespace) key() ObjectKey     { return ObjectKey{KindNamespace, "", n.Name} }
func (p *Policy) key() ObjectKey        { return ObjectKey{KindPolicy, p.Namespace, p.Name} }
func (n *Node) key() ObjectKey          { return ObjectKey{KindNode, "", n.Name} }
func (s *Service) key() ObjectKey       { return ObjectKey{KindService, s.Namespace, s.Name} }
func (s *EndpointSlice) key() ObjectKey { return ObjectKey{KindEndpointSlice, s.Namespace, s.Name} }

// Change is one object that came, changed or went.
type Change struct {
	// Object is the new state. For a deletion only its kind, namespace and name count.
	Object Object
	// Delete reports whether the object is gone. Deleting what never came is no error.
	Delete bool
}

// Pod is a Pod as far as decisions and answers need it.
type Pod struct {
	Namespace, Name string
	// UID breaks ties between Pods of one creation time (S7).
	UID string
	// Created is the creation time in Unix seconds (S7); 0 if it is not known.
	Created int64
	// Labels are the Pod's, which selectors match (S17).
	Labels map[string]string
	// Node is the Node it runs on; empty while it is not scheduled.
	Node string
	// HostNetwork Pods have the identity of their Node (S4).
	HostNetwork bool
	// Finished reports whether the phase is Succeeded or Failed (S6).
	Finished bool
	// IPs are status.podIPs, unmapped (S9).
	IPs []netip.Addr
	// HostIPs are status.hostIPs, unmapped: addresses of the Node (S5).
	HostIPs []netip.Addr
	// Ports are the named ports of its containers and of its init containers that restart always (S21).
	Ports []NamedPort
	// Workloads are what the Pod belongs to, in its namespace: its controller, then the controller's own, and
	// so on.
	Workloads []Workload
	// ServiceAccount is spec.serviceAccountName; empty for "default". Decisions do not read it.
	ServiceAccount string
	// UnnamedPorts are container ports without a name. Decisions do not read them.
	UnnamedPorts []UnnamedPort
	// HostPorts are ports of its Node that lead to its containers. Decisions do not read them.
	HostPorts []HostPort
	// SecondaryIPs are its addresses in networks beside the cluster's, unmapped. Decisions do not read them.
	SecondaryIPs []netip.Addr
	// Placeholder reports whether there is no such Pod: it stands for Workloads that have none, and is
	// Finished.
	Placeholder bool
}

// NamedPort is a container port with a name.
type NamedPort struct {
	Name     string
	Port     uint16
	Protocol Protocol
}

// UnnamedPort is a container port without a name.
type UnnamedPort struct {
	Port     uint16
	Protocol Protocol
}

// Workload names a controller of Pods, in their namespace.
type Workload struct {
	// Kind is as Kubernetes writes it: Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController,
	// Job, CronJob.
	Kind, Name string
}

// Namespace is a Namespace. Its label kubernetes.io/metadata.name need not be among Labels (S18).
type Namespace struct {
	Name   string
	Labels map[string]string
	// LintIgnore is the annotation netpold.dev/lint-ignore. Decisions do not read it.
	LintIgnore string
}

// Node is a Node. A Node without an object has the addresses that its Pods report (S5).
type Node struct {
	Name string
	// Labels of the Node, which peers of cluster-wide policies may ask for (S38).
	Labels map[string]string
	// IPs are the addresses of its status, unmapped; host names are left out.
	IPs []netip.Addr
	// PodCIDRs are the ranges that its Pods get addresses from. Decisions do not read them.
	PodCIDRs []netip.Prefix
}

// Policy is a NetworkPolicy after the API server's defaulting (S11, S20).
type Policy struct {
	Namespace, Name string
	// Subject selects the Pods of Namespace that the policy applies to (S10).
	Subject Selector
	// IsolatesEgress and IsolatesIngress are the policy types. Rules of a direction that is not isolated are
	// ignored (S12).
	IsolatesEgress, IsolatesIngress bool
	// Egress and Ingress are the rules in the order of the object, so that an index means the same in both.
	Egress, Ingress []Rule
	// TypesOmitted reports whether the object had no policy types, so that the directions follow from its
	// rules (S11). An API server fills them in, so it is set in files alone. Decisions do not read it.
	TypesOmitted bool
	// Created is the creation time in Unix seconds; 0 if it is not known. Decisions do not read it.
	Created int64
	// LintIgnore is the annotation netpold.dev/lint-ignore. Decisions do not read it.
	LintIgnore string
}

// Rule allows what one of its peers and one of its ports match (S15).
type Rule struct {
	// Peers: an empty list matches every peer.
	Peers []Peer
	// Ports: an empty list matches every port of every protocol.
	Ports []Port
}

// Peer is a group of endpoints (S16, S37 to S39). The zero Peer, and one with Block or Nodes beside another
// field, matches nothing.
type Peer struct {
	// Namespaces selects namespaces. If Pods is set, nil means the policy's own namespace, and all for a
	// [ClusterPolicy].
	Namespaces *Selector
	// Pods selects Pods in them; nil means all if Namespaces is set.
	Pods *Selector
	// Block is a range of addresses; nil for none.
	Block *IPBlock
	// Nodes selects Nodes by the labels of their objects, for rules of a [ClusterPolicy] alone (S38); nil for
	// none.
	Nodes *Selector
}

// IPBlock matches an address inside CIDR and inside none of Except (S19). A block with an invalid prefix
// matches nothing.
type IPBlock struct {
	CIDR   netip.Prefix
	Except []netip.Prefix
}

// Port matches destination ports of one protocol (S20). The zero Port matches nothing.
type Port struct {
	Protocol Protocol
	// Name is a named port of the destination (S21); First and Last are then ignored.
	Name string
	// AnyProtocol is set if Name is looked up whatever the protocol, for rules of a [ClusterPolicy] alone
	// (S43).
	AnyProtocol bool
	// First and Last are an inclusive range; 1 to 65535 is every port.
	First, Last uint16
}

// Names reports whether p is by name and names a port of a destination (S21, S43).
func (p *Port) Names(n NamedPort) bool {
	return p.Name != "" && p.Name == n.Name && (p.AnyProtocol || p.Protocol == n.Protocol)
}

// Selector is a metav1.LabelSelector: all requirements hold (S17). The zero Selector matches everything.
type Selector []Requirement

// Requirement is one condition on a label.
type Requirement struct {
	Key      string
	Operator Operator
	// Values are for In and NotIn, in any order.
	Values []string
}

// Operator relates a label to the values of a [Requirement].
type Operator uint8

// The operators of metav1.LabelSelector. NotIn and DoesNotExist match an object that lacks the key (S17).
const (
	In Operator = iota
	NotIn
	Exists
	DoesNotExist
)

// Service is a Service (S24). Its endpoints are in its EndpointSlices.
type Service struct {
	Namespace, Name string
	// IPs are its cluster, external and load-balancer addresses, unmapped.
	IPs []netip.Addr
	// Headless Services map no port.
	Headless bool
	// ExternalName Services are names of DNS, and stand for no endpoint.
	ExternalName bool
	Ports        []ServicePort
	// Selector selects the Pods that its EndpointSlices are made of; nil for none. Decisions do not read it.
	Selector map[string]string
	// PublishNotReady makes endpoints of Pods that are not ready too; Families are those that it names, none if it
	// names none. Its EndpointSlices are made by them: decisions do not read them.
	PublishNotReady bool
	Families        Families
	// PortDetails are of the ports that have a node port, or a target port other than their number. Decisions
	// do not read them.
	PortDetails []ServicePortDetail
}

// ServicePort is a port of a Service. EndpointSlices give its target by the same Name.
type ServicePort struct {
	Name     string
	Port     uint16
	Protocol Protocol
}

// EndpointSlice holds endpoints of a Service of its namespace. It may come before the Service.
type EndpointSlice struct {
	Namespace, Name string
	// Service is the name of the Service.
	Service   string
	Endpoints []SliceEndpoint
	Ports     []ServicePort
}

// SliceEndpoint is an endpoint of a Service.
type SliceEndpoint struct {
	// Addr is the endpoint's address; whatever owns it is the endpoint.
	Addr netip.Addr
	// Pod names the Pod that the slice says the endpoint is: by its name in the slice's namespace, or as
	// "namespace/name" in another. It is the endpoint if Addr is not valid. If nothing owns Addr, an endpoint
	// with a Pod does not count (S24).
	Pod string
	// Ready endpoints are chosen; when there is none, those that are Terminating and still Serving.
	Ready, Serving, Terminating bool
}

// Protocol is a transport protocol.
type Protocol uint8

// The protocols that policies tell apart (S22).
const (
	TCP Protocol = iota
	UDP
	SCTP
)

// String returns the protocol's name as Kubernetes writes it.
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	case SCTP:
		return "SCTP"
	}
	return "Protocol(" + strconv.Itoa(int(p)) + ")"
}
