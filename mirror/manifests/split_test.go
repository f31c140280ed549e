package manifests

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	podA    = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}`
	policyP = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelector: {}}\n"
	policyJ = `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"p"},"spec":{"podSelector":{}}}`
)

// unmarked returns streams with content that no marker separates. If it were ignored, the cluster would look
// open.
func unmarked() map[string]struct{ text, want string } {
	return map[string]struct{ text, want string }{
		"JSON that is cut off":          {podA + "\n" + policyJ[:60], "2 is not JSON: unexpected EOF"},
		"JSON that is broken":           {podA + policyJ + `{"a":]`, "3 is not JSON"},
		"JSON in a list":                {podA + "[1,", "2 is not JSON"},
		"comment, then JSON":            {"# a\n" + podA + "\n" + policyJ, "1 line 3"},
		"marker, then JSON":             {"---\n" + podA + "\n" + policyJ, "1 line 3"},
		"JSON in a row between markers": {podA + "\n" + policyJ + "\n---\n# end", "1 line 2"},
		"JSON, then YAML":               {podA + "\n" + policyP, "1 line 2"},
		"JSON, then no YAML":            {podA + "\n]", "1 line 2"},
		"JSON, then a text":             {podA + " x", "1 line 1"},
		"flow mapping, then YAML": {"{apiVersion: v1, kind: Pod, metadata: {name: a}}\n" + policyP,
			"1 line 2"},
		"indented, then YAML": {"  apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n" + policyP,
			"1 line 4"},
		"indented in the second document": {"---\n" + podA + "\n---\n  apiVersion: v1\n  kind: ConfigMap\n" +
			policyP, "2 line 6"},
		"on the line of the marker": {"--- " + podA + "\n" + policyP, "1 line 2"},
		"byte order mark within":    {"apiVersion: v1\nkind: ConfigMap\n\ufeff---\n" + policyP, "1 is not YAML"},
	}
}

func TestNothingBehindADocumentIsDropped(t *testing.T) {
	for name, test := range unmarked() {
		t.Run(name, func(t *testing.T) {
			_, err := readText(t, test.text)
			invalid, ok := errors.AsType[*ProblemsError](err)
			if !ok || len(invalid.Problems) != 1 {
				t.Fatalf("error %v", err)
			}
			p := invalid.Problems[0]
			number, part, _ := strings.Cut(test.want, " ")
			if string(rune('0'+p.Document)) != number || !strings.Contains(p.Message, part) {
				t.Errorf("problem %v, want %s", p, test.want)
			}
			if strings.HasPrefix(part, "line") && !strings.Contains(p.Message, "separate documents with ---") {
				t.Errorf("no remedy in %v", p)
			}
		})
	}
}

// TestLineEnds proves that markers are found after every kind of line end of YAML.
func TestLineEnds(t *testing.T) {
	const text = "# a\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n---\n" + policyP + "...\n# end\n"
	for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r", "NEL": "\u0085",
		"LS": "\u2028", "PS": "\u2029"} {
		t.Run(name, func(t *testing.T) {
			got := mustRead(t, strings.ReplaceAll(text, "\n", end))
			if diff := cmp.Diff([]string{"networkpolicies default/p", "pods default/a"},
				names(got.Objects)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatStandsOnTheLineOfAnEndMarker(t *testing.T) {
	got := mustRead(t, podA+"\n... "+policyJ+"\n")
	if diff := cmp.Diff([]string{"networkpolicies default/p", "pods default/a"},
		names(got.Objects)); diff != "" {
		t.Error(diff)
	}
	if _, err := readText(t, "---\n%x: {}\n"+policyP); err == nil {
		t.Error("a line was dropped that is no directive behind a marker")
	}
}
