package audit

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// List is a list of who may reach whom on what. Its groups are known at once, and its connections are computed
// as the caller takes them. It is not safe for concurrent use.
type List struct {
	snapshot *engine.Snapshot
	request  *ListRequest
	roles    *engine.Roles
	// ports are those that are listed; nil for all.
	ports    engine.PortSet
	groups   []listGroup
	src, dst endSet
	// sources and destinations are the roles of the groups that the request selects, by lowest group.
	sources, destinations []roleGroups
	sets                  map[string]uint32
	// next is the source to compute next. pending are items that were computed and not taken.
	next    int
	pending []Item
	summary ListSummary
}

// A roleGroups is the groups of one role.
type roleGroups struct {
	role uint32
	kind GroupKind
	ids  []uint32
	pods uint64
}

// NewList returns the list that r asks for, on one snapshot. The error is nil, a [*RequestError] or, once done
// is closed, that of [engine.Abandoned]. r must not be modified afterwards.
func NewList(done <-chan struct{}, s *engine.Snapshot, r *ListRequest) (*List, error) {
	l := &List{snapshot: s, request: r, roles: s.NewRoles(r.Policies), sets: map[string]uint32{}}
	if len(r.Ports) > 0 {
		if l.ports = engine.NewPortSet(r.Ports...); l.ports == nil {
			return nil, &RequestError{"ports", engine.InvalidQuestion, "is empty: give ports from 1 to 65535"}
		}
	}
	pods, err := l.roles.Pods(done)
	if err != nil {
		return nil, err
	}
	reader := endReader{list: l, pods: pods}
	if r.Nodes {
		reader.nodes = l.roles.NodeAddresses()
	}
	if l.src, err = reader.read(&r.Src, "src", false); err != nil {
		return nil, err
	}
	if l.dst, err = reader.read(&r.Dst, "dst", true); err != nil {
		return nil, err
	}
	b := groupBuilder{selected: map[endID]*selectedEnd{}}
	b.addEnds(l.src.ends, false)
	b.addEnds(l.dst.ends, true)
	l.groups = b.build()
	l.sources = l.byRole(true)
	l.destinations = l.byRole(false)
	l.summary.Groups = len(l.groups)
	l.countPairs()
	return l, nil
}

// Groups returns the groups, in order. They must not be modified.
func (l *List) Groups() []Group {
	list := make([]Group, len(l.groups))
	for i := range l.groups {
		list[i] = l.groups[i].Group
	}
	return list
}

// byRole returns the groups that one side of the request selects, by their role.
func (l *List) byRole(source bool) []roleGroups {
	type roleKey struct {
		role uint32
		kind GroupKind
	}
	at := map[roleKey]int{}
	var list []roleGroups
	for i := range l.groups {
		g := &l.groups[i]
		key := roleKey{role: g.key.source}
		if !source {
			key.role = g.key.destination
		}
		if source && !g.key.bySrc || !source && !g.key.byDst {
			continue
		}
		if l.request.Nodes || !source {
			key.kind = g.Kind // which tells what is listed with Nodes
		}
		n, ok := at[key]
		if !ok {
			n = len(list)
			at[key] = n
			list = append(list, roleGroups{role: key.role, kind: g.Kind})
		}
		list[n].ids = append(list[n].ids, g.ID)
		if g.isPods() {
			list[n].pods += uint64(len(g.Members))
		}
	}
	return list
}

// isPods reports whether the members are Pods that there are.
func (g *Group) isPods() bool { return g.Kind == PodGroup || g.Kind == HostNetworkGroup }

// countPairs counts the ordered pairs of distinct Pods.
func (l *List) countPairs() {
	var src, dst, both uint64
	for i := range l.groups {
		g := &l.groups[i]
		if !g.isPods() {
			continue
		}
		n := uint64(len(g.Members))
		if g.key.bySrc {
			src += n
		}
		if g.key.byDst {
			dst += n
		}
		if g.key.bySrc && g.key.byDst {
			both += n
		}
	}
	l.summary.PairsTotal = src*dst - both
}

// Connections yields the connections and exposures that were not taken yet, each set before the connection
// that first names it, and progress now and then. It ends when yield returns false, and may be called again to
// go on after that item. The error is nil unless done was closed.
func (l *List) Connections(done <-chan struct{}, yield func(Item) bool) (ListSummary, error) {
	for {
		for len(l.pending) > 0 {
			item := l.pending[0]
			l.pending = l.pending[1:]
			if item.Connection != nil {
				l.summary.Connections++
			}
			if !yield(item) {
				s := l.summary
				s.Truncated = true
				return s, nil
			}
		}
		select {
		case <-done:
			return l.summary, &engine.QueryError{
				Code: engine.Abandoned, Subject: "list", Detail: "was given up: the caller did not wait",
			}
		default:
		}
		if !l.advance() {
			return l.summary, nil
		}
	}
}

