package manifests

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert"
)

// maxReplicas limits the Pods that a workload stands for.
const maxReplicas = 10_000

// maxTemplatePods limits the Pods that all workloads stand for: a few lines could otherwise use up all
// memory.
const maxTemplatePods = 200_000

// A pod is a Pod with what Services need.
type pod struct {
	*engine.Pod
	// owner is its controller.
	owner identity
	// ready and terminating come from its status. A Pod of a template is ready.
	ready, terminating bool
	// bare means that it was read without a status, as people write Pods.
	bare bool
}

// A workload is an object that stands for its Pods.
type workload struct {
	location
	owner identity
	convert.Template
}

// addPod adds a Pod.
func (r *fileReader) addPod(p *corev1.Pod, object *engine.Pod) {
	r.pods = append(r.pods, &pod{
		Pod:         object,
		owner:       controllerOf(p.Namespace, p),
		ready:       isReady(&p.Status),
		terminating: p.DeletionTimestamp != nil,
		bare:        reflect.ValueOf(p.Status).IsZero(),
	})
}

// isReady reports whether a Pod is ready, by its condition or, if the status has none, by its phase.
func isReady(s *corev1.PodStatus) bool {
	if len(s.Conditions) == 0 {
		return s.Phase == "" || s.Phase == corev1.PodRunning
	}
	for _, c := range s.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func controllerOf(namespace string, o metav1.Object) identity {
	if owner := metav1.GetControllerOfNoCopy(o); owner != nil {
		return identity{owner.Kind, namespace, owner.Name}
	}
	return identity{}
}

// addTemplate adds a workload.
func (r *fileReader) addTemplate(at location, object metav1.Object, t convert.Template) {
	if t.Start < 0 {
		r.problem(at, "spec.ordinals.start",
			fmt.Sprintf("Invalid value: %d: must be greater than or equal to 0", t.Start))
	}
	r.workloads = append(r.workloads,
		&workload{location: at, owner: controllerOf(at.namespace, object), Template: t})
}

// expand adds the Pods of the workloads that have none in the files (S27).
func (r *fileReader) expand() {
	byIdentity := make(map[identity]*workload, len(r.workloads))
	for _, w := range r.workloads {
		byIdentity[w.identity()] = w
	}
	populated, names := map[identity]bool{}, map[identity]bool{}
	ownerless := map[string][]*pod{} // by namespace
	for _, p := range r.pods {
		p.Workloads = workloadsOf(p, byIdentity)
		names[identity{"Pod", p.Namespace, p.Name}] = true
		if p.owner == (identity{}) && !p.Finished {
			ownerless[p.Namespace] = append(ownerless[p.Namespace], p)
		}
		for _, w := range p.Workloads {
			populated[identity{w.Kind, p.Namespace, w.Name}] = true
		}
	}
	// StatefulSets come first, because the names of their Pods are fixed. Others use names that are left.
	slices.SortStableFunc(r.workloads, func(a, b *workload) int {
		return cmp.Or(boolCompare(b.FixedNames, a.FixedNames),
			cmp.Compare(a.kind, b.kind), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	for _, w := range r.workloads {
		_, owned := byIdentity[w.owner]
		known := r.over.livePods(w)
		switch {
		case populated[w.identity()], len(known) > 0 && owned:
			r.fromTemplate(w)
		case len(known) > 0:
			r.changePods(w, known)
		case w.Replicas == 0:
			r.standIn(w)
		case owned:
			r.fromTemplate(w)
		default:
			r.warnWithoutOwner(w, ownerless[w.namespace])
			r.populate(w, names)
		}
	}
}

// warnWithoutOwner warns of a Pod that looks like one of a workload but names no owner. Tools that clean
// dumps remove owners. Then Pods of the template are added beside it.
func (r *fileReader) warnWithoutOwner(w *workload, ownerless []*pod) {
	if len(w.Labels()) == 0 {
		return
	}
	for _, p := range ownerless {
		if selects(w.Labels(), p.Labels) {
			r.warn(w.location, "", fmt.Sprintf(
				"none of its Pods is known, so that its template stands for %d beside Pod %q, which has "+
					"its labels and no owner: if that Pod is its own, keep metadata.ownerReferences in the dump", w.Replicas,
				p.Namespace+"/"+p.Name))
			return
		}
	}
}

// standIn makes a workload without Pods known (S27). It adds a finished Pod, which no rule matches.
func (r *fileReader) standIn(w *workload) {
	if p, ok := r.fromTemplate(w); ok {
		r.pods = append(r.pods, &pod{Pod: &engine.Pod{
			Namespace: p.Namespace, Name: w.name + standInMark + w.kind, Finished: true, Placeholder: true,
			Workloads: p.Workloads,
		}})
	}
}

// standInMark is part of the names of stand-ins. No name in a cluster has it.
const standInMark = ":"

func isStandIn(p *engine.Pod) bool { return strings.Contains(p.Name, standInMark) }

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// workloadsOf returns the workloads of a Pod. If its controller is in the files, its owner is read, not
// derived from names.
func workloadsOf(p *pod, byIdentity map[identity]*workload) []engine.Workload {
	controller, ok := byIdentity[p.owner]
	if !ok {
		return p.Workloads
	}
	return controller.asOwner()
}

// asOwner returns the workloads of its Pods.
func (w *workload) asOwner() []engine.Workload {
	workloads := []engine.Workload{{Kind: w.kind, Name: w.name}}
	if w.owner.kind == "Deployment" || w.owner.kind == "CronJob" {
		workloads = append(workloads, engine.Workload{Kind: w.owner.kind, Name: w.owner.name})
	}
	return workloads
}

// fromTemplate returns a Pod as the template describes it. It reports whether the Pod has no problem.
func (r *fileReader) fromTemplate(w *workload) (*engine.Pod, bool) {
	p, problems := w.Pod(w.namespace)
	p.Workloads = w.asOwner()
	return p, r.accept(w.location, w.PodField+".", problems)
}

// populate adds the Pods of one workload.
func (r *fileReader) populate(w *workload, names map[identity]bool) {
	template, ok := r.fromTemplate(w)
	if w.Replicas < 0 || w.Replicas > maxReplicas {
		r.problem(w.location, w.ReplicasField,
			fmt.Sprintf("Invalid value: %d: must be between 0 and %d, as each stands for a Pod", w.Replicas,
				maxReplicas))
		return
	}
	if w.Replicas > maxTemplatePods-r.templatePods {
		r.problem(w.location, w.ReplicasField,
			fmt.Sprintf("Invalid value: %d: all workloads together stand for more than %d Pods", w.Replicas,
				maxTemplatePods))
		return
	}
	r.templatePods += w.Replicas
	if !ok {
		return
	}
	next := w.Start
	r.pods = slices.Grow(r.pods, w.Replicas)
	made := make([]pod, w.Replicas)
	objects := make([]engine.Pod, w.Replicas)
	for i := range made {
		name := identity{"Pod", w.namespace, w.name + "-" + strconv.Itoa(next)}
		for names[name] || r.over.hasPod(name) {
			if w.FixedNames {
				r.problem(w.location, w.ReplicasField,
					fmt.Sprintf("its Pod %q is there too, and is not its own; remove one of them", name.name))
				return
			}
			next++
			name.name = w.name + "-" + strconv.Itoa(next)
		}
		names[name] = true
		p := &objects[i]
		*p = *template
		w.Number(p, name.name, w.Start+i)
		made[i] = pod{Pod: p, ready: true}
		r.pods = append(r.pods, &made[i])
		next++
	}
}
