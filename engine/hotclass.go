package engine

// A hotClass is the part of a class that decisions read. The state holds it by the class's id.
//
// It fills one cache line, because what costs time in a decision is memory that is not in the cache:
//
//	mask | rule table for egress | for ingress | class | count | up to 7 selector ids
//	  8             8                   8          8       4       28                     = 64 bytes
//
// So a class costs one read both as a subject, by its tables, and as a peer, by its ids. There is one pointer a direction, to
// the first rule table to ask. What is rarely read is in class. TestLayout checks the size.
type hotClass struct {
	// mask has the bits of peers; see [peerSet].
	mask uint64
	// tables are the first to ask in each direction; nil if no policy restricts it. The class has the later ones.
	tables [directions]*ruleTable
	cold   *class
	// peerCount is how many selectors, of those that some rule names as a peer, select the class; few are their ids, by id, or else
	// they are in the class.
	peerCount uint32
	fewPeers  [7]uint32
}

// peers are the ids of the selectors, of those that some rule names as a peer, that select the class.
func (c *hotClass) peers() []uint32 {
	if c.peerCount <= uint32(len(c.fewPeers)) {
		return c.fewPeers[:c.peerCount]
	}
	return c.cold.manyPeers
}

// setPeers stores them; ids are sorted.
func (c *hotClass) setPeers(ids []uint32) {
	c.peerCount, c.mask, c.cold.manyPeers = uint32(len(ids)), 0, nil
	if copy(c.fewPeers[:], ids) < len(ids) {
		c.cold.manyPeers = ids
	}
	for _, id := range ids {
		c.mask |= maskOf(id)
	}
}
