package audit

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/netpold/netpold/engine"
)

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

// A folding is connections of one source on their way: one for each value.
type folding struct {
	list  *List
	at    map[string]int
	found []folded
	key   []byte
}

// A folded is one connection on its way.
type folded struct {
	connection *Connection
	// sets are whole sets of destinations, but for some.
	sets []engine.SetReach
	// singles are the groups of single destinations.
	singles []uint32
	lowest  uint32
}

// add returns the connection of a value, or nil if none of its ports is listed.
func (f *folding) add(x *engine.Reach) *folded {
	ports := f.list.cut(x.Ports)
	if len(ports) == 0 {
		return nil
	}
	f.key = append(f.key[:0], byte(x.Families))
	for _, p := range ports {
		f.key = append(f.key, byte(p.Protocol), byte(p.First>>8), byte(p.First), byte(p.Last>>8), byte(p.Last))
	}
	if f.list.request.Policies {
		f.key = binary.AppendUvarint(f.key, uint64(f.list.ruleNumber(x.Egress)))
		f.key = binary.AppendUvarint(f.key, uint64(f.list.ruleNumber(x.Ingress)))
	}
	at, ok := f.at[string(f.key)]
	if !ok {
		at = len(f.found)
		f.at[string(f.key)] = at
		c := &Connection{
			Ports: ports, Families: x.Families,
			EgressBy: ruleOf(x.Egress, Egress), IngressBy: ruleOf(x.Ingress, Ingress),
		}
		f.found = append(f.found, folded{connection: c, lowest: ^uint32(0)})
	}
	return &f.found[at]
}

// ruleNumber returns a number of a rule, different for different rules.
func (l *List) ruleNumber(r engine.DecidingRule) int {
	n, ok := l.ruleNumbers[r]
	if !ok {
		n = len(l.ruleNumbers)
		l.ruleNumbers[r] = n
	}
	return n
}

// connectionsOf returns the connections of a role of sources to groups.
func (l *List) connectionsOf(src *roleGroups) []folded {
	row := l.against.From(src.role, func(kind uint8) bool { return listed(src.kind, GroupKind(kind)) })
	f := folding{list: l, at: map[string]int{}}
	var pods uint64
	for _, s := range row.Sets {
		any := false
		for i := range s.Reaches {
			if c := f.add(&s.Reaches[i]); c != nil {
				any = true
				c.sets = append(c.sets, s)
			}
		}
		if !any {
			continue
		}
		pods += l.sets[s.Set].pods
		for _, d := range s.Except {
			pods -= l.destinations[d].pods
		}
	}
	for _, s := range row.Singles {
		any := false
		for i := range s.Reaches {
			if c := f.add(&s.Reaches[i]); c != nil {
				any = true
				c.singles = append(c.singles, l.destinations[s.Destination].ids...)
			}
		}
		if any {
			pods += l.destinations[s.Destination].pods
		}
	}
	l.summary.PairsAllowed += src.pods*pods - l.reachThemselves(src, &row)
	for i := range f.found {
		slices.Sort(f.found[i].singles)
		f.found[i].lowest = l.lowest(&f.found[i])
	}
	return f.found
}

// reachThemselves returns how many Pods of a source the row has as destinations with a listed port.
func (l *List) reachThemselves(src *roleGroups, row *engine.Row) uint64 {
	reached := func(list []engine.Reach) bool {
		return slices.ContainsFunc(list, func(x engine.Reach) bool { return len(l.cut(x.Ports)) > 0 })
	}
	byDestination := map[uint32]uint64{}
	for _, id := range src.ids {
		if g := &l.groups[id-1]; g.isPods() && g.key.byDst {
			byDestination[g.destination] += uint64(len(g.Members))
		}
	}
	var n uint64
	for _, s := range row.Singles {
		if pods := byDestination[s.Destination]; pods > 0 && reached(s.Reaches) {
			n += pods
		}
	}
	for _, s := range row.Sets {
		if !reached(s.Reaches) {
			continue
		}
		for d, pods := range byDestination {
			if _, out := slices.BinarySearch(s.Except, d); !out && l.setOf[d] == s.Set {
				n += pods
			}
		}
	}
	return n
}

// lowest returns the lowest destination group of a connection.
func (l *List) lowest(c *folded) uint32 {
	low := ^uint32(0)
	if len(c.singles) > 0 {
		low = c.singles[0]
	}
	for i := range c.sets {
		for _, id := range l.sets[c.sets[i].Set].ids {
			if id >= low {
				break
			}
			if _, out := slices.BinarySearch(c.sets[i].Except, l.groups[id-1].destination); !out {
				low = id
				break
			}
		}
	}
	return low
}

// prepare makes a connection what is sent: it lists its destinations, by themselves and as sets.
func (l *List) prepare(c *folded) {
	var ids, sets []uint32
	for i := range c.sets {
		ids, sets = l.appendSet(ids, sets, &c.sets[i])
	}
	ids = append(ids, c.singles...)
	slices.Sort(ids)
	slices.Sort(sets)
	c.connection.Dst = GroupList{Groups: ids, Sets: sets}
	l.fold(&c.connection.Dst)
}

// appendSet appends the groups of a set of destinations, but for some: all of them by one set, or by those
// stretches that are whole.
func (l *List) appendSet(ids, sets []uint32, s *engine.SetReach) (_, _ []uint32) {
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
func (l *List) fold(g *GroupList) {
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
func (l *List) setOfList(ids []uint32) uint32 {
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
func (l *List) sendSet(ids []uint32) uint32 {
	l.lastSet++
	l.pending = append(l.pending, Item{Set: &Set{l.lastSet, ids}})
	return l.lastSet
}
