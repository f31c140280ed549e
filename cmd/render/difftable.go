package render

import (
	"bufio"
	"fmt"
	"io"
)

// DiffTable writes a difference for people: a line for each row, then what differs beside them, and at last
// how many connections are opened and closed. wide adds the rules before and after.
func DiffTable(out io.Writer, d *Diff, wide bool) error {
	w := bufio.NewWriter(out)
	columns := []column[*Row]{
		{"CHANGE", func(r *Row) string { return r.Change.Word() }},
		{"SOURCE", func(r *Row) string { return r.Src.Words }},
		{"DESTINATION", func(r *Row) string { return r.Dst.Words }},
		{"PORTS", func(r *Row) string { return r.Ports }},
		{"FAMILIES", func(r *Row) string { return r.Families }},
		{"PODS", (*Row).Pods},
	}
	if wide {
		columns = append(columns,
			column[*Row]{"EGRESS BEFORE", func(r *Row) string { return r.Change.Before.Egress }},
			column[*Row]{"INGRESS BEFORE", func(r *Row) string { return r.Change.Before.Ingress }},
			column[*Row]{"EGRESS AFTER", func(r *Row) string { return r.Change.After.Egress }},
			column[*Row]{"INGRESS AFTER", func(r *Row) string { return r.Change.After.Ingress }})
	}
	if rows := writeColumns(w, columns, d.Rows()); rows > 0 {
		fmt.Fprintln(w)
	}
	for _, l := range d.names() {
		fmt.Fprintf(w, "%s: %s\n", l.title, firstWords(l.names, len(l.names)))
	}
	if d.list.header.GetStale() {
		fmt.Fprintln(w, staleText)
	}
	if text := d.truncatedText(); text != "" {
		fmt.Fprintln(w, text)
	}
	fmt.Fprintln(w, d.Verdict())
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}
