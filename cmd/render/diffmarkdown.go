package render

import (
	"fmt"
	"io"
	"iter"
	"strings"
)

const (
	// sectionShare is what the sections of a comment that are still to come may count on, each, in bytes.
	sectionShare = 6_000
	// sectionFrame is more than a section needs beside its lines.
	sectionFrame = 400
)

// DiffMarkdown writes a difference as a comment of a pull request: the verdict first, and the rest folded. It
// has at most 60,000 characters, and says what it left out.
func DiffMarkdown(out io.Writer, d *Diff) error {
	sections := d.markdownSections()
	var body strings.Builder
	left := 0
	budget := maxMarkdown - 2*sectionFrame
	for i, s := range sections {
		text, without := s.write(budget - body.Len() - sectionShare*(len(sections)-i-1))
		body.WriteString(text)
		left += without
	}
	var head strings.Builder
	fmt.Fprintf(&head, "**%s**\n", markdown(d.Verdict()))
	for _, line := range []string{d.truncatedText(), d.staleLine()} {
		if line != "" {
			fmt.Fprintf(&head, "\n%s\n", markdown(line))
		}
	}
	if left > 0 {
		fmt.Fprintf(&head, "\n%s left out, so that this comment can be sent: `-o html` and `-o json` have them all.\n",
			areLines(left))
	}
	if _, err := io.WriteString(out, head.String()+body.String()); err != nil {
		return fmt.Errorf("writing Markdown: %w", err)
	}
	return nil
}

func areLines(n int) string {
	if n == 1 {
		return "1 line is"
	}
	return fmt.Sprintf("%d lines are", n)
}

func (d *Diff) staleLine() string {
	if d.list.header.GetStale() {
		return staleText
	}
	return ""
}

// A section is a part of a comment that is folded.
type section struct {
	// title is ours: it is not escaped.
	title string
	head  string
	// count is how many lines there are, and lines yields them until it is told to stop.
	count int
	lines func(yield func(string) bool)
}

// markdownSections returns what there is to say beside the verdict, the most important first.
func (d *Diff) markdownSections() []section {
	columns := markdownColumns()
	counts, used := map[string]int{}, map[string][]bool{}
	for r := range d.foldedRows() {
		word := r.Change.Word()
		if counts[word]++; used[word] == nil {
			used[word] = make([]bool, len(columns))
		}
		for i, c := range columns {
			used[word][i] = used[word][i] || c.cell(r) != ""
		}
	}
	var sections []section
	for _, word := range []string{"opened", "closed", "changed"} {
		if counts[word] == 0 {
			continue
		}
		var titles []string
		var shown []column[*Row]
		for i, c := range columns {
			if used[word][i] {
				titles, shown = append(titles, c.title), append(shown, c)
			}
		}
		sections = append(sections, section{
			title: fmt.Sprintf("%s: %s", strings.ToUpper(word[:1])+word[1:], counted(uint64(counts[word]), "line")),
			head:  "| " + strings.Join(titles, " | ") + " |\n" + strings.Repeat("|---", len(titles)) + "|\n",
			count: counts[word],
			lines: func(yield func(string) bool) {
				for r := range d.foldedRows() {
					if r.Change.Word() == word && !yield(markdownRow(r, shown)) {
						return
					}
				}
			},
		})
	}
	for _, l := range d.names() {
		sections = append(sections, section{
			title: fmt.Sprintf("%s: %d", strings.ToUpper(l.title[:1])+l.title[1:], len(l.names)), count: len(l.names),
			lines: func(yield func(string) bool) {
				for _, name := range l.names {
					if !yield("- " + markdown(name) + "\n") {
						return
					}
				}
			},
		})
	}
	return sections
}

// maxCIDRs is how many CIDRs a line of a comment has.
const maxCIDRs = 6

// foldedRows yields the rows of pairs, and then those with CIDRs: one for all that differ in nothing else.
func (d *Diff) foldedRows() iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		outside := newOutsideRows()
		for r := range d.Rows() {
			if r.Src.unit == nil || r.Dst.unit == nil {
				outside.add(r)
			} else if !yield(r) {
				return
			}
		}
		for _, o := range outside.list {
			row, there := *o.row, End{Words: strings.Join(o.cidrs[:min(len(o.cidrs), maxCIDRs)], ", ")}
			if more := len(o.cidrs) - maxCIDRs; more > 0 {
				there.Words += fmt.Sprintf(" and %d more", more)
			}
			if row.Src.unit == nil {
				row.Src = there
			} else {
				row.Dst = there
			}
			if !yield(&row) {
				return
			}
		}
	}
}

// markdownColumns returns the columns of a section. Those of which all cells are empty are left out.
func markdownColumns() []column[*Row] {
	return []column[*Row]{
		{"source", func(r *Row) string { return r.Src.Words }},
		{"destination", func(r *Row) string { return r.Dst.Words }},
		{"ports", func(r *Row) string { return r.Ports }},
		{"families", func(r *Row) string { return r.Families }},
		{"Pods", (*Row).Pods},
		{"before", func(r *Row) string { return r.Change.Before.text() }},
		{"after", func(r *Row) string { return r.Change.After.text() }},
	}
}

// markdownRow returns a row as a line of a table.
func markdownRow(r *Row, columns []column[*Row]) string {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = markdown(c.cell(r))
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// text returns the rules of both sides; "" for none.
func (r *RowRules) text() string {
	var parts []string
	if r.Egress != "" {
		parts = append(parts, "egress "+r.Egress)
	}
	if r.Ingress != "" {
		parts = append(parts, "ingress "+r.Ingress)
	}
	return strings.Join(parts, "; ")
}

// write returns the section in at most limit bytes, and how many of its lines it leaves out.
func (s *section) write(limit int) (text string, without int) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n<details><summary>%s</summary>\n\n%s", s.title, s.head)
	written := 0
	for line := range s.lines {
		if b.Len()+len(line) > limit-sectionFrame {
			break
		}
		b.WriteString(line)
		written++
	}
	without = s.count - written
	if without > 0 {
		fmt.Fprintf(&b, "\n%s left out.\n", areLines(without))
	}
	b.WriteString("\n</details>\n")
	return b.String(), without
}
