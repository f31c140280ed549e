package render

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A Row says what one workload may open to another, or to or from a CIDR.
type Row struct {
	Src, Dst End
	// Ports are in words. Example: "TCP 80,443".
	Ports string
	// Families are in words; "" if they are those that the two ends share, or those of the CIDR.
	Families string
	// EgressBy and IngressBy are the rules that allow, if the list has them; "" for none.
	EgressBy, IngressBy string
	// Change says what differs, in the rows of a [Diff]; nil in those of a list.
	Change *RowChange
}

// An End is one end of a [Row].
type End struct {
	// Namespace is empty for a Node and for an address.
	Namespace string
	// Words are those of check, a CIDR, or node/NAME.
	Words string
	// Pods of Total Pods are meant. Both are 0 for what has no Pods.
	Pods, Total int
	// unit is nil for a CIDR and for a Service.
	unit *unit
}

// Partial reports whether the row means a part of the Pods of some end.
func (r *Row) Partial() bool { return r.Src.Pods < r.Src.Total || r.Dst.Pods < r.Dst.Total }

// Pods returns how many Pods of each end are meant, if not all are. Example: "2/4>1/1".
func (r *Row) Pods() string {
	if !r.Partial() {
		return ""
	}
	return r.Src.PodsText() + ">" + r.Dst.PodsText()
}

// PodsText returns how many Pods are meant; "-" for what has none.
func (e *End) PodsText() string {
	if e.Total == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", e.Pods, e.Total)
}

// Rows yields a row for each pair of workloads, and for each workload and CIDR, by source and destination as
// their groups are ordered, CIDRs last. A pair has several rows if its Pods, families or rules differ.
func (l *List) Rows() iter.Seq[*Row] {
	return l.rows(func(*unit) bool { return true })
}

// rows yields the rows of which all workloads are to be shown.
func (l *List) rows(shown func(*unit) bool) iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		bySource := make([][]*netpoldv1.Connection, len(l.units.list))
		var fromOutside []*netpoldv1.Connection
		for _, c := range l.connections {
			if len(c.GetSrcCidrs()) > 0 {
				fromOutside = append(fromOutside, c)
			}
			l.opened(c.GetSrcGroups(), c.GetSrcSets(), func(g *netpoldv1.Group) {
				u := l.units.of(g)
				of := &bySource[u.index]
				if !shown(u) {
					return
				}
				if n := len(*of); n == 0 || (*of)[n-1] != c {
					*of = append(*of, c)
				}
			})
		}
		for i, connections := range bySource {
			for _, row := range l.rowsFrom(l.units.list[i], connections, shown) {
				if !yield(row) {
					return
				}
			}
		}
		for _, row := range l.rowsFromOutside(fromOutside, shown) {
			if !yield(row) {
				return
			}
		}
	}
}

// The kinds of rows of one source, in their order.
const (
	pairRow = iota
	cidrRow
	serviceRow
)

// A rowKey is what a row says of a pair, but for its groups. The order of its fields is that of rows.
type rowKey struct {
	kind int
	// unit is the index of the destination; -1 for none.
	unit      int
	cidr      netip.Prefix
	words     string
	ports     string
	families  string
	egressBy  string
	ingressBy string
	// change is what differs, as [Diff.changeOf] numbers it; 0 in lists.
	change int
}

func (k rowKey) compare(o rowKey) int {
	return cmp.Or(cmp.Compare(k.kind, o.kind), cmp.Compare(k.unit, o.unit), k.cidr.Compare(o.cidr),
		strings.Compare(k.words, o.words), cmp.Compare(k.change, o.change), strings.Compare(k.ports, o.ports),
		strings.Compare(k.families, o.families), strings.Compare(k.egressBy, o.egressBy),
		strings.Compare(k.ingressBy, o.ingressBy))
}

