package audit

import (
	"encoding/binary"
	"slices"

	"github.com/netpold/netpold/engine"
)

// The indexes of joint roles.
const (
	asSource = iota
	asDestination
)

// A stateRole is what one of the two states makes of an end.
type stateRole struct {
	// present reports whether the state has the end. If not, the other fields are zero.
	present bool
	// kind is set if Nodes are compared.
	kind GroupKind
	role uint32
	// many is the number of a list of roles, from 1, if the end is a workload of Pods of several roles; role
	// is then 0.
	many uint32
}

// A jointRole is what both states make of an end.
type jointRole [2]stateRole

// A jointRoles numbers joint roles.
type jointRoles struct {
	list []jointRole
	at   map[jointRole]uint32
	// same has 1 and the numbers of those that are one role in both states, by the role, if no Nodes are
	// compared: nearly all are.
	same []uint32
}

// newJointRoles returns an empty numbering.
func newJointRoles() jointRoles { return jointRoles{at: map[jointRole]uint32{}} }

// numberOf returns the number of a joint role.
func (j *jointRoles) numberOf(r jointRole) uint32 {
	role := r[stateBefore].role
	if r[stateBefore] != (stateRole{present: true, role: role}) || r[stateBefore] != r[stateAfter] {
		n, ok := j.at[r]
		if !ok {
			n = j.add(r)
			j.at[r] = n
		}
		return n
	}
	if int(role) >= len(j.same) {
		j.same = append(j.same, make([]uint32, int(role)+1-len(j.same)+len(j.same)/2)...)
	}
	if j.same[role] == 0 {
		j.same[role] = 1 + j.add(r)
	}
	return j.same[role] - 1
}

// grow makes room for n more.
func (j *jointRoles) grow(n int) { j.list, j.same = slices.Grow(j.list, n), slices.Grow(j.same, n) }

// add gives a joint role the next number.
func (j *jointRoles) add(r jointRole) uint32 {
	j.list = append(j.list, r)
	return uint32(len(j.list) - 1)
}

// of returns the joint role of a number.
func (j *jointRoles) of(n uint32) *jointRole { return &j.list[n] }

// presence returns in which states ends of the role are.
func (r *jointRole) presence() Presence {
	switch {
	case !r[stateBefore].present:
		return PresentAfter
	case !r[stateAfter].present:
		return PresentBefore
	}
	return PresentInBoth
}

// A roleLists numbers lists of roles, from 1.
type roleLists struct {
	at    map[string]uint32
	lists [][]uint32
}

// numberOf returns the number of a list, which is sorted.
func (l *roleLists) numberOf(roles []uint32) uint32 {
	key := make([]byte, 0, 4*len(roles))
	for _, r := range roles {
		key = binary.LittleEndian.AppendUint32(key, r)
	}
	n, ok := l.at[string(key)]
	if !ok {
		if l.at == nil {
			l.at = map[string]uint32{}
		}
		l.lists = append(l.lists, roles)
		n = uint32(len(l.lists))
		l.at[string(key)] = n
	}
	return n
}

// rolesOf returns the roles of an end in the state, as a source or as a destination; none if it is not there.
func (s *diffState) rolesOf(as int, r *stateRole) []uint32 {
	switch {
	case !r.present:
		return nil
	case r.many > 0:
		return s.many[as].lists[r.many-1]
	}
	return []uint32{r.role}
}

// between returns what the state allows between two ends: what it allows between all pairs of their roles, in
// the families in which it allows all of them, by the rules of the first pair (S27).
func (s *diffState) between(src, dst *stateRole) []engine.Reach {
	if !src.present || !dst.present || !listed(src.kind, dst.kind) {
		return nil
	}
	if src.many == 0 && dst.many == 0 {
		return s.roles.Between(src.role, dst.role)
	}
	var all []engine.Reach
	for i, from := range s.rolesOf(asSource, src) {
		for j, to := range s.rolesOf(asDestination, dst) {
			found := s.roles.Between(from, to)
			if i == 0 && j == 0 {
				all = found
			} else {
				all = intersectReaches(all, found)
			}
			if len(all) == 0 {
				return nil
			}
		}
	}
	return all
}

// intersectReaches returns the ports that both lists have, in the families that both have, by the rules of a.
func intersectReaches(a, b []engine.Reach) []engine.Reach {
	var list []engine.Reach
	for _, x := range a {
		for _, y := range b {
			ports := x.Ports.Intersect(y.Ports)
			if len(ports) == 0 {
				continue
			}
			both := x
			both.Ports, both.Families = ports, x.Families&y.Families
			list = addReach(list, both)
		}
	}
	return list
}

// addReach adds a result to a list, or its ports to those of an equal one.
func addReach(list []engine.Reach, x engine.Reach) []engine.Reach {
	for i := range list {
		o := &list[i]
		if o.Families == x.Families && o.Egress == x.Egress && o.Ingress == x.Ingress {
			o.Ports = o.Ports.Union(x.Ports)
			return list
		}
	}
	return append(list, x)
}

// outside returns what the state allows between an end and addresses outside the cluster: what it allows to
// all roles of the end.
func (s *diffState) outside(as int, r *stateRole) []engine.OutsideReach {
	if !r.present || r.kind == NodeGroup {
		return nil
	}
	var all []engine.OutsideReach
	for i, role := range s.rolesOf(as, r) {
		var found []engine.OutsideReach
		if as == asSource {
			found = s.roles.OutsideOfSource(role)
		} else {
			found = s.roles.OutsideOfDestination(role)
		}
		if i == 0 {
			all = found
		} else { // what is in both is what is not in what the other lacks
			all = engine.SubtractOutside(all, engine.SubtractOutside(all, found))
		}
	}
	return all
}
