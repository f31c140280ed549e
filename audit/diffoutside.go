package audit

import (
	"fmt"

	"github.com/netpold/netpold/engine"
)

// outsideChanges returns what was opened and closed between an end and the outside addresses that the other
// side of the request selects, without the end.
func (d *Diff) outsideChanges(as int, end *jointRole) []*Change {
	other, direction := &d.dst, Egress
	if as == asDestination {
		other, direction = &d.src, Ingress
	}
	if !other.hasOutside() {
		return nil
	}
	var found [2][]engine.OutsideReach
	for i := range d.states {
		found[i] = cutOutside(d.states[i].outside(as, &end[i]), d.ports, other)
	}
	var list []*Change
	add := func(kind ChangeKind, x *engine.OutsideReach) {
		c := &Change{Kind: kind, Ports: x.Ports}
		state := &c.After
		if kind == Closed {
			state = &c.Before
		}
		*state = ChangeState{Allowed: true, Families: familiesOf(x.CIDRs)}
		if direction == Egress {
			c.DstCIDRs, state.EgressBy = x.CIDRs, ruleOf(x.By, direction)
		} else {
			c.SrcCIDRs, state.IngressBy = x.CIDRs, ruleOf(x.By, direction)
		}
		list = append(list, c)
	}
	for _, x := range engine.SubtractOutside(found[stateAfter], found[stateBefore]) {
		add(Opened, &x)
	}
	for _, x := range engine.SubtractOutside(found[stateBefore], found[stateAfter]) {
		add(Closed, &x)
	}
	return list
}

// noteExternal notes groups with a port opened or closed to or from the outside.
func (d *Diff) noteExternal(kind ChangeKind, ids []uint32) {
	for _, id := range ids {
		d.external[kind-1][id] = true
	}
}

// changesToOutside returns the changes of a source to addresses outside the cluster.
func (d *Diff) changesToOutside(src *roleGroups) []changed {
	var list []changed
	for _, c := range d.outsideChanges(asSource, d.joint[asSource].of(src.role)) {
		d.noteExternal(c.Kind, src.ids)
		list = append(list, changed{change: c})
	}
	return list
}

// changesFromOutside returns the changes from addresses outside the cluster. Destinations of one value share
// a change (L3).
func (d *Diff) changesFromOutside() []changed {
	type key struct {
		kind         ChangeKind
		cidrs, ports string
		by           Rule
	}
	at := map[key]int{}
	var list []changed
	for i := range d.destinations {
		dst := &d.destinations[i]
		if d.sparse != nil && d.sparse.touches[asDestination][i] == 0 {
			continue
		}
		for _, c := range d.outsideChanges(asDestination, d.joint[asDestination].of(dst.role)) {
			d.noteExternal(c.Kind, dst.ids)
			k := key{c.Kind, fmt.Sprint(c.SrcCIDRs), fmt.Sprint(c.Ports), c.After.IngressBy}
			if c.Kind == Closed {
				k.by = c.Before.IngressBy
			}
			n, ok := at[k]
			if !ok {
				n = len(list)
				at[k], list = n, append(list, changed{change: c})
			}
			list[n].singles = append(list[n].singles, dst.ids...)
		}
	}
	for i := range list {
		d.order(&list[i].targets)
	}
	return list
}
