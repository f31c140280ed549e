package engine

// core is what decisions read of a class: one cache line, which the state holds by the class's id.
type core struct {
	// mask has the bits of peers; see [peerSet].
	mask  uint64
	tiers [directions]tiers
	class *class
	// n is how many selectors, of those that some rule names as a peer, select the class; few are their ids, by id, or else
	// they are in the class.
	n   uint32
	few [7]uint32
}

// peers are the ids of the selectors, of those that some rule names as a peer, that select the class.
func (c *core) peers() []uint32 {
	if c.n <= uint32(len(c.few)) {
		return c.few[:c.n]
	}
	return c.class.manyPeers
}

// setPeers stores them; ids are sorted.
func (c *core) setPeers(ids []uint32) {
	c.n, c.mask, c.class.manyPeers = uint32(len(ids)), 0, nil
	if copy(c.few[:], ids) < len(ids) {
		c.class.manyPeers = ids
	}
	for _, id := range ids {
		c.mask |= maskOf(id)
	}
}
