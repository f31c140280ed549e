package audit

import "github.com/netpold/netpold/engine"

// maxTouched is how many sources, and how many destinations, may be touched for pairs to be compared one by
// one.
const maxTouched = 32

// A touch says how the changes touch a joint role.
type touch uint8

const (
	// touchesRules: other rules decide its own side.
	touchesRules touch = 1 << iota
	// touchesLooks: other ends' rules may see it differently, or only one state has it.
	touchesLooks
)

// A sparseDiff knows which joint roles the changes touch. Pairs of which neither end is touched have the same
// results in both states.
type sparseDiff struct {
	// touches has the touch of each source at 0, and of each destination at 1.
	touches [2][]touch
	// all are the destinations, and touched those that are touched.
	all, touched []uint32
}

// findTouched returns which joint roles are touched, or nil if that is not known, or if they are many.
func (d *Diff) findTouched() *sparseDiff {
	if d.pair == nil {
		return nil
	}
	s, many := &sparseDiff{}, false
	for as, list := range [2][]roleGroups{asSource: d.sources, asDestination: d.destinations} {
		s.touches[as] = make([]touch, len(list))
		n := 0
		for i := range list {
			t := d.touchOf(as, d.joint[as].of(list[i].role))
			if s.touches[as][i] = t; t != 0 {
				n++
			}
			if as == asDestination {
				s.all = append(s.all, uint32(i))
				if t != 0 {
					s.touched = append(s.touched, uint32(i))
				}
			}
		}
		many = many || n > maxTouched
	}
	if many {
		return nil
	}
	return s
}

// touchOf returns how a joint role is touched.
func (d *Diff) touchOf(as int, r *jointRole) (t touch) {
	before, after := r[stateBefore], r[stateAfter]
	if !before.present || !after.present || before.kind != after.kind {
		return touchesLooks
	}
	rules, looks := d.pair.SourceRulesDiffer, d.pair.SourceLooksDifferent
	if as == asDestination {
		rules, looks = d.pair.DestinationRulesDiffer, d.pair.DestinationLooksDifferent
	}
	if rules(before.role, after.role) {
		t |= touchesRules
	}
	if looks(before.role, after.role) {
		t |= touchesLooks
	}
	return t
}

// sparseChangesOf returns the changes of a source to groups, by the pairs that the changes touch.
func (d *Diff) sparseChangesOf(n int) []changed {
	src := &d.sources[n]
	source, mine := d.joint[asSource].of(src.role), d.sparse.touches[asSource][n]
	list := d.sparse.touched
	if mine != 0 {
		list = d.sparse.all
	}
	var f *changeFolding
	var pods kindPods
	var masks map[uint32]kindMask
	for _, j := range list {
		destination := d.joint[asDestination].of(d.destinations[j].role)
		if (mine|d.sparse.touches[asDestination][j])&touchesLooks == 0 && !d.pair.MayDiffer(
			source[stateBefore].role, source[stateAfter].role,
			destination[stateBefore].role, destination[stateAfter].role,
		) {
			continue
		}
		var found [2][]engine.Reach
		for i := range d.states {
			found[i] = d.states[i].between(&source[i], &destination[i])
		}
		differences := d.differences(found[stateBefore], found[stateAfter])
		if len(differences) == 0 {
			continue
		}
		if f == nil {
			f, masks = &changeFolding{diff: d, at: map[string]int{}}, map[uint32]kindMask{}
		}
		masks[j] = f.addSingle(j, differences)
		pods.count(masks[j], d.destinations[j].pods)
	}
	if f == nil {
		return nil
	}
	d.countPods(src, pods, func(j uint32) kindMask { return masks[j] })
	return f.finish()
}
