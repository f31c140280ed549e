package engine

import (
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine/internal/persist"
)

// HostPort is a port of a Node that leads to a container's port. Decisions do not read it.
type HostPort struct {
	// Port is the Node's, ContainerPort the container's.
	Port, ContainerPort uint16
	Protocol            Protocol
	// IP is the one address of the Node that has the port; not valid for all of them.
	IP netip.Addr
}

// ServicePortDetail is what a port of a Service says beside its number. Decisions do not read it.
type ServicePortDetail struct {
	// Port and Protocol are the Service's.
	Port     uint16
	Protocol Protocol
	// NodePort is the port of every Node that leads to the Service's; 0 for none.
	NodePort uint16
	// Target is the name that is looked up on the Service's Pods; empty for a number.
	Target string
	// TargetPort is the number of the Pods' port; 0 for the Service's own, or a name.
	TargetPort uint16
}

// An aside is what [Snapshot.Details] reads and decisions do not. It is kept apart so that the records that
// decisions do read stay small. It costs nothing in a cluster that has none of it. Lists of names are sorted.
type aside struct {
	pods      persist.Map[nameKey, *podAside]      // of the few Pods that have any of it
	hostPorts persist.Map[hostPortKey, []nameKey]  // the Pods that a Node's port leads to
	nodePorts persist.Map[protocolPort, []nameKey] // the Services that every Node's port leads to
	// secondary has the Pods by their addresses in other networks.
	secondary persist.Map[netip.Addr, []nameKey]
	// former has the finished Pods by the addresses that they had (S6).
	former persist.Map[netip.Addr, []nameKey]
	// ranges has the names of the Nodes by their ranges of Pod addresses. bits counts the ranges of each
	// length, so that a look-up tries only lengths that exist.
	ranges persist.Map[netip.Prefix, []nameKey]
	bits   persist.Map[int, int]
}

// A hostPortKey is a port of one Node.
type hostPortKey struct {
	node string
	port protocolPort
}

// A podAside is what decisions do not read of a Pod. It is immutable.
type podAside struct {
	node        string
	hostPorts   []HostPort   // none for a host-network Pod
	secondary   []netip.Addr // none once finished
	former      []netip.Addr // none until finished
	placeholder bool
}

// newAside returns an empty aside.
func newAside() aside {
	return aside{
		pods:      persist.NewMap[nameKey, *podAside](persist.HashOf[nameKey]()),
		hostPorts: persist.NewMap[hostPortKey, []nameKey](persist.HashOf[hostPortKey]()),
		nodePorts: persist.NewMap[protocolPort, []nameKey](persist.HashOf[protocolPort]()),
		secondary: persist.NewMap[netip.Addr, []nameKey](persist.HashOf[netip.Addr]()),
		former:    persist.NewMap[netip.Addr, []nameKey](persist.HashOf[netip.Addr]()),
		ranges:    persist.NewMap[netip.Prefix, []nameKey](persist.HashOf[netip.Prefix]()),
		bits:      persist.NewMap[int, int](persist.HashOf[int]()),
	}
}

// newPodAside returns what decisions do not read of a Pod, or nil for a Pod without any of it. The ports of a
// host-network Pod lead nowhere else: they are the Node's own.
func newPodAside(o *Pod) *podAside {
	left := o.Finished && !o.HostNetwork && len(o.IPs) > 0
	if len(o.HostPorts)+len(o.SecondaryIPs) == 0 && !o.Placeholder && !left {
		return nil
	}
	a := &podAside{node: o.Node, placeholder: o.Placeholder}
	if left {
		a.former = addresses(o.IPs)
	}
	if !o.Finished {
		a.secondary = addresses(o.SecondaryIPs)
	}
	if !o.Finished && !o.HostNetwork && o.Node != "" {
		a.hostPorts = o.HostPorts
	}
	return a
}

// setPod replaces what is known of a Pod. p may be nil.
func (a *aside) setPod(e *persist.Edit, name nameKey, p *podAside) {
	if old := a.podOf(name); old != nil {
		a.eachOfPod(e, name, old, removeName)
		a.pods.Delete(e, name)
	}
	if p != nil {
		a.eachOfPod(e, name, p, addName)
		a.pods.Set(e, name, p)
	}
}

// podOf returns what is known of a Pod, or nil.
func (a *aside) podOf(name nameKey) *podAside {
	if a.pods.Len() == 0 {
		return nil
	}
	p, _ := a.pods.Get(name)
	return p
}

