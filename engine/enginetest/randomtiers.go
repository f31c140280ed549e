package enginetest

import "github.com/netpold/netpold/engine"

// clusterPolicyName returns a cluster-wide policy of any kind without its fields. Kinds share names (S30).
func (r *Random) clusterPolicyName() *engine.ClusterPolicy {
	kind := pick(r, engine.ClusterNetworkPolicy, engine.ClusterNetworkPolicy,
		engine.AdminNetworkPolicy, engine.BaselineAdminNetworkPolicy)
	if kind == engine.BaselineAdminNetworkPolicy {
		return &engine.ClusterPolicy{Kind: kind, Name: "default"}
	}
	return &engine.ClusterPolicy{Kind: kind, Name: one(r, "x", "y", "default")}
}

// clusterRule returns a rule of a cluster-wide policy, of any action, peers and ports (S35).
func (r *Random) clusterRule() engine.ClusterRule {
	u := engine.ClusterRule{
		Name:   one(r, "", "first", "second"),
		Action: pick(r, engine.Deny, engine.Deny, engine.Allow, engine.Pass),
	}
	if r.chance(85) {
		u.Peers = some(r, 3, r.clusterPeer)
	}
	if r.chance(55) {
		u.Ports = some(r, 3, r.clusterPort)
	}
	if r.chance(40) {
		u.Origins = r.origins(u.Peers)
	}
	return u
}

// origins returns peers of an object that could have become peers: runs of blocks may be one of `networks`,
// and what matches nothing may be domain names.
func (r *Random) origins(peers []engine.Peer) []engine.PeerOrigin {
	var list []engine.PeerOrigin
	network := func(p engine.Peer) bool { return p.Block != nil && p.Nodes == nil && p.Pods == nil }
	for i, p := range peers {
		switch {
		case i > 0 && network(p) && network(peers[i-1]) && r.chance(70):
			list[len(list)-1].Peers++
		case p == engine.Peer{} && r.chance(50):
			list = append(list, engine.PeerOrigin{Peers: 1, Names: []string{"example.com"}})
		default:
			list = append(list, engine.PeerOrigin{Peers: 1})
		}
	}
	return list
}

// clusterPeer returns a peer of any shape, invalid ones among them (S37 to S39, S45).
func (r *Random) clusterPeer() engine.Peer {
	switch n := r.rand.IntN(100); {
	case n < 25:
		return engine.Peer{Nodes: r.selectorPointer()}
	case n < 50:
		return engine.Peer{Block: &engine.IPBlock{CIDR: r.prefix()}}
	case n < 53:
		return engine.Peer{Nodes: r.selectorPointer(), Pods: r.selectorPointer()}
	case n < 55:
		return engine.Peer{Nodes: r.selectorPointer(), Block: r.block()}
	}
	return r.peer()
}

// clusterPort returns a port as a NetworkPolicy has it, or a name of any protocol (S43).
func (r *Random) clusterPort() engine.Port {
	if r.chance(25) {
		return engine.Port{Name: r.portName(), AnyProtocol: true}
	}
	return r.rulePort()
}
