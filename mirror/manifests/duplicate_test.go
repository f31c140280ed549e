package manifests

import (
	"errors"
	"strings"
	"testing"
)

// TestSameObjectTwice proves that overlapping dumps are read, and that contradicting objects are a problem.
func TestSameObjectTwice(t *testing.T) {
	pod := func(meta string) string { return "{apiVersion: v1, kind: Pod, metadata: {name: a" + meta + "}}" }
	dumped := pod(`, uid: u, resourceVersion: "5"`)
	tests := map[string]struct{ first, second, field, message string }{
		"the same state": {dumped, dumped, "", ""},
		"the same state, in a list": {dumped, "{apiVersion: v1, kind: List, items: [" + dumped + "]}",
			"", ""},
		"two states": {dumped, pod(`, uid: u, resourceVersion: "6"`),
			"metadata.resourceVersion", "keep the newer one"},
		"two objects": {dumped, pod(`, uid: v, resourceVersion: "5"`), "metadata.uid",
			`with uid "u"`},
		"written and dumped": {pod(""), dumped, "metadata.name", "remove one of them"},
		"written twice":      {pod(""), pod(""), "metadata.name", "remove one of them"},
		"dumped without a resourceVersion": {pod(", uid: u"), pod(", uid: u"), "metadata.name",
			"remove one of them"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := readText(t, docs(test.first, test.second))
			if test.field == "" {
				if err != nil || len(got.Objects) != 1 || len(got.Report.Problems) != 0 {
					t.Errorf("%d objects, problems %v, error %v", len(got.Objects), got.Report.Problems, err)
				}
				return
			}
			invalid, ok := errors.AsType[*ProblemsError](err)
			if !ok || len(invalid.Problems) != 1 {
				t.Fatalf("error %v", err)
			}
			if p := invalid.Problems[0]; p.Field != test.field || !strings.Contains(p.Message, test.message) ||
				p.Document != 2 {
				t.Errorf("problem %v", p)
			}
		})
	}
}

// TestPodsWithoutOwner proves that Pods of a template beside a Pod without an owner get a warning.
func TestPodsWithoutOwner(t *testing.T) {
	deployment := workloadText("apps/v1", "Deployment", "web",
		"{replicas: 2, template: {metadata: {labels: {app: web}}}}")
	pod := func(labels string) string {
		return "{apiVersion: v1, kind: Pod, metadata: {name: web-1, labels: {" + labels + "}}}"
	}
	got := mustRead(t, docs(deployment, pod("app: web, zone: a")))
	if p := got.Report.Problems; len(p) != 1 || !p[0].Warning || p[0].Kind != "Deployment" ||
		!strings.Contains(p[0].Message, `beside Pod "default/web-1"`) {
		t.Errorf("problems %v", p)
	}
	if got := mustRead(t, docs(deployment, pod("app: other"))); len(got.Report.Problems) != 0 {
		t.Errorf("problems %v", got.Report.Problems)
	}
}
