package engine

import (
	"iter"
	"net/netip"
	"slices"
	"unique"
)

// SelectorID stands for a group of Pods, or of Nodes, that some rule names as a peer. Equal groups of one
// snapshot have one id.
type SelectorID uint32

// Selection is what the labels of a Pod match.
type Selection struct {
	// Peers are the groups that rules name as peers, sorted.
	Peers []SelectorID
	// Policies and ClusterPolicies are those whose subject the Pod is, in the order in which they count
	// (S34). They must not be modified.
	Policies        []*Policy
	ClusterPolicies []*ClusterPolicy
}

// PodClass is the Pods of one namespace that no policy tells apart, except by their addresses. The class with
// an id stands for other Pods in other snapshots.
type PodClass struct {
	ID        uint32
	Namespace string
	// Ports are the named ports of its Pods, sorted (S21). They must not be modified.
	Ports []NamedPort
	Selection
}

// PodState is a Pod that has not finished, as audits see it.
type PodState struct {
	Namespace, Name string
	// Class is the id of its [PodClass]; 0 and without meaning for a host-network Pod, which has none (S4).
	Class       uint32
	HostNetwork bool
	// Node is where it runs; empty for nowhere yet.
	Node string
	// IPs are the addresses that count (S7, S9). They must not be modified.
	IPs []netip.Addr
	// Workload is the outermost one; zero for none.
	Workload Workload
	// NodePeers are the groups of Nodes that rules name as peers and that a host-network Pod's Node is in,
	// sorted (S38); nil for other Pods.
	NodePeers []SelectorID
}

// NodeState is a Node, as audits see it.
type NodeState struct {
	Name string
	// IPs are its addresses (S5).
	IPs []netip.Addr
	// Peers are the groups of Nodes that rules name as peers, sorted (S38).
	Peers []SelectorID
}

// PodClasses yields the classes of all Pods that policies can apply to, in no particular order. What selects
// them is said whether or not policies are ignored by option.
func (s *Snapshot) PodClasses() iter.Seq[PodClass] {
	return func(yield func(PodClass) bool) {
		for id := range s.classPool.next {
			c := s.classes.At(id)
			if c == nil || c.namespace == nodeScope {
				continue
			}
			found := s.selecting(c.namespace, c.labels)
			if !yield(PodClass{ID: id, Namespace: c.namespace, Ports: c.ports, Selection: found.exported()}) {
				return
			}
		}
	}
}

// exported returns the selection with the objects of its policies.
func (f selection) exported() Selection {
	peers := slices.Concat(f.peers, f.clusterPeers)
	slices.Sort(peers)
	out := Selection{Peers: selectorIDs(slices.Compact(peers))}
	for _, p := range f.policies {
		out.Policies = append(out.Policies, p.source)
	}
	slices.SortFunc(f.clusterPolicies, comparePolicies)
	for _, p := range f.clusterPolicies {
		out.ClusterPolicies = append(out.ClusterPolicies, p.cluster)
	}
	return out
}

// selectorIDs returns ids as SelectorIDs.
func selectorIDs(ids []uint32) []SelectorID {
	out := make([]SelectorID, len(ids))
	for i, id := range ids {
		out[i] = SelectorID(id)
	}
	return out
}

// PodStates yields the Pods that have not finished, in no particular order.
func (s *Snapshot) PodStates() iter.Seq[PodState] {
	return func(yield func(PodState) bool) {
		for _, ns := range s.namespaces.All() {
			for _, p := range ns.pods.All() {
				if p.finished {
					continue
				}
				state := PodState{
					Namespace: p.namespace, Name: p.name, HostNetwork: p.host, IPs: s.addressesOf(p),
				}
				if !p.host {
					state.Class = p.class
				} else if c := s.nodeClassAt(p.node); c != nil {
					state.NodePeers = s.selecting(nodeScope, c.cold.labels).exported().Peers
				}
				if p.node != (unique.Handle[string]{}) {
					state.Node = p.node.Value()
				}
				if n := len(p.workloads); n > 0 {
					state.Workload = p.workloads[n-1]
				}
				if !yield(state) {
					return
				}
			}
		}
	}
}

// NodeStates yields the Nodes, also those without an object, in no particular order. An address that several
// Nodes claim is of the one that counts alone (S7).
func (s *Snapshot) NodeStates() iter.Seq[NodeState] {
	return func(yield func(NodeState) bool) {
		for name, n := range s.nodes.All() {
			state := NodeState{Name: name, IPs: s.nodeAddresses(name)}
			mine := unique.Make(name)
			state.IPs = slices.DeleteFunc(state.IPs, func(ip netip.Addr) bool { return s.address(ip).node() != mine })
			if c := s.nodeClassAt(n.handle); c != nil {
				state.Peers = s.selecting(nodeScope, c.cold.labels).exported().Peers
			}
			if !yield(state) {
				return
			}
		}
	}
}

