package engine

import (
	"slices"
	"strings"
)

const (
	// maxLooked is the number of Pods of a namespace that [Snapshot.Backing] looks at, at most.
	maxLooked = 10_000
	// maxListed is the number of names of a kind that it lists, at most.
	maxListed = 8
)

// Backing is what stands behind a Service's port that has no endpoint to choose (S24).
type Backing struct {
	Service *Service
	// PortName and Target are the port's name, and the name that is looked up on Pods; empty for none.
	PortName, Target string
	// Slices is how many EndpointSlices the Service has, and Endpoints how many endpoints are in them.
	Slices, Endpoints int
	// Portless counts the endpoints in slices that do not have the port.
	Portless int
	// NotReady counts the endpoints that are not ready; Unready names the first Pods among them, as
	// "namespace/name".
	NotReady int
	Unready  []string
	// Absent counts the endpoints whose address nothing owns; AbsentPods names the first Pods that slices say
	// they are.
	Absent     int
	AbsentPods []string
	// OtherFamily counts the endpoints that could be chosen by an address of the other family.
	OtherFamily int
	// Selected counts the Pods that the selector matches, and Finished those of them that have finished.
	// PortNames are the names of the first few ports of the others, for the port's protocol.
	Selected, Finished int
	PortNames          []string
	// Partial reports whether the namespace has more Pods than were looked at.
	Partial bool
}

// Backing returns what is behind the Service that q asks for, when the code of q's error is
// [NoReadyEndpoint]; false when q asks for no Service. It looks at a bounded number of Pods.
func (s *Snapshot) Backing(q Query) (Backing, bool) {
	o, err := s.destinationService(&q)
	if o == nil || err != nil {
		return Backing{}, false
	}
	b := Backing{Service: o}
	if p, ok := o.port(q.Port, q.Protocol); ok {
		b.PortName = p.Name
	}
	for _, d := range o.PortDetails {
		if d.Port == q.Port && d.Protocol == q.Protocol {
			b.Target = d.Target
		}
	}
	svc, _ := s.services.Get(nameKey{o.Namespace, o.Name})
	for _, name := range svc.slices {
		slice, _ := s.slices.Get(nameKey{o.Namespace, name})
		b.Slices++
		b.Endpoints += len(slice.Endpoints)
		if len(targetPorts(o, slice, q.Port, q.Protocol)) == 0 {
			b.Portless += len(slice.Endpoints)
			continue
		}
		for i := range slice.Endpoints {
			s.countEndpoint(&b, o.Namespace, &slice.Endpoints[i])
		}
	}
	if len(o.Selector) > 0 {
		s.countSelected(&b, q.Protocol)
	}
	return b, true
}

// countEndpoint adds an endpoint of a slice that has the port to one of Absent, NotReady and OtherFamily:
// these are the reasons for which backendRefs leaves an endpoint out.
func (s *state) countEndpoint(b *Backing, namespace string, e *SliceEndpoint) {
	var owner *pod
	switch {
	case !e.Addr.IsValid():
		owner = s.pod(namespace, e.Pod)
	case s.address(e.Addr.Unmap()) != nil:
		owner = s.address(e.Addr.Unmap()).pod
	}
	switch {
	case e.Pod != "" && owner == nil && (!e.Addr.IsValid() || s.address(e.Addr.Unmap()) == nil):
		b.Absent++
		name := e.Pod
		if !strings.Contains(name, "/") {
			name = namespace + "/" + name
		}
		b.AbsentPods = listFew(b.AbsentPods, name)
	case !e.Ready && !(e.Serving && e.Terminating):
		b.NotReady++
		if owner != nil {
			b.Unready = listFew(b.Unready, owner.namespace+"/"+owner.name)
		}
	default:
		b.OtherFamily++
	}
}

// countSelected counts the Pods that the Service's selector matches.
func (s *state) countSelected(b *Backing, protocol Protocol) {
	ns, ok := s.namespaces.Get(b.Service.Namespace)
	if !ok {
		return
	}
	looked := 0
	for _, p := range ns.pods.All() {
		if looked++; looked > maxLooked {
			b.Partial = true
			return
		}
		if !hasLabels(p.labels, b.Service.Selector) {
			continue
		}
		b.Selected++
		if p.finished {
			b.Finished++
			continue
		}
		for _, port := range p.ports {
			if port.Protocol == protocol {
				b.PortNames = listFew(b.PortNames, port.Name)
			}
		}
	}
}

// hasLabels reports whether labels has all that a Service's selector wants.
func hasLabels(labels []label, selector map[string]string) bool {
	for key, want := range selector {
		if value, ok := valueOf(labels, key); !ok || value != want {
			return false
		}
	}
	return true
}

// listFew returns sorted names with name among them, once, cut to the first [maxListed].
func listFew(names []string, name string) []string {
	at, found := slices.BinarySearch(names, name)
	if found || len(names) == maxListed && at == maxListed {
		return names
	}
	names = slices.Insert(names, at, name)
	return names[:min(len(names), maxListed)]
}
