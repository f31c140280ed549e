package manifests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// An unknownTemplate is the Pod template of an object whose kind netpold does not know, such as an Argo
// Rollout.
type unknownTemplate struct {
	at     location
	labels map[string]string
}

// reportUnknownTemplate warns of an object of an unknown kind that creates Pods from a template: its Pods are
// missing.
func (r *fileReader) reportUnknownTemplate(at location, raw []byte) {
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
	// A Knative Service is no Service: the group tells them apart.
	at.kind = strings.TrimSuffix(at.kind+"."+groupOf(at.version), ".")
	at.namespace = object.Metadata.Namespace
	if at.namespace == "" {
		at.namespace = r.namespace
	}
	r.unknownTemplates = append(r.unknownTemplates, unknownTemplate{at, object.Spec.Template.Metadata.Labels})
	r.warn(at, "spec.template", fmt.Sprintf(
		"makes Pods in a way that netpold does not model for a %s: give the Pods, as 'kubectl get pods -o yaml' "+
			"prints them", at.kind))
}

// reportNoPods warns of a Service without endpoints whose selector matches a template of an unknown kind.
func (r *fileReader) reportNoPods(s *corev1.Service) {
	for _, t := range r.unknownTemplates {
		if t.at.namespace == s.Namespace && selects(s.Spec.Selector, t.labels) {
			r.warn(r.seen[identity{"Service", s.Namespace, s.Name}], "spec.selector", fmt.Sprintf(
				"selects the Pods of %s %s/%s, which are not known, and no other Pod", t.at.kind, t.at.namespace,
				t.at.name))
			return
		}
	}
}
