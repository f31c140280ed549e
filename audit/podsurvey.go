package audit

import "github.com/netpold/netpold/engine"

// A podSurvey is the groups of all Pods of a snapshot, by their roles in it. A snapshot keeps it, so that
// lists, and what differs from the snapshot, are made without looking at all Pods again. It must not be
// modified.
type podSurvey struct {
	// roles are sealed.
	roles  *engine.Roles
	groups []listGroup
	// at has the index of each group.
	at map[groupKey]int
}

// surveyPods returns the survey of a snapshot. Once done is closed it returns the error of [engine.Abandoned].
func surveyPods(done <-chan struct{}, s *engine.Snapshot) (*podSurvey, error) {
	select {
	case <-done:
		return nil, &engine.QueryError{
			Code: engine.Abandoned, Subject: "groups", Detail: "were given up: the caller did not wait",
		}
	default:
	}
	found, err := s.Memo(func() (any, error) {
		p := &podSurvey{roles: s.NewRoles(false), at: map[groupKey]int{}}
		b, pods := groupBuilder{at: map[groupKey]int{}}, s.Counts().Pods
		b.members, b.groupOf = make([]Member, 0, pods), make([]int, 0, pods)
		if err := p.roles.EachPod(done, func(e *engine.RoleEnd) { b.add(e, true, true) }); err != nil {
			return nil, err
		}
		p.roles.Seal()
		p.groups = sortGroups(b.finish(), nil, nil)
		for i := range p.groups {
			p.at[p.groups[i].key] = i
		}
		return p, nil
	})
	if err != nil {
		return nil, err
	}
	return found.(*podSurvey), nil
}

// carry returns the groups of the survey, sorted, with the keys that rekey gives them. A group is made anew by b,
// and lost has what it was, if b has a group of its key, or if some of its Pods, by name, are gone: gone has
// them by the index of the group.
func (p *podSurvey) carry(
	b *groupBuilder, gone map[int]map[string]bool, rekey func(*listGroup),
) (kept, lost []listGroup) {
	made := map[uint32]bool{} // sources of groups that are made anew
	for _, g := range b.groups {
		made[g.key.source] = true
	}
	kept = make([]listGroup, 0, len(p.groups)+32)
	for i := range p.groups {
		kept = append(kept, p.groups[i])
		g := &kept[len(kept)-1]
		rekey(g)
		gains := made[g.key.source]
		if gains {
			_, gains = b.at[g.key]
		}
		if !gains && len(gone[i]) == 0 {
			continue
		}
		lost, kept = append(lost, *g), kept[:len(kept)-1]
		g = &lost[len(lost)-1]
		for _, m := range g.Members {
			if !gone[i][m.Name] {
				at, _ := b.groupAt(g.key, g.IsolatedEgress, g.IsolatedIngress)
				b.addMember(at, m)
			}
		}
	}
	return kept, lost
}
