package audit

import (
	"cmp"
	"slices"

	"github.com/netpold/netpold/engine"
)

// Diff is what differs between two snapshots. Its groups are known at once, and its changes are computed as
// the caller takes them. It is not safe for concurrent use.
//
// What a snapshot says of two ends depends on their roles in it alone. So an end of the difference has a
// joint role: its roles before and after, or one of them if only one snapshot has the end. Ends of equal
// joint roles change alike, and are folded like those of a list:
//
//	before ─► roles ─┐
//	                 ├─► joint role ─► row before, row after ─► what differs
//	after  ─► roles ─┘
type Diff struct {
	groupLists // its sets are those of [Diff.prepareDestinations]
	request    *DiffRequest
	states     [2]diffState
	// survey and pair are set if the request means all Pods and one state was made of the other.
	survey *podSurvey
	pair   *engine.RolePair
	// sparse is set if the changes touch few roles.
	sparse *sparseDiff
	// ports are those that are compared; nil for all.
	ports engine.PortSet
	// joint has the joint roles of sources at 0 and of destinations at 1, by number.
	joint [2]jointRoles
	// withNodes reports whether Nodes are compared, so that what is listed depends on the kinds of both ends.
	withNodes bool
	// src and dst have the outside addresses that are meant.
	src, dst endSet
	// setPairs has for each set of groupLists the sets of both states that it is made of, as diffState.setOf
	// has them, and setSizes how many destinations it has.
	setPairs [][2]int
	setSizes []int
	rules    ruleNumbers
	results  results[DiffItem]
	// next is the source to compute next.
	next    int
	summary DiffSummary
	// external has the groups with a port opened or closed to or from the outside.
	external [FamiliesChanged]map[uint32]bool
}

// The indexes of the two states.
const (
	stateBefore = iota
	stateAfter
)

// A diffState is one of the two snapshots.
type diffState struct {
	snapshot *engine.Snapshot
	roles    *engine.Roles
	src, dst endSet
	// many has the lists of roles that joint roles have several of, of sources at 0 and of destinations at 1.
	many [2]roleLists
	// against is the destinations of the state, but for those of several roles, which are in manyOf. jointOf
	// has the destination of the difference that each is.
	against *engine.Destinations
	jointOf []uint32
	manyOf  []uint32
	// setOf has for each destination of the difference 1 and its set in the state, or 0 if it has none.
	setOf []int
}

// NewDiff returns the difference that r asks for. before and after need not be related, but are compared
// faster if one was made of the other; see [engine.Snapshot.With]. The error is nil, a [*RequestError] or,
// once done is closed, that of [engine.Abandoned]. r must not be modified afterwards.
//
// An end is meant if the request selects it in either snapshot, and a name is wrong if it is wrong in both.
func NewDiff(done <-chan struct{}, before, after *engine.Snapshot, r *DiffRequest) (*Diff, error) {
	d := &Diff{
		request: r, rules: ruleNumbers{},
		results: results[DiffItem]{counted: func(i *DiffItem) bool { return i.Change != nil }},
	}
	d.groupLists = newGroupLists(func(s *Set) { d.hand(DiffItem{Set: s}) })
	d.countGroups = r.Match == MatchWorkloads
	for kind := range d.external {
		d.external[kind] = map[uint32]bool{}
	}
	for i, s := range [2]*engine.Snapshot{before, after} {
		d.states[i] = diffState{snapshot: s}
	}
	for as := range d.joint {
		d.joint[as] = newJointRoles()
	}
	var err error
	if d.ports, err = readPorts(r.Ports); err != nil {
		return nil, err
	}
	if err := d.pairStates(done); err != nil {
		return nil, err
	}
	if err := d.readEnds(); err != nil {
		return nil, err
	}
	if err := d.findGroups(done); err != nil {
		return nil, err
	}
	d.sources, d.destinations = d.byRole(true, false), d.byRole(false, false)
	if d.sparse = d.findTouched(); d.sparse == nil {
		d.prepareDestinations()
	}
	d.compareObjects()
	return d, nil
}

// readEnds reads what the request selects in both states.
func (d *Diff) readEnds() error {
	var wrong [2][2][]*RequestError
	for i := range d.states {
		s := &d.states[i]
		reader := endReader{snapshot: s.snapshot, roles: s.roles}
		s.src, wrong[0][i] = reader.read(&d.request.Src, "src", false)
		s.dst, wrong[1][i] = reader.read(&d.request.Dst, "dst", true)
	}
	for _, errs := range wrong {
		for _, err := range errs[stateAfter] {
			if slices.ContainsFunc(errs[stateBefore], func(o *RequestError) bool { return o.Field == err.Field }) {
				return err
			}
		}
	}
	before, after := &d.states[stateBefore], &d.states[stateAfter]
	d.src.allOutside, d.src.outside = after.src.allOutside, slices.Concat(before.src.outside, after.src.outside)
	d.dst.allOutside, d.dst.outside = after.dst.allOutside, slices.Concat(before.dst.outside, after.dst.outside)
	return nil
}

