package render

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Lint is all messages of one lint.
type Lint struct {
	Header   *netpoldv1.AuditHeader
	Findings []*netpoldv1.Finding
	Summary  *netpoldv1.LintSummary
}

// SeverityWord returns a severity in one word: error, warning, info.
func SeverityWord(s netpoldv1.Severity) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "SEVERITY_"))
}

// FindingSubject says what a finding is about: the policy, the workload or the Pod.
func FindingSubject(f *netpoldv1.Finding) string {
	switch p := f.GetPolicy(); {
	case f.GetWorkload() != nil:
		return WorkloadWords(f.GetWorkload())
	case p.GetName() == "" && len(f.GetPods()) == 1:
		return p.GetNamespace() + "/" + f.GetPods()[0]
	case p.GetName() == "":
		return "ns/" + p.GetNamespace()
	case p.GetNamespace() == "":
		return p.GetKind() + " " + p.GetName()
	default:
		return p.GetNamespace() + "/" + p.GetName()
	}
}

// findingEntry says where in the policy a finding is: ingress[0].from[1]; empty for all of it.
func findingEntry(f *netpoldv1.Finding) string {
	direction := strings.ToLower(strings.TrimPrefix(f.GetDirection().String(), "DIRECTION_"))
	if f.GetDirection() == netpoldv1.Direction_DIRECTION_UNSPECIFIED {
		return ""
	}
	if f.RuleIndex == nil {
		return direction
	}
	at := fmt.Sprintf("%s[%d]", direction, f.GetRuleIndex())
	switch {
	case f.PeerIndex != nil && f.GetDirection() == netpoldv1.Direction_DIRECTION_EGRESS:
		at += fmt.Sprintf(".to[%d]", f.GetPeerIndex())
	case f.PeerIndex != nil:
		at += fmt.Sprintf(".from[%d]", f.GetPeerIndex())
	case f.PortIndex != nil:
		at += fmt.Sprintf(".ports[%d]", f.GetPortIndex())
	}
	return at
}

// LintTable writes findings as a table, what to do about each code, and how many there are.
func LintTable(out io.Writer, l *Lint) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	if len(l.Findings) > 0 {
		fmt.Fprintln(w, "SEVERITY\tCODE\tSUBJECT\tENTRY\tMESSAGE")
	}
	remedies := map[string]string{}
	for _, f := range l.Findings {
		remedies[f.GetCode()] = f.GetRemedy()
		severity := SeverityWord(f.GetSeverity())
		if f.GetSuppressed() {
			severity = "(" + severity + ")"
		}
		entry := findingEntry(f)
		if entry == "" {
			entry = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", severity, f.GetCode(), Clean(FindingSubject(f)), entry,
			Clean(f.GetMessage()))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	if len(remedies) > 0 {
		fmt.Fprintln(&b, "\nWHAT TO DO")
		for _, code := range slices.Sorted(mapKeys(remedies)) {
			fmt.Fprintf(&b, "  %s: %s\n", code, Clean(remedies[code]))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintln(&b, lintCounts(l.Summary))
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

// mapKeys yields the keys of a map.
func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// lintCounts says how many findings there are.
func lintCounts(s *netpoldv1.LintSummary) string {
	text := fmt.Sprintf("%s, %s, %s", counted(uint64(s.GetErrors()), "error"),
		counted(uint64(s.GetWarnings()), "warning"), counted(uint64(s.GetInfos()), "info"))
	if n := s.GetSuppressed(); n > 0 {
		text += fmt.Sprintf("; %d suppressed by annotations", n)
	}
	return text
}

// LintMarkdown writes findings as Markdown that begins with how many there are. It has at most 60,000
// characters, and says how many findings it left out.
func LintMarkdown(out io.Writer, l *Lint) error {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n", lintCounts(l.Summary))
	if len(l.Findings) > 0 {
		b.WriteString("\n| severity | code | subject | entry | message |\n|---|---|---|---|---|\n")
	}
	length := b.Len()
	for i, f := range l.Findings {
		row := fmt.Sprintf("| %s | %s | %s | %s | %s |\n", SeverityWord(f.GetSeverity()), f.GetCode(),
			markdown(FindingSubject(f)), markdown(findingEntry(f)), markdown(f.GetMessage()+". "+f.GetRemedy()))
		if length += len([]rune(row)); length > maxMarkdown-200 {
			fmt.Fprintf(&b, "\n%d more findings are left out.\n", len(l.Findings)-i)
			break
		}
		b.WriteString(row)
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("writing Markdown: %w", err)
	}
	return nil
}
