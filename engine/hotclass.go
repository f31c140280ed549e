package engine

// A hotClass is the part of a class that decisions read. The state holds it by the class's id.
//
// It fills one cache line, because what costs time in a decision is memory that is not in the cache:
//
//	mask | rule table for egress | for ingress | class | count | up to 7 selector ids
//	  8             8                   8          8       4       28                     = 64 bytes
//
// So a class costs one read both as a subject, by its tables, and as a peer, by its ids. There is one pointer
// a direction, to the first rule table to ask; a cluster with NetworkPolicies alone has no other. What is
// rarely read is in class. TestLayout checks the size.
type hotClass struct {
	// mask has the bit of every id in peers; see [maskOf].
	mask uint64
	// tables has for each direction the first table to ask, nil if no policy restricts it (S13). The class
	// has the later ones.
	tables [directions]*ruleTable
	cold   *class
	// peerCount is the number of ids in peers. fewPeers has them, sorted, if they fit; otherwise the class
	// has all.
	peerCount uint32
	fewPeers  [7]uint32
}

// peers returns the ids, sorted, of the selectors that select the class and that some rule names as a peer.
// The slice must not be modified.
func (c *hotClass) peers() []uint32 {
	if c.peerCount <= uint32(len(c.fewPeers)) {
		return c.fewPeers[:c.peerCount]
	}
	return c.cold.manyPeers
}

// setPeers makes ids, which are sorted, the peers of the class. It keeps them.
func (c *hotClass) setPeers(ids []uint32) {
	c.peerCount, c.mask, c.cold.manyPeers = uint32(len(ids)), 0, nil
	if copy(c.fewPeers[:], ids) < len(ids) {
		c.cold.manyPeers = ids
	}
	for _, id := range ids {
		c.mask |= maskOf(id)
	}
}
