package render

import (
	"fmt"
	"slices"
	"strings"
)

// maxDrawn is how many workloads a picture shows.
const maxDrawn = 60

// A picture is what dot and SVG draw of a list.
type picture struct {
	nodes []*node
	// edges has what each node may open to each other.
	edges map[[2]*node]*edge
	// leftOut is how many workloads are not shown, of total.
	leftOut, total int
	byKey          map[string]*node
	// verdict is what a difference comes to; "" in a picture of a list.
	verdict string
}

// A node is a workload, a Service, or a part of the outside.
type node struct {
	index     int
	namespace string
	// words are short. full is all that there is to say.
	words, full string
	// outside reports whether the node is a part of the outside.
	outside bool
}

// An edge is what one node may open to another.
type edge struct {
	// texts have a text for each row. Example: "TCP 80 (2/4>1/1)".
	texts []string
	// whole reports whether every Pod may open every port.
	whole bool
	// change is the word for what differs, or "opened and closed"; "" in a picture of a list.
	change string
}

// newPicture returns the picture of a list: at most maxDrawn workloads, first those with connections.
func newPicture(l *List) *picture {
	p := &picture{edges: map[[2]*node]*edge{}, byKey: map[string]*node{}}
	shown := p.choose(l)
	outside := newOutsideRows()
	for r := range l.rows(func(u *unit) bool { return shown[u] }) {
		if r.Src.unit != nil && r.Dst.unit != nil || r.Dst.Namespace != "" && r.Src.unit != nil {
			p.connect(p.nodeOf(&r.Src), p.nodeOf(&r.Dst), r)
		} else {
			outside.add(r)
		}
	}
	for _, o := range outside.list {
		there := p.outsideNode(o.cidrs)
		if o.row.Src.unit != nil {
			p.connect(p.nodeOf(&o.row.Src), there, o.row)
		} else {
			p.connect(there, p.nodeOf(&o.row.Dst), o.row)
		}
	}
	return p
}

// choose adds the workloads that are shown. What does not change has no place in a difference.
func (p *picture) choose(l *List) map[*unit]bool {
	connected := map[*unit]bool{}
	for _, c := range l.connections {
		for _, groups := range [][]uint32{c.GetSrcGroups(), c.GetDstGroups()} {
			for _, id := range groups {
				connected[l.units.ofGroup[id-1]] = true
			}
		}
	}
	for _, groups := range l.sets {
		for _, id := range groups {
			connected[l.units.ofGroup[id-1]] = true
		}
	}
	shown := map[*unit]bool{}
	p.total = len(l.units.list)
	order := []bool{true, false}
	if l.isDiff() {
		p.total, order = len(connected), order[:1]
	}
	for _, want := range order {
		for _, u := range l.units.list {
			if connected[u] == want && len(shown) < maxDrawn {
				shown[u] = true
			}
		}
	}
	p.leftOut = p.total - len(shown)
	for _, u := range l.units.list {
		if shown[u] {
			e := u.end(u.groups)
			p.nodeOf(&e)
		}
	}
	return shown
}

// nodeOf returns the node of a workload or a Service.
func (p *picture) nodeOf(e *End) *node {
	key := e.Words
	if e.unit != nil {
		key = fmt.Sprint(e.unit.index)
	}
	full := e.Words
	if e.Total > 1 {
		full += fmt.Sprintf(", %d Pods", e.Total)
	}
	return p.node(key, node{namespace: e.Namespace, words: e.Words, full: full})
}

// outsideNode returns the node of a part of the outside.
func (p *picture) outsideNode(cidrs []string) *node {
	full := strings.Join(cidrs, ", ")
	words := full
	switch anywhere := slices.Contains(cidrs, "0.0.0.0/0"); {
	case anywhere && slices.Contains(cidrs, "::/0"):
		words = "anywhere outside"
	case anywhere:
		words = "anywhere outside (IPv4)"
	case slices.Contains(cidrs, "::/0"):
		words = "anywhere outside (IPv6)"
	case len(cidrs) > 2:
		words = fmt.Sprintf("%s and %d more", cidrs[0], len(cidrs)-1)
	}
	return p.node("outside "+full, node{words: words, full: full, outside: true})
}

func (p *picture) node(key string, made node) *node {
	n := p.byKey[key]
	if n == nil {
		n = &made
		n.index = len(p.nodes)
		p.nodes = append(p.nodes, n)
		p.byKey[key] = n
	}
	return n
}

// connect adds what a row says to the edge between two nodes.
func (p *picture) connect(from, to *node, r *Row) {
	e := p.edges[[2]*node{from, to}]
	if e == nil {
		e = new(edge)
		p.edges[[2]*node{from, to}] = e
	}
	text := r.Ports
	e.whole = e.whole || text == "all" && r.Families == "" && !r.Partial()
	if r.Families != "" {
		text += " " + r.Families
	}
	if r.Partial() {
		text += " (" + r.Pods() + ")"
	}
	if r.Change != nil {
		text = e.changes(r.Change.Word()) + " " + text
	}
	if !slices.Contains(e.texts, text) {
		e.texts = append(e.texts, text)
	}
}

// changes notes that something of e is changed so, and returns the word.
func (e *edge) changes(word string) string {
	switch e.change {
	case "", word:
		e.change = word
	default:
		e.change = mixed
	}
	return word
}

// mixed is the change of an edge some of which is opened and some closed.
const mixed = "opened and closed"

// changeColours have the colour for each change of an edge. They are those of the HTML report.
var changeColours = map[string]string{
	"opened": "#c4420a", "closed": "#1f6fb5", "changed": "#7a45a8", mixed: "#7a45a8",
}

// text returns all that an edge says.
func (e *edge) text() string { return strings.Join(e.texts, "\n") }

// leftOutText says what is not shown; "" if all is.
func (p *picture) leftOutText() string {
	if p.leftOut == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d workloads are left out: a picture shows %d. Narrow the list with --src and --dst, or "+
		"use -o html or -o table.", p.leftOut, p.total, maxDrawn)
}

// caption returns what stands below the picture; "" for nothing.
func (p *picture) caption() string {
	return strings.TrimPrefix(strings.TrimSuffix(p.verdict+"\n"+p.leftOutText(), "\n"), "\n")
}

// outsideRows folds rows that differ in nothing but their CIDR.
type outsideRows struct {
	list  []*outsideRow
	byKey map[Row]*outsideRow
}

// An outsideRow is a row with all of its CIDRs.
type outsideRow struct {
	row   *Row
	cidrs []string
}

func newOutsideRows() *outsideRows { return &outsideRows{byKey: map[Row]*outsideRow{}} }

func (o *outsideRows) add(r *Row) {
	key, cidr := *r, r.Dst.Words
	if r.Src.unit == nil {
		key.Src, cidr = End{}, r.Src.Words
	} else {
		key.Dst = End{}
	}
	at := o.byKey[key]
	if at == nil {
		at = &outsideRow{row: r}
		o.byKey[key] = at
		o.list = append(o.list, at)
	}
	at.cidrs = append(at.cidrs, cidr)
}
