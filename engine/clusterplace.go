package engine

import "slices"

// movesOnly reports whether a version of a cluster-wide policy differs from the one before at most in its place
// among the others (S34), and in what decisions do not read. Both have one key.
func movesOnly(before, after *ClusterPolicy) bool {
	placed := *before
	placed.Priority, placed.Urgent = after.Priority, after.Urgent
	placed.Created, placed.LintIgnore = after.Created, after.LintIgnore
	return SameContent(&placed, after)
}

// moveClusterPolicy replaces a policy by a version that only moves, which keeps the compiled rules.
func (t *txn) moveClusterPolicy(old *policy, o *ClusterPolicy) {
	t.ensureTiers()
	moved := *old
	moved.cluster = o
	t.clusterPolicies.Set(t.edit, KeyOf(o), &moved)
	t.clusterChange.add(&moved)
	t.replaceSubject(old, &moved)
}

// selectsAlike reports whether s selects all for a version of a cluster-wide policy that a class reads of the
// version before: who its subject is, and for which directions it exists. Rules are not among them.
func (t *txn) selectsAlike(old, fresh *policy, s *selector) bool {
	return s.canonical == t.selectors.At(old.subject).canonical && old.isolates == fresh.isolates
}

// replaceSubject puts a policy in the place of its old version, whose subject it shares. The classes that the
// subject selects are renewed, and not rebuilt.
func (t *txn) replaceSubject(old, fresh *policy) {
	s := *t.selectors.At(old.subject)
	s.subjects = slices.Clone(s.subjects)
	s.subjects[slices.Index(s.subjects, old)] = fresh
	fresh.subject = s.id
	t.selectors.Set(t.edit, s.id, &s)
	for id := range t.selectedClasses(&s) {
		t.renewed[id] = struct{}{}
	}
}

// renew replaces a class by an equal one, under its id, since remembered decisions about it may be others now.
func (t *txn) renew(id uint32) {
	old := t.classes.At(id)
	if old == nil {
		return // its last Pod went in this transaction
	}
	c := *old
	c.hot.cold = &c
	t.classes.Set(t.edit, id, &c)
	t.hotClasses.Set(t.edit, id, c.hot)
}
