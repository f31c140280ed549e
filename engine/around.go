package engine

import "iter"

// Named is a Pod, a workload or a Service by name.
type Named struct {
	// Kind is as Kubernetes writes it: Pod, Service, or that of a [Workload].
	Kind, Namespace, Name string
}

// workloadKinds are the kinds of workloads that can be asked about.
var workloadKinds = [...]string{
	"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob",
}

// Called returns what a namespace has of exactly this name: a Pod, then workloads in the order of
// workloadKinds, then a Service.
func (s *Snapshot) Called(namespace, name string) []Named {
	var list []Named
	if p := s.pod(namespace, name); p != nil && !s.isPlaceholder(p) {
		list = append(list, Named{"Pod", namespace, name})
	}
	for _, kind := range workloadKinds {
		if _, ok := s.workloads.Get(workloadKey{namespace, kind, name}); ok {
			list = append(list, Named{kind, namespace, name})
		}
	}
	if svc, ok := s.services.Get(nameKey{namespace, name}); ok && svc.object != nil {
		list = append(list, Named{"Service", namespace, name})
	}
	return list
}

// NamesIn yields the Pods of a namespace and their workloads, then its Services, in no particular order. A
// workload comes once for each of its Pods. It looks at all Services of the cluster: it is for messages, not
// for decisions.
func (s *Snapshot) NamesIn(namespace string) iter.Seq[Named] {
	return func(yield func(Named) bool) {
		if ns, ok := s.namespaces.Get(namespace); ok {
			for _, p := range ns.pods.All() {
				for _, w := range p.workloads {
					if !yield(Named{w.Kind, namespace, w.Name}) {
						return
					}
				}
				if !s.isPlaceholder(p) && !yield(Named{"Pod", namespace, p.name}) {
					return
				}
			}
		}
		for key, svc := range s.services.All() {
			if key.namespace == namespace && svc.object != nil &&
				!yield(Named{"Service", namespace, key.name}) {
				return
			}
		}
	}
}

// HasNamespace reports whether a namespace has an object of its own or anything in it.
func (s *Snapshot) HasNamespace(name string) bool { return !s.isEmpty(name) }

// Namespaces yields the namespaces that have an object of their own or anything in them, each once, in no
// particular order.
func (s *Snapshot) Namespaces() iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range s.namespaces.All() {
			if !yield(name) {
				return
			}
		}
		others := map[string]struct{}{} // that are known by their Services and policies alone
		isNew := func(name string) bool {
			if _, known := s.namespaces.Get(name); known {
				return false
			}
			before := len(others)
			others[name] = struct{}{}
			return len(others) > before
		}
		for key := range s.services.All() {
			if isNew(key.namespace) && !yield(key.namespace) {
				return
			}
		}
		for key := range s.policies.All() {
			if isNew(key.namespace) && !yield(key.namespace) {
				return
			}
		}
	}
}

// HasPlaceholder reports whether a workload is known although no Pod of it was ever seen, such as a
// Deployment of 0 replicas. It is false if Pods of it have finished.
func (s *Snapshot) HasPlaceholder(namespace string, w Workload) bool {
	all, ok := s.workloads.Get(workloadKey{namespace, w.Kind, w.Name})
	if !ok {
		return false
	}
	for name := range all.pods.All() {
		if p := s.pod(namespace, name); p != nil && !s.isPlaceholder(p) {
			return false
		}
	}
	return true
}

// isPlaceholder reports whether p stands for workloads without Pods, and is no Pod itself.
func (s *state) isPlaceholder(p *pod) bool {
	a := s.aside.podOf(p.key())
	return p.finished && a != nil && a.placeholder
}
