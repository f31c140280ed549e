package enginetest

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/netpold/netpold/engine"
)

// A party is what an end of a question turns out to be.
type party struct {
	// askedByIP reports whether it was asked by IP.
	askedByIP bool
	// pod is the Pod that it is; nil for a Node's address, a LabelledPod and an external address.
	pod *engine.Pod
	// subject reports whether it is a Pod that policies can apply to, not one on the host network (S1, S4).
	// The next three fields are then set.
	subject   bool
	namespace string
	labels    map[string]string
	ports     []engine.NamedPort
	// isNode reports whether it is a Node, by an address or by a host-network Pod (S4, S5).
	isNode bool
	// node is the Node that it is or runs on; empty for none.
	node string
	// inCluster reports whether its addresses are a Pod's or a Node's (S19).
	inCluster bool
	addrs     []netip.Addr
	// port is the target port of a Service's endpoint (S24).
	port uint16
}

// A group is what an end of a question stands for: parties in order of name, or a Service.
type group struct {
	parties []party
	// many reports whether it is a workload, of however many Pods.
	many    bool
	service *engine.Service
	// vip is the address of the Service that was asked; not valid if it was asked by name.
	vip netip.Addr
}

// familyOf returns the family of an unmapped address.
func familyOf(a netip.Addr) engine.Families {
	if a.Is4() {
		return engine.IPv4
	}
	return engine.IPv6
}

// familyList returns the families of a set, IPv4 first.
func familyList(fs engine.Families) []engine.Families {
	var list []engine.Families
	for _, f := range []engine.Families{engine.IPv4, engine.IPv6} {
		if fs&f != 0 {
			list = append(list, f)
		}
	}
	return list
}

// families returns those that e has an address in.
func (e party) families() engine.Families {
	var fs engine.Families
	for _, a := range e.addrs {
		fs |= familyOf(a)
	}
	return fs
}

// inFamily returns e with its addresses of one family alone, each once and in order; with none for family 0
// (S9).
func (e party) inFamily(f engine.Families) party {
	e.addrs = slices.DeleteFunc(slices.Clone(e.addrs), func(a netip.Addr) bool { return familyOf(a) != f })
	slices.SortFunc(e.addrs, netip.Addr.Compare)
	e.addrs = slices.Compact(e.addrs)
	return e
}

// objectsOf returns the objects of one kind.
func objectsOf[T engine.Object](o *Oracle) []T {
	var list []T
	for _, x := range o.Objects {
		if t, ok := x.(T); ok {
			list = append(list, t)
		}
	}
	return list
}

// sorted returns the objects of one kind, in the order of key.
func sorted[T engine.Object, K cmp.Ordered](o *Oracle, key func(T) K) []T {
	list := objectsOf[T](o)
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	return list
}

// running returns the Pods that have not finished (S6).
func (o *Oracle) running() []*engine.Pod {
	return slices.DeleteFunc(objectsOf[*engine.Pod](o), func(p *engine.Pod) bool { return p.Finished })
}

// namespaceLabels returns the labels of a namespace, whether its object is there or not (S18).
func (o *Oracle) namespaceLabels(name string) map[string]string {
	labels := map[string]string{}
	for _, n := range objectsOf[*engine.Namespace](o) {
		if n.Name == name {
			maps.Copy(labels, n.Labels)
		}
	}
	labels["kubernetes.io/metadata.name"] = name
	return labels
}

// owner returns the newest running Pod that reports the address, or nil (S7).
func (o *Oracle) owner(a netip.Addr) *engine.Pod {
	var newest *engine.Pod
	for _, p := range o.running() {
		if slices.Contains(p.IPs, a) && (newest == nil || newer(p, newest)) {
			newest = p
		}
	}
	return newest
}

// newer reports whether p is newer than q (S7).
func newer(p, q *engine.Pod) bool {
	return cmp.Or(cmp.Compare(p.Created, q.Created), cmp.Compare(p.UID, q.UID),
		cmp.Compare(p.Namespace, q.Namespace), cmp.Compare(p.Name, q.Name)) > 0
}

// nodeAt returns the Node that has the address: that of the host-network Pod that owns it, or else the first
// by name whose object has it, or else the first by name whose Pods report it (S4, S5).
func (o *Oracle) nodeAt(a netip.Addr) (string, bool) {
	if p := o.owner(a); p != nil && p.HostNetwork {
		return p.Node, true
	}
	var nodes []string
	for _, n := range objectsOf[*engine.Node](o) {
		if slices.Contains(n.IPs, a) {
			nodes = append(nodes, n.Name)
		}
	}
	if len(nodes) == 0 {
		for _, p := range o.running() {
			if p.Node != "" && slices.Contains(p.HostIPs, a) {
				nodes = append(nodes, p.Node)
			}
		}
	}
	if len(nodes) == 0 {
		return "", false
	}
	return slices.Min(nodes), true
}

