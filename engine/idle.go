package engine

import (
	"cmp"
	"slices"
)

// IdlePolicy is a policy that selects no Pod.
type IdlePolicy struct {
	// Kind is as Kubernetes writes it. Namespace is empty for a cluster-wide policy.
	Kind, Namespace, Name string
	// NamespaceUnknown reports whether the policy's namespace has neither an object nor a Pod.
	NamespaceUnknown bool
}

// IdlePolicies returns the policies of every kind that select no Pod, in order of namespace, name and kind.
// It looks at every policy: it is for people, not for the way to an answer.
func (s *Snapshot) IdlePolicies() []IdlePolicy {
	var idle []IdlePolicy
	for key, p := range s.policies.All() {
		if s.selectsAny(s.selectors.At(p.subject)) {
			continue
		}
		_, known := s.namespaces.Get(key.namespace)
		idle = append(idle, IdlePolicy{
			Kind: "NetworkPolicy", Namespace: key.namespace, Name: key.name, NamespaceUnknown: !known,
		})
	}
	for _, p := range s.clusterPolicies.All() {
		if !s.selectsAny(s.selectors.At(p.subject)) {
			idle = append(idle, IdlePolicy{Kind: p.cluster.Kind.String(), Name: p.cluster.Name})
		}
	}
	slices.SortFunc(idle, func(a, b IdlePolicy) int {
		return cmp.Or(
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind),
		)
	})
	return idle
}

// selectsAny reports whether a policy's subject selects a Pod.
func (s *state) selectsAny(subject *selector) bool {
	for _, c := range s.candidateClasses(subject) {
		if subject.selects(c.namespace, s.labelsOf(c.namespace), c.labels) {
			return true
		}
	}
	return false
}

// AsksNamespaceLabels reports whether some policy asks for a label of Namespaces other than their name's
// (S18): a peer, or the subject of a cluster-wide policy.
func (s *Snapshot) AsksNamespaceLabels() bool {
	for _, id := range s.selectorIDs.All() {
		if slices.ContainsFunc(s.selectors.At(id).namespaces, asksLabel) {
			return true
		}
	}
	return false
}

// asksLabel reports whether a requirement on namespaces is about another label than their name's.
func asksLabel(r Requirement) bool { return r.Key != metadataName }
