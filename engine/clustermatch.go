package engine

// A clusterMatch is a rule that matches a peer, by the slot of its policy. The zero clusterMatch is none.
type clusterMatch struct {
	slot uint32
	// rule is the index of the rule in its policy and, in the two lowest bits, its action.
	rule uint32
}

// matchOf returns the match of the rule at index i of a policy.
func matchOf(slot uint32, i int, does Action) clusterMatch {
	return clusterMatch{slot, uint32(i)<<2 | uint32(does)}
}

// isNone reports whether no rule matched.
func (m clusterMatch) isNone() bool { return m.slot == 0 }

// action returns what the rule does, and Pass for no rule (S34).
func (m clusterMatch) action() Action {
	if m.isNone() {
		return Pass
	}
	return Action(m.rule & 3)
}

// index returns the index of the rule in its policy.
func (m clusterMatch) index() int { return int(m.rule >> 2) }

// A wideRules has the rules of one tier and direction for every port and for ranges of ports, each list in the
// order in which rules count.
type wideRules struct {
	every []clusterMatch
	// ranges are sorted by first port, and a tree; see [setReach]. They may overlap.
	ranges []matchRange
}

// A matchRange is a range of ports and its rules.
type matchRange struct {
	portSpan
	matches []clusterMatch
}