// eachOfPod changes the lists that have a Pod's name, by addName or removeName.
func (a *aside) eachOfPod(
	e *persist.Edit, name nameKey, p *podAside, change func([]nameKey, nameKey) []nameKey,
) {
	for _, h := range p.hostPorts {
		file(&a.hostPorts, e, hostPortKey{p.node, portOf(h.Protocol, h.Port)}, name, change)
	}
	for _, ip := range p.secondary {
		file(&a.secondary, e, ip, name, change)
	}
	for _, ip := range p.former {
		file(&a.former, e, ip, name, change)
	}
}

// addService adds the node ports of a Service; removeService removes them.
func (a *aside) addService(e *persist.Edit, o *Service)    { a.eachOfService(e, o, addName) }
func (a *aside) removeService(e *persist.Edit, o *Service) { a.eachOfService(e, o, removeName) }

// eachOfService changes the lists that have a Service's name, by addName or removeName.
func (a *aside) eachOfService(e *persist.Edit, o *Service, change func([]nameKey, nameKey) []nameKey) {
	for _, p := range o.PortDetails {
		if p.NodePort != 0 {
			file(&a.nodePorts, e, portOf(p.Protocol, p.NodePort), nameKey{o.Namespace, o.Name}, change)
		}
	}
}

// addNode adds the ranges of a Node; removeNode removes them.
func (a *aside) addNode(e *persist.Edit, o *Node) {
	for _, r := range o.PodCIDRs {
		a.countBits(e, r.Bits(), 1)
		file(&a.ranges, e, r.Masked(), nameKey{name: o.Name}, addName)
	}
}

// removeNode undoes addNode.
func (a *aside) removeNode(e *persist.Edit, o *Node) {
	for _, r := range o.PodCIDRs {
		a.countBits(e, r.Bits(), -1)
		file(&a.ranges, e, r.Masked(), nameKey{name: o.Name}, removeName)
	}
}

// countBits adds by to the number of ranges of a length, and forgets a length that has none left.
func (a *aside) countBits(e *persist.Edit, bits, by int) {
	n, _ := a.bits.Get(bits)
	if n += by; n == 0 {
		a.bits.Delete(e, bits)
	} else {
		a.bits.Set(e, bits, n)
	}
}

// rangeOf returns the narrowest range of Pod addresses that contains ip, and its Node: the first by name if
// several have it. ok reports whether there is one.
func (a *aside) rangeOf(ip netip.Addr) (r netip.Prefix, node string, ok bool) {
	for bits := range a.bits.All() {
		within, err := ip.Prefix(bits)
		if err != nil || ok && bits < r.Bits() {
			continue
		}
		if nodes, found := a.ranges.Get(within); found {
			r, node, ok = within, nodes[0].name, true
		}
	}
	return r, node, ok
}

// hostPort returns the Pod that a port of a Node leads to at the address ip, and the container's port. ok
// reports whether there is one.
func (a *aside) hostPort(node string, ip netip.Addr, at protocolPort) (name nameKey, port uint16, ok bool) {
	names, _ := a.hostPorts.Get(hostPortKey{node, at})
	for _, name := range names {
		p, _ := a.pods.Get(name)
		for _, h := range p.hostPorts {
			if portOf(h.Protocol, h.Port) == at && (!h.IP.IsValid() || h.IP == ip) {
				return name, h.ContainerPort, true
			}
		}
	}
	return nameKey{}, 0, false
}

// nodePort returns the Service that a port of every Node leads to, and the Service's port, or nil.
func (s *state) nodePort(at protocolPort) (o *Service, port uint16) {
	names, _ := s.aside.nodePorts.Get(at)
	for _, name := range names {
		svc, _ := s.services.Get(name)
		for _, p := range svc.object.PortDetails {
			if p.NodePort != 0 && portOf(p.Protocol, p.NodePort) == at {
				return svc.object, p.Port
			}
		}
	}
	return nil, 0
}

// file changes the names at a key of a map, by addName or removeName. A key without names is deleted.
func file[K comparable](
	m *persist.Map[K, []nameKey], e *persist.Edit, k K, name nameKey,
	change func([]nameKey, nameKey) []nameKey,
) {
	old, _ := m.Get(k)
	if names := change(old, name); len(names) > 0 {
		m.Set(e, k, names)
	} else {
		m.Delete(e, k)
	}
}

// addName returns sorted names with name among them, once. It does not modify names.
func addName(names []nameKey, name nameKey) []nameKey {
	at, found := slices.BinarySearchFunc(names, name, nameKey.compare)
	if found {
		return names
	}
	return slices.Insert(slices.Clip(slices.Clone(names)), at, name)
}

// removeName returns sorted names without name. It does not modify names.
func removeName(names []nameKey, name nameKey) []nameKey {
	at, found := slices.BinarySearchFunc(names, name, nameKey.compare)
	if !found {
		return names
	}
	return slices.Delete(slices.Clone(names), at, at+1)
}
