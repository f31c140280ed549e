package engine

import (
	"slices"
	"unique"
)

// siblings is how many Pods of its workload a new Pod is compared with.
const siblings = 8

// A podTemplate holds the parts of a Pod that the Pods of a workload nearly always have alike, as they come from one
// template. Those that do share one, which is two fifths of a Pod's memory. It is immutable.
type podTemplate struct {
	labels []label
	ports  []NamedPort // sorted; none if policies cannot apply
	// unnamed has the container ports without a name, as [appendUnnamed] writes them.
	unnamed unique.Handle[string]
	// account is the ServiceAccount; zero for "default". Decisions do not read it.
	account   unique.Handle[string]
	workloads []Workload // its controller first, the topmost last
}

// newPodTemplate returns the template of a Pod; ordinary reports whether policies can apply to it.
func newPodTemplate(o *Pod, ordinary bool) *podTemplate {
	t := &podTemplate{labels: sortedLabels(o.Labels), workloads: o.Workloads}
	if o.ServiceAccount != "" && o.ServiceAccount != defaultAccount {
		t.account = unique.Make(o.ServiceAccount)
	}
	if ordinary {
		t.ports = sortedPorts(o.Ports)
		if len(o.UnnamedPorts) > 0 {
			t.unnamed = unique.Make(string(appendUnnamed(nil, o.UnnamedPorts)))
		}
	}
	return t
}

// equal reports whether t and o have the same content.
func (t *podTemplate) equal(o *podTemplate) bool {
	return t == o || t.unnamed == o.unnamed && t.account == o.account && slices.Equal(t.labels, o.labels) &&
		slices.Equal(t.ports, o.ports) && slices.Equal(t.workloads, o.workloads)
}

// shareTemplate gives a Pod an equal template that another record has: old, the Pod's own before, or one of the
// first Pods of its controller. It looks no further, so that its cost does not grow with the workload.
func (t *txn) shareTemplate(p, old *pod) {
	if old != nil && p.equal(old.podTemplate) {
		p.podTemplate = old.podTemplate
		return
	}
	if len(p.workloads) == 0 {
		return
	}
	controller, ok := t.workloads.Get(workloadKey{p.namespace, p.workloads[0].Kind, p.workloads[0].Name})
	if !ok {
		return
	}
	left := siblings
	for name := range controller.pods.All() {
		if o := t.pod(p.namespace, name); o != nil {
			if p.equal(o.podTemplate) {
				p.podTemplate = o.podTemplate
				return
			}
			if slices.Equal(p.ports, o.ports) {
				p.ports = o.ports // Pods of a StatefulSet have their names as labels
			}
		}
		if left--; left == 0 {
			return
		}
	}
}
