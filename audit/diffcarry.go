package audit

import (
	"slices"

	"github.com/netpold/netpold/engine"
)

// pairStates makes the roles of both states. If the request means all Pods, and the state after was made of the one
// before, they are a pair that knows which Pods are touched.
func (d *Diff) pairStates(done <-chan struct{}) error {
	before, after := &d.states[stateBefore], &d.states[stateAfter]
	if d.request.Match == MatchPods && !d.request.Src.isNamed() && !d.request.Dst.isNamed() {
		survey, err := surveyPods(done, before.snapshot)
		if err != nil {
			return err
		}
		if pair, ok := survey.roles.Pair(after.snapshot, d.request.Policies); ok {
			d.survey, d.pair = survey, pair
			before.roles, after.roles = pair.Before, pair.After
			return nil
		}
	}
	for i := range d.states {
		d.states[i].roles = d.states[i].snapshot.NewRoles(d.request.Policies)
	}
	return nil
}

// carryPods adds the touched Pods to their groups, and returns the groups of all others, sorted. A group that loses
// or gains a Pod is made anew.
func (d *Diff) carryPods(b *groupBuilder) (kept []*listGroup) {
	src, dst := d.states[stateAfter].src.all, d.states[stateAfter].dst.all
	if !src && !dst {
		return nil
	}
	gone := map[int][]string{}
	d.pair.EachTouched(func(before, after *engine.RoleEnd) {
		d.addEnd(b, &diffEnd{in: [2]*engine.RoleEnd{before, after}, src: src, dst: dst})
		if before != nil {
			at := d.survey.at[keyOf(before, true, true)]
			gone[at] = append(gone[at], before.Name)
		}
	})
	all := make([]listGroup, len(d.survey.groups))
	kept = make([]*listGroup, 0, len(all))
	for i := range d.survey.groups {
		g := &all[i]
		*g = d.survey.groups[i]
		g.key.source = d.carriedRole(asSource, g.key.source, g.Kind)
		g.key.destination = d.carriedRole(asDestination, g.key.destination, g.Kind)
		g.key.bySrc, g.key.byDst = src, dst
		_, gains := b.at[g.key]
		if !gains && len(gone[i]) == 0 {
			kept = append(kept, g)
			continue
		}
		for _, m := range g.Members {
			if !slices.Contains(gone[i], m.Name) {
				at, _ := b.groupAt(g.key, g.IsolatedEgress, g.IsolatedIngress)
				b.addMember(at, m)
			}
		}
	}
	return kept
}

// carriedRole returns the joint role of Pods that are not touched and have a role before.
func (d *Diff) carriedRole(as int, role uint32, kind GroupKind) uint32 {
	after := role
	if as == asSource {
		after = d.pair.CarriedSource(role)
	} else {
		after = d.pair.CarriedDestination(role)
	}
	if !d.withNodes {
		kind = 0
	}
	return d.joint[as].numberOf(jointRole{{true, kind, role, 0}, {true, kind, after, 0}})
}