// nodeAddrs returns the addresses of a Node, without those that an ordinary Pod owns (S5, S7).
func (o *Oracle) nodeAddrs(name string) []netip.Addr {
	var addrs []netip.Addr
	for _, n := range objectsOf[*engine.Node](o) {
		if n.Name == name {
			addrs = append(addrs, n.IPs...)
		}
	}
	for _, p := range o.running() {
		if p.Node == name && name != "" {
			addrs = append(addrs, p.HostIPs...)
		}
	}
	return slices.DeleteFunc(addrs, func(a netip.Addr) bool {
		p := o.owner(a)
		return p != nil && !p.HostNetwork
	})
}

// podParty returns the party that is p, asked by name.
func (o *Oracle) podParty(p *engine.Pod) party {
	e := party{pod: p, node: p.Node, inCluster: true}
	for _, a := range p.IPs {
		w := o.owner(a)
		if w == p || w.HostNetwork && p.HostNetwork { // S7; host-network Pods share an address (S4)
			e.addrs = append(e.addrs, a)
		}
	}
	if !p.HostNetwork {
		e.subject, e.namespace, e.labels, e.ports = true, p.Namespace, p.Labels, p.Ports
		return e
	}
	e.isNode = true
	if len(e.addrs) == 0 {
		e.addrs = o.nodeAddrs(p.Node) // S4
	}
	return e
}

// partyAt returns whatever has the address, except for Services (S5).
func (o *Oracle) partyAt(a netip.Addr) party {
	var e party
	if p := o.owner(a); p != nil && !p.HostNetwork {
		e = o.podParty(p)
	} else if node, ok := o.nodeAt(a); ok {
		e = party{isNode: true, node: node, inCluster: true}
	}
	e.addrs = []netip.Addr{a}
	return e
}

// source resolves the source. A Service opens no connections (S28).
func (o *Oracle) source(q Endpoint) (group, error) {
	if q.Service != nil {
		return group{}, failed(engine.InvalidQuestion, false, "Service", q.Service.Namespace, q.Service.Name)
	}
	return o.resolve(q, false)
}

// resolve resolves an end that is no Service.
func (o *Oracle) resolve(q Endpoint, dst bool) (group, error) {
	switch {
	case q.IP.IsValid():
		e := o.partyAt(q.IP.Unmap()) // S9
		e.askedByIP = true
		return group{parties: []party{e}}, nil
	case q.Pod != nil:
		for _, p := range objectsOf[*engine.Pod](o) {
			if p.Namespace == q.Pod.Namespace && p.Name == q.Pod.Name {
				if p.Finished { // S6
					return group{}, failed(engine.PodFinished, dst, "Pod", p.Namespace, p.Name)
				}
				return group{parties: []party{o.podParty(p)}}, nil
			}
		}
		return group{}, failed(engine.NotFound, dst, "Pod", q.Pod.Namespace, q.Pod.Name) // S27
	case q.Workload != nil:
		return o.workload(*q.Workload, dst)
	case q.Labels != nil:
		l := q.Labels
		e := party{subject: true, inCluster: true, namespace: l.Namespace, labels: l.Labels, ports: l.Ports}
		if l.IP.IsValid() {
			e.addrs = []netip.Addr{l.IP.Unmap()}
		}
		return group{parties: []party{e}}, nil
	default:
		return group{}, &engine.QueryError{ // S28
			Code: engine.InvalidQuestion, Dst: dst, Subject: "endpoint", Detail: "is missing",
		}
	}
}

// workload resolves a workload to its Pods that have not finished (S27).
func (o *Oracle) workload(w WorkloadName, dst bool) (group, error) {
	g, code := group{many: true}, engine.NotFound
	for _, p := range sorted[*engine.Pod](o, func(p *engine.Pod) string { return p.Name }) {
		if p.Namespace != w.Namespace || !slices.Contains(p.Workloads, w.Workload) {
			continue
		}
		if p.Finished {
			code = engine.WorkloadFinished // S24
			continue
		}
		g.parties = append(g.parties, o.podParty(p))
	}
	if len(g.parties) == 0 {
		return group{}, failed(code, dst, w.Kind, w.Namespace, w.Name)
	}
	return g, nil
}

// failed returns the error of a question that has no answer.
func failed(code engine.ErrorCode, dst bool, kind, namespace, name string) *engine.QueryError {
	subject := kind + " " + strconv.Quote(namespace+"/"+name)
	return &engine.QueryError{Code: code, Dst: dst, Subject: subject, Detail: "cannot be asked"}
}
