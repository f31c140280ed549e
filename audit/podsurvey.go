package audit

import "github.com/netpold/netpold/engine"

// A podSurvey is the groups of all Pods of a snapshot, by their roles in it. A snapshot keeps it, so that
// what differs from the snapshot is found without looking at all Pods again. It must not be modified.
type podSurvey struct {
	// roles are sealed.
	roles  *engine.Roles
	groups []listGroup
	// at has the index of each group.
	at map[groupKey]int
}

// surveyPods returns the survey of a snapshot.
func surveyPods(done <-chan struct{}, s *engine.Snapshot) (*podSurvey, error) {
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
