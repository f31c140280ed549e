package engine

import (
	"cmp"
	"slices"
)

// IdlePolicy is a policy that selects no Pod.
type IdlePolicy struct {
	Namespace, Name string
	// NamespaceUnknown means that the policy's namespace has neither an object nor a Pod.
	NamespaceUnknown bool
}

// IdlePolicies returns the policies that select no Pod, in order of namespace and name. It looks at every policy: it is for
// people, not for the way to an answer.
func (s *Snapshot) IdlePolicies() []IdlePolicy {
	var idle []IdlePolicy
	for key, p := range s.policies.All() {
		if s.selectsAny(s.selectors.At(p.subject)) {
			continue
		}
		_, known := s.namespaces.Get(key.namespace)
		idle = append(idle, IdlePolicy{Namespace: key.namespace, Name: key.name, NamespaceUnknown: !known})
	}
	slices.SortFunc(idle, func(a, b IdlePolicy) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return idle
}

// selectsAny reports whether a policy's subject selects a Pod.
func (s *state) selectsAny(subject *selector) bool {
	postings, narrowed := narrowestPostings(&s.classIndex, subject)
	if !narrowed {
		postings = []posting{{kind: anyPod, scope: subject.scope}}
	}
	for _, p := range postings {
		for id := range s.classIndex.ids(p) {
			if c := s.classes.At(id); subject.selects(c.namespace, s.labelsOf(c.namespace), c.labels) {
				return true
			}
		}
	}
	return false
}

// AsksNamespaceLabels reports whether a peer of some policy asks for a label of Namespaces other than their name's (S18).
func (s *Snapshot) AsksNamespaceLabels() bool {
	for _, id := range s.selectorIDs.All() {
		if sel := s.selectors.At(id); sel.peers > 0 && slices.ContainsFunc(sel.namespaces, asksLabel) {
			return true
		}
	}
	return false
}

// asksLabel reports whether a requirement on namespaces is about another label than their name's.
func asksLabel(r Requirement) bool { return r.Key != metadataName }
