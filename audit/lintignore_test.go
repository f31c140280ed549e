package audit_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
)

// lintOf returns the findings that a request asks for, and their summary.
func lintOf(t *testing.T, s *engine.Snapshot, r *audit.LintRequest) ([]*audit.Finding, audit.LintSummary) {
	t.Helper()
	var list []*audit.Finding
	summary, err := audit.Lint(nil, s, r, nil, func(f *audit.Finding) bool {
		list = append(list, f)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return list, summary
}

// N2: a finding is suppressed exactly when the annotation of its policy or of its Namespace has its code or *.
// The others are sent, and all are counted.
func TestN2Suppressed(t *testing.T) {
	t.Parallel()
	total := 0
	for seed := range uint64(200) {
		objects, options := random(seed)
		annotations := map[engine.ObjectKey]string{}
		for _, o := range objects {
			switch o := o.(type) {
			case *engine.Policy:
				annotations[engine.KeyOf(o)] = o.LintIgnore
			case *engine.ClusterPolicy:
				annotations[engine.KeyOf(o)] = o.LintIgnore
			case *engine.Namespace:
				annotations[engine.KeyOf(o)] = o.LintIgnore
			}
		}
		s := snapshotOf(objects, options)
		all, counted := lintOf(t, s, &audit.LintRequest{Suppressed: true})
		sent, again := lintOf(t, s, &audit.LintRequest{})
		want, rest := audit.LintSummary{ByCode: map[audit.Code]int{}}, 0
		for _, f := range all {
			namespace := engine.ObjectKey{Kind: engine.KindNamespace, Name: f.Policy.Namespace + f.WorkloadNamespace}
			words := strings.FieldsFunc(annotations[f.Policy]+","+annotations[namespace], func(r rune) bool {
				return r == ',' || r == ' '
			})
			suppressed := slices.Contains(words, "*") || slices.Contains(words, string(f.Code))
			if f.Suppressed != suppressed {
				t.Fatalf("seed %d: %s is suppressed: %t, want %t", seed, foundText(f), f.Suppressed, suppressed)
			}
			if suppressed {
				want.Suppressed++
				total++
				continue
			}
			if rest >= len(sent) || foundText(sent[rest]) != foundText(f) {
				t.Fatalf("seed %d: %s is not sent in its place", seed, foundText(f))
			}
			rest++
			want.ByCode[f.Code]++
			switch f.Severity {
			case audit.SeverityError:
				want.Errors++
			case audit.SeverityWarning:
				want.Warnings++
			case audit.SeverityInfo:
				want.Infos++
			}
		}
		for _, got := range []audit.LintSummary{counted, again} {
			if got.Errors != want.Errors || got.Warnings != want.Warnings || got.Infos != want.Infos ||
				got.Suppressed != want.Suppressed || !maps.Equal(got.ByCode, want.ByCode) {
				t.Errorf("seed %d: the summary is %+v, want %+v", seed, got, want)
			}
		}
		if rest != len(sent) {
			t.Errorf("seed %d: %d findings are sent, want %d", seed, len(sent), rest)
		}
	}
	if total == 0 {
		t.Error("nothing was suppressed")
	}
}

// N2: what an annotation may be, on a policy and on a Namespace.
func TestN2Annotations(t *testing.T) {
	t.Parallel()
	for annotation, want := range map[string]bool{
		"":                              false,
		"*":                             true,
		"selects-nothing":               true,
		" allows-all ,selects-nothing,": true,
		"no-such-code, selects-nothing": true,
		"no-such-code":                  false,
		"selects":                       false,
		"selects-nothing allows-all":    false, // codes are parted by commas
		"Selects-Nothing":               false,
		"allows-all, *":                 true,
	} {
		for _, on := range []string{"policy", "namespace"} {
			policy := &engine.Policy{Namespace: "a", Name: "web", IsolatesIngress: true}
			namespace := &engine.Namespace{Name: "a"}
			if on == "policy" {
				policy.LintIgnore = annotation
			} else {
				namespace.LintIgnore = annotation
			}
			s := snapshotOf([]engine.Object{policy, namespace}, engine.Options{})
			all, _ := lintOf(t, s, &audit.LintRequest{Suppressed: true, Codes: []audit.Code{audit.SelectsNothing}})
			if len(all) != 1 || all[0].Code != audit.SelectsNothing || all[0].Suppressed != want {
				t.Errorf("%q on the %s: %+v", annotation, on, all)
			}
		}
	}
}
