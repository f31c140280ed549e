package render

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// csvColumns are the columns of a list, in order.
var csvColumns = []string{
	"src_namespace", "src", "dst_namespace", "dst", "ports", "families", "src_pods", "dst_pods",
}

// CSV writes the rows of a list as RFC 4180 has it, but for its line ends, with a line of titles first.
// families is empty where a table has nothing; src_pods and dst_pods are where not all Pods of some end are
// meant.
func CSV(out io.Writer, l *List) error {
	w := csv.NewWriter(out)
	if err := w.Write(csvColumns); err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}
	for r := range l.Rows() {
		if err := w.Write(csvFields(r)); err != nil {
			return fmt.Errorf("writing CSV: %w", err)
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}
	return nil
}

// csvFields returns the fields of a row.
func csvFields(r *Row) []string {
	fields := []string{r.Src.Namespace, r.Src.Words, r.Dst.Namespace, r.Dst.Words, r.Ports, r.Families, "", ""}
	if r.Partial() {
		fields[6], fields[7] = r.Src.PodsText(), r.Dst.PodsText()
	}
	for i := range fields {
		fields[i] = noFormula(fields[i])
	}
	return fields
}

// noFormula puts an apostrophe before text that a spreadsheet would take for a formula. No name that
// Kubernetes accepts begins so.
func noFormula(text string) string {
	if text != "" && text != "-" && strings.ContainsAny(text[:1], "=+-@\t\r") {
		return "'" + text
	}
	return text
}
