package engine

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"unique"
)

// RoleKind is what a [RoleEnd] is.
type RoleKind uint8

// The kinds of ends.
const (
	// RolePod is a Pod in the cluster's Pod network.
	RolePod RoleKind = 1 + iota
	// RoleHostNetwork is a Pod to whose side no policy applies (S4).
	RoleHostNetwork
	// RoleNode is an address of a Node.
	RoleNode
	// RoleHypothetical is a Pod that need not exist.
	RoleHypothetical
	// RoleOutside is an address that nothing in the cluster has.
	RoleOutside
	// RoleService is a Service. It has no roles.
	RoleService
)

// RoleEnd is an end of connections and its roles.
type RoleEnd struct {
	Kind RoleKind
	// Namespace and Name are the Pod's, the Node's or the Service's. A Pod that need not exist has no name.
	Namespace, Name string
	// Labelled is the Pod that need not exist, as it is asked about; nil for other ends.
	Labelled *LabelledPod
	// Workload is the outermost one of the Pod; zero for none.
	Workload Workload
	// Node is where the Pod runs.
	Node string
	// IPs are the addresses that count (S7). They must not be modified.
	IPs      []netip.Addr
	Families Families
	// Source and Destination are the ends' roles: numbers of the [Roles] that made it.
	Source, Destination uint32
	// IsolatedEgress and IsolatedIngress report whether some NetworkPolicy isolates it (S12).
	IsolatedEgress, IsolatedIngress bool

	pod *pod
}

// end returns a party with its roles.
func (r *Roles) end(kind RoleKind, p *party) RoleEnd {
	e := RoleEnd{Kind: kind, IPs: p.addrs, Families: p.families()}
	e.Source, e.Destination = r.rolesOf(p)
	e.IsolatedEgress = r.roles[asSource][e.Source].isolated
	e.IsolatedIngress = r.roles[asDestination][e.Destination].isolated
	if p.askedByIP {
		e.IPs = []netip.Addr{p.addr}
	}
	return e
}

// isolates reports whether a NetworkPolicy is among the policies. s may be nil.
func (s *roleSubject) isolates() bool {
	return s != nil && slices.ContainsFunc(s.tiers, func(t roleTier) bool { return t.tier == NetworkPolicies })
}

// podEnd returns a Pod that has not finished, as asked by name.
func (r *Roles) podEnd(p *pod) RoleEnd {
	kind := RolePod
	if p.host {
		kind = RoleHostNetwork
	}
	found := r.s.podParty(p)
	e := r.end(kind, &found)
	e.Namespace, e.Name, e.pod = p.namespace, p.name, p
	if p.node != (unique.Handle[string]{}) {
		e.Node = p.node.Value()
	}
	if n := len(p.workloads); n > 0 {
		e.Workload = p.workloads[n-1]
	}
	return e
}

// Pod returns a Pod by name, and whether it is there and has not finished.
func (r *Roles) Pod(namespace, name string) (RoleEnd, bool) {
	p := r.s.pod(namespace, name)
	if p == nil || p.finished {
		return RoleEnd{}, false
	}
	return r.podEnd(p), true
}

// EachPod yields all Pods that have not finished, in no particular order. A RoleEnd must not be kept. The
// error is nil, or that of [Abandoned] once done is closed.
func (r *Roles) EachPod(done <-chan struct{}, yield func(*RoleEnd)) error {
	for _, ns := range r.s.namespaces.All() {
		if isDone(done) {
			return abandoned
		}
		r.eachPodOf(ns, yield)
	}
	return nil
}

// EachPodIn yields the Pods of a namespace that have not finished, as EachPod does.
func (r *Roles) EachPodIn(namespace string, yield func(*RoleEnd)) {
	if ns, ok := r.s.namespaces.Get(namespace); ok {
		r.eachPodOf(ns, yield)
	}
}

// eachPodOf does what EachPodIn does.
func (r *Roles) eachPodOf(ns *namespace, yield func(*RoleEnd)) {
	var e RoleEnd
	for _, p := range ns.pods.All() {
		if !p.finished {
			e = r.podEnd(p)
			yield(&e)
		}
	}
}