// rowsFrom returns the rows of one source. connections are those in which it has a part.
func (l *List) rowsFrom(source *unit, connections []*netpoldv1.Connection, shown func(*unit) bool) []*Row {
	found := map[rowKey][]rectangle{}
	services := map[rowKey][]*netpoldv1.PortRange{}
	for _, c := range connections {
		from := l.sources(source, c)
		key := l.rowKey(c)
		l.addPairs(found, key, from, c, shown)
		for _, cidr := range c.GetDstCidrs() {
			k := key
			k.kind, k.cidr, k.words = cidrRow, prefixOf(cidr), Clean(cidr)
			found[k] = append(found[k], rectangle{src: from})
		}
		addServices(services, key, from, c)
	}
	for key, ports := range services {
		from := groupsIn(source, key.ports)
		key.ports = Ports(ports)
		found[key] = append(found[key], rectangle{src: from})
	}
	var rows []*Row
	for _, key := range slices.SortedFunc(maps.Keys(found), rowKey.compare) {
		for _, r := range joined(found[key]) {
			row := l.row(key)
			row.Src = source.end(r.src)
			if key.kind == pairRow {
				row.Dst = l.units.list[key.unit].end(r.dst)
			} else {
				row.Dst = End{Words: key.words, Namespace: serviceNamespace(key)}
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// sources returns the groups of u that a connection has as sources.
func (l *List) sources(u *unit, c *netpoldv1.Connection) []*netpoldv1.Group {
	var from []*netpoldv1.Group
	for _, g := range u.groups {
		has := func(set uint32) bool {
			_, ok := slices.BinarySearch(l.sets[set], g.GetId())
			return ok
		}
		if _, ok := slices.BinarySearch(c.GetSrcGroups(), g.GetId()); ok || slices.ContainsFunc(c.GetSrcSets(), has) {
			from = append(from, g)
		}
	}
	return from
}

// addPairs adds the rectangles of a connection between groups, cut by destination and by what families mean.
func (l *List) addPairs(found map[rowKey][]rectangle, key rowKey, from []*netpoldv1.Group,
	c *netpoldv1.Connection, shown func(*unit) bool) {
	to := map[int][]*netpoldv1.Group{}
	l.opened(c.GetDstGroups(), c.GetDstSets(), func(g *netpoldv1.Group) {
		if u := l.units.of(g); shown(u) {
			to[u.index] = append(to[u.index], g)
		}
	})
	families, always := l.familyWords(c)
	for at, dst := range to {
		for _, src := range byFamilies(from) {
			for _, dst := range byFamilies(dst) {
				k := key
				k.unit = at
				if always || Families(shared(src[0], dst[0])) != families {
					k.families = cmp.Or(families, noFamilies)
				}
				found[k] = append(found[k], rectangle{src, dst})
			}
		}
	}
}

// addServices adds the ports of Services that a connection names. The ports of the key are not ports then, but
// the groups of the source, so that all ports of a Service that the same Pods reach are one row.
func addServices(services map[rowKey][]*netpoldv1.PortRange, key rowKey, from []*netpoldv1.Group,
	c *netpoldv1.Connection) {
	for _, s := range c.GetDstServices() {
		k := key
		k.kind, k.ports, k.families = serviceRow, groupsText(from), Families(c.GetFamilies())
		k.words = Clean(netpold.FormatEndpoint(netpold.Service(s.GetNamespace(), s.GetName())))
		services[k] = append(services[k],
			&netpoldv1.PortRange{Protocol: s.GetProtocol(), First: s.GetPort(), Last: s.GetPort()})
	}
}

// serviceNamespace returns the namespace of the Service that a key is about; "" for other keys.
func serviceNamespace(key rowKey) string {
	if key.kind != serviceRow {
		return ""
	}
	return strings.Split(key.words, "/")[1]
}

// rowsFromOutside returns the rows whose source is a CIDR.
func (l *List) rowsFromOutside(connections []*netpoldv1.Connection, shown func(*unit) bool) []*Row {
	found := map[rowKey][]rectangle{}
	for _, c := range connections {
		key := l.rowKey(c)
		for _, cidr := range c.GetSrcCidrs() {
			l.opened(c.GetDstGroups(), c.GetDstSets(), func(g *netpoldv1.Group) {
				if !shown(l.units.of(g)) {
					return
				}
				k := key
				k.unit, k.cidr, k.words = l.units.of(g).index, prefixOf(cidr), Clean(cidr)
				found[k] = append(found[k], rectangle{dst: []*netpoldv1.Group{g}})
			})
		}
	}
	var rows []*Row
	for _, key := range slices.SortedFunc(maps.Keys(found), rowKey.compare) {
		for _, r := range joined(found[key]) {
			row := l.row(key)
			row.Src, row.Dst = End{Words: key.words}, l.units.list[key.unit].end(r.dst)
			rows = append(rows, row)
		}
	}
	return rows
}

// prefixOf returns a CIDR, for its place among others; the zero Prefix for what is none.
func prefixOf(cidr string) netip.Prefix {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// rowKey returns the key of what a connection says of all its pairs.
func (l *List) rowKey(c *netpoldv1.Connection) rowKey {
	return rowKey{
		ports: Ports(c.GetPorts()), egressBy: Rule(c.GetEgressBy()), ingressBy: Rule(c.GetIngressBy()),
		change: l.changeOf[c],
	}
}

// familyWords returns the families of a connection, and whether a row has them even if the ends share them.
func (l *List) familyWords(c *netpoldv1.Connection) (words string, always bool) {
	if at := l.changeOf[c]; at > 0 && l.changed[at-1].families != "" {
		return l.changed[at-1].families, true
	}
	return Families(c.GetFamilies()), false
}

// row returns the row of a key, without its ends.
func (l *List) row(k rowKey) *Row {
	row := &Row{Ports: k.ports, Families: k.families, EgressBy: k.egressBy, IngressBy: k.ingressBy}
	if k.change > 0 {
		row.Change = &l.changed[k.change-1]
	}
	return row
}

// end returns the end of a row that means groups of u.
func (u *unit) end(groups []*netpoldv1.Group) End {
	e := End{Namespace: u.namespace, Words: u.words, unit: u}
	if u.isNode() || u.kind() == netpoldv1.GroupKind_GROUP_KIND_HYPOTHETICAL {
		return e
	}
	e.Total = u.pods
	for _, g := range groups {
		e.Pods += len(g.GetMembers())
	}
	return e
}
