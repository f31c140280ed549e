package engine

import (
	"cmp"
	"slices"
)

// PodGroup is the Pods of one workload that have not finished, or one Pod that belongs to no workload.
type PodGroup struct {
	// Endpoint is for questions about the group.
	Endpoint Endpoint
	// Namespace and Workload name the group or, for a Pod without workload, Namespace and Pod.
	Namespace string
	Workload  Workload
	Pod       string
	// HostNetwork reports whether all of its Pods are on the host network, so that no policy can select them
	// (S4).
	HostNetwork bool
	// Families are those in which at least one of its Pods has an address; 0 if none has one.
	Families Families
	// Ports are the named ports of its Pods, sorted.
	Ports []NamedPort
}

// PodGroups returns all Pods that have not finished, by their outermost workload, in order of namespace, kind
// and name. It takes time in proportion to the cluster: it is for lists that people read.
func (s *Snapshot) PodGroups() []PodGroup {
	found := map[podGroupKey]*PodGroup{}
	for _, ns := range s.namespaces.All() {
		for _, p := range ns.pods.All() {
			if p.finished {
				continue
			}
			key := podGroupKey{Namespace: p.namespace, Pod: p.name}
			if n := len(p.workloads); n > 0 {
				key.Workload, key.Pod = p.workloads[n-1], ""
			}
			g := found[key]
			if g == nil {
				g = &PodGroup{
					Namespace: key.Namespace, Workload: key.Workload, Pod: key.Pod, HostNetwork: true,
				}
				found[key] = g
			}
			g.HostNetwork = g.HostNetwork && p.host
			g.Families |= familiesOf(s.addressesOf(p))
			g.Ports = append(g.Ports, p.ports...)
		}
	}
	list := make([]PodGroup, 0, len(found))
	for _, g := range found {
		g.Ports = sortedPorts(g.Ports)
		g.Endpoint = ByPod(g.Namespace, g.Pod)
		if g.Pod == "" {
			g.Endpoint = ByWorkload(g.Namespace, g.Workload)
		}
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b PodGroup) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Workload.Kind, b.Workload.Kind),
			cmp.Compare(a.Workload.Name, b.Workload.Name), cmp.Compare(a.Pod, b.Pod))
	})
	return list
}

// AllServices returns the Services, in order of namespace and name. They must not be modified.
func (s *Snapshot) AllServices() []*Service {
	var list []*Service
	for _, svc := range s.services.All() {
		if svc.object != nil {
			list = append(list, svc.object)
		}
	}
	slices.SortFunc(list, func(a, b *Service) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// FamiliesOf returns the address families in which an endpoint has addresses: 0 if none of its Pods or
// backends has one. It is 0 too for an endpoint that is not known: asking about it gives the error.
func (s *Snapshot) FamiliesOf(e Endpoint) Families {
	if e.kind == endpointService {
		return s.serviceFamilies(nameKey{e.namespace, e.name})
	}
	parties, err := s.parties(e, true)
	if err != nil {
		return 0
	}
	var f Families
	for i := range parties {
		f |= parties[i].families()
	}
	return f
}

// serviceFamilies returns the families of the addresses of a Service's endpoints.
func (s *state) serviceFamilies(key nameKey) Families {
	svc, _ := s.services.Get(key)
	if svc == nil {
		return 0
	}
	var f Families
	for _, name := range svc.slices {
		slice, _ := s.slices.Get(nameKey{key.namespace, name})
		for i := range slice.Endpoints {
			if e := &slice.Endpoints[i]; e.Addr.IsValid() {
				f |= familyOf(e.Addr.Unmap())
			} else if p := s.pod(key.namespace, e.Pod); p != nil {
				f |= familiesOf(s.addressesOf(p))
			}
		}
	}
	return f
}

// A podGroupKey names a group. Workload or Pod is set.
type podGroupKey struct {
	Namespace string
	Workload  Workload
	Pod       string
}

// PodNames returns the Pods that have not finished, in order of namespace and name. It takes time in
// proportion to the cluster.
func (s *Snapshot) PodNames() []ObjectKey {
	var list []ObjectKey
	for _, ns := range s.namespaces.All() {
		for _, p := range ns.pods.All() {
			if !p.finished {
				list = append(list, ObjectKey{Kind: KindPod, Namespace: p.namespace, Name: p.name})
			}
		}
	}
	slices.SortFunc(list, ObjectKey.Compare)
	return list
}
