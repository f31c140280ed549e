package engine

import "slices"

// Policy returns a NetworkPolicy by its name, and whether there is one. It must not be modified.
func (s *Snapshot) Policy(namespace, name string) (*Policy, bool) {
	p, ok := s.policies.Get(nameKey{namespace, name})
	if !ok {
		return nil, false
	}
	return p.source, true
}

// ClusterPolicy returns a cluster-wide policy by its kind and name, and whether there is one. It must not be
// modified.
func (s *Snapshot) ClusterPolicy(kind ClusterPolicyKind, name string) (*ClusterPolicy, bool) {
	p, ok := s.clusterPolicies.Get((&ClusterPolicy{Kind: kind, Name: name}).key())
	if !ok {
		return nil, false
	}
	return p.cluster, true
}

// Policies returns the NetworkPolicies in order of namespace and name. They must not be modified. It looks at
// all of them: it is for people, not for the way to an answer.
func (s *Snapshot) Policies() []*Policy {
	list := make([]*Policy, 0, s.counts.Policies)
	for _, p := range s.policies.All() {
		list = append(list, p.source)
	}
	slices.SortFunc(list, func(a, b *Policy) int {
		return nameKey{a.Namespace, a.Name}.compare(nameKey{b.Namespace, b.Name})
	})
	return list
}

// NewestPolicy returns when the newest policy of any kind was created, in Unix seconds; 0 if there is none, or
// if none says. It looks at all of them.
func (s *Snapshot) NewestPolicy() int64 {
	var newest int64
	for _, p := range s.policies.All() {
		newest = max(newest, p.created())
	}
	for _, p := range s.clusterPolicies.All() {
		newest = max(newest, p.created())
	}
	return newest
}