// SelectsNothing returns a [*RequestError] if selectors of the request match no Pod in either snapshot; nil
// otherwise. The difference is right all the same, but an empty one looks like "nothing changes".
func (d *Diff) SelectsNothing() error {
	before, after := &d.states[stateBefore], &d.states[stateAfter]
	return cmp.Or(
		d.request.Src.selectsNothing(before.src.matched || after.src.matched, "src"),
		d.request.Dst.selectsNothing(before.dst.matched || after.dst.matched, "dst"),
	)
}

// prepareDestinations prepares the rows of both states. Destinations that are in one set in both states are
// in one set of the difference.
func (d *Diff) prepareDestinations() {
	for i := range d.states {
		s := &d.states[i]
		s.setOf = make([]int, len(d.destinations))
		var list []engine.Destination
		for j := range d.destinations {
			switch role := d.joint[asDestination].of(d.destinations[j].role)[i]; {
			case role.many > 0:
				s.manyOf = append(s.manyOf, uint32(j))
			case role.present:
				list = append(list, engine.Destination{Role: role.role, Kind: uint8(role.kind)})
				s.jointOf = append(s.jointOf, uint32(j))
			}
		}
		s.against = s.roles.Destinations(list)
		for set, members := range s.against.Sets() {
			for _, m := range members {
				s.setOf[s.jointOf[m]] = 1 + set
			}
		}
	}
	at := map[[2]int]int{}
	var members [][]uint32
	for j := range d.destinations {
		key := [2]int{d.states[stateBefore].setOf[j], d.states[stateAfter].setOf[j]}
		n, ok := at[key]
		if !ok {
			n = len(members)
			at[key], members, d.setPairs = n, append(members, nil), append(d.setPairs, key)
			d.setSizes = append(d.setSizes, 0)
		}
		members[n] = append(members[n], uint32(j))
		d.setSizes[n]++
	}
	d.listSets(members)
}

// Changes yields the changes that were not taken yet, each set before the change that first names it, and
// progress now and then. It ends when yield returns false, and may be called again to go on after that item.
// The error is nil unless done was closed.
func (d *Diff) Changes(done <-chan struct{}, yield func(DiffItem) bool) (DiffSummary, error) {
	whole, err := d.results.handOut(done, "difference", d.advance, yield)
	s := d.summary
	s.Truncated = !whole
	return s, err
}

// hand adds an item to those to hand out.
func (d *Diff) hand(item DiffItem) { d.results.pending = append(d.results.pending, item) }

// advance computes what comes next, and reports whether anything was left to compute.
func (d *Diff) advance() bool {
	switch n := d.next - len(d.sources); {
	case n < 0:
		src := &d.sources[d.next]
		if d.sparse == nil {
			d.appendChanges(src, slices.Concat(d.changesOf(src), d.changesToOutside(src)))
		} else if found := d.sparseChangesOf(d.next); d.sparse.touches[asSource][d.next] != 0 {
			d.appendChanges(src, slices.Concat(found, d.changesToOutside(src)))
		} else {
			d.appendChanges(src, found)
		}
		if p := d.results.progress(d.next, len(d.sources)); p != nil {
			d.hand(DiffItem{Progress: p})
		}
	case n == 0:
		d.appendChanges(nil, d.changesFromOutside())
		d.summary.ExternalOpened = len(d.external[Opened-1])
		d.summary.ExternalClosed = len(d.external[Closed-1])
	default:
		return false
	}
	d.next++
	return true
}

// appendChanges sorts changes of one source, nil for the outside, and appends them, and the sets that they
// name, to what is handed out.
func (d *Diff) appendChanges(src *roleGroups, list []changed) {
	slices.SortFunc(list, compareChanged)
	for i := range list {
		c := &list[i]
		c.change.Dst = d.listOf(&c.targets)
		if src != nil {
			c.change.Src = d.sourcesOf(src)
		}
		d.hand(DiffItem{Change: c.change})
	}
}

// compareChanged orders changes of one source (L6).
func compareChanged(a, b changed) int {
	outside := func(c *changed) int { return min(len(c.change.DstCIDRs), 1) }
	return cmp.Or(
		cmp.Compare(outside(&a), outside(&b)), cmp.Compare(a.lowest, b.lowest),
		engine.PortSet(a.change.Ports).Compare(b.change.Ports),
		slices.CompareFunc(a.change.DstCIDRs, b.change.DstCIDRs, comparePrefixes),
		slices.CompareFunc(a.change.SrcCIDRs, b.change.SrcCIDRs, comparePrefixes),
	)
}
