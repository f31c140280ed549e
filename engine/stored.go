package engine

import (
	"slices"
	"unique"
)

// Object returns an object by its key, and whether it is there. It must not be modified. A Pod is made anew
// from what the engine keeps of it: what decisions and details do not read of it is missing.
func (s *Snapshot) Object(key ObjectKey) (Object, bool) {
	switch key.Kind {
	case KindPod:
		if p := s.pod(key.Namespace, key.Name); p != nil {
			return s.podObject(p), true
		}
	case KindNamespace:
		if ns, ok := s.namespaces.Get(key.Name); ok && ns.object != nil {
			return ns.object, true
		}
	case KindPolicy:
		if p, ok := s.Policy(key.Namespace, key.Name); ok {
			return p, true
		}
	case KindNode:
		if n, ok := s.nodes.Get(key.Name); ok && n.object != nil {
			return n.object, true
		}
	case KindService:
		if svc, ok := s.services.Get(nameKey{key.Namespace, key.Name}); ok && svc.object != nil {
			return svc.object, true
		}
	case KindEndpointSlice:
		if slice, ok := s.slices.Get(nameKey{key.Namespace, key.Name}); ok {
			return slice, true
		}
	case KindClusterNetworkPolicy, KindAdminNetworkPolicy, KindBaselineAdminNetworkPolicy:
		if p, ok := s.clusterPolicies.Get(key); ok {
			return p.cluster, true
		}
	}
	return nil, false
}

// podObject returns a Pod of which the engine makes the record p again.
func (s *state) podObject(p *pod) *Pod {
	o := &Pod{
		Namespace: p.namespace, Name: p.name, UID: p.uid, Created: p.created, HostNetwork: p.host,
		Finished: p.finished, IPs: p.ips, HostIPs: p.hostIPs, Ports: p.ports, Workloads: p.workloads,
		Labels: labelMap(p.labels), UnnamedPorts: p.unnamedPorts(),
	}
	if p.node != (unique.Handle[string]{}) {
		o.Node = p.node.Value()
	}
	if p.account != (unique.Handle[string]{}) {
		o.ServiceAccount = p.account.Value()
	}
	if a := s.aside.podOf(p.key()); a != nil {
		o.Node, o.HostPorts, o.SecondaryIPs, o.Placeholder = a.node, a.hostPorts, a.secondary, a.placeholder
		if p.finished {
			o.IPs = a.former
		}
	}
	return o
}

// PodsOf returns the Pods of a workload, finished ones among them, in order of name; none for a workload that
// is not known.
func (s *Snapshot) PodsOf(namespace string, w Workload) []ObjectKey {
	found, ok := s.workloads.Get(workloadKey{namespace, w.Kind, w.Name})
	if !ok {
		return nil
	}
	list := make([]ObjectKey, 0, found.pods.Len())
	for name := range found.pods.All() {
		list = append(list, ObjectKey{KindPod, namespace, name})
	}
	slices.SortFunc(list, ObjectKey.Compare)
	return list
}

// ObjectsIn returns the keys of the objects in a namespace, in order. It looks at all policies, Services and
// slices of the cluster.
func (s *Snapshot) ObjectsIn(namespace string) []ObjectKey {
	var list []ObjectKey
	if ns, ok := s.namespaces.Get(namespace); ok {
		for name := range ns.pods.All() {
			list = append(list, ObjectKey{KindPod, namespace, name})
		}
	}
	for key := range s.policies.All() {
		if key.namespace == namespace {
			list = append(list, ObjectKey{KindPolicy, namespace, key.name})
		}
	}
	for key, svc := range s.services.All() {
		if key.namespace == namespace && svc.object != nil {
			list = append(list, ObjectKey{KindService, namespace, key.name})
		}
	}
	for key := range s.slices.All() {
		if key.namespace == namespace {
			list = append(list, ObjectKey{KindEndpointSlice, namespace, key.name})
		}
	}
	slices.SortFunc(list, ObjectKey.Compare)
	return list
}
