package manifests

import (
	"fmt"
	"maps"
	"slices"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

// relabel changes labels of a Pod, of a Namespace, or of all Pods of a workload.
func (r *overlayReader) relabel(i int, c *mirror.LabelChange) {
	r.touched++
	path := pathOf(i, "labels")
	kind := r.kindOf(path, &c.OverlayTarget)
	if kind != nil && kind.Template == nil && c.Kind != "Pod" && c.Kind != "Namespace" {
		r.fail(path+".kind", fmt.Sprintf("Unsupported value: %q: labels can be changed of a Pod, a Namespace or a "+
			"workload; apply the whole %s instead", c.Kind, c.Kind))
		kind = nil
	}
	if !r.checkLabels(path, c) || kind == nil {
		return
	}
	if c.Kind == "Namespace" {
		r.relabelNamespace(path, c)
		return
	}
	keys := []engine.ObjectKey{{Kind: engine.KindPod, Namespace: c.Namespace, Name: c.Name}}
	if kind.Template != nil {
		keys = r.podsOf(c.Namespace, engine.Workload{Kind: c.Kind, Name: c.Name})
	}
	changed, placeholders := 0, 0
	for _, key := range keys {
		if p, ok := r.pod(key); ok && p.Placeholder {
			placeholders++
		} else if ok {
			fresh := *p
			fresh.Labels = relabelled(p.Labels, c)
			r.set(&fresh)
			changed++
		}
	}
	switch {
	case changed == 0 && placeholders > 0:
		r.warnings = append(r.warnings, mirror.OverlayProblem{Path: path, Problem: mirror.Problem{
			Kind: c.Kind, Namespace: c.Namespace, Name: c.Name, Warning: true,
			Message: "has no Pods whose labels could be changed: its replicas are 0",
		}})
	case changed == 0:
		r.miss(path, &c.OverlayTarget, "is not there, so that its labels cannot be changed: check its kind, namespace "+
			"and name")
	}
}

// relabelNamespace changes labels of a Namespace. One that only its Pods name has none yet.
func (r *overlayReader) relabelNamespace(path string, c *mirror.LabelChange) {
	was, ok := r.object(engine.ObjectKey{Kind: engine.KindNamespace, Name: c.Name})
	namespace, isNamespace := was.(*engine.Namespace)
	switch {
	case ok && isNamespace:
		r.set(&engine.Namespace{Name: c.Name, Labels: relabelled(namespace.Labels, c)})
	case len(r.objectsIn(c.Name)) > 0:
		r.set(&engine.Namespace{Name: c.Name, Labels: relabelled(nil, c)})
	default:
		r.miss(path, &c.OverlayTarget, "is not there, so that its labels cannot be changed: check its name")
	}
}

// checkLabels adds what is wrong with the labels of a change, and reports whether nothing is.
func (r *overlayReader) checkLabels(path string, c *mirror.LabelChange) bool {
	before := len(r.problems)
	if len(c.Set)+len(c.Remove) == 0 {
		r.fail(path, "Required value: give labels to set, or keys to remove")
	}
	for _, e := range inOrder(metav1validation.ValidateLabels(c.Set, field.NewPath("set"))) {
		r.fail(path+"."+e.Field, e.ErrorBody())
	}
	for i, key := range c.Remove {
		at := fmt.Sprintf("%s.remove[%d]", path, i)
		for _, message := range validation.IsQualifiedName(key) {
			r.fail(at, fmt.Sprintf("Invalid value: %q: %s", key, message))
		}
		if _, both := c.Set[key]; both {
			r.fail(at, fmt.Sprintf("Invalid value: %q: it is also set: leave one of them out", key))
		}
	}
	return len(r.problems) == before
}

// relabelled returns labels after a change. It does not modify them.
func relabelled(labels map[string]string, c *mirror.LabelChange) map[string]string {
	fresh := maps.Clone(labels)
	if fresh == nil {
		fresh = map[string]string{}
	}
	maps.DeleteFunc(fresh, func(key, _ string) bool { return slices.Contains(c.Remove, key) })
	maps.Copy(fresh, c.Set)
	return fresh
}

// changePods gives the Pods of a workload the labels and ports of its template.
func (r *fileReader) changePods(w *workload, pods []*engine.Pod) {
	template, ok := r.fromTemplate(w)
	if !ok {
		return
	}
	r.warnUnchanged(w, template, pods)
	lost := newLosses()
	for _, p := range pods {
		fresh := *p
		fresh.Labels = convert.Relabelled(&w.Template, p.Labels)
		fresh.Ports, fresh.HostPorts = template.Ports, template.HostPorts
		lost.add(p, &fresh)
		r.objects = append(r.objects, &fresh)
	}
	if text := lost.String(); text != "" {
		r.warn(w.location, w.PodField, "its Pods have what it lacks, and lose it here: "+text+
			"; in a cluster they may keep what a webhook or a hand added")
	}
}
