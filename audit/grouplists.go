package audit

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A groupLists is the groups of a list or a difference, by their roles, and how results name them: by
// themselves, and as sets that are sent before (L5).
type groupLists struct {
	groups []listGroup
	// sources and destinations are the roles of the groups that the request selects, by lowest group.
	sources, destinations []roleGroups
	// sets are parts of destinations, and setOf has the set of each destination.
	sets  []destinationSet
	setOf []uint32
	// countGroups reports whether a group counts as one Pod, as it is a workload.
	countGroups bool
	// send takes sets, each before the result that first names it.
	send func(*Set)
	// sent has the sets that were sent, by what they list, and lastSet the last id.
	sent    map[listHash]uint32
	seeds   [2]maphash.Seed
	lastSet uint32
}

// A roleGroups is the groups of one role.
type roleGroups struct {
	role uint32
	kind GroupKind
	ids  []uint32
	// count is the number of ids.
	count int
	pods  uint64
	// asSrc is ids as results list them; nil until the first one does.
	asSrc *GroupList
}

// A destinationSet is a set of destinations that most sources name as a whole, or but for a few.
type destinationSet struct {
	// ids are the groups, ascending; pods is how many Pods they have.
	ids  []uint32
	pods uint64
	// whole is the id of the list of all of them, and parts those of stretches of partLength, each 0 until it
	// was sent.
	whole uint32
	parts []uint32
}

// A targets is the destination groups of one result on its way.
type targets struct {
	// sets are whole sets of destinations, but for some.
	sets []engine.SetReach
	// singles are the groups of single destinations.
	singles []uint32
	lowest  uint32
}

