package engine

// allPorts has the bits of all ports; see [portBit].
const allPorts uint16 = 1<<16 - 1

// shortRange is the number of ports of a range up to which each has its bit. A longer one has allPorts.
const shortRange = 16

// deniesEgress reports whether the NetworkPolicies of c, which must isolate it for egress, deny a connection to a
// class, nil for none, without a look at the rule table. If it returns false, the table must be asked.
//
// Most pairs of Pods have nothing to do with each other, and are told apart here: no rule names a selector of the
// peer, and none of this port names a network or every peer. Two selectors or ports may share a bit. So the answer
// may be false where the table denies, but never true where it allows.
func (c *hotClass) deniesEgress(to *hotClass, port uint16) bool {
	return c.openPorts&portBit(port) == 0 && (to == nil || c.reach&to.mask == 0)
}

// setTable makes t the rule table of a direction.
func (c *hotClass) setTable(d direction, t *ruleTable) {
	c.tables[d] = t
	if d == egress {
		c.reach, c.openPorts = t.reach, t.openPorts
	}
}

// digest sets reach and openPorts, once the rest of the table is built.
func (t *ruleTable) digest() {
	add := func(set *peerSet, ports uint16) {
		t.reach |= set.mask
		if set.blocks != nil || set.anyPeer != noRank {
			t.openPorts |= ports
		}
	}
	add(&t.every, allPorts)
	for i := range t.ranges {
		add(&t.ranges[i].set, t.ranges[i].bits())
	}
	if t.rare != nil {
		for i := range t.rare.named {
			add(&t.rare.named[i].set, allPorts) // the name may stand for any port
		}
		if t.rare.byAddress != nil {
			t.openPorts = allPorts
		}
	}
}

// bits returns the bits of all ports of the range; see [portBit].
func (s *portSpan) bits() (bits uint16) {
	if s.last-s.first >= shortRange {
		return allPorts
	}
	for at := s.first; at <= s.last; at++ {
		bits |= portBit(at.port())
	}
	return bits
}
