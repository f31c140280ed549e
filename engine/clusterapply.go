package engine

// compileCluster turns the rules of a cluster-wide policy into their compiled form; intern makes a selector known and gives
// its id.
func compileCluster(src *ClusterPolicy, intern func(*selector) uint32) *policy {
	p := &policy{cluster: src, tier: src.Tier}
	for d, rules := range [directions][]ClusterRule{src.Egress, src.Ingress} {
		p.isolates[d] = len(rules) > 0 // S32
		p.rules[d] = make([]rule, 0, len(rules))
		for i := range rules {
			p.rules[d] = append(p.rules[d], compileRule(&rules[i].Rule, rules[i].Action, clusterSelectorOf, intern))
		}
	}
	return p
}

// clusterSelectorOf returns the group of Pods or Nodes that a peer of a cluster-wide policy names (S37, S38), or nil if the
// peer is a block or invalid.
func clusterSelectorOf(p *Peer) *selector {
	byPods := p.Namespaces != nil || p.Pods != nil
	var namespaces, pods Selector
	switch {
	case p.Block != nil, p.Nodes != nil && byPods:
		return nil
	case p.Nodes != nil:
		return newSelector(nodeScope, nil, *p.Nodes)
	case !byPods:
		return nil
	}
	if p.Namespaces != nil {
		namespaces = *p.Namespaces
	}
	if p.Pods != nil {
		pods = *p.Pods
	}
	return newSelector("", namespaces, pods)
}

// applyClusterPolicy replaces a cluster-wide policy. It touches the classes that the old and the new subject select, and those
// whose peers come into or go out of use.
func (t *txn) applyClusterPolicy(o *ClusterPolicy, gone bool) {
	key := KeyOf(o)
	old, ok := t.clusterPolicies.Get(key)
	if !gone {
		p := compileCluster(o, t.acquirePeer)
		t.policyUID++
		p.uid = t.policyUID
		p.subject = t.acquireSubject(newSelector("", o.Subject.Namespaces, o.Subject.Pods), p)
		t.clusterPolicies.Set(t.edit, key, p)
		if !ok {
			t.counts.ClusterPolicies[o.Kind]++
		}
	}
	if !ok {
		return
	}
	t.releaseSubject(old)
	old.eachPeerSelector(t.releasePeer)
	if gone {
		t.clusterPolicies.Delete(t.edit, key)
		t.counts.ClusterPolicies[o.Kind]--
	}
}