// NodeAddresses returns every address of a Node, as asked by IP, in order of Node and address.
func (r *Roles) NodeAddresses() []RoleEnd {
	var list []RoleEnd
	add := func(ip netip.Addr, a *address) {
		if a.pod == nil && a.node() != (unique.Handle[string]{}) {
			list = append(list, r.nodeEnd(ip, a))
		}
	}
	for key, a := range r.s.ipv4.All() {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], key)
		add(netip.AddrFrom4(b), &a)
	}
	for key, a := range r.s.ipv6.All() {
		add(ipv6Of(key), &a)
	}
	slices.SortFunc(list, func(a, b RoleEnd) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.IPs[0].Compare(b.IPs[0]))
	})
	return list
}

// nodeEnd returns an address of a Node.
func (r *Roles) nodeEnd(ip netip.Addr, a *address) RoleEnd {
	p := r.s.addressParty(ip, a)
	e := r.end(RoleNode, &p)
	if p.node != (unique.Handle[string]{}) {
		e.Name = p.node.Value()
	}
	return e
}

// AskedByIP returns the end that has an address, as asked by it: the address decides the family, and is all
// that blocks see (S9). Its kind is that of an outside address, whatever has it.
func (r *Roles) AskedByIP(ip netip.Addr) RoleEnd {
	p := r.s.partyAt(ip)
	return r.end(RoleOutside, &p)
}

// Ends returns what an endpoint stands for: several Pods for a workload, else one end. The error is nil or a
// [*QueryError], and about a source unless dst is true.
func (r *Roles) Ends(e Endpoint, dst bool) ([]RoleEnd, error) {
	if e.kind == endpointService && dst {
		svc, _ := r.s.services.Get(nameKey{e.namespace, e.name})
		if svc == nil || svc.object == nil {
			return nil, &QueryError{
				NotFound, true, quoted("Service", e.namespace, e.name),
				"is not known: check the namespace and the name",
			}
		}
		return []RoleEnd{{Kind: RoleService, Namespace: e.namespace, Name: e.name}}, nil
	}
	if e.kind == endpointIP && e.ip.IsValid() {
		return []RoleEnd{r.addressEnd(e.ip)}, nil
	}
	parties, err := r.s.parties(e, dst)
	if err != nil {
		return nil, err
	}
	list := make([]RoleEnd, 0, len(parties))
	for i := range parties {
		if parties[i].pod != nil {
			list = append(list, r.podEnd(parties[i].pod))
			continue
		}
		h := r.end(RoleHypothetical, &parties[i])
		h.Namespace, h.Labelled = e.labelled.Namespace, e.labelled
		list = append(list, h)
	}
	return list, nil
}

// addressEnd returns what has an address: a Pod by name, a Node, a Service, or nothing in the cluster.
func (r *Roles) addressEnd(ip netip.Addr) RoleEnd {
	a := r.s.address(ip)
	if a == nil {
		if keys, _ := r.s.vips.Get(ip); len(keys) > 0 {
			return RoleEnd{Kind: RoleService, Namespace: keys[0].namespace, Name: keys[0].name}
		}
		p := r.s.partyAt(ip)
		return r.end(RoleOutside, &p)
	}
	if a.pod != nil {
		return r.podEnd(a.pod)
	}
	e := r.nodeEnd(ip, a)
	return e
}

// PodMatcher returns a function that reports whether the labels of a Pod, and those of its namespace, match
// selectors (S17, S18). A nil selector matches all.
func (r *Roles) PodMatcher(namespaces, pods *Selector) func(*RoleEnd) bool {
	var ns, own Selector
	if namespaces != nil {
		ns = canonical(*namespaces)
	}
	if pods != nil {
		own = canonical(*pods)
	}
	known := map[string]bool{}
	return func(e *RoleEnd) bool {
		if e.pod == nil || !own.matches(e.pod.labels) {
			return false
		}
		matches, ok := known[e.Namespace]
		if !ok {
			matches = ns.matches(r.s.labelsOf(e.Namespace))
			known[e.Namespace] = matches
		}
		return matches
	}
}

// isDone reports whether done is closed.
func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
