package audit

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// A groupKey is all that members of a group have in common.
type groupKey struct {
	kind                GroupKind
	namespace           string
	workload            engine.Workload
	single              string // the name of a Pod of no workload, or of a Node
	source, destination uint32
	families            engine.Families
	bySrc, byDst        bool
}

// A listGroup is a group with what a list needs of it.
type listGroup struct {
	Group
	key groupKey
	// destination is the index of its role among the destinations, if it is one.
	destination uint32
}

// groupKinds are the kinds of groups by the kinds of ends.
var groupKinds = map[engine.RoleKind]GroupKind{
	engine.RolePod: PodGroup, engine.RoleHostNetwork: HostNetworkGroup, engine.RoleNode: NodeGroup,
	engine.RoleHypothetical: HypotheticalGroup,
}

// addEnds adds the ends that one side of the request selects.
func (b *groupBuilder) addEnds(ends []engine.RoleEnd, dst bool) {
	for i := range ends {
		e := &ends[i]
		id := endID{groupKinds[e.Kind], e.Namespace, e.Name, netip.Addr{}}
		if e.Kind == engine.RoleNode {
			id.ip = e.IPs[0]
		}
		if e.Kind == engine.RoleHypothetical {
			id.name = fmt.Sprint(e.Source, "/", e.Destination, "/", e.IPs)
		}
		s := b.selected[id]
		if s == nil {
			s = &selectedEnd{end: e}
			b.selected[id] = s
		}
		if dst {
			s.dst = true
		} else {
			s.src = true
		}
	}
}

// An endID tells ends apart.
type endID struct {
	kind            GroupKind
	namespace, name string
	ip              netip.Addr
}

// A selectedEnd is an end and which sides of the request select it.
type selectedEnd struct {
	end      *engine.RoleEnd
	src, dst bool
}

// A groupBuilder sorts ends into groups.
type groupBuilder struct {
	selected map[endID]*selectedEnd
}

// build returns the groups, in order, with their ids.
func (b *groupBuilder) build() []listGroup {
	found := map[groupKey]*listGroup{}
	for id, s := range b.selected {
		e := s.end
		key := groupKey{
			kind: id.kind, namespace: e.Namespace, workload: e.Workload, source: e.Source,
			destination: e.Destination, families: e.Families, bySrc: s.src, byDst: s.dst,
		}
		if e.Workload == (engine.Workload{}) {
			key.single = id.name
		}
		g := found[key]
		if g == nil {
			g = &listGroup{key: key, Group: Group{
				Kind: key.kind, Namespace: key.namespace, Workload: key.workload, Families: e.Families,
				IsolatedEgress: e.IsolatedEgress, IsolatedIngress: e.IsolatedIngress,
			}}
			found[key] = g
		}
		if id.kind == NodeGroup && len(g.Members) > 0 {
			g.Members[0].IPs = append(g.Members[0].IPs, e.IPs...)
			continue
		}
		g.Members = append(g.Members, Member{Name: e.Name, Node: e.Node, IPs: slices.Clone(e.IPs)})
	}
	return sortGroups(slices.Collect(maps.Values(found)))
}

// sortGroups sorts groups and their members, and gives them their ids.
func sortGroups(found []*listGroup) []listGroup {
	ofWorkload := map[groupKey]int{}
	for _, g := range found {
		slices.SortFunc(g.Members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
		if g.Kind == NodeGroup {
			slices.SortFunc(g.Members[0].IPs, netip.Addr.Compare)
		}
		if g.Workload != (engine.Workload{}) {
			ofWorkload[groupKey{namespace: g.Namespace, workload: g.Workload}]++
		}
	}
	slices.SortFunc(found, compareGroups)
	list := make([]listGroup, len(found))
	for i, g := range found {
		g.ID = uint32(i + 1)
		g.Partial = ofWorkload[groupKey{namespace: g.Namespace, workload: g.Workload}] > 1
		list[i] = *g
	}
	return list
}

// compareGroups orders groups by kind, namespace, workload and first member.
func compareGroups(a, b *listGroup) int {
	return cmp.Or(
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Workload.Kind, b.Workload.Kind), cmp.Compare(a.Workload.Name, b.Workload.Name),
		cmp.Compare(a.Members[0].Name, b.Members[0].Name),
		slices.CompareFunc(a.Members[0].IPs, b.Members[0].IPs, netip.Addr.Compare),
		cmp.Compare(a.key.single, b.key.single),
	)
}
