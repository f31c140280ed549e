package engine

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
