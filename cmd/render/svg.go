package render

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Sizes of a picture, in pixels.
const (
	cellWidth, cellHeight = 54, 22
	margin                = 16
	// charWidth is a little more than a letter of the labels is wide.
	charWidth = 6.7
	// maxLabel is how many letters of a label are shown; all are in its title.
	maxLabel = 44
	// headHeight is the height of what stands above the labels of the columns.
	headHeight = 84
	// leastWidth has room for the text above and below.
	leastWidth = 960
)

// SVG writes a list as a matrix: a line for each source, a column for each destination, and in each cell the
// ports. It has no script, no link and no style from elsewhere.
func SVG(out io.Writer, l *List) error { return writeSVG(out, newMatrix(l)) }

// DiffSVG writes what differs as [SVG] does, with the ports that are opened and closed.
func DiffSVG(out io.Writer, d *Diff) error {
	m := newMatrix(d.list)
	m.verdict = d.Verdict()
	return writeSVG(out, m)
}

func writeSVG(out io.Writer, m *matrix) error {
	w := bufio.NewWriter(out)
	m.write(w)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing SVG: %w", err)
	}
	return nil
}

// A matrix is a picture with its lines and columns.
type matrix struct {
	*picture
	rows, columns []*node
	left, top     int
}

func newMatrix(l *List) *matrix {
	m := &matrix{picture: newPicture(l)}
	opens, opened := map[*node]bool{}, map[*node]bool{}
	for pair := range m.edges {
		opens[pair[0]], opened[pair[1]] = true, true
	}
	// What was not asked for must not look denied: with a filter, only what has connections has a line.
	allRows, allColumns := everything(l.request.GetSrc()), everything(l.request.GetDst())
	if l.isDiff() { // and what does not change has none either
		allRows, allColumns = false, false
	}
	longestRow, longestColumn := 0, 0
	for _, n := range m.nodes {
		isUnit := n.index < m.total-m.leftOut
		if opens[n] || allRows && isUnit {
			m.rows = append(m.rows, n)
			longestRow = max(longestRow, utf8.RuneCountInString(shorten(n.words)))
		}
		if opened[n] || allColumns && isUnit {
			m.columns = append(m.columns, n)
			longestColumn = max(longestColumn, utf8.RuneCountInString(shorten(n.words)))
		}
	}
	m.left = margin + int(float64(longestRow)*charWidth) + 8
	m.top = headHeight + int(float64(longestColumn)*charWidth) + 8
	return m
}

// everything reports whether ends are not filtered.
func everything(e *netpoldv1.Ends) bool {
	return len(e.GetEndpoints())+len(e.GetNamespaces())+len(e.GetPodSelector())+len(e.GetNamespaceSelector()) == 0 &&
		e.GetScope() != netpoldv1.Scope_SCOPE_EXTERNAL
}

func (m *matrix) write(w io.Writer) {
	width := max(m.left+len(m.columns)*cellWidth+margin, leastWidth)
	bottom := m.top + len(m.rows)*cellHeight
	height := bottom + margin
	if m.leftOut > 0 {
		height += 20
	}
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" `+
		`font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#1b1f24">`+"\n", width, height, width, height)
	title := "Who may open connections to whom"
	if m.verdict != "" {
		title = "What changes: " + m.verdict
	}
	fmt.Fprintf(w, "<title>%s</title>\n"+`<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n", xmlText(title))
	fmt.Fprintf(w, `<text x="%d" y="24" font-size="15" font-weight="bold">%s</text>`+"\n", margin, xmlText(title))
	m.writeLegend(w)
	for i, n := range m.columns {
		x, y := m.left+i*cellWidth+cellWidth/2+4, m.top-8
		fmt.Fprintf(w, `<text transform="translate(%d %d) rotate(-90)">%s</text>`+"\n", x, y, label(n))
	}
	for i, n := range m.rows {
		fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", m.left-8, m.top+i*cellHeight+15, label(n))
	}
	for i, from := range m.rows {
		for j, to := range m.columns {
			m.writeCell(w, from, to, m.left+j*cellWidth, m.top+i*cellHeight)
		}
	}
	m.writeLines(w, bottom)
	if left := m.leftOutText(); left != "" {
		fmt.Fprintf(w, `<text x="%d" y="%d" fill="#9a3412">%s</text>`+"\n", margin, bottom+24, xmlText(left))
	}
	fmt.Fprint(w, "</svg>\n")
}

// The colours of cells: nothing is open, some ports are, all are.
const (
	closedFill, partFill, openFill = "#ffffff", "#bfdbfe", "#1d4ed8"
)

func (m *matrix) writeLegend(w io.Writer) {
	x := margin
	type entry struct{ fill, text string }
	entries := []entry{
		{partFill, "some ports"}, {openFill, "all ports"}, {closedFill, "nothing of what was asked for"},
	}
	if m.verdict != "" {
		entries = []entry{
			{changeColours["opened"], "opened (+)"}, {changeColours["closed"], "closed (-)"},
			{changeColours[mixed], "both, or other families (~)"}, {closedFill, "no change"},
		}
	}
	for _, entry := range entries {
		fmt.Fprintf(w, `<rect x="%d" y="36" width="14" height="14" fill="%s" stroke="#8b949e"/>`+
			`<text x="%d" y="48">%s</text>`+"\n", x, entry.fill, x+20, entry.text)
		x += 36 + int(float64(len(entry.text))*charWidth)
	}
	fmt.Fprintf(w, `<text x="%d" y="70">Lines are sources, columns destinations. Ports are TCP unless marked u (UDP) or `+
		`s (SCTP); * means not all Pods.</text>`+"\n", margin)
}

func (m *matrix) writeCell(w io.Writer, from, to *node, x, y int) {
	e := m.edges[[2]*node{from, to}]
	if e == nil {
		return
	}
	fill, colour := partFill, "#1b1f24"
	switch {
	case e.change != "":
		fill, colour = changeColours[e.change], "#ffffff"
	case e.whole:
		fill, colour = openFill, "#ffffff"
	}
	fmt.Fprintf(w, `<g><title>%s</title><rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+
		`<text x="%d" y="%d" font-size="10" text-anchor="middle" fill="%s">%s</text></g>`+"\n",
		xmlText(from.full+" to "+to.full+":\n"+e.text()), x, y, cellWidth, cellHeight, fill,
		x+cellWidth/2, y+15, colour, xmlText(cellText(e)))
}

