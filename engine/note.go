package engine

import (
	"net/netip"
	"slices"
	"unique"
)

// Note is something that the asker of a question may not know. It never changes a verdict. Fields that its
// code does not name are zero.
type Note struct {
	Code NoteCode
	// Dst reports whether the note is about the destination; otherwise it is about the source, or about both.
	Dst bool
	// IP is the address that the note is about.
	IP netip.Addr
	// Range is the range of Pod addresses that IP is in, and Node whose it is.
	Range netip.Prefix
	Node  string
	// Namespace and Name are those of the object that the note names.
	Namespace, Name string
	// Port is the one to ask for.
	Port uint16
	// Names are the port names or label keys that the note is about, in order.
	Names []string
	// Policies and ClusterPolicies are those that the note is about, in order: of one of the two kinds. They
	// must not be modified.
	Policies        []*Policy
	ClusterPolicies []*ClusterPolicy
	// HasTiers reports whether there are cluster-wide policies. Their peers `networks` and `nodes` match what
	// no selector of a NetworkPolicy matches (S38, S39).
	HasTiers bool
}

// NoteCode is the kind of a [Note].
type NoteCode uint8

// The kinds of notes.
const (
	// NoteOutside: no object has the address IP. When a Pod had it that has finished (S6), Namespace and Name
	// are the newest such Pod's. Otherwise, when it is inside a Node's range of Pod addresses, Range and Node
	// are set.
	NoteOutside NoteCode = iota
	// NoteSecondary: no object has IP in the cluster's network; the Pod Namespace/Name has it in another
	// network.
	NoteSecondary
	// NoteEmptyNamespace: the LabelledPod is in Namespace, which has no object.
	NoteEmptyNamespace
	// NoteHostNetwork: the Pod Namespace/Name is on the host network, so that no policy can select it (S4).
	// When it was asked by an address, IP is set.
	NoteHostNetwork
	// NoteNodePort: the port asked of a Node leads to Port of the Service Namespace/Name (S24).
	NoteNodePort
	// NoteHostPort: the port asked of a Node leads to Port of the Pod Namespace/Name.
	NoteHostPort
	// NotePortNameMissing: denied by Policies, of which a rule for the peer asks for ports by Names that the
	// LabelledPod lacks (S21). ClusterPolicies have such a rule too (S43), which might change the verdict.
	NotePortNameMissing
	// NoteNoAddress: denied by Policies, of which an ipBlock may match once the end has an address (S8). Of
	// ClusterPolicies a peer `networks` may (S39), and change the verdict.
	NoteNoAddress
	// NoteNamespaceUnknown: denied by Policies, which select namespaces by the labels Names; Namespace has no
	// object (S18). ClusterPolicies have peers that do, which might change the verdict.
	NoteNamespaceUnknown
	// NoteAmbient: both Pods are in an Istio ambient mesh, which connects to Port of the destination.
	NoteAmbient
	// NoteReverseAllowed: denied, while a rule with peers and ports lets the destination open the same
	// connection to the source.
	NoteReverseAllowed
)

// ambientPort is the port that an ambient mesh carries all TCP connections to.
const ambientPort = 15008

// ambientMode is the label that puts a namespace or a Pod into an ambient mesh, or a Pod out of it.
const ambientMode = "istio.io/dataplane-mode"

// notes returns what the asker of q may not know, given the pair that decides it.
func (s *state) notes(q *Query, p *pair) []Note {
	var list []Note
	for _, end := range []struct {
		asked *Endpoint
		party *party
		dst   bool
	}{{&q.Src, &p.src, false}, {&q.Dst, &p.dst, true}} {
		if n, ok := s.noteOfEnd(end.asked, end.party, p.service != nil && end.dst); ok {
			n.Dst = end.dst
			list = append(list, n)
		}
	}
	if n, ok := s.noteOfNodePort(q, p); ok {
		list = append(list, n)
	}
	list = append(list, s.notesOfDenial(q, p)...)
	list = append(list, s.notesOfTiers(q, p)...)
	if s.inAmbientMesh(&p.src) && s.inAmbientMesh(&p.dst) && p.protocol == TCP && p.port != ambientPort {
		list = append(list, Note{Code: NoteAmbient, Dst: true, Port: ambientPort})
	}
	if s.meansReverse(p) {
		list = append(list, Note{Code: NoteReverseAllowed})
	}
	for i := range list {
		list[i].HasTiers = s.clusterPolicies.Len() > 0
	}
	slices.SortStableFunc(list, func(a, b Note) int { return int(a.Code) - int(b.Code) })
	return list
}

