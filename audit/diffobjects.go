package audit

import (
	"fmt"
	"slices"

	"github.com/netpold/netpold/engine"
)

// compareObjects names the workloads and policies that only one of the snapshots has, or that differ,
// whatever the request selects.
func (d *Diff) compareObjects() {
	before, after := d.states[stateBefore].snapshot, d.states[stateAfter].snapshot
	s := &d.summary
	s.WorkloadsAdded = namesOf(after.WorkloadsNotIn(before))
	s.WorkloadsRemoved = namesOf(before.WorkloadsNotIn(after))
	before.EachPolicyDifference(after, func(old, fresh engine.Object) {
		switch {
		case old == nil:
			s.PoliciesAdded = append(s.PoliciesAdded, policyName(fresh))
		case fresh == nil:
			s.PoliciesRemoved = append(s.PoliciesRemoved, policyName(old))
		case !sameRules(old, fresh):
			s.PoliciesChanged = append(s.PoliciesChanged, policyName(fresh))
		}
	})
	for _, names := range [][]string{s.PoliciesAdded, s.PoliciesChanged, s.PoliciesRemoved} {
		slices.Sort(names)
	}
}

// sameRules reports whether two versions of a policy differ at most in what an API server makes of them: when
// they were created, and whether it wrote the policy types.
func sameRules(old, fresh engine.Object) bool {
	switch fresh := fresh.(type) {
	case *engine.Policy:
		was := *old.(*engine.Policy)
		was.Created, was.TypesOmitted = fresh.Created, fresh.TypesOmitted
		return engine.SameContent(&was, fresh)
	case *engine.ClusterPolicy:
		was := *old.(*engine.ClusterPolicy)
		was.Created = fresh.Created
		return engine.SameContent(&was, fresh)
	}
	return false
}

// policyName returns a policy as KIND/NAMESPACE/NAME or, for a cluster-wide one, KIND/NAME.
func policyName(o engine.Object) string {
	key := engine.KeyOf(o)
	if p, ok := o.(*engine.ClusterPolicy); ok {
		return fmt.Sprint(p.Kind, "/", key.Name)
	}
	return fmt.Sprint("NetworkPolicy/", key.Namespace, "/", key.Name)
}

// namesOf returns names as KIND/NAMESPACE/NAME, sorted.
func namesOf(list []engine.Named) []string {
	var names []string
	for _, n := range list {
		names = append(names, fmt.Sprint(n.Kind, "/", n.Namespace, "/", n.Name))
	}
	slices.Sort(names)
	return names
}
