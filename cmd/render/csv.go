package render

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"slices"
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
	return writeCSV(out, csvColumns, l.Rows(), csvFields)
}

// DiffCSV writes the rows of a difference as [CSV] does, with what differs in a first column.
func DiffCSV(out io.Writer, d *Diff) error {
	return writeCSV(out, slices.Concat([]string{"change"}, csvColumns), d.Rows(), func(r *Row) []string {
		return slices.Concat([]string{r.Change.Word()}, csvFields(r))
	})
}

// writeCSV writes titles, and the fields of each row.
func writeCSV(out io.Writer, titles []string, rows iter.Seq[*Row], fields func(*Row) []string) error {
	w := csv.NewWriter(out)
	err := w.Write(titles)
	for r := range rows {
		if err != nil {
			break
		}
		err = w.Write(fields(r))
	}
	w.Flush()
	if err = cmp.Or(err, w.Error()); err != nil {
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
