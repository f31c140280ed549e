package render

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// DOT writes a list as a graph for Graphviz, with a cluster for each namespace. Where several sources may open
// the same to several destinations, the lines meet in a point.
func DOT(out io.Writer, l *List) error { return writeDOT(out, newPicture(l)) }

// DiffDOT writes what differs as [DOT] does. Each edge says whether it is opened or closed, and has a colour for
// it.
func DiffDOT(out io.Writer, d *Diff) error {
	p := newPicture(d.list)
	p.verdict = d.Verdict()
	return writeDOT(out, p)
}

func writeDOT(out io.Writer, p *picture) error {
	w := bufio.NewWriter(out)
	fmt.Fprint(w, "digraph netpold {\n"+
		"  rankdir=LR\n"+
		"  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"Helvetica\", fontsize=11]\n"+
		"  edge [fontname=\"Helvetica\", fontsize=9, color=gray40]\n")
	if caption := p.caption(); caption != "" {
		fmt.Fprintf(w, "  label=%s\n  labelloc=b\n", dotText(caption))
	}
	p.writeNodes(w)
	for i, bundle := range p.bundles() {
		bundle.write(w, i)
	}
	fmt.Fprint(w, "}\n")
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing dot: %w", err)
	}
	return nil
}

// writeNodes writes the nodes, in a cluster for each namespace.
func (p *picture) writeNodes(w io.Writer) {
	var namespaces []string
	for _, n := range p.nodes {
		if n.namespace != "" && !slices.Contains(namespaces, n.namespace) {
			namespaces = append(namespaces, n.namespace)
		}
	}
	for i, namespace := range namespaces {
		fmt.Fprintf(w, "  subgraph cluster_%d {\n    label=%s\n    style=filled\n    fillcolor=gray95\n    color=gray70\n", i,
			dotText(namespace))
		for _, n := range p.nodes {
			if n.namespace == namespace {
				fmt.Fprint(w, "  ")
				n.write(w)
			}
		}
		fmt.Fprint(w, "  }\n")
	}
	for _, n := range p.nodes {
		if n.namespace == "" {
			n.write(w)
		}
	}
}

func (n *node) write(w io.Writer) {
	look := ""
	if n.outside {
		look = ", shape=ellipse, style=dashed"
	}
	fmt.Fprintf(w, "  n%d [label=%s, tooltip=%s%s]\n", n.index, dotText(shorten(n.words)), dotText(n.full), look)
}

// A bundle is edges with one text, from each of its sources to each of its destinations.
type bundle struct {
	text, change string
	from, to     []*node
}

// bundles returns the edges, those of sources with the same destinations together.
func (p *picture) bundles() []*bundle {
	// For each source: its destinations by text, in order of the nodes.
	var list []*bundle
	byKey := map[string]*bundle{}
	for _, from := range p.nodes {
		byText := map[string][]*node{}
		var texts []string
		for _, to := range p.nodes {
			e := p.edges[[2]*node{from, to}]
			if e == nil {
				continue
			}
			if byText[e.text()] == nil {
				texts = append(texts, e.text())
			}
			byText[e.text()] = append(byText[e.text()], to)
		}
		for _, text := range texts {
			key := text + "\x00"
			for _, to := range byText[text] {
				key += fmt.Sprintf("%d,", to.index)
			}
			b := byKey[key]
			if b == nil {
				b = &bundle{text: text, change: p.edges[[2]*node{from, byText[text][0]}].change, to: byText[text]}
				byKey[key] = b
				list = append(list, b)
			}
			b.from = append(b.from, from)
		}
	}
	return list
}

// meets reports whether the lines of b meet in a point: that takes fewer lines.
func (b *bundle) meets() bool { return len(b.from)*len(b.to) > len(b.from)+len(b.to)+1 }

func (b *bundle) write(w io.Writer, i int) {
	look, begin, end := b.look()
	if !b.meets() {
		for _, from := range b.from {
			for _, to := range b.to {
				fmt.Fprintf(w, "  n%d -> n%d [label=%s%s]\n", from.index, to.index, dotText(b.text), look)
			}
		}
		return
	}
	fmt.Fprintf(w, "  p%d [shape=point, width=0.08, xlabel=%s, tooltip=%s%s]\n", i, dotText(b.text), dotText(b.text),
		look)
	for _, from := range b.from {
		fmt.Fprintf(w, "  n%d -> p%d [dir=none%s]\n", from.index, i, begin)
	}
	for _, to := range b.to {
		fmt.Fprintf(w, "  p%d -> n%d%s\n", i, to.index, end)
	}
}

// look returns the attributes of the colour of b: for an edge with a text, for the beginning of an edge that
// meets others, and for its end. They are empty in a list.
func (b *bundle) look() (whole, begin, end string) {
	if b.change == "" {
		return "", "", ""
	}
	colour := changeColours[b.change]
	style := ""
	if b.change == "closed" { // seen without colours too
		style = ", style=dashed"
	}
	begin = fmt.Sprintf(", color=%s%s", dotText(colour), style)
	return fmt.Sprintf("%s, fontcolor=%s", begin, dotText(colour)), begin, " [" + strings.TrimPrefix(begin, ", ") + "]"
}

// dotText returns text as a quoted string of dot, in which backslashes begin escapes. Lines are centred.
func dotText(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}
