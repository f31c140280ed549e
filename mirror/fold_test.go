package mirror

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFoldProblems proves that a problem of a thousand objects is one line with a count and three locations,
// and that other problems stay separate.
func TestFoldProblems(t *testing.T) {
	var problems []Problem
	for i := range 1000 {
		problems = append(problems, Problem{
			File: "a.yaml", Document: i + 1, Kind: "Pod", Namespace: "shop", Name: fmt.Sprint("p", i),
			Field: fmt.Sprintf("spec.containers[%d].ports[0]", i%3), Message: "wrong",
		})
	}
	problems = append(problems,
		Problem{File: "b.yaml", Kind: "Pod", Field: "spec.containers[0].ports[0]", Message: "wrong", Warning: true},
		Problem{File: "b.yaml", Kind: "Service", Field: "spec.ports[0]", Message: "wrong"},
		Problem{File: "c.yaml", Kind: "Service", Field: "spec.ports[1]", Message: "wrong"},
	)
	var got []string
	for _, f := range FoldProblems(problems) {
		got = append(got, f.String())
	}
	want := []string{
		`a.yaml, document 1: Pod "shop/p0": spec.containers[0].ports[0]: wrong (and 999 more: ` +
			`a.yaml, document 2: Pod "shop/p1": spec.containers[1].ports[0]; a.yaml, document 3: Pod "shop/p2": spec.containers[2].ports[0]; ...)`,
		"b.yaml: warning: Pod: spec.containers[0].ports[0]: wrong",
		"b.yaml: Service: spec.ports[0]: wrong (and 1 more: c.yaml: Service: spec.ports[1])",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
