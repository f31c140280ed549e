package render_test

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode"

	"github.com/netpold/netpold/cmd/render"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// hostileNames are names that could do something where they are printed.
var hostileNames = []string{
	"\x1b[31mred\x1b[0m", "<script>alert(1)</script>", "a|b\n| c | d |", "**bold** [link](http://x) `code`", "@everyone",
	strings.Repeat("n", 253), "\u202egnp.yaml", "\u200fmark\u200b", "a\tb\rc", "&amp;", "<!-- x -->", "\x9bCSI",
}

// hostileLint is a lint of which every text is a name.
func hostileLint(name string) *render.Lint {
	index := uint32(1)
	return &render.Lint{
		Header: &netpoldv1.AuditHeader{},
		Findings: []*netpoldv1.Finding{
			{
				Code: "peer-matches-nothing", Severity: netpoldv1.Severity_SEVERITY_WARNING,
				Policy:    &netpoldv1.PolicyRef{Kind: "NetworkPolicy", Namespace: name, Name: name, File: name, Line: 3},
				Direction: netpoldv1.Direction_DIRECTION_INGRESS, RuleIndex: &index, PeerIndex: &index,
				Message: "has " + name, Remedy: "Mend " + name, Fingerprint: "0123456789abcdef",
			},
			{
				Code: "not-isolated", Severity: netpoldv1.Severity_SEVERITY_INFO, Suppressed: true,
				Direction: netpoldv1.Direction_DIRECTION_EGRESS, Pods: []string{name}, Message: name, Remedy: name,
				Workload: &netpoldv1.WorkloadRef{Kind: "Deployment", Namespace: name, Name: name},
			},
		},
		Summary: &netpoldv1.LintSummary{Warnings: 1, Suppressed: 1},
	}
}

// lintForms are the forms of a lint beside JSON.
var lintForms = map[string]func(io.Writer, *render.Lint) error{
	"table": render.LintTable, "markdown": render.LintMarkdown,
	"sarif": func(w io.Writer, l *render.Lint) error { return render.SARIF(w, l, "v1") },
}

// TestLintHostileNames: whatever a name is, no form has control characters or marks of direction in it, a table
// and Markdown keep their lines, and Markdown has no markup of the name's.
func TestLintHostileNames(t *testing.T) {
	t.Parallel()
	for form, write := range lintForms {
		plain := text(t, func(w *strings.Builder) error { return write(w, hostileLint("plain")) })
		for _, name := range hostileNames {
			got := text(t, func(w *strings.Builder) error { return write(w, hostileLint(name)) })
			for _, r := range got {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Errorf("%s of %q has %U in it:\n%s", form, name, r, got)
				}
			}
			if lines, want := strings.Count(got, "\n"), strings.Count(plain, "\n"); lines != want {
				t.Errorf("%s of %q has %d lines, want %d:\n%s", form, name, lines, want, got)
			}
			if form != "markdown" {
				continue
			}
			unescaped := strings.NewReplacer(`\\`, "", `\|`, "", "\\`", "", `\*`, "", `\[`, "").Replace(got)
			if strings.ContainsAny(unescaped, "<>@`[") || strings.Count(unescaped, "|") != strings.Count(plain, "|") ||
				strings.Count(unescaped, "*") != strings.Count(plain, "*") {
				t.Errorf("Markdown of %q has markup:\n%s", name, got)
			}
		}
	}
}

// A JSON line is one line, whatever is in it, and says the very name.
func TestLintHostileNamesInJSON(t *testing.T) {
	t.Parallel()
	for _, name := range hostileNames {
		if !strings.Contains(name, "\x9b") { // no UTF-8: the wire has none either
			m := &netpoldv1.LintResponse{Item: &netpoldv1.LintResponse_Finding{Finding: hostileLint(name).Findings[0]}}
			got := text(t, func(w *strings.Builder) error { return render.JSONLine(w, m) })
			var read struct {
				Finding struct{ Policy struct{ Name string } }
			}
			if err := json.Unmarshal([]byte(got), &read); err != nil || strings.Count(got, "\n") != 1 ||
				read.Finding.Policy.Name != name || strings.ContainsRune(got, '\x1b') {
				t.Errorf("%q is written as %s: %v", name, got, err)
			}
		}
	}
}

