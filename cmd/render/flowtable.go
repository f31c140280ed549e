package render

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A flowColumn is a column of a table of flows. Rows are printed as they come, so its width is fixed; a longer
// cell moves those behind it.
type flowColumn struct {
	title string
	width int
}

var flowColumns = []flowColumn{
	{"TIME", 20}, {"SOURCE", 30}, {"DESTINATION", 30}, {"PORT", 8}, {"OBSERVED", 17}, {"VERDICT", 7},
	{"RESULT", 14}, {"BY", 0},
}

// FlowTitles returns the first line of a table of flows.
func FlowTitles() string {
	titles := make([]string, len(flowColumns))
	for i, c := range flowColumns {
		titles[i] = c.title
	}
	return flowRow(titles)
}

// FlowRow returns a record as a line of a table.
func FlowRow(f *FlowLine) string {
	cells := []string{
		flowTime(f.GetTime()), dash(Clean(f.SrcName)), dash(Clean(f.DstName)), flowPort(f.GetPort(), f.GetProtocol()),
		flowObserved(f.Flow), flowVerdict(f.Flow), flowResult(f.Flow), FlowPolicies(f.Flow),
	}
	if text := f.GetError().GetMessage(); text != "" {
		cells[len(cells)-1] = fmt.Sprintf("%s:%d: %s", Clean(f.GetFile()), f.GetLine(), Clean(text))
	}
	if len(f.Moved) > 0 {
		cells[len(cells)-1] = "the record has " + Clean(strings.Join(f.Moved, " and "))
	}
	return flowRow(cells)
}