// progressEvery is the number of sources after which progress is told.
const progressEvery = 64

// advance computes what comes next, and reports whether anything was left to compute.
func (l *List) advance() bool {
	switch n := l.next - len(l.sources); {
	case n < 0:
		l.appendConnections(l.connectionsOf(&l.sources[l.next]))
		if (l.next+1)%progressEvery == 0 {
			l.pending = append(l.pending, Item{Progress: &Progress{
				l.summary.Connections + uint64(len(l.pending)), l.next + 1, len(l.sources),
			}})
		}
	case n == 0:
		l.appendConnections(l.connectionsFromOutside())
	default:
		return false
	}
	l.next++
	return true
}

// A reachKey is the value of connections that are folded into one.
type reachKey struct {
	ports           string
	families        engine.Families
	egress, ingress engine.DecidingRule
}

// connectionsOf returns the connections of a role of sources, in order.
func (l *List) connectionsOf(src *roleGroups) []*Connection {
	found := map[reachKey]*Connection{}
	var list []*Connection
	for i := range l.destinations {
		dst := &l.destinations[i]
		if !listed(src.kind, dst.kind) {
			continue
		}
		any := false
		for _, x := range l.roles.Between(src.role, dst.role) {
			ports := l.cut(x.Ports)
			if len(ports) == 0 {
				continue
			}
			any = true
			key := reachKey{fmt.Sprint(ports), x.Families, x.Egress, x.Ingress}
			c := found[key]
			if c == nil {
				c = &Connection{
					Ports: ports, Families: x.Families,
					EgressBy: ruleOf(x.Egress, Egress), IngressBy: ruleOf(x.Ingress, Ingress),
				}
				c.Src.Groups = src.ids
				found[key] = c
				list = append(list, c)
			}
			c.Dst.Groups = append(c.Dst.Groups, dst.ids...)
		}
		if any {
			l.summary.PairsAllowed += src.pods*dst.pods - l.inBoth(src, dst)
		}
	}
	for _, c := range list {
		slices.Sort(c.Dst.Groups)
	}
	return append(list, l.connectionsToOutside(src)...)
}

// inBoth returns the number of Pods of two roles that are in both.
func (l *List) inBoth(src, dst *roleGroups) uint64 {
	var n uint64
	for _, id := range src.ids {
		if _, ok := slices.BinarySearch(dst.ids, id); ok && l.groups[id-1].isPods() {
			n += uint64(len(l.groups[id-1].Members))
		}
	}
	return n
}

// listed reports whether connections between groups of these kinds are listed: those of Nodes only with Pods
// of the Pod network.
func listed(src, dst GroupKind) bool {
	inPodNetwork := func(k GroupKind) bool { return k == PodGroup || k == HypotheticalGroup }
	return (src != NodeGroup || inPodNetwork(dst)) && (dst != NodeGroup || inPodNetwork(src))
}

// cut returns those of ports that are listed.
func (l *List) cut(ports engine.PortSet) engine.PortSet {
	if l.ports == nil {
		return ports
	}
	return ports.Intersect(l.ports)
}

// ruleOf returns a rule as connections have it; zero for none.
func ruleOf(r engine.DecidingRule, d Direction) Rule {
	if r == (engine.DecidingRule{}) {
		return Rule{}
	}
	return Rule{r.Policy, r.ClusterPolicy, d, r.Index}
}

// connectionsToOutside returns the connections of a role of sources to addresses outside the cluster.
func (l *List) connectionsToOutside(src *roleGroups) []*Connection {
	if !l.dst.hasOutside() || src.kind == NodeGroup {
		return nil
	}
	var list []*Connection
	for _, x := range l.outside(l.roles.OutsideOfSource(src.role), &l.dst) {
		c := &Connection{
			DstCIDRs: x.CIDRs, Ports: x.Ports, Families: familiesOf(x.CIDRs), EgressBy: ruleOf(x.By, Egress),
		}
		c.Src.Groups = src.ids
		list = append(list, c)
	}
	return list
}

