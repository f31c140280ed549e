package engine

import (
	"math"
	"slices"
)

// A hotClass is the part of a class that decisions read. The state holds it by the class's id.
//
// It fills one cache line, because what costs time in a decision is memory that is not in the cache:
//
//	mask | reach | rule table for egress | for ingress | class | counts, ports | up to 4 selector ids
//	  8      8               8                  8          8           8                 16           = 64 bytes
//
// So a class costs one read both as a subject, by its tables, and as a peer, by its ids. Most denials cost no
// more than that; see [hotClass.deniesEgress]. What is rarely read is in class. TestLayout checks the size.
//
// Cluster-wide policies know a class by two numbers, which take the place of the last two ids. A class that
// they say nothing of has none.
type hotClass struct {
	// mask has the bit of every id in peers; see [maskOf].
	mask uint64
	// reach has the bit of every selector in the rule table for egress; see [maskOf].
	reach uint64
	// tables has for each direction the rules of the NetworkPolicies that isolate it, nil for none (S12).
	tables [directions]*ruleTable
	cold   *class
	// peerCount is the number of ids in fewPeers, sorted, or manyPeers if the class has them.
	peerCount uint8
	// flags say what cluster-wide policies make of the class.
	flags classFlags
	// names has a bit for every port whose name some cluster-wide rule mentions; see [portBit].
	names uint16
	// openPorts has the bit of every port for which the rule table for egress has rules that match peers not by
	// selectors alone; see [portBit].
	openPorts uint16
	fewPeers  [4]uint32
}

// classFlags say what cluster-wide policies make of a class. The first two are by direction: whether the subject
// of a policy that has rules for it selects the class (S32).
type classFlags uint8

// isNumbered is the flag of a class that has the two numbers in fewPeers.
const isNumbered classFlags = 1 << directions

// tiered reports whether cluster-wide policies that have rules for direction d select the class.
func (c *hotClass) tiered(d direction) bool { return c.flags>>d&1 != 0 }

// numbered reports whether the class has the two numbers in fewPeers.
func (c *hotClass) numbered() bool { return c.flags&isNumbered != 0 }

// portBit returns the bit of a port in names and in openPorts: 1 of 16, by a hash.
func portBit(port uint16) uint16 { return 1 << (port * 0x9E37 >> 12) }

// mayName reports whether the class may give a port a name that some cluster-wide rule mentions.
func (c *hotClass) mayName(port uint16) bool { return c.names&portBit(port) != 0 }

// setNames makes ports the ports with such names.
func (c *hotClass) setNames(ports []NamedPort) {
	for _, p := range ports {
		c.names |= portBit(p.Port)
	}
}

const (
	// manyPeers is the count of ids that do not fit into fewPeers.
	manyPeers = math.MaxUint8
	// subjectNumber and peerNumber are where fewPeers has the numbers of the class's [clusterSubject] and
	// [clusterPeer].
	subjectNumber, peerNumber = 2, 3
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
	c.fewPeers[subjectNumber], c.fewPeers[peerNumber] = subject, peer
	c.flags = isNumbered
	for _, p := range policies {
		for d := range directions {
			if p.isolates[d] {
				c.flags |= 1 << d
			}
		}
	}
}

// setPeers makes ids, which are sorted, the peers of the class. It keeps them.
func (c *hotClass) setPeers(ids []uint32) {
	room := c.fewPeers[:]
	if c.numbered() {
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
