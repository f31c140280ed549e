package audit

import (
	"slices"

	"github.com/netpold/netpold/engine"
)

// A diffRow is what a source reaches in one state.
type diffRow struct {
	state *diffState
	// sets has the results of the sets of the state, by 1 and their number; the first is empty.
	sets [][]engine.Reach
	// single has the results of destinations of the difference that may have another one than their set.
	single map[uint32][]engine.Reach
}

// of returns the result of a destination of the difference.
func (r *diffRow) of(j uint32) []engine.Reach {
	if found, ok := r.single[j]; ok {
		return found
	}
	return r.sets[r.state.setOf[j]]
}

// rowOf returns what a source reaches in a state. Destinations that are workloads of several roles are
// single, and so are all if the source is one.
func (d *Diff) rowOf(i int, source *jointRole) diffRow {
	s := &d.states[i]
	r := diffRow{
		state: s, sets: make([][]engine.Reach, 1+len(s.against.Sets())), single: map[uint32][]engine.Reach{},
	}
	src := &source[i]
	between := func(j uint32) {
		r.single[j] = s.between(src, &d.joint[asDestination].of(d.destinations[j].role)[i])
	}
	switch {
	case !src.present:
		return r
	case src.many > 0:
		for j := range d.destinations {
			between(uint32(j))
		}
		return r
	}
	row := s.against.From(src.role, func(kind uint8) bool { return listed(src.kind, GroupKind(kind)) })
	for i := range row.Sets {
		found := &row.Sets[i]
		r.sets[1+found.Set] = found.Reaches
		for _, x := range found.Except {
			r.single[s.jointOf[x]] = nil
		}
	}
	for _, x := range row.Singles {
		r.single[s.jointOf[x.Destination]] = x.Reaches
	}
	for _, j := range s.manyOf {
		between(j)
	}
	return r
}

// changesOf returns the changes of a source to groups.
func (d *Diff) changesOf(src *roleGroups) []changed {
	joint := d.joint[asSource].of(src.role)
	rows := [2]diffRow{d.rowOf(stateBefore, joint), d.rowOf(stateAfter, joint)}
	var special []uint32
	for i := range rows {
		for j := range rows[i].single {
			special = append(special, j)
		}
	}
	slices.Sort(special)
	special = slices.Compact(special)

	f, pods := changeFolding{diff: d, at: map[string]int{}}, kindPods{}
	masks, excepted := map[uint32]kindMask{}, map[uint32][]uint32{}
	for _, j := range special {
		masks[j] = f.addSingle(j, d.differences(rows[stateBefore].of(j), rows[stateAfter].of(j)))
		excepted[d.setOf[j]] = append(excepted[d.setOf[j]], j)
		pods.count(masks[j], d.destinations[j].pods)
	}
	setMasks := make([]kindMask, len(d.sets))
	for set, pair := range d.setPairs {
		except := excepted[uint32(set)]
		if len(except) == d.setSizes[set] {
			continue
		}
		for _, x := range d.differences(
			rows[stateBefore].sets[pair[stateBefore]], rows[stateAfter].sets[pair[stateAfter]],
		) {
			c := f.add(&x)
			c.sets = append(c.sets, engine.SetReach{Set: uint32(set), Except: except})
			setMasks[set] = setMasks[set].with(x.kind)
		}
		n := d.sets[set].pods
		for _, j := range except {
			n -= d.destinations[j].pods
		}
		pods.count(setMasks[set], n)
	}
	d.countPods(src, pods, func(j uint32) kindMask {
		if mask, ok := masks[j]; ok {
			return mask
		}
		return setMasks[d.setOf[j]]
	})
	return f.finish()
}

// countPods counts the pairs of Pods of a source in the summary: pods are those of destinations, and maskOf
// returns the kinds of change of one. A Pod and itself are no pair.
func (d *Diff) countPods(src *roleGroups, pods kindPods, maskOf func(j uint32) kindMask) {
	var itself kindPods
	for j, n := range d.selfPods(src) {
		itself.count(maskOf(j), n)
	}
	d.summary.Opened += src.pods*pods[Opened-1] - itself[Opened-1]
	d.summary.Closed += src.pods*pods[Closed-1] - itself[Closed-1]
	d.summary.FamiliesChanged += src.pods*pods[FamiliesChanged-1] - itself[FamiliesChanged-1]
}
