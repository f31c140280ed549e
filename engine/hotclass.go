package engine

import (
	"math"
	"slices"
)

// A hotClass is the part of a class that decisions read. The state holds it by the class's id.
//
// It fills one cache line, because what costs time in a decision is memory that is not in the cache:
//
//	mask | rule table for egress | for ingress | class | counts | up to 7 selector ids
//	  8             8                   8          8        4       28                     = 64 bytes
//
// So a class costs one read both as a subject, by its tables, and as a peer, by its ids. What is rarely read
// is in class. TestLayout checks the size.
//
// Cluster-wide policies know a class by two numbers, which take the place of the last two ids. A class that
// they say nothing of has none.
type hotClass struct {
	// mask has the bit of every id in peers; see [maskOf].
	mask uint64
	// tables has for each direction the rules of the NetworkPolicies that isolate it, nil for none (S12).
	tables [directions]*ruleTable
	cold   *class
	// peerCount is the number of ids in fewPeers, sorted, or manyPeers if the class has them.
	peerCount uint8
	// numbered reports whether fewPeers has the two numbers. tiered reports for each direction whether the
	// subject of a cluster-wide policy that has rules for it selects the class (S32).
	numbered bool
	tiered   [directions]bool
	fewPeers [7]uint32
}

const (
	// manyPeers is the count of ids that do not fit into fewPeers.
	manyPeers = math.MaxUint8
	// subjectNumber and peerNumber are where fewPeers has the numbers of the class's [clusterSubject] and
	// [clusterPeer].
	subjectNumber, peerNumber = 5, 6
	// ownNumber stands for both in a class that is part of no snapshot, and has its own.
	ownNumber uint32 = math.MaxUint32
)

// peers returns the ids, sorted, of the selectors that select the class and that some rule of a NetworkPolicy
// names as a peer. The slice must not be modified.
func (c *hotClass) peers() []uint32 {
	if int(c.peerCount) <= len(c.fewPeers) {
		return c.fewPeers[:c.peerCount]
	}
	return c.cold.manyPeers
}

// isSelectedBy reports whether a selector that some rule of any policy names as a peer selects the class.
func (c *hotClass) isSelectedBy(id uint32) bool {
	_, found := slices.BinarySearch(c.peers(), id)
	if !found && c.cold.tiers != nil {
		_, found = slices.BinarySearch(c.cold.tiers.selectors, id)
	}
	return found
}

// setNumbers gives the class its numbers, before its peers. policies are those of subject.
func (c *hotClass) setNumbers(subject, peer uint32, policies []*policy) {
	c.numbered, c.fewPeers[subjectNumber], c.fewPeers[peerNumber] = true, subject, peer
	for _, p := range policies {
		for d := range directions {
			c.tiered[d] = c.tiered[d] || p.isolates[d]
		}
	}
}

// setPeers makes ids, which are sorted, the peers of the class. It keeps them.
func (c *hotClass) setPeers(ids []uint32) {
	room := c.fewPeers[:]
	if c.numbered {
		room = room[:subjectNumber]
	}
	c.peerCount, c.mask, c.cold.manyPeers = uint8(min(len(ids), manyPeers)), 0, nil
	if len(ids) <= len(room) {
		copy(room, ids)
	} else {
		c.peerCount, c.cold.manyPeers = manyPeers, ids
	}
	for _, id := range ids {
		c.mask |= maskOf(id)
	}
}
