package render

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
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
		fmt.Fprintf(w, "%s: %s\n", l.title, firstNames(l.names))
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

// firstNames returns the first names of a list, with a count of the others.
func firstNames(names []string) string {
	shown := make([]string, 0, maxNamed)
	for _, name := range names[:min(len(names), maxNamed)] {
		shown = append(shown, Clean(name))
	}
	text := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// DiffCSV writes the rows of a difference as [CSV] does, with what differs in a first column.
func DiffCSV(out io.Writer, d *Diff) error {
	w := csv.NewWriter(out)
	err := w.Write(append([]string{"change"}, csvColumns...))
	for r := range d.Rows() {
		if err != nil {
			break
		}
		err = w.Write(append([]string{r.Change.Word()}, csvFields(r)...))
	}
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	if err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}
	return nil
}