// writeLines writes the grid, with stronger lines between namespaces.
func (m *matrix) writeLines(w io.Writer, bottom int) {
	right := m.left + len(m.columns)*cellWidth
	line := func(x1, y1, x2, y2 int, strong bool) {
		stroke := "#d0d7de"
		if strong {
			stroke = "#57606a"
		}
		fmt.Fprintf(w, `<path d="M%d %dL%d %d" stroke="%s"/>`+"\n", x1, y1, x2, y2, stroke)
	}
	strong := func(nodes []*node, i int) bool {
		return i == 0 || i == len(nodes) || nodes[i-1].namespace != nodes[i].namespace
	}
	for i := range len(m.rows) + 1 {
		y := m.top + i*cellHeight
		line(m.left, y, right, y, strong(m.rows, i))
	}
	for i := range len(m.columns) + 1 {
		x := m.left + i*cellWidth
		line(x, m.top, x, bottom, strong(m.columns, i))
	}
}

// label returns the label of a line or a column. Its title is not shortened.
func label(n *node) string {
	return "<title>" + xmlText(n.full) + "</title>" + xmlText(shorten(n.words))
}

// shorten returns text with at most maxLabel letters: its middle is left out.
func shorten(text string) string {
	runes := []rune(text)
	if len(runes) <= maxLabel {
		return text
	}
	const half = maxLabel / 2
	return string(runes[:half]) + "…" + string(runes[len(runes)-half+1:])
}

// cellLetters is how many letters fit into a cell.
const cellLetters = 9

// cellText returns the ports of an edge, as many as fit into a cell.
func cellText(e *edge) string {
	var parts []string
	partial := false
	for _, t := range e.texts {
		sign, t := changeSign(t)
		ports, pods, some := strings.Cut(t, " (")
		partial = partial || some && strings.Contains(pods, ">")
		ports, _, _ = strings.Cut(ports, " IPv")
		for port := range strings.SplitSeq(shortPorts(ports), ",") {
			port = sign + port
			if !slices.Contains(parts, port) {
				parts = append(parts, port)
			}
		}
	}
	mark := ""
	if partial {
		mark = "*"
	}
	text := strings.Join(parts, ",")
	if len(text) <= cellLetters-len(mark) {
		return text + mark
	}
	for n := len(parts) - 1; n > 0; n-- {
		some := fmt.Sprintf("%s+%d", strings.Join(parts[:n], ","), len(parts)-n)
		if len(some) <= cellLetters-len(mark) {
			return some + mark
		}
	}
	return counted(uint64(len(parts)), "range") + mark
}

// changeSign returns the sign for what differs, and the rest of the text of an edge.
func changeSign(text string) (sign, rest string) {
	for word, sign := range map[string]string{"opened ": "+", "closed ": "-", "changed ": "~"} {
		if rest, ok := strings.CutPrefix(text, word); ok {
			return sign, rest
		}
	}
	return "", text
}

// shortPorts returns ports with a letter for their protocol. Example: "80,443,u53".
func shortPorts(ports string) string {
	var words []string
	for part := range strings.SplitSeq(ports, "; ") {
		protocol, list, ok := strings.Cut(part, " ")
		if !ok { // all
			return part
		}
		letter := map[string]string{"UDP": "u", "SCTP": "s"}[protocol]
		for port := range strings.SplitSeq(list, ",") {
			words = append(words, letter+port)
		}
	}
	return strings.Join(words, ",")
}

// xmlText returns text as XML has it.
func xmlText(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}