// connectionsFromOutside returns the connections from addresses outside the cluster, in order.
func (l *List) connectionsFromOutside() []*Connection {
	if !l.src.hasOutside() {
		return nil
	}
	type key struct {
		cidrs, ports string
		by           engine.DecidingRule
	}
	found := map[key]*Connection{}
	var list []*Connection
	for i := range l.destinations {
		dst := &l.destinations[i]
		if dst.kind == NodeGroup {
			continue
		}
		for _, x := range l.outside(l.roles.OutsideOfDestination(dst.role), &l.src) {
			k := key{fmt.Sprint(x.CIDRs), fmt.Sprint(x.Ports), x.By}
			c := found[k]
			if c == nil {
				c = &Connection{
					SrcCIDRs: x.CIDRs, Ports: x.Ports, Families: familiesOf(x.CIDRs),
					IngressBy: ruleOf(x.By, Ingress),
				}
				found[k] = c
				list = append(list, c)
			}
			c.Dst.Groups = append(c.Dst.Groups, dst.ids...)
		}
	}
	for _, c := range list {
		slices.Sort(c.Dst.Groups)
	}
	return list
}

// hasOutside reports whether addresses outside the cluster are meant.
func (s *endSet) hasOutside() bool { return s.allOutside || len(s.outside) > 0 }

// outside returns results cut to the ports that are listed and to the addresses that one side of the request
// selects. Results that become equal but for their CIDRs are joined.
func (l *List) outside(list []engine.OutsideReach, of *endSet) []engine.OutsideReach {
	if l.ports == nil && of.allOutside {
		return list
	}
	var out []engine.OutsideReach
	for _, x := range list {
		if x.Ports = l.cut(x.Ports); len(x.Ports) == 0 {
			continue
		}
		if !of.allOutside {
			if x.CIDRs = within(x.CIDRs, of.outside); len(x.CIDRs) == 0 {
				continue
			}
		}
		at := slices.IndexFunc(out, func(o engine.OutsideReach) bool {
			return o.By == x.By && o.Ports.Equal(x.Ports)
		})
		if at < 0 {
			out = append(out, x)
			continue
		}
		out[at].CIDRs = engine.JoinCIDRs(slices.Concat(out[at].CIDRs, x.CIDRs))
	}
	return out
}

// within returns the parts of cidrs that are in one of the addresses, as few CIDRs.
func within(cidrs, addresses []netip.Prefix) []netip.Prefix {
	var list []netip.Prefix
	for _, a := range addresses {
		if slices.ContainsFunc(cidrs, func(p netip.Prefix) bool { return p.Contains(a.Addr()) }) {
			list = append(list, a)
		}
	}
	return engine.JoinCIDRs(list)
}

// familiesOf returns the families of CIDRs.
func familiesOf(cidrs []netip.Prefix) engine.Families {
	var f engine.Families
	for _, p := range cidrs {
		if p.Addr().Is4() {
			f |= engine.IPv4
		} else {
			f |= engine.IPv6
		}
	}
	return f
}

// appendConnections sorts connections of one source and appends them, and the sets that they name, to what is
// pending.
func (l *List) appendConnections(list []*Connection) {
	slices.SortFunc(list, compareConnections)
	for _, c := range list {
		if !l.meant(c) {
			continue
		}
		l.fold(&c.Src)
		l.fold(&c.Dst)
		l.pending = append(l.pending, Item{Connection: c})
	}
}

// compareConnections orders connections of one source.
func compareConnections(a, b *Connection) int {
	kind := func(c *Connection) int {
		switch {
		case len(c.DstServices) > 0:
			return 2
		case len(c.DstCIDRs) > 0:
			return 1
		}
		return 0
	}
	if byKind := cmp.Compare(kind(a), kind(b)); byKind != 0 {
		return byKind
	}
	if kind(a) == 0 {
		if first := cmp.Compare(a.Dst.Groups[0], b.Dst.Groups[0]); first != 0 {
			return first
		}
	}
	return cmp.Or(
		engine.PortSet(a.Ports).Compare(b.Ports),
		slices.CompareFunc(a.DstCIDRs, b.DstCIDRs, comparePrefixes),
		slices.CompareFunc(a.SrcCIDRs, b.SrcCIDRs, comparePrefixes),
	)
}

// comparePrefixes orders CIDRs by family, address and length.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// longList is the number of groups above which a list is sent as a set.
const longList = 64

// fold replaces a long list of groups by a set.
func (l *List) fold(g *GroupList) {
	if len(g.Groups) <= longList {
		return
	}
	key := fmt.Sprint(g.Groups)
	id, ok := l.sets[key]
	if !ok {
		id = uint32(len(l.sets) + 1)
		l.sets[key] = id
		l.pending = append(l.pending, Item{Set: &Set{id, g.Groups}})
	}
	*g = GroupList{Sets: []uint32{id}}
}
