package render

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Table writes a list for people: a line for each row, then what the rows do not say. wide adds the rules that
// allow. Columns of which all cells are empty are left out.
func Table(out io.Writer, l *List, wide bool) error {
	w := bufio.NewWriter(out)
	columns := []column[*Row]{
		{"SOURCE", func(r *Row) string { return r.Src.Words }},
		{"DESTINATION", func(r *Row) string { return r.Dst.Words }},
		{"PORTS", func(r *Row) string { return r.Ports }},
		{"FAMILIES", func(r *Row) string { return r.Families }},
		{"PODS", (*Row).Pods},
	}
	if wide {
		columns = append(columns,
			column[*Row]{"EGRESS BY", func(r *Row) string { return r.EgressBy }},
			column[*Row]{"INGRESS BY", func(r *Row) string { return r.IngressBy }})
	}
	if rows := writeColumns(w, columns, l.Rows()); rows > 0 {
		fmt.Fprintln(w)
	}
	writeExposures(w, l)
	for _, line := range l.summaryLines() {
		fmt.Fprintln(w, line)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

// A column is a title, and the text of its cell for an item.
type column[T any] struct {
	title string
	cell  func(T) string
}

// writeColumns writes items as aligned columns, and returns how many there are. It goes through them twice,
// the first time for the widths: items may be many, so they are not kept.
func writeColumns[T any](w *bufio.Writer, columns []column[T], items iter.Seq[T]) int {
	widths := make([]int, len(columns))
	count := 0
	for item := range items {
		count++
		for i, c := range columns {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.cell(item)))
		}
	}
	if count == 0 {
		return 0
	}
	line := func(cell func(i int) string) {
		var b strings.Builder
		for i := range columns {
			if widths[i] > 0 {
				text := cell(i)
				b.WriteString(text + strings.Repeat(" ", max(widths[i], len(columns[i].title))-utf8.RuneCountInString(text)+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	line(func(i int) string { return columns[i].title })
	for item := range items {
		line(func(i int) string { return columns[i].cell(item) })
	}
	return count
}

// writeExposures writes what Pods that need not exist could do, if the list has that.
func writeExposures(w *bufio.Writer, l *List) {
	type exposure = *netpoldv1.Exposure
	items := func(yield func(exposure) bool) {
		for _, e := range l.exposures {
			if !yield(e) {
				return
			}
		}
	}
	all := func(selector string) string {
		if selector == "" {
			return "any"
		}
		return Clean(selector)
	}
	rows := writeColumns(w, []column[exposure]{
		{"EXPOSED", func(e exposure) string {
			u := l.units.ofGroup[e.GetGroup()-1]
			end := u.end([]*netpoldv1.Group{l.groups[e.GetGroup()-1]})
			if end.Pods < end.Total {
				return end.Words + " (" + end.PodsText() + ")"
			}
			return end.Words
		}},
		{"DIRECTION", func(e exposure) string {
			if e.GetDirection() == netpoldv1.Direction_DIRECTION_EGRESS {
				return "to"
			}
			return "from"
		}},
		{"NAMESPACES", func(e exposure) string { return all(e.GetNamespaces()) }},
		{"PODS", func(e exposure) string {
			text := all(e.GetPods())
			for _, x := range e.GetExcept() {
				text += " except " + all(x.GetPods()) + " in " + all(x.GetNamespaces())
			}
			return text
		}},
		{"PORTS", exposedPorts},
	}, items)
	if rows > 0 {
		fmt.Fprintln(w)
	}
}

// exposedPorts returns the ports of an exposure, named ones by name.
func exposedPorts(e *netpoldv1.Exposure) string {
	text := Ports(e.GetPorts())
	for _, named := range e.GetNamedPorts() {
		if text != "" {
			text += "; "
		}
		text += Protocol(named.GetProtocol()) + " " + Clean(named.GetName())
	}
	return text
}
