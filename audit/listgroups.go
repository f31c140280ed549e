package audit

import (
	"cmp"
	"fmt"
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
	single              string // the name of a Pod of no workload, or of a Node; the words of hypothetical Pods
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
var groupKinds = [...]GroupKind{
	engine.RolePod: PodGroup, engine.RoleHostNetwork: HostNetworkGroup, engine.RoleNode: NodeGroup,
	engine.RoleHypothetical: HypotheticalGroup,
}

// A groupBuilder sorts ends into groups.
type groupBuilder struct {
	at     map[groupKey]int
	groups []*listGroup
	// members are of all groups, and groupOf has the index of the group of each.
	members []Member
	groupOf []int
}

// finish gives the groups their members, all in one piece of memory.
func (b *groupBuilder) finish() []*listGroup {
	counts := make([]int, len(b.groups)+1)
	for _, g := range b.groupOf {
		counts[g+1]++
	}
	for g := range b.groups {
		counts[g+1] += counts[g]
	}
	all, next := make([]Member, len(b.members)), slices.Clone(counts)
	for i, g := range b.groupOf {
		all[next[g]] = b.members[i]
		next[g]++
	}
	for g, group := range b.groups {
		group.Members = all[counts[g]:counts[g+1]:counts[g+1]]
	}
	return b.groups
}

// findGroups returns the groups of all ends that the request selects, in order, with their ids.
func (l *List) findGroups(done <-chan struct{}) ([]listGroup, error) {
	b := groupBuilder{at: map[groupKey]int{}}
	var kept, lost []listGroup
	if l.survey != nil {
		kept, lost = l.carryPods(&b)
	} else if l.src.scans() || l.dst.scans() {
		pods := l.snapshot.Counts().Pods
		b.members, b.groupOf = make([]Member, 0, pods), make([]int, 0, pods)
		if err := l.roles.EachPod(done, func(e *engine.RoleEnd) {
			b.add(e, l.src.hasPod(e), l.dst.hasPod(e))
		}); err != nil {
			return nil, err
		}
	} else {
		b.addNamed(&l.src, &l.dst, isPod)
	}
	if l.request.Nodes && (l.src.all || l.dst.all) {
		named := func(s *endSet, ip netip.Addr) bool {
			return slices.ContainsFunc(s.ends, func(e engine.RoleEnd) bool {
				return e.Kind == engine.RoleNode && e.IPs[0] == ip
			})
		}
		for _, e := range l.roles.NodeAddresses() {
			b.add(&e, l.src.all || named(&l.src, e.IPs[0]), l.dst.all || named(&l.dst, e.IPs[0]))
		}
	} else {
		b.addNamed(&l.src, &l.dst, func(k engine.RoleKind) bool { return k == engine.RoleNode })
	}
	b.addNamed(&l.src, &l.dst, func(k engine.RoleKind) bool { return k == engine.RoleHypothetical })
	return sortGroups(b.finish(), kept, lost), nil
}

// carryPods returns the groups of the survey, sorted, if all Pods are meant on one side. Pods that the other side
// names are added to groups of their own, and lost has those that lose one.
func (l *List) carryPods(b *groupBuilder) (kept, lost []listGroup) {
	gone := map[int]map[string]bool{}
	add := func(e *engine.RoleEnd) {
		at := l.survey.at[keyOf(e, true, true)]
		if gone[at] == nil {
			gone[at] = map[string]bool{}
		}
		if !gone[at][e.Name] {
			gone[at][e.Name] = true
			b.add(e, l.src.hasPod(e), l.dst.hasPod(e))
		}
	}
	for _, side := range []*endSet{&l.src, &l.dst} {
		for i := range side.ends {
			if isPod(side.ends[i].Kind) {
				add(&side.ends[i])
			}
		}
		for name := range side.namespaces {
			l.roles.EachPodIn(name, add)
		}
	}
	return l.survey.carry(b, gone, func(g *listGroup) { g.key.bySrc, g.key.byDst = l.src.all, l.dst.all })
}

// isPod reports whether an end of the kind is a Pod that there is.
func isPod(k engine.RoleKind) bool { return k == engine.RolePod || k == engine.RoleHostNetwork }

// addNamed adds the ends of some kinds that endpoints stand for, each once.
func (b *groupBuilder) addNamed(src, dst *endSet, kind func(engine.RoleKind) bool) {
	type selected struct {
		end      *engine.RoleEnd
		src, dst bool
	}
	at := map[string]int{}
	var list []selected
	add := func(ends []engine.RoleEnd, isDst bool) {
		for i := range ends {
			e := &ends[i]
			if !kind(e.Kind) {
				continue
			}
			key := fmt.Sprint(e.Kind, e.Namespace, "/", e.Name, "/", e.Source, "/", e.Destination, e.IPs)
			n, ok := at[key]
			if !ok {
				n = len(list)
				at[key], list = n, append(list, selected{end: e})
			}
			list[n].dst, list[n].src = list[n].dst || isDst, list[n].src || !isDst
		}
	}
	add(src.ends, false)
	add(dst.ends, true)
	for _, s := range list {
		b.add(s.end, s.src, s.dst)
	}
}

// add adds an end to its group. src and dst report which sides of the request select it.
func (b *groupBuilder) add(e *engine.RoleEnd, src, dst bool) {
	if !src && !dst {
		return
	}
	key := keyOf(e, src, dst)
	at, ok := b.groupAt(key, e.IsolatedEgress, e.IsolatedIngress)
	if ok && e.Kind == engine.RoleNode { // one member with all addresses that are treated alike
		n := slices.Index(b.groupOf, at)
		b.members[n].IPs = append(slices.Clip(b.members[n].IPs), e.IPs...)
		return
	}
	b.addMember(at, Member{Name: e.Name, Node: e.Node, IPs: slices.Clip(e.IPs)})
}

// keyOf returns the key of the group of an end.
func keyOf(e *engine.RoleEnd, src, dst bool) groupKey {
	key := groupKey{
		kind: groupKinds[e.Kind], namespace: e.Namespace, workload: e.Workload, source: e.Source,
		destination: e.Destination, families: e.Families, bySrc: src, byDst: dst,
	}
	if e.Workload == (engine.Workload{}) {
		key.single = e.Name
	}
	return key
}

// groupAt returns the index of the group of a key, and whether it was there.
func (b *groupBuilder) groupAt(key groupKey, isolatedEgress, isolatedIngress bool) (int, bool) {
	at, ok := b.at[key]
	if !ok {
		at = len(b.groups)
		b.at[key], b.groups = at, append(b.groups, &listGroup{key: key, Group: Group{
			Kind: key.kind, Namespace: key.namespace, Workload: key.workload, Families: key.families,
			IsolatedEgress: isolatedEgress, IsolatedIngress: isolatedIngress,
		}})
	}
	return at, ok
}

// addMember adds a member to a group.
func (b *groupBuilder) addMember(group int, m Member) {
	b.members, b.groupOf = append(b.members, m), append(b.groupOf, group)
}

// sortGroups sorts groups and their members, adds them to others that are sorted already, and gives all their
// ids. lost are groups that were once among kept. What it returns has the memory of kept.
func sortGroups(found []*listGroup, kept, lost []listGroup) []listGroup {
	for _, g := range found {
		slices.SortFunc(g.Members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
		if g.Kind == NodeGroup {
			g.Members[0].IPs = slices.Clone(g.Members[0].IPs)
			slices.SortFunc(g.Members[0].IPs, netip.Addr.Compare)
		}
	}
	slices.SortFunc(found, compareGroups)
	n := len(kept)
	list := slices.Grow(kept, len(found))[:n+len(found)]
	for i := len(found) - 1; i >= 0; i-- { // from the last to the first, so that none is overwritten
		at, _ := slices.BinarySearchFunc(list[:n], found[i], func(a listGroup, b *listGroup) int {
			return compareGroups(&a, b)
		})
		copy(list[at+i+1:], list[at:n])
		list[at+i], n = *found[i], at
	}
	for i := range list {
		list[i].ID = uint32(i + 1)
	}
	for _, g := range found {
		setPartial(list, g)
	}
	for i := range lost {
		setPartial(list, &lost[i])
	}
	return list
}

// setPartial tells all groups of the workload of a group whether there are several.
func setPartial(list []listGroup, of *listGroup) {
	if of.Workload == (engine.Workload{}) {
		return
	}
	var parts [2][]listGroup
	n := 0
	wanted := *of
	for i, kind := range [...]GroupKind{PodGroup, HostNetworkGroup} {
		wanted.Kind = kind
		first, _ := slices.BinarySearchFunc(list, &wanted, func(a listGroup, b *listGroup) int {
			return cmp.Or(compareWorkloads(&a, b), 1) // the first of several
		})
		end := first
		for end < len(list) && compareWorkloads(&list[end], &wanted) == 0 {
			end++
		}
		parts[i], n = list[first:end], n+end-first
	}
	for _, part := range parts {
		for i := range part {
			part[i].Partial = n > 1
		}
	}
}

// compareGroups orders groups by kind, namespace, workload and first member.
func compareGroups(a, b *listGroup) int {
	return cmp.Or(
		compareWorkloads(a, b),
		cmp.Compare(a.Members[0].Name, b.Members[0].Name),
		slices.CompareFunc(a.Members[0].IPs, b.Members[0].IPs, netip.Addr.Compare),
		cmp.Compare(a.key.single, b.key.single),
	)
}

// compareWorkloads orders groups by kind, namespace and workload.
func compareWorkloads(a, b *listGroup) int {
	return cmp.Or(
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Workload.Kind, b.Workload.Kind), cmp.Compare(a.Workload.Name, b.Workload.Name),
	)
}
