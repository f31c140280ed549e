package engine

import (
	"encoding/binary"
	"slices"
)

// acquireClusterSubject returns the number of the set of these policies, for one more class that they select.
func (t *txn) acquireClusterSubject(policies []*policy) uint32 {
	slots := make([]uint32, 0, len(policies))
	for _, p := range policies {
		slots = append(slots, p.slot)
	}
	slices.Sort(slots)
	key := make([]byte, 0, 2*len(slots))
	for _, slot := range slots {
		key = binary.AppendUvarint(key, uint64(slot))
	}
	return t.ensureTiers().subjects.acquire(t.edit, key, func(key string) *clusterSubject {
		return &clusterSubject{slotsOf(policies), key}
	})
}

// slotsOf returns the slots of some policies.
func slotsOf(policies []*policy) bitset {
	var slots bitset
	for _, p := range policies {
		slots = slots.with(p.slot)
	}
	return slots
}

// acquireClusterPeer returns the number of what selectors and named ports make of a peer, for one more class.
func (t *txn) acquireClusterPeer(selectors []uint32, ports []NamedPort) uint32 {
	x := t.ensureTiers()
	return x.peers.acquire(t.edit, clusterPeerKey(selectors, ports), func(key string) *clusterPeer {
		return x.newPeer(t.edit, key, selectors, ports)
	})
}

// releaseNumbers undoes what numberClass acquired for a class.
func (t *txn) releaseNumbers(c *class) {
	if c.tiers == nil {
		return
	}
	x := t.ensureTiers()
	if c.tiers.subjectKey != "" {
		x.subjects.release(t.edit, c.tiers.subjectKey)
	}
	x.peers.release(t.edit, c.tiers.peerKey)
}

// numberClass gives a class its numbers, if cluster-wide policies have anything to say of it.
func (t *txn) numberClass(c *class, found *selection) {
	if t.tiers == nil {
		return
	}
	ports := t.tiers.mentioned(c.ports)
	if len(found.clusterPolicies) == 0 && len(found.clusterPeers) == 0 && len(ports) == 0 {
		return
	}
	var subject uint32
	c.tiers = &classTiers{}
	if len(found.clusterPolicies) > 0 {
		subject = t.acquireClusterSubject(found.clusterPolicies)
		c.tiers.subjectKey = t.tiers.subjects.at(subject).key
	}
	peer := t.acquireClusterPeer(found.clusterPeers, ports)
	c.tiers.selectors, c.tiers.peerKey = t.tiers.peers.at(peer).selectors, t.tiers.peers.at(peer).key
	c.hot.setNumbers(subject, peer, found.clusterPolicies)
	c.hot.setNames(ports)
}