func flowRow(cells []string) string {
	var b strings.Builder
	for i, cell := range cells {
		b.WriteString(cell)
		if more := flowColumns[i].width - utf8.RuneCountInString(cell); more > 0 {
			b.WriteString(strings.Repeat(" ", more))
		}
		b.WriteString("  ")
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func flowTime(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

func flowPort(port uint32, protocol netpoldv1.Protocol) string {
	if port == 0 {
		return "-"
	}
	return strconv.FormatUint(uint64(port), 10) + "/" + Protocol(protocol)
}

func flowObserved(f *netpoldv1.Flow) string {
	text := dash(f.GetObserved())
	switch f.GetDirection() {
	case netpoldv1.Direction_DIRECTION_EGRESS:
		text += " (egress)"
	case netpoldv1.Direction_DIRECTION_INGRESS:
		text += " (ingress)"
	case netpoldv1.Direction_DIRECTION_UNSPECIFIED:
	}
	return text
}

func flowVerdict(f *netpoldv1.Flow) string {
	switch {
	case f.GetReason() == netpoldv1.Reason_REASON_UNSPECIFIED:
		return "-"
	case f.GetAllowed():
		return "allowed"
	}
	return "denied"
}

func flowResult(f *netpoldv1.Flow) string {
	if f.GetWhy() != "" {
		return f.GetWhy()
	}
	return strings.ToLower(f.GetCompared())
}

// flowNames is how many policies a row names.
const flowNames = 3

// FlowPolicies names the policies that decided a record whose sides are set, and what the record names
// itself.
func FlowPolicies(f *netpoldv1.Flow) string {
	var parts []string
	for _, side := range []struct {
		word string
		of   *netpoldv1.Side
	}{{"egress", f.GetEgress()}, {"ingress", f.GetIngress()}} {
		if side.of == nil || side.of.GetAllowed() != f.GetAllowed() {
			continue
		}
		if names := sidePolicies(side.of); names != "" {
			parts = append(parts, side.word+": "+names)
		}
	}
	for _, said := range []struct {
		word string
		by   []string
	}{{"record: allowed by", f.GetObservedAllowedBy()}, {"record: denied by", f.GetObservedDeniedBy()}} {
		if len(said.by) > 0 {
			parts = append(parts, said.word+" "+someNames(said.by, len(said.by)))
		}
	}
	return strings.Join(parts, "; ")
}

// sidePolicies names the policy that decided a side, or those that isolate it; "" if none did.
func sidePolicies(s *netpoldv1.Side) string {
	switch {
	case s.GetPolicy() != "" && s.GetKind() != "NetworkPolicy":
		return Clean(s.GetKind() + " " + s.GetPolicy())
	case s.GetPolicy() != "":
		return Clean(s.GetPolicy())
	}
	return someNames(s.GetIsolatedBy(), int(s.GetIsolatedByTotal()))
}

// someNames returns the first names, and how many more there are.
func someNames(names []string, total int) string {
	text := Clean(strings.Join(names[:min(len(names), flowNames)], ", "))
	if more := total - flowNames; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// flowPairs is how many pairs a table has.
const flowPairs = 20

// FlowSummary writes a summary for people.
func FlowSummary(out io.Writer, s *netpoldv1.FlowSummary) error {
	var b strings.Builder
	writeFlowPairs(&b, s)
	writeFlowPolicies(&b, s)
	fmt.Fprintf(&b, "%s: %d asked, of which the policies allow %d and deny %d\n", counted(s.GetRecords(), "record"),
		s.GetAsked(), s.GetAllowed(), s.GetDenied())
	fmt.Fprintf(&b, "compared with what the network did: %d agree, %d disagree, %d not compared\n", s.GetAgrees(),
		s.GetDisagrees(), s.GetNotCompared())
	if why := flowReasons(s.GetByWhy()); why != "" {
		fmt.Fprintf(&b, "not asked or not compared: %s\n", why)
	}
	writeFlowTimes(&b, s)
	if _, err := io.WriteString(out, b.String()); err != nil {
		return writing("the summary", err)
	}
	return nil
}

func writing(what string, err error) error { return fmt.Errorf("writing %s: %w", what, err) }

func writeFlowPairs(b *strings.Builder, s *netpoldv1.FlowSummary) {
	pairs := s.GetPairs()
	if len(pairs) == 0 {
		return
	}
	rows := [][]string{{"SOURCE", "DESTINATION", "PORT", "RECORDS", "ALLOWED", "DENIED", "DISAGREE", "LAST"}}
	for _, p := range pairs[:min(len(pairs), flowPairs)] {
		rows = append(rows, []string{
			Clean(p.GetSrc()), Clean(p.GetDst()), flowPort(p.GetPort(), p.GetProtocol()), digits(p.GetRecords()),
			digits(p.GetAllowed()), digits(p.GetDenied()), digits(p.GetDisagrees()), flowTime(p.GetLast()),
		})
	}
	writeAligned(b, rows)
	total := fmt.Sprintf("of %d", s.GetPairsTotal())
	if s.GetPairsInexact() {
		total = "of too many to count; counts are the least that they can be"
	}
	if shown := min(len(pairs), flowPairs); s.GetPairsInexact() || uint64(shown) < s.GetPairsTotal() {
		fmt.Fprintf(b, "(%d pairs %s; -o json has up to 1,000)\n", shown, total)
	}
	b.WriteByte('\n')
}

func writeFlowPolicies(b *strings.Builder, s *netpoldv1.FlowSummary) {
	policies := slices.Clone(s.GetByPolicy())
	if len(policies) == 0 {
		return
	}
	slices.SortStableFunc(policies, func(x, y *netpoldv1.FlowPolicy) int {
		if d := compareCounts(y.GetDisagrees(), x.GetDisagrees()); d != 0 {
			return d
		}
		return compareCounts(y.GetDenied(), x.GetDenied())
	})
	rows := [][]string{{"POLICY", "ALLOWED", "DENIED", "DISAGREE"}}
	for _, p := range policies[:min(len(policies), flowPairs)] {
		name := p.GetNamespace() + "/" + p.GetName()
		if p.GetNamespace() == "" {
			name = p.GetKind() + " " + p.GetName()
		}
		rows = append(rows, []string{Clean(name), digits(p.GetAllowed()), digits(p.GetDenied()), digits(p.GetDisagrees())})
	}
	writeAligned(b, rows)
	if more := len(policies) - flowPairs; more > 0 {
		fmt.Fprintf(b, "(%d more)\n", more)
	}
	b.WriteByte('\n')
}

func compareCounts(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func digits(n uint64) string { return strconv.FormatUint(n, 10) }

// writeAligned writes rows as aligned columns.
func writeAligned(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// flowReasons returns the reasons with their counts, in the order in which they are tried (F2, F3).
func flowReasons(byWhy map[string]uint64) string {
	var parts []string
	for _, why := range []string{
		"malformed", "not-a-flow", "out-of-time", "not-l4", "reply", "unresolved", "no-verdict", "moved", "pod-younger",
		"policy-younger",
	} {
		if n := byWhy[why]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", why, n))
		}
	}
	return strings.Join(parts, ", ")
}

// writeFlowTimes says of which time the flows are, and of which time the policies (F5).
func writeFlowTimes(b *strings.Builder, s *netpoldv1.FlowSummary) {
	if s.GetFirst() != nil {
		fmt.Fprintf(b, "flows from %s to %s\n", flowTime(s.GetFirst()), flowTime(s.GetLast()))
	}
	text := "policies are those of the snapshot"
	if s.GetSnapshotTime() != nil {
		text += " of " + flowTime(s.GetSnapshotTime())
	}
	text += ", whatever the flows' time"
	if s.GetOlder() > 0 {
		text += fmt.Sprintf(": %d older than the newest policy, which is of %s", s.GetOlder(),
			flowTime(s.GetNewestPolicyCreated()))
	}
	b.WriteString(text + "\n")
	if n := s.GetLostEvents(); n > 0 {
		fmt.Fprintf(b, "incomplete: Hubble lost %s\n", counted(n, "event"))
	}
	for _, input := range s.GetInputErrors() {
		fmt.Fprintf(b, "incomplete: %s\n", Clean(input))
	}
}
