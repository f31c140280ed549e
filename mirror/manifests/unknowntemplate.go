package manifests

import (
	"bytes"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// unknownTemplate is the template of Pods of an object whose kind netpold does not know, such as an Argo Rollout.
type unknownTemplate struct {
	at     place
	labels map[string]string
}

// unknownTemplate reports an object that makes Pods of a template: they are not known from it.
func (r *reading) unknownTemplate(at place, raw []byte) {
	if !bytes.Contains(raw, []byte(`"containers"`)) {
		return
	}
	var object struct {
		Metadata struct{ Namespace string }
		Spec     struct {
			Template struct {
				Metadata struct{ Labels map[string]string }
				Spec     struct{ Containers []json.RawMessage }
			}
		}
	}
	if json.Unmarshal(raw, &object) != nil || len(object.Spec.Template.Spec.Containers) == 0 {
		return
	}
	at.namespace = object.Metadata.Namespace
	if at.namespace == "" {
		at.namespace = r.namespace
	}
	r.unknownTemplates = append(r.unknownTemplates, unknownTemplate{at, object.Spec.Template.Metadata.Labels})
	r.warn(at, "spec.template", fmt.Sprintf(
		"makes Pods that are not known from it, as a %s is a kind of an extension: give the Pods, as 'kubectl get pods -o yaml' prints them", at.kind))
}

// noPodsOf reports a Service without endpoints whose selector fits a template of an unknown kind.
func (r *reading) noPodsOf(s *corev1.Service) {
	for _, t := range r.unknownTemplates {
		if t.at.namespace == s.Namespace && selects(s.Spec.Selector, t.labels) {
			r.warn(r.seen[identity{"Service", s.Namespace, s.Name}], "spec.selector", fmt.Sprintf(
				"selects the Pods of %s %s/%s, which are not known, and no other Pod", t.at.kind, t.at.namespace, t.at.name))
			return
		}
	}
}
