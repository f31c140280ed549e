package engine

import (
	"encoding/binary"
	"slices"
	"sort"
)

// A ruleTable holds all rules of one tier for one direction of a class, merged. Its answer is the action of the first rule that
// matches, or else defaultAction. It is immutable, and shared by all classes that the same policies select.
//
// What a decision reads lies together, in the order in which it is read:
//
//	line 1:     rules of every port, the list of ranges, defaultAction
//	lines 2-6:  the policies and rules, and room for 3 ranges of ports and 12 selectors of peers
//
// A small table is these six cache lines in one piece, and most decisions read two or three of them. A larger one has its lists
// elsewhere. TestLayout checks the sizes.
type ruleTable struct {
	// every is for rules of every port.
	every peerSet
	// ranges are by protocol and first port.
	ranges []portRange
	// defaultAction is what happens if no rule matches: Deny for NetworkPolicies (S12, S14), Pass for the other tiers (S34).
	defaultAction Action
	// tier is what the rules are of.
	tier Tier
	// usesBlocks says that the peer's address takes part.
	usesBlocks bool

	// policies are the NetworkPolicies that apply, by name; none in other tiers.
	policies []*Policy
	// rules has the rule of each rank.
	rules []ruleRef
	// selectors are those of all sets, each set's by id.
	selectors []rankedSelector
	rare      *rareRules // nil for none of it

	fewRanges    [3]portRange
	fewSelectors [12]rankedSelector
}

// rareRules is what few decisions read.
type rareRules struct {
	// named are rules for a named port of the destination (S21); for ingress they were resolved into ranges.
	named []namedPortSet
	// byAddress has the rules by the peer's address; nil while blocks are few, and then part of the sets.
	byAddress *rulesByAddress
}

// protocols is how many there are.
const protocols = 3

// A ruleRef says which rule has a rank. It is of a NetworkPolicy or of a cluster-wide policy.
type ruleRef struct {
	policy  *Policy
	cluster *ClusterPolicy
	rule    uint32
	action  Action
}

type namedPortSet struct {
	name     string
	protocol Protocol
	set      peerSet
}

// protocolPort is a protocol and a port as one number, in that order.
type protocolPort uint32

func portOf(protocol Protocol, port uint16) protocolPort {
	return protocolPort(protocol)<<16 | protocolPort(port)
}

func (p protocolPort) protocol() Protocol { return Protocol(p >> 16) }

func (p protocolPort) port() uint16 { return uint16(p) }

// portSpan is a range of ports of a protocol.
type portSpan struct {
	first, last protocolPort
	// reach is the greatest last port of this range and all before it: below, none of them is met.
	reach protocolPort
}

type portRange struct {
	portSpan
	set peerSet
}

// fewRanges is how many ranges are faster passed by than cut off by a search.
const fewRanges = 8

// match returns the rank of the first rule that matches the peer and the port (S14, S15), or noRank.
func (t *ruleTable) match(protocol Protocol, port uint16, p *peer) uint32 {
	best := noRank
	if t.every.firstRank < best {
		best = t.every.match(t, p, best)
	}
	at := portOf(protocol, port)
	ranges := t.ranges
	if len(ranges) > fewRanges {
		ranges = ranges[:sort.Search(len(ranges), func(i int) bool { return ranges[i].first > at })]
	}
	for i := len(ranges) - 1; i >= 0 && ranges[i].reach >= at; i-- {
		if r := &ranges[i]; r.first <= at && at <= r.last && r.set.firstRank < best {
			best = r.set.match(t, p, best)
		}
	}
	if t.rare != nil {
		best = t.rare.match(t, at, p, best)
	}
	return best
}

// match returns the rank of the first rule that matches the peer and the port, if it is below limit, and otherwise limit.
func (m *rareRules) match(t *ruleTable, at protocolPort, p *peer, limit uint32) uint32 {
	if p.class != nil {
		for i := range m.named {
			n := &m.named[i]
			if n.protocol == at.protocol() && n.set.firstRank < limit && p.class.cold.hasNamedPort(n.name, n.protocol, at.port()) {
				limit = n.set.match(t, p, limit)
			}
		}
	}
	if m.byAddress != nil && p.showsAddress(t) {
		limit = m.byAddress.match(at, p, limit)
	}
	return limit
}

// ruleTableKey returns a key of all that a rule table is built from. Equal keys mean equal tables.
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

func appendPorts(b []byte, ports []NamedPort) []byte {
	for _, p := range ports {
		b = append(appendString(b, p.Name), byte(p.Protocol), byte(p.Port>>8), byte(p.Port))
	}
	return b
}

func (p *policy) namesPorts() bool {
	return slices.ContainsFunc(p.rules[ingress], func(r rule) bool {
		return slices.ContainsFunc(r.ports, func(p Port) bool { return p.Name != "" })
	})
}
