package audit

import "github.com/netpold/netpold/engine"

// A changed is a change on its way.
type changed struct {
	change *Change
	targets
}

// A difference is ports on which the verdicts of one pair of ends differ in the same way.
type difference struct {
	kind  ChangeKind
	ports engine.PortSet
	// before and after are what allows them; nil for a denial.
	before, after *engine.Reach
}

// differences returns what differs between the results of a pair of ends, cut to the ports that are compared.
func (d *Diff) differences(before, after []engine.Reach) []difference {
	if len(before) == 0 && len(after) == 0 {
		return nil
	}
	var list []difference
	add := func(kind ChangeKind, ports engine.PortSet, before, after *engine.Reach) {
		if ports = cutPorts(ports, d.ports); len(ports) > 0 {
			list = append(list, difference{kind, ports, before, after})
		}
	}
	minus := func(ports engine.PortSet, of []engine.Reach) engine.PortSet {
		for i := range of {
			ports = ports.Minus(of[i].Ports)
		}
		return ports
	}
	for i := range before {
		b := &before[i]
		add(Closed, minus(b.Ports, after), b, nil)
		for j := range after {
			if a := &after[j]; a.Families != b.Families {
				add(FamiliesChanged, b.Ports.Intersect(a.Ports), b, a)
			}
		}
	}
	for j := range after {
		add(Opened, minus(after[j].Ports, before), nil, &after[j])
	}
	return list
}

// A changeFolding is changes of one source on their way: one for each value (D1).
type changeFolding struct {
	diff  *Diff
	at    map[string]int
	found []changed
	key   []byte
}

// add returns the change of a value.
func (f *changeFolding) add(x *difference) *changed {
	f.key = append(f.key[:0], byte(x.kind))
	f.key = appendPorts(f.key, x.ports)
	f.appendState(x.before)
	f.appendState(x.after)
	at, ok := f.at[string(f.key)]
	if !ok {
		at = len(f.found)
		f.at[string(f.key)] = at
		f.found = append(f.found, changed{change: &Change{
			Kind: x.kind, Ports: x.ports, Before: changeState(x.before), After: changeState(x.after),
		}})
	}
	return &f.found[at]
}

// addSingle adds what differs of one destination, and returns the kinds.
func (f *changeFolding) addSingle(j uint32, list []difference) (mask kindMask) {
	for i := range list {
		c := f.add(&list[i])
		c.singles = append(c.singles, f.diff.destinations[j].ids...)
		mask = mask.with(list[i].kind)
	}
	return mask
}

// finish returns the changes with their lowest destinations.
func (f *changeFolding) finish() []changed {
	for i := range f.found {
		f.diff.order(&f.found[i].targets)
	}
	return f.found
}

// appendState appends to the key what allows in one state.
func (f *changeFolding) appendState(x *engine.Reach) {
	if x == nil {
		f.key = append(f.key, 0)
		return
	}
	f.key = append(f.key, 1, byte(x.Families))
	if f.diff.request.Policies {
		f.key = f.diff.rules.append(f.key, x)
	}
}

// changeState returns what allows in one state, nil for a denial, as changes have it.
func changeState(x *engine.Reach) ChangeState {
	if x == nil {
		return ChangeState{}
	}
	return ChangeState{true, x.Families, ruleOf(x.Egress, Egress), ruleOf(x.Ingress, Ingress)}
}

// A kindMask has a bit for each kind of change.
type kindMask uint8

// with returns the mask with a kind.
func (m kindMask) with(kind ChangeKind) kindMask { return m | 1<<(kind-1) }

// A kindPods counts Pods by the kinds of change that they have.
type kindPods [FamiliesChanged]uint64

// count adds pods for each kind of a mask.
func (n *kindPods) count(mask kindMask, pods uint64) {
	for kind := range n {
		if mask&(1<<kind) != 0 {
			n[kind] += pods
		}
	}
}