// noteOfEnd returns the note about what an end is. behind reports whether it is an endpoint of a Service.
func (s *state) noteOfEnd(asked *Endpoint, p *party, behind bool) (Note, bool) {
	switch {
	case asked.kind == endpointLabels:
		if ns := asked.labelled.Namespace; s.isEmpty(ns) {
			return Note{Code: NoteEmptyNamespace, Namespace: ns}, true
		}
	case p.pod != nil && p.pod.host:
		return Note{Code: NoteHostNetwork, Namespace: p.pod.namespace, Name: p.pod.name}, true
	case p.isNode && p.askedByIP:
		if host := s.address(p.addr).claims.best.pod; host != nil {
			return Note{Code: NoteHostNetwork, Namespace: host.namespace, Name: host.name, IP: p.addr}, true
		}
	case p.askedByIP && !p.inCluster && !behind:
		return s.noteOfOutside(p.addr)
	}
	return Note{}, false
}

// noteOfOutside returns the note about an address that no Pod and no Node has. A Service's address needs
// none.
func (s *state) noteOfOutside(ip netip.Addr) (Note, bool) {
	if s.vips.Find(ip) != nil {
		return Note{}, false
	}
	if pods, _ := s.aside.secondary.Get(ip); len(pods) > 0 {
		return Note{Code: NoteSecondary, IP: ip, Namespace: pods[0].namespace, Name: pods[0].name}, true
	}
	n := Note{Code: NoteOutside, IP: ip}
	if left := s.formerOwner(ip); left != nil {
		n.Namespace, n.Name = left.namespace, left.name
		return n, true
	}
	n.Range, n.Node, _ = s.aside.rangeOf(ip)
	return n, true
}

// formerOwner returns the newest of the finished Pods that had an address (S6); nil for none.
func (s *state) formerOwner(ip netip.Addr) *pod {
	names, _ := s.aside.former.Get(ip)
	var newest *pod
	for _, name := range names {
		if p := s.pod(name.namespace, name.name); p != nil && (newest == nil || p.newer(newest)) {
			newest = p
		}
	}
	return newest
}

// isEmpty reports whether a namespace has neither an object of its own nor any in it.
func (s *state) isEmpty(namespace string) bool {
	if _, ok := s.namespaces.Get(namespace); ok {
		return false
	}
	for key := range s.policies.All() {
		if key.namespace == namespace {
			return false
		}
	}
	for key := range s.services.All() {
		if key.namespace == namespace {
			return false
		}
	}
	return true
}

// noteOfNodePort returns what is behind the port of a Node that was asked by its address, or as a
// host-network Pod.
func (s *state) noteOfNodePort(q *Query, p *pair) (Note, bool) {
	if !p.dst.isNode || p.service != nil {
		return Note{}, false
	}
	at, ip := portOf(q.Protocol, q.Port), p.dst.addressIn(p.family)
	if o, port := s.nodePort(at); o != nil {
		n := Note{Code: NoteNodePort, Dst: true, IP: ip, Namespace: o.Namespace, Name: o.Name, Port: port}
		return n, true
	}
	if p.dst.node == (unique.Handle[string]{}) {
		return Note{}, false
	}
	if name, port, ok := s.aside.hostPort(p.dst.node.Value(), ip, at); ok {
		n := Note{
			Code: NoteHostPort, Dst: true, IP: ip, Namespace: name.namespace, Name: name.name, Port: port,
		}
		return n, true
	}
	return Note{}, false
}

// inAmbientMesh reports whether an end is a Pod whose connections an ambient mesh carries.
func (s *state) inAmbientMesh(p *party) bool {
	if p.class == nil {
		return false
	}
	labels := p.class.labels
	if p.pod != nil {
		labels = p.pod.labels
	}
	mode, ok := valueOf(labels, ambientMode)
	if !ok {
		mode, _ = valueOf(s.labelsOf(p.class.namespace), ambientMode)
	}
	return mode == "ambient"
}
