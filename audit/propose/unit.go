package propose

import (
	"maps"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A Unit is what gets a policy: the Pods of one workload, or a Pod of none.
type Unit struct {
	Namespace string
	// Workload is the outermost one; zero for a Pod of none, which Pod names.
	Workload engine.Workload
	Pod      string
	// Selector are labels that all of its Pods have, and no other Pod of its namespace; nil if there are none.
	Selector map[string]string
	// Pods is how many Pods it has, and isolated how many of them NetworkPolicies isolate today.
	Pods     int
	isolated [directions]int
}

// IsolatedToday reports whether NetworkPolicies isolate all of its Pods for a direction.
func (u *Unit) IsolatedToday(d Direction) bool { return u.isolated[d] == u.Pods }

// Name returns the name of the workload, or of the Pod.
func (u *Unit) Name() string {
	if u.Workload.Name != "" {
		return u.Workload.Name
	}
	return u.Pod
}

// A space is the units of a namespace.
type space struct {
	units map[unitKey]*Unit
}

type unitKey struct {
	workload engine.Workload
	pod      string
}

func unitKeyOf(w engine.Workload, pod string) unitKey {
	if w != (engine.Workload{}) {
		return unitKey{workload: w}
	}
	return unitKey{pod: pod}
}

// unitOf returns the unit of a Pod.
func (o *Observed) unitOf(namespace string, w engine.Workload, pod string) *Unit {
	s := o.namespaces[namespace]
	if s == nil {
		s = o.newSpace(namespace)
		o.namespaces[namespace] = s
	}
	return s.units[unitKeyOf(w, pod)]
}

// newSpace finds the units of a namespace. Pods of the host network, which no selector matches, are in none.
func (o *Observed) newSpace(namespace string) *space {
	s := &space{units: map[unitKey]*Unit{}}
	labels := map[*Unit][]map[string]string{}
	o.roles.EachPodIn(namespace, func(e *engine.RoleEnd) {
		if e.Kind != engine.RolePod {
			return
		}
		key := unitKeyOf(e.Workload, e.Name)
		u := s.units[key]
		if u == nil {
			u = &Unit{Namespace: namespace, Workload: e.Workload, Pod: key.pod}
			s.units[key] = u
		}
		u.Pods++
		for d, isolated := range [directions]bool{e.IsolatedEgress, e.IsolatedIngress} {
			if isolated {
				u.isolated[d]++
			}
		}
		labels[u] = appendLabels(labels[u], o.labelsOf(namespace, e.Name))
	})
	for u, own := range labels {
		var others []map[string]string
		for other, list := range labels {
			if other != u {
				others = append(others, list...)
			}
		}
		u.Selector = selectorOf(own, others)
	}
	return s
}

// labelsOf returns the labels of a Pod.
func (o *Observed) labelsOf(namespace, name string) map[string]string {
	found, _ := o.snapshot.Object(engine.ObjectKey{Kind: engine.KindPod, Namespace: namespace, Name: name})
	if p, ok := found.(*engine.Pod); ok {
		return p.Labels
	}
	return nil
}

// appendLabels appends labels without those that differ between Pods of one workload by their nature, unless
// they are there already.
func appendLabels(list []map[string]string, labels map[string]string) []map[string]string {
	labels = maps.Clone(labels)
	for _, key := range passing {
		delete(labels, key)
	}
	if slices.ContainsFunc(list, func(l map[string]string) bool { return maps.Equal(l, labels) }) {
		return list
	}
	return append(list, labels)
}

// passing are labels that controllers give to one generation of Pods, or to a single one.
var passing = []string{
	"pod-template-hash", "controller-revision-hash", "pod-template-generation", "controller-uid", "job-name",
	"batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index",
	"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
}

// usual are the keys by which workloads are told apart, the most usual first.
var usual = []string{
	"app.kubernetes.io/name", "app", "k8s-app", "app.kubernetes.io/component", "app.kubernetes.io/instance", "component",
	"name", "role",
}

// selectorOf returns the fewest labels that all of own have and none of others; usual keys before other ones. It
// returns nil if there are none.
func selectorOf(own, others []map[string]string) map[string]string {
	common := maps.Clone(own[0])
	for _, labels := range own[1:] {
		maps.DeleteFunc(common, func(k, v string) bool {
			w, ok := labels[k]
			return !ok || v != w
		})
	}
	known := slices.DeleteFunc(slices.Clone(usual), func(k string) bool {
		_, ok := common[k]
		return !ok
	})
	for _, keys := range candidates(known, slices.Sorted(maps.Keys(common))) {
		labels := map[string]string{}
		for _, k := range keys {
			labels[k] = common[k]
		}
		if len(labels) > 0 && !slices.ContainsFunc(others, func(l map[string]string) bool { return has(l, labels) }) {
			return labels
		}
	}
	return nil
}

// candidates returns sets of keys, the best first.
func candidates(known, all []string) [][]string {
	var list [][]string
	for _, k := range known {
		list = append(list, []string{k})
	}
	for i, k := range known {
		for _, l := range known[i+1:] {
			list = append(list, []string{k, l})
		}
	}
	list = append(list, known)
	for _, k := range all {
		list = append(list, []string{k})
	}
	return append(list, all)
}

// has reports whether labels have all of wanted.
func has(labels, wanted map[string]string) bool {
	for k, v := range wanted {
		if w, ok := labels[k]; !ok || v != w {
			return false
		}
	}
	return true
}
