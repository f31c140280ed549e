package audit

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// List is a list of who may reach whom on what. Its groups are known at once, and its connections are computed
// as the caller takes them. It is not safe for concurrent use.
type List struct {
	groupLists // its sets are those of against
	snapshot   *engine.Snapshot
	request    *ListRequest
	roles      *engine.Roles
	// survey has the groups of all Pods; nil unless one side means them all.
	survey *podSurvey
	// ports are those that are listed; nil for all.
	ports    engine.PortSet
	src, dst endSet
	against  *engine.Destinations
	// services are the ports of Services that are listed.
	services []engine.ServiceRole
	// exposed remembers which roles of destinations are exposed.
	exposed map[uint32]bool
	rules   ruleNumbers
	results results[Item]
	// next is the source to compute next.
	next    int
	summary ListSummary
}

// NewList returns the list that r asks for, on one snapshot. The error is nil, a [*RequestError] or, once done
// is closed, that of [engine.Abandoned]. r must not be modified afterwards.
func NewList(done <-chan struct{}, s *engine.Snapshot, r *ListRequest) (*List, error) {
	l := &List{
		snapshot: s, request: r, rules: ruleNumbers{},
		exposed: map[uint32]bool{},
		results: results[Item]{counted: func(i *Item) bool { return i.Connection != nil }},
	}
	l.groupLists = newGroupLists(func(s *Set) { l.hand(Item{Set: s}) })
	var err error
	if l.ports, err = readPorts(r.Ports); err != nil {
		return nil, err
	}
	if r.Src.meansAll() && !r.Dst.bySelectors() || r.Dst.meansAll() && !r.Src.bySelectors() {
		if l.survey, err = surveyPods(done, s); err != nil {
			return nil, err
		}
		l.roles = l.survey.roles.View(r.Policies)
	} else {
		l.roles = s.NewRoles(r.Policies)
	}
	reader := endReader{s, l.roles, r.Services}
	var wrong [2][]*RequestError
	l.src, wrong[0] = reader.read(&r.Src, "src", false)
	l.dst, wrong[1] = reader.read(&r.Dst, "dst", true)
	for _, errs := range wrong {
		if len(errs) > 0 {
			return nil, errs[0]
		}
	}
	if l.groups, err = l.findGroups(done); err != nil {
		return nil, err
	}
	l.sources = l.byRole(true, slices.ContainsFunc(l.groups, func(g listGroup) bool {
		return g.Kind == NodeGroup // then the kind tells what is listed
	}))
	l.destinations = l.byRole(false, true)
	l.prepareDestinations()
	l.summary.Groups = len(l.groups)
	if r.Services {
		l.prepareServices()
	}
	l.countPairs()
	return l, nil
}

// SelectsNothing returns a [*RequestError] if selectors of the request match no Pod; nil otherwise. The list is
// right all the same, but an empty one looks like "nobody".
func (l *List) SelectsNothing() error {
	return cmp.Or(
		l.request.Src.selectsNothing(l.src.matched, "src"), l.request.Dst.selectsNothing(l.dst.matched, "dst"),
	)
}

// prepareDestinations prepares rows, and lists the groups of the sets of destinations.
func (l *List) prepareDestinations() {
	list := make([]engine.Destination, len(l.destinations))
	for i := range l.destinations {
		list[i] = engine.Destination{Role: l.destinations[i].role, Kind: uint8(l.destinations[i].kind)}
	}
	l.against = l.roles.Destinations(list)
	l.listSets(l.against.Sets())
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
	whole, err := l.results.handOut(done, "list", l.advance, yield)
	s := l.summary
	s.Connections, s.Truncated = l.results.count, !whole
	return s, err
}

// hand adds items to those to hand out.
func (l *List) hand(items ...Item) { l.results.pending = append(l.results.pending, items...) }

// advance computes what comes next, and reports whether anything was left to compute.
func (l *List) advance() bool {
	switch n := l.next - len(l.sources); {
	case n < 0:
		src := &l.sources[l.next]
		l.appendConnections(src, slices.Concat(
			l.connectionsOf(src), l.connectionsToOutside(src), l.connectionToServices(src),
		))
		if p := l.results.progress(l.next, len(l.sources)); p != nil {
			l.hand(Item{Progress: p})
		}
	case n == 0:
		l.appendConnections(nil, l.connectionsFromOutside())
	case l.request.Exposure && n <= len(l.groups):
		l.hand(l.exposuresOf(&l.groups[n-1])...)
	default:
		return false
	}
	l.next++
	return true
}

// listed reports whether connections between groups of these kinds are listed: those of Nodes only with Pods
// of the Pod network.
func listed(src, dst GroupKind) bool {
	inPodNetwork := func(k GroupKind) bool { return k == PodGroup || k == HypotheticalGroup }
	return (src != NodeGroup || inPodNetwork(dst)) && (dst != NodeGroup || inPodNetwork(src))
}

// cut returns those of ports that are listed.
func (l *List) cut(ports engine.PortSet) engine.PortSet { return cutPorts(ports, l.ports) }

// cutPorts returns those of ports that a request asks for; nil asks for all.
func cutPorts(ports, asked engine.PortSet) engine.PortSet {
	if asked == nil {
		return ports
	}
	return ports.Intersect(asked)
}

// ruleOf returns a rule as connections have it; zero for none.
func ruleOf(r engine.DecidingRule, d Direction) Rule {
	if r == (engine.DecidingRule{}) {
		return Rule{}
	}
	return Rule{r.Policy, r.ClusterPolicy, d, r.Index}
}

// appendConnections sorts connections of one source, nil for the outside, and appends them, and the sets that
// they name, to what is handed out.
func (l *List) appendConnections(src *roleGroups, list []folded) {
	slices.SortFunc(list, compareFolded)
	for i := range list {
		c := &list[i]
		if !l.meant(src, c) {
			continue
		}
		c.connection.Dst = l.listOf(&c.targets)
		if src != nil {
			c.connection.Src = l.sourcesOf(src)
		}
		l.hand(Item{Connection: c.connection})
	}
}

// compareFolded orders connections of one source (L6).
func compareFolded(a, b folded) int {
	return cmp.Or(
		cmp.Compare(a.destinationKind(), b.destinationKind()), cmp.Compare(a.lowest, b.lowest),
		engine.PortSet(a.connection.Ports).Compare(b.connection.Ports),
		slices.CompareFunc(a.connection.DstCIDRs, b.connection.DstCIDRs, comparePrefixes),
		slices.CompareFunc(a.connection.SrcCIDRs, b.connection.SrcCIDRs, comparePrefixes),
	)
}

// destinationKind returns 0 for groups, 1 for addresses outside, 2 for Services.
func (c *folded) destinationKind() int {
	switch {
	case len(c.connection.DstServices) > 0:
		return 2
	case len(c.connection.DstCIDRs) > 0:
		return 1
	}
	return 0
}

// comparePrefixes orders CIDRs by family, address and length.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}
