package engine

// costToFind is what finding a Pod of a workload or an endpoint of a Service, and putting them in order, costs: as
// much as deciding so many pairs, about.
const costToFind = 16

// Cost returns what deciding q costs at most, in pairs of a source and a destination. It is 1 if neither end stands
// for several ([Snapshot.FansOut]). It looks up what q names, not the Pods, and allocates nothing.
func (s *Snapshot) Cost(q *Query) int {
	src, dst := s.podsOf(&q.Src), s.targetsOf(q)
	return max(1, src)*max(1, dst) + costToFind*(src+dst)
}

// podsOf returns how many Pods an end stands for at most; 0 if it is no workload, or not known.
func (s *state) podsOf(e *Endpoint) int {
	if e.kind != endpointWorkload {
		return 0
	}
	if w, ok := s.workloads.Get(workloadKey{e.namespace, e.workload, e.name}); ok {
		return w.pods.Len()
	}
	return 0
}

// targetsOf returns how many Pods of a workload, or endpoints of a Service, the destination stands for at most; 0 if
// it is neither, or not known.
func (s *state) targetsOf(q *Query) int {
	switch q.Dst.kind {
	case endpointService:
		return s.endpointsOf(nameKey{q.Dst.namespace, q.Dst.name})
	case endpointIP:
		if o, _ := s.serviceAt(q.Dst.ip, q.Port, q.Protocol); o != nil {
			return s.endpointsOf(nameKey{o.Namespace, o.Name})
		}
	case endpointNone, endpointPod, endpointWorkload, endpointLabels:
	}
	return s.podsOf(&q.Dst)
}

// endpointsOf returns how many endpoints the slices of a Service have.
func (s *state) endpointsOf(key nameKey) (n int) {
	svc, _ := s.services.Get(key)
	if svc == nil {
		return 0
	}
	for _, name := range svc.slices {
		if slice, ok := s.slices.Get(nameKey{key.namespace, name}); ok {
			n += len(slice.Endpoints)
		}
	}
	return n
}
