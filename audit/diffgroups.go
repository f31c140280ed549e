package audit

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A diffEnd is an end on its way into a group of the difference.
type diffEnd struct {
	// in has the end in each state; nil if the state has it not.
	in [2]*engine.RoleEnd
	// src and dst report which sides of the request select it, in either state.
	src, dst bool
}

// findGroups finds the groups of all ends that the request selects in either state, in order, with their ids.
func (d *Diff) findGroups(done <-chan struct{}) error {
	b := groupBuilder{at: map[groupKey]int{}}
	nodes := d.nodeEnds()
	d.withNodes = len(nodes) > 0
	var kept, lost []listGroup
	var err error
	switch {
	case d.request.Match == MatchWorkloads:
		err = d.addWorkloads(done, &b)
	case d.pair != nil:
		kept, lost = d.carryPods(&b)
	default:
		err = d.eachPod(done, func(e *diffEnd) { d.addEnd(&b, e) })
	}
	if err != nil {
		return err
	}
	for i := range nodes {
		d.addEnd(&b, &nodes[i])
	}
	for _, e := range d.hypotheticalEnds() {
		d.addEnd(&b, &e)
	}
	d.groups = sortGroups(b.finish(), kept, lost)
	for i := range d.groups {
		d.groups[i].Presence = d.joint[asSource].of(d.groups[i].key.source).presence()
	}
	return nil
}

// addEnd adds an end to its group. What the group says is that of the state after, if it has the end.
func (d *Diff) addEnd(b *groupBuilder, e *diffEnd) {
	if !e.src && !e.dst {
		return
	}
	var source, destination jointRole
	for i, in := range e.in {
		if in == nil {
			continue
		}
		source[i] = stateRole{present: true, role: in.Source}
		destination[i] = stateRole{present: true, role: in.Destination}
		if d.withNodes {
			source[i].kind, destination[i].kind = groupKinds[in.Kind], groupKinds[in.Kind]
		}
	}
	shown := *cmp.Or(e.in[stateAfter], e.in[stateBefore])
	shown.Source = d.joint[asSource].numberOf(source)
	shown.Destination = d.joint[asDestination].numberOf(destination)
	b.add(&shown, e.src, e.dst)
}

// eachPod yields the Pods that the request selects in either state, each once.
func (d *Diff) eachPod(done <-chan struct{}, yield func(*diffEnd)) error {
	before, after := &d.states[stateBefore], &d.states[stateAfter]
	if !d.scans() {
		for _, name := range d.namedPods() {
			yield(d.podNamed(name))
		}
		return nil
	}
	if err := after.roles.EachPod(done, func(a *engine.RoleEnd) {
		if b, ok := before.roles.Pod(a.Namespace, a.Name); ok {
			yield(d.podEnd(&b, a))
		} else {
			yield(d.podEnd(nil, a))
		}
	}); err != nil {
		return err
	}
	return before.roles.EachPod(done, func(b *engine.RoleEnd) {
		if _, ok := after.roles.Pod(b.Namespace, b.Name); !ok {
			yield(d.podEnd(b, nil))
		}
	})
}

// podEnd returns a Pod, as it is in each state, as an end. A Pod is meant if it is in either state.
func (d *Diff) podEnd(before, after *engine.RoleEnd) *diffEnd {
	e := &diffEnd{in: [2]*engine.RoleEnd{before, after}}
	for i, in := range e.in {
		if in != nil {
			src, dst := d.states[i].src.hasPod(in), d.states[i].dst.hasPod(in)
			e.src, e.dst = e.src || src, e.dst || dst
		}
	}
	return e
}

// podNamed returns a Pod as an end, by its name.
func (d *Diff) podNamed(name [2]string) *diffEnd {
	var found [2]*engine.RoleEnd
	for i := range d.states {
		if e, ok := d.states[i].roles.Pod(name[0], name[1]); ok {
			found[i] = &e
		}
	}
	return d.podEnd(found[stateBefore], found[stateAfter])
}

// scans reports whether all Pods have to be looked at.
func (d *Diff) scans() bool {
	return slices.ContainsFunc(d.states[:], func(s diffState) bool { return s.src.scans() || s.dst.scans() })
}

// namedPods returns the Pods that endpoints of the request stand for in either state, each once, in order.
func (d *Diff) namedPods() [][2]string {
	var list [][2]string
	for i := range d.states {
		for _, s := range []*endSet{&d.states[i].src, &d.states[i].dst} {
			for name := range s.pods {
				list = append(list, name)
			}
		}
	}
	slices.SortFunc(list, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(list)
}

// nodeEnds returns the addresses of Nodes that the request selects in either state. An address is the same
// end in both if it is of the same Node.
func (d *Diff) nodeEnds() []diffEnd {
	type nodeAddress struct {
		node string
		ip   netip.Addr
	}
	at := map[nodeAddress]int{}
	var list []diffEnd
	for i := range d.states {
		s := &d.states[i]
		for _, e := range d.nodeAddresses(s) {
			key := nodeAddress{e.Name, e.IPs[0]}
			n, ok := at[key]
			if !ok {
				n = len(list)
				at[key], list = n, append(list, diffEnd{})
			}
			list[n].in[i] = &e
			list[n].src = list[n].src || d.meansNode(s, &s.src, &e)
			list[n].dst = list[n].dst || d.meansNode(s, &s.dst, &e)
		}
	}
	return slices.DeleteFunc(list, func(e diffEnd) bool { return !e.src && !e.dst })
}

// nodeAddresses returns the addresses of the Nodes of a state, or none if the request means no Node in
// either.
func (d *Diff) nodeAddresses(s *diffState) []engine.RoleEnd {
	isNode := func(e engine.RoleEnd) bool { return e.Kind == engine.RoleNode }
	for i := range d.states {
		of := &d.states[i]
		if d.request.Nodes && (of.src.all || of.dst.all) ||
			slices.ContainsFunc(of.src.ends, isNode) || slices.ContainsFunc(of.dst.ends, isNode) {
			return s.roles.NodeAddresses()
		}
	}
	return nil
}

// meansNode reports whether one side of the request means an address of a Node of a state.
func (d *Diff) meansNode(s *diffState, side *endSet, e *engine.RoleEnd) bool {
	return d.request.Nodes && side.all || slices.ContainsFunc(side.ends, func(o engine.RoleEnd) bool {
		return o.Kind == engine.RoleNode && o.IPs[0] == e.IPs[0]
	})
}

// hypotheticalEnds returns the Pods that need not exist, each once. Both states have all of them.
func (d *Diff) hypotheticalEnds() []diffEnd {
	at := map[string]int{}
	var list []diffEnd
	add := func(before, after []engine.RoleEnd, dst bool) {
		isHypothetical := func(e engine.RoleEnd) bool { return e.Kind != engine.RoleHypothetical }
		before = slices.DeleteFunc(slices.Clone(before), isHypothetical)
		after = slices.DeleteFunc(slices.Clone(after), isHypothetical)
		for i := range after {
			b, a := &before[i], &after[i]
			n, ok := at[a.Name]
			if !ok {
				n = len(list)
				at[a.Name], list = n, append(list, diffEnd{in: [2]*engine.RoleEnd{b, a}})
			}
			list[n].src, list[n].dst = list[n].src || !dst, list[n].dst || dst
		}
	}
	add(d.states[stateBefore].src.ends, d.states[stateAfter].src.ends, false)
	add(d.states[stateBefore].dst.ends, d.states[stateAfter].dst.ends, true)
	return list
}
