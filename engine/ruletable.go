package engine

import (
	"encoding/binary"
	"slices"
)

// A ruleTable holds all rules of the NetworkPolicies that isolate a class in one direction, merged. It is
// immutable, and shared by all classes that the same policies select.
//
// What a decision reads lies together, in the order in which it is read:
//
//	line 1:     rules of every port, the list of ranges
//	lines 2-6:  the policies and rules, and room for 3 ranges of ports and 11 selectors of peers
//
// A small table is these six cache lines in one piece, and most decisions read two or three of them. A larger
// one has its lists elsewhere. TestLayout checks the sizes.
type ruleTable struct {
	// every has the rules of every port (S15).
	every peerSet
	// ranges are sorted by protocol and first port, and a tree; see [setReach]. They may overlap.
	ranges []portRange
	// usesBlocks reports whether any rule has a block, so that the peer's address takes part.
	usesBlocks bool
	// matchesRare reports whether rare has rules that a search has to look at.
	matchesRare bool
	// openPorts has the bits of the ports for which peers may match otherwise than by selectors; see [portBit].
	openPorts uint16

	// policies are the NetworkPolicies that apply, sorted by name.
	policies []*Policy
	// rules has the rule of each rank.
	rules []ruleRef
	// selectors has those of all sets; each set's part is sorted by id.
	selectors []rankedSelector
	rare      *rareRules // nil if there are none
	// reach has the bit of every selector; see [maskOf].
	reach uint64

	// ranges and selectors begin in this room, and leave it only if they outgrow it.
	fewRanges    [3]portRange
	fewSelectors [11]rankedSelector
}

// A rareRules holds the parts of a rule table that few tables have and few decisions read.
type rareRules struct {
	// named has the egress rules for a named port of the destination (S21). For ingress the names are
	// those of the class itself, so that they were resolved into ranges.
	named []namedPortSet
	// byAddress has the blocks of all sets if there are many. It is nil otherwise, and the sets have their
	// own.
	byAddress *rulesByAddress
}

// protocols is the number of protocols (S22).
const protocols = 3

// A ruleRef says which rule of a NetworkPolicy has a rank.
type ruleRef struct {
	policy *Policy
	rule   uint32 // its index in the policy
}

// A namedPortSet holds the peers of all rules for a port name of the destination.
type namedPortSet struct {
	name     string
	protocol Protocol
	set      peerSet
}

// A protocolPort is a protocol and a port as one number, so that one comparison compares both: the protocol
// counts first.
type protocolPort uint32

// portOf returns a protocol and a port as one number.
func portOf(protocol Protocol, port uint16) protocolPort {
	return protocolPort(protocol)<<16 | protocolPort(port)
}

// protocol returns the protocol.
func (p protocolPort) protocol() Protocol { return Protocol(p >> 16) }

// port returns the port.
func (p protocolPort) port() uint16 { return uint16(p) }

// A portRange is a range of ports and the peers of all rules for exactly this range.
type portRange struct {
	portSpan
	set peerSet
}

// match returns the rank of the first rule that matches the peer and the port (S14, S15), or noRank.
//
// It asks the set of every range that has the port. A set whose first rank is not below the best so far is
// skipped, as it could not give a better one.
func (t *ruleTable) match(protocol Protocol, port uint16, p *peer) uint32 {
	best := noRank
	if t.every.firstRank < best {
		best = t.every.match(t, p, best)
	}
	at := portOf(protocol, port)
	best = t.matchRanges(t.ranges, at, p, best)
	if t.matchesRare {
		best = t.rare.match(t, at, p, best)
	}
	return best
}

// matchRanges returns the lowest rank of the rules of those ranges that have the port, if it is below limit, and
// otherwise limit. ranges are a part of t's that is a tree; see [setReach].
func (t *ruleTable) matchRanges(ranges []portRange, at protocolPort, p *peer, limit uint32) uint32 {
	for len(ranges) > fewRanges {
		mid := len(ranges) / 2
		r := &ranges[mid]
		switch {
		case r.reach < at:
			return limit
		case r.first > at:
			ranges = ranges[:mid]
			continue
		}
		if at <= r.last && r.set.firstRank < limit {
			limit = r.set.match(t, p, limit)
		}
		limit = t.matchRanges(ranges[:mid], at, p, limit)
		ranges = ranges[mid+1:]
	}
	for i := range ranges {
		if r := &ranges[i]; r.first <= at && at <= r.last && r.set.firstRank < limit {
			limit = r.set.match(t, p, limit)
		}
	}
	return limit
}

// match returns the rank of the first rule that matches the peer and the port, if it is below limit, and
// otherwise limit. t must be the rule table that m is part of.
func (m *rareRules) match(t *ruleTable, at protocolPort, p *peer, limit uint32) uint32 {
	if p.class != nil {
		for i := range m.named {
			n := &m.named[i]
			if n.protocol == at.protocol() && n.set.firstRank < limit &&
				p.class.cold.hasNamedPort(n.name, n.protocol, at.port()) {
				limit = n.set.match(t, p, limit)
			}
		}
	}
	if m.byAddress != nil && !p.hidden {
		limit = m.byAddress.match(at, p, limit)
	}
	return limit
}

// ruleTableKey returns a key of all that a rule table is built from, so that equal keys mean equal tables. A
// new input of [newRuleTable] belongs here. The class's ports take part only if an ingress rule names a port
// (S21): otherwise classes with different ports share the table.
func ruleTableKey(d direction, policies []*policy, ports []NamedPort) string {
	key := []byte{byte(d)}
	resolves := false
	for _, p := range policies {
		key = binary.AppendUvarint(key, p.uid)
		resolves = resolves || d == ingress && p.namesPorts()
	}
	if resolves {
		key = append(key, 0) // no uid is 0
		key = appendPorts(key, ports)
	}
	return string(key)
}

// appendPorts appends ports, so that different lists never look alike.
func appendPorts(b []byte, ports []NamedPort) []byte {
	for _, p := range ports {
		b = append(appendString(b, p.Name), byte(p.Protocol), byte(p.Port>>8), byte(p.Port))
	}
	return b
}

// namesPorts reports whether an ingress rule has a named port.
func (p *policy) namesPorts() bool {
	return slices.ContainsFunc(p.rules[ingress], func(r rule) bool {
		return slices.ContainsFunc(r.ports, func(p Port) bool { return p.Name != "" })
	})
}