// SelectionByLabels returns what the labels of a Pod match, although no policy may apply to it: it may be on
// the host network (S4). The Selection of a Pod that is not there, or has finished, is empty.
func (s *Snapshot) SelectionByLabels(namespace, name string) Selection {
	p := s.pod(namespace, name)
	if p == nil || p.finished {
		return Selection{}
	}
	return s.selecting(p.namespace, p.labels).exported()
}

// appendUnnamed appends ports, three bytes each.
func appendUnnamed(b []byte, ports []UnnamedPort) []byte {
	for _, p := range ports {
		b = append(b, byte(p.Protocol), byte(p.Port>>8), byte(p.Port))
	}
	return b
}

// unnamedPorts returns the container ports of p without a name.
func (p *pod) unnamedPorts() []UnnamedPort {
	if p.unnamed == (unique.Handle[string]{}) {
		return nil
	}
	var list []UnnamedPort
	for b := p.unnamed.Value(); len(b) >= 3; b = b[3:] {
		list = append(list, UnnamedPort{uint16(b[1])<<8 | uint16(b[2]), Protocol(b[0])})
	}
	return list
}

// ContainerPorts returns the ports of the containers of a Pod that policies can apply to, those with a name
// and those without (S21), in no particular order.
func (s *Snapshot) ContainerPorts(namespace, name string) []UnnamedPort {
	p := s.pod(namespace, name)
	if p == nil {
		return nil
	}
	list := p.unnamedPorts()
	for _, n := range p.ports {
		list = append(list, UnnamedPort{n.Port, n.Protocol})
	}
	return list
}

// HasLabels reports whether a Pod has all of these labels, as the selector of a Service asks for them.
func (s *Snapshot) HasLabels(namespace, name string, labels map[string]string) bool {
	p := s.pod(namespace, name)
	return p != nil && hasLabels(p.labels, labels)
}

// LintIgnores yields the Namespaces that have the annotation netpold.dev/lint-ignore, with its value.
func (s *Snapshot) LintIgnores() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for name, ns := range s.namespaces.All() {
			if ns.object != nil && ns.object.LintIgnore != "" && !yield(name, ns.object.LintIgnore) {
				return
			}
		}
	}
}

// SelectorOf returns the id of the group that a peer of a policy in namespace names; namespace is empty for a
// [ClusterPolicy]. It returns false for a block, and for a peer that is not valid (S23, S45). The peer must be
// of a policy of the snapshot.
func (s *Snapshot) SelectorOf(namespace string, p *Peer) (SelectorID, bool) {
	sel := clusterSelectorOf(p)
	if namespace != "" {
		sel = selectorOf(namespace, p)
	}
	if sel == nil {
		return 0, false
	}
	id, ok := s.selectorIDs.Get(sel.canonical)
	return SelectorID(id), ok
}

// ValidBlock returns the block of the peer, or nil if it has none or is not valid (S23, S45).
func (p *Peer) ValidBlock() *IPBlock { return blockOf(p) }

// ClusterPolicies returns the cluster-wide policies, by tier and in each in the order in which they count
// (S34). They must not be modified.
func (s *Snapshot) ClusterPolicies() []*ClusterPolicy {
	var all []*policy
	for _, p := range s.clusterPolicies.All() {
		all = append(all, p)
	}
	slices.SortFunc(all, comparePolicies)
	list := make([]*ClusterPolicy, len(all))
	for i, p := range all {
		list[i] = p.cluster
	}
	return list
}

// ServiceTarget is one endpoint of a Service, and the port that it is asked on.
type ServiceTarget struct {
	// IP is the endpoint's address; not valid if it is known by its Pod's name alone.
	IP netip.Addr
	// Pod is the name of the Pod in the Service's namespace, if IP is not valid.
	Pod  string
	Port uint16
}

// ServiceTargets returns the endpoints that a question to a port of a Service could reach, of both families
// (S24). Endpoints of both families may be named twice.
func (s *Snapshot) ServiceTargets(namespace, name string, port uint16, protocol Protocol) []ServiceTarget {
	svc, _ := s.services.Get(nameKey{namespace, name})
	if svc == nil || svc.object == nil {
		return nil
	}
	var list []ServiceTarget
	for _, family := range []Families{IPv4, IPv6} {
		for _, b := range s.backendRefs(svc.object, port, protocol, family) {
			list = append(list, ServiceTarget{IP: b.addr, Pod: b.pod, Port: b.port})
		}
	}
	return list
}

// ServicePorts returns the ports that the EndpointSlices of a Service map one of its ports to, each once,
// sorted. A headless Service maps nothing.
func (s *Snapshot) ServicePorts(o *Service, port uint16, protocol Protocol) []uint16 {
	svc, _ := s.services.Get(nameKey{o.Namespace, o.Name})
	if svc == nil {
		return nil
	}
	var list []uint16
	for _, name := range svc.slices {
		slice, _ := s.slices.Get(nameKey{o.Namespace, name})
		list = append(list, targetPorts(o, slice, port, protocol)...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}
