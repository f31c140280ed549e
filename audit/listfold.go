package audit

import (
	"slices"

	"github.com/netpold/netpold/engine"
)

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
	targets
}

// add returns the connection of a value, or nil if none of its ports is listed.
func (f *folding) add(x *engine.Reach) *folded {
	ports := f.list.cut(x.Ports)
	if len(ports) == 0 {
		return nil
	}
	f.key = append(f.key[:0], byte(x.Families))
	f.key = appendPorts(f.key, ports)
	if f.list.request.Policies {
		f.key = f.list.rules.append(f.key, x)
	}
	at, ok := f.at[string(f.key)]
	if !ok {
		at = len(f.found)
		f.at[string(f.key)] = at
		c := &Connection{
			Ports: ports, Families: x.Families,
			EgressBy: ruleOf(x.Egress, Egress), IngressBy: ruleOf(x.Ingress, Ingress),
		}
		f.found = append(f.found, folded{connection: c})
	}
	return &f.found[at]
}

// connectionsOf returns the connections of a role of sources to groups.
func (l *List) connectionsOf(src *roleGroups) []folded {
	row := l.against.From(src.role, func(kind uint8) bool { return listed(src.kind, GroupKind(kind)) })
	if len(row.Sets)+len(row.Singles) == 0 {
		return nil
	}
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
		l.order(&f.found[i].targets)
	}
	return f.found
}

// reachThemselves returns how many Pods of a source the row has as destinations with a listed port.
func (l *List) reachThemselves(src *roleGroups, row *engine.Row) uint64 {
	reached := func(list []engine.Reach) bool {
		return slices.ContainsFunc(list, func(x engine.Reach) bool { return len(l.cut(x.Ports)) > 0 })
	}
	byDestination := l.selfPods(src)
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
