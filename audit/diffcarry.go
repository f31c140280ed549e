package audit

import (
	"cmp"
	"slices"

	"github.com/netpold/netpold/engine"
)

// pairStates makes the roles of both states. If the request means many Pods, and the state after was made of
// the one before, they are a pair that knows which Pods are touched.
func (d *Diff) pairStates(done <-chan struct{}) error {
	before, after := &d.states[stateBefore], &d.states[stateAfter]
	if src, dst := &d.request.Src, &d.request.Dst; d.request.Match == MatchPods &&
		!src.bySelectors() && !dst.bySelectors() && (src.meansMany() || dst.meansMany()) {
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

// bySelectors reports whether Pods are selected by labels.
func (e *Ends) bySelectors() bool { return e.Pods != nil || e.NamespaceLabels != nil }

// meansMany reports whether all Pods are meant, or those of whole namespaces.
func (e *Ends) meansMany() bool {
	return len(e.Namespaces) > 0 || e.meansAll()
}

// carryPods adds the touched Pods to their groups, and those that the request names, and returns the groups
// of all others that it means, sorted. A group that loses or gains a Pod is made anew, and lost has what it
// was.
func (d *Diff) carryPods(b *groupBuilder) (kept, lost []listGroup) {
	gone := map[int]map[string]bool{}
	added := map[[2]string]bool{}
	add := func(e *diffEnd) {
		d.addEnd(b, e)
		before := cmp.Or(e.in[stateBefore], e.in[stateAfter])
		added[[2]string{before.Namespace, before.Name}] = true
		if before == e.in[stateBefore] {
			at := d.survey.at[keyOf(before, true, true)]
			if gone[at] == nil {
				gone[at] = map[string]bool{}
			}
			gone[at][before.Name] = true
		}
	}
	d.pair.EachTouched(func(before, after *engine.RoleEnd) { add(d.podEnd(before, after)) })
	for _, name := range d.namedPods() {
		if !added[name] {
			add(d.podNamed(name))
		}
	}
	for _, name := range slices.Concat(d.request.Src.Namespaces, d.request.Dst.Namespaces) {
		d.pair.After.EachPodIn(name, func(e *engine.RoleEnd) {
			if name := [2]string{e.Namespace, e.Name}; !added[name] { // those that are gone are touched
				add(d.podNamed(name))
			}
		})
	}
	src, dst := d.states[stateAfter].src.all, d.states[stateAfter].dst.all
	if !src && !dst {
		return nil, nil
	}
	for as := range d.joint {
		d.joint[as].grow(len(d.survey.groups))
	}
	return d.survey.carry(b, gone, func(g *listGroup) {
		g.key.source = d.carriedRole(asSource, g.key.source, g.Kind)
		g.key.destination = d.carriedRole(asDestination, g.key.destination, g.Kind)
		g.key.bySrc, g.key.byDst = src, dst
	})
}

// carriedRole returns the joint role of Pods that are not touched and have a role before.
func (d *Diff) carriedRole(as int, role uint32, kind GroupKind) uint32 {
	carried := d.pair.CarriedSource
	if as == asDestination {
		carried = d.pair.CarriedDestination
	}
	after := carried(role)
	if !d.withNodes {
		kind = 0
	}
	return d.joint[as].numberOf(jointRole{{true, kind, role, 0}, {true, kind, after, 0}})
}