// TestSARIF: each finding has what code hosts ask for, and its rule.
func TestSARIF(t *testing.T) {
	t.Parallel()
	l := hostileLint("shop/a b.yaml")
	l.Findings = append(l.Findings, &netpoldv1.Finding{
		Code: "of-tomorrow", Severity: netpoldv1.Severity_SEVERITY_ERROR,
		Policy: &netpoldv1.PolicyRef{Kind: "ClusterNetworkPolicy", Name: "x"}, Fingerprint: "f",
	})
	got := text(t, func(w *strings.Builder) error { return render.SARIF(w, l, "v1") })
	var log struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Level     string
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine int }
					}
					LogicalLocations []struct{ FullyQualifiedName string }
				}
				PartialFingerprints map[string]string
				Suppressions        []struct{ Kind string }
			}
		}
	}
	if err := json.Unmarshal([]byte(got), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	first, second, third := run.Results[0], run.Results[1], run.Results[2]
	at := first.Locations[0].PhysicalLocation
	switch {
	case log.Version != "2.1.0" || len(log.Runs) != 1 || len(run.Results) != 3:
		t.Errorf("version %s, %d runs", log.Version, len(log.Runs))
	case run.Tool.Driver.Rules[first.RuleIndex].ID != "peer-matches-nothing" || first.RuleID != "peer-matches-nothing":
		t.Errorf("the rule of the first is %d", first.RuleIndex)
	case first.Level != "warning" || second.Level != "note" || third.Level != "error":
		t.Errorf("levels are %s, %s, %s", first.Level, second.Level, third.Level)
	case at.ArtifactLocation.URI != "shop/a%20b.yaml" || at.Region.StartLine != 3:
		t.Errorf("the first is at %+v", at)
	case second.Locations[0].LogicalLocations[0].FullyQualifiedName != "Deployment/shop/a b.yaml/shop/a b.yaml":
		t.Errorf("the second is at %+v", second.Locations)
	case third.Locations[0].LogicalLocations[0].FullyQualifiedName != "ClusterNetworkPolicy/x" || third.RuleIndex != -1:
		t.Errorf("the third is at %+v", third.Locations)
	case first.PartialFingerprints["netpold/v1"] != "0123456789abcdef":
		t.Errorf("fingerprints are %v", first.PartialFingerprints)
	case len(first.Suppressions) != 0 || len(second.Suppressions) != 1 || second.Suppressions[0].Kind != "inSource":
		t.Errorf("suppressions are %v, %v", first.Suppressions, second.Suppressions)
	}
}

// TestSARIFFilesAreRelative: a file is relative to the path of --manifests that it was read from.
func TestSARIFFilesAreRelative(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ source, file, uri, base, baseURI string }{
		{"manifests deploy", "deploy/a/x.yaml", "a/x.yaml", "MANIFESTS", "deploy/"},
		{"manifests ./deploy/", "deploy/x.yaml", "x.yaml", "MANIFESTS", "deploy/"},
		{"manifests .", "a b/x.yaml", "a%20b/x.yaml", "MANIFESTS", "./"},
		{"manifests /srv/deploy", "/srv/deploy/x.yaml", "x.yaml", "MANIFESTS", "file:///srv/deploy/"},
		{"manifests deploy/x.yaml", "deploy/x.yaml", "x.yaml", "MANIFESTS", "deploy/"},
		{"manifests one, two", "two/x.yaml", "x.yaml", "MANIFESTS2", "two/"},
		{"manifests one, one/two", "one/two/x.yaml", "x.yaml", "MANIFESTS2", "one/two/"},
		{"manifests one", "other/x.yaml", "other/x.yaml", "", ""},
		{"manifests -", "-", "-", "", ""},
		{"https://10.0.0.1", "x.yaml", "x.yaml", "", ""},
	} {
		l := &render.Lint{
			Header: &netpoldv1.AuditHeader{Source: c.source},
			Findings: []*netpoldv1.Finding{{
				Code: "allows-all", Policy: &netpoldv1.PolicyRef{Kind: "NetworkPolicy", Name: "x", File: c.file},
			}},
			Summary: &netpoldv1.LintSummary{},
		}
		var log struct {
			Runs []struct {
				OriginalURIBaseIDs map[string]struct{ URI string } `json:"originalUriBaseIds"`
				Results            []struct {
					Locations []struct {
						PhysicalLocation struct {
							ArtifactLocation struct{ URI, URIBaseID string }
						}
					}
				}
			}
		}
		got := text(t, func(w *strings.Builder) error { return render.SARIF(w, l, "v1") })
		if err := json.Unmarshal([]byte(got), &log); err != nil {
			t.Fatal(err)
		}
		at := log.Runs[0].Results[0].Locations[0].PhysicalLocation.ArtifactLocation
		if at.URI != c.uri || at.URIBaseID != c.base || log.Runs[0].OriginalURIBaseIDs[c.base].URI != c.baseURI {
			t.Errorf("%+v: %+v of %v", c, at, log.Runs[0].OriginalURIBaseIDs)
		}
	}
}