// newGroupLists returns lists without groups.
func newGroupLists(send func(*Set)) groupLists {
	return groupLists{
		send: send, sent: map[listHash]uint32{}, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
}

// Groups returns the groups, in order. They must not be modified.
func (l *groupLists) Groups() []Group {
	list := make([]Group, len(l.groups))
	for i := range l.groups {
		list[i] = l.groups[i].Group
	}
	return list
}

// byRole returns the groups that one side of the request selects, by their role and, if kinds is true, by
// their kind.
func (l *groupLists) byRole(source, kinds bool) []roleGroups {
	const most = int(HypotheticalGroup) + 1 // kinds
	var at []int32                          // 1 and the place in list, by role and kind
	place := make([]int32, len(l.groups))   // the same, by group
	list := make([]roleGroups, 0, len(l.groups))
	for i := range l.groups {
		g := &l.groups[i]
		role := g.key.source
		if !source {
			role = g.key.destination
		}
		if source && !g.key.bySrc || !source && !g.key.byDst {
			continue
		}
		key := int(role) * most
		if kinds {
			key += int(g.Kind)
		}
		if key >= len(at) {
			at = append(at, make([]int32, key+1-len(at)+len(at)/2)...)
		}
		if at[key] == 0 {
			list = append(list, roleGroups{role: role, kind: g.Kind})
			at[key] = int32(len(list))
		}
		place[i] = at[key]
		n := at[key] - 1
		list[n].count++
		if !source {
			g.destination = uint32(n)
		}
		list[n].pods += l.podsOf(g)
	}
	ids := make([]uint32, len(l.groups))
	for i := range list {
		list[i].ids, ids = ids[:0:list[i].count], ids[list[i].count:]
	}
	for i, n := range place {
		if n > 0 {
			list[n-1].ids = append(list[n-1].ids, l.groups[i].ID)
		}
	}
	return list
}

// podsOf returns as how many Pods a group counts.
func (l *groupLists) podsOf(g *listGroup) uint64 {
	switch {
	case !g.isPods():
		return 0
	case l.countGroups:
		return 1
	}
	return uint64(len(g.Members))
}

// listSets lists the groups of the sets of destinations, whose members are given.
func (l *groupLists) listSets(members [][]uint32) {
	l.setOf = make([]uint32, len(l.destinations))
	for i, list := range members {
		var set destinationSet
		for _, d := range list {
			l.setOf[d] = uint32(i)
			set.ids = append(set.ids, l.destinations[d].ids...)
			set.pods += l.destinations[d].pods
		}
		slices.Sort(set.ids)
		l.sets = append(l.sets, set)
	}
}

// selfPods returns how many Pods of a source each destination has, by the destination.
func (l *groupLists) selfPods(src *roleGroups) map[uint32]uint64 {
	found := map[uint32]uint64{}
	for _, id := range src.ids {
		if g := &l.groups[id-1]; g.isPods() && g.key.byDst {
			found[g.destination] += l.podsOf(g)
		}
	}
	return found
}

// order sorts the single groups of a result, and finds its lowest.
func (l *groupLists) order(c *targets) {
	slices.Sort(c.singles)
	c.lowest = ^uint32(0)
	if len(c.singles) > 0 {
		c.lowest = c.singles[0]
	}
	for i := range c.sets {
		for _, id := range l.sets[c.sets[i].Set].ids {
			if id >= c.lowest {
				break
			}
			if _, out := slices.BinarySearch(c.sets[i].Except, l.groups[id-1].destination); !out {
				c.lowest = id
				break
			}
		}
	}
}

// listOf returns the destinations of a result as it is sent.
func (l *groupLists) listOf(c *targets) GroupList {
	var ids, sets []uint32
	for i := range c.sets {
		ids, sets = l.appendSet(ids, sets, &c.sets[i])
	}
	ids = append(ids, c.singles...)
	slices.Sort(ids)
	slices.Sort(sets)
	g := GroupList{Groups: ids, Sets: sets}
	l.fold(&g)
	return g
}

// sourcesOf returns the groups of a source as results list them.
func (l *groupLists) sourcesOf(src *roleGroups) GroupList {
	if src.asSrc == nil {
		src.asSrc = &GroupList{Groups: src.ids}
		l.fold(src.asSrc)
	}
	return *src.asSrc
}

// appendSet appends the groups of a set of destinations, but for some: all of them by one set, or by those
// stretches that are whole.
func (l *groupLists) appendSet(ids, sets []uint32, s *engine.SetReach) (_, _ []uint32) {
	all := &l.sets[s.Set]
	switch {
	case len(s.Except) == 0 && len(all.ids) > longList:
		if all.whole == 0 {
			all.whole = l.setOfList(all.ids)
		}
		return ids, append(sets, all.whole)
	case len(s.Except) == 0:
		return append(ids, all.ids...), sets
	}
	if all.parts == nil {
		all.parts = make([]uint32, (len(all.ids)+partLength-1)/partLength)
	}
	for i := range all.parts {
		part := all.ids[i*partLength : min((i+1)*partLength, len(all.ids))]
		kept := slices.DeleteFunc(slices.Clone(part), func(id uint32) bool {
			_, out := slices.BinarySearch(s.Except, l.groups[id-1].destination)
			return out
		})
		if len(kept) < len(part) || len(part) < partLength {
			ids = append(ids, kept...)
			continue
		}
		if all.parts[i] == 0 {
			all.parts[i] = l.sendSet(part)
		}
		sets = append(sets, all.parts[i])
	}
	return ids, sets
}

// longList is the number of groups above which a list is sent as a set.
const longList = 64

// partLength is the length of the stretches in which a long list but for some groups is sent.
const partLength = 32

// fold replaces a long list of groups by a set.
func (l *groupLists) fold(g *GroupList) {
	if len(g.Groups) <= longList {
		return
	}
	g.Sets = append(slices.Clip(g.Sets), l.setOfList(g.Groups))
	slices.Sort(g.Sets)
	g.Groups = nil
}

// A listHash stands for a list of groups. Lists of equal hashes are taken as equal.
type listHash [2]uint64

// setOfList returns the set of a list, which it sends if it was not sent yet.
func (l *groupLists) setOfList(ids []uint32) uint32 {
	buf := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		buf = binary.LittleEndian.AppendUint32(buf, id)
	}
	key := listHash{maphash.Bytes(l.seeds[0], buf), maphash.Bytes(l.seeds[1], buf)}
	id, ok := l.sent[key]
	if !ok {
		id = l.sendSet(ids)
		l.sent[key] = id
	}
	return id
}

// sendSet sends a list as a set, and returns its id.
func (l *groupLists) sendSet(ids []uint32) uint32 {
	l.lastSet++
	l.send(&Set{l.lastSet, ids})
	return l.lastSet
}
