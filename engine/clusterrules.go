package engine

import (
	"math"

	"github.com/gaissmai/bart"

	"github.com/netpold/netpold/engine/internal/persist"
)

// A clusterRules holds the rules of all cluster-wide policies, laid out for decisions. It belongs to a state,
// which has none as long as there are no such policies.
//
// A decision asks which rules match the peer on the port, in their order, and takes the first whose policy
// selects the subject:
//
//	peer ─► clusterPeer ─► port 443 ─► [ rule 2 of a │ rule 0 of d │ rule 7 of d ]     the first of a policy
//	subject ─► clusterSubject ─────────► { b, d, f }                                   that is here: rule 0 of d
//
// So rules are laid out once for each kind of peer, and not for each kind of peer and subject. Both kinds are
// far fewer than Pods, and small, so that they stay in the near caches.
//
// A policy is known by its slot, which it keeps while it exists. Everything reachable is immutable but for the
// transaction that owns the struct.
type clusterRules struct {
	owner *persist.Edit
	// slots allocates the slots; bySlot has the policies, nil for a free slot.
	slots  idPool
	bySlot []*policy
	// inOrder has the policies in the order in which they count (S34); place says where each slot's is.
	inOrder []*policy
	place   []uint32
	// names has the port names that some rule mentions (S43).
	names    persist.Map[string, portName]
	nameIDs  idPool
	subjects registry[*clusterSubject]
	// peers has at number 0 what no selector selects and no rule's port name is of.
	peers registry[*clusterPeer]
	// networks finds the rules that have an address in their networks (S39); nil if none has any.
	networks *bart.Table[*networkRules]
	// networkPolicies has the policies with networks, by direction.
	networkPolicies [directions]bitset
}

// clusterTiers is the number of tiers that cluster-wide policies are in.
const clusterTiers = 2

// clusterTier returns the index of Admin or Baseline among these tiers.
func clusterTier(t Tier) int { return int(t) / 2 }

// A clusterSubject is a set of policies that select the same classes as their subject (S36).
type clusterSubject struct {
	key string
	// policies has the slots.
	policies bitset
}

// A clusterPeer is what cluster-wide rules make of their peer, for all classes that the same of their
// selectors select and that give the same ports those names that rules mention.
type clusterPeer struct {
	owner *persist.Edit
	key   string
	// selectors has the ids of the selectors, sorted; ports has the named ports.
	selectors []uint32
	ports     []NamedPort
	// named has the ports again, with the keys of their names.
	named []namedAt
	// rules has those that match the peer by a selector, or match every peer.
	rules [directions][clusterTiers]portRules
}

// A namedAt is a port and the key under which the rules for its name are.
type namedAt struct{ at, name protocolPort }

// A networkRules has the rules with one network. parent has those of the next network around it, or is nil.
type networkRules struct {
	parent *networkRules
	rules  [directions][clusterTiers]portRules
}

// A clusterMatch is a rule that matches a peer, by the slot of its policy.
type clusterMatch struct {
	slot uint32
	// rule is the index of the rule in its policy and, in the two lowest bits, its action.
	rule uint32
}

// noMatch is the match of no rule.
var noMatch = clusterMatch{slot: math.MaxUint32}

// matchOf returns the match of the rule at index i of a policy.
func matchOf(slot uint32, i int, does Action) clusterMatch {
	return clusterMatch{slot, uint32(i)<<2 | uint32(does)}
}

// isNone reports whether no rule matched.
func (m clusterMatch) isNone() bool { return m.slot == math.MaxUint32 }

// action returns what the rule does, and Pass for no rule (S34).
func (m clusterMatch) action() Action {
	if m.isNone() {
		return Pass
	}
	return Action(m.rule & 3)
}

// index returns the index of the rule in its policy.
func (m clusterMatch) index() int { return int(m.rule >> 2) }

// A portRules has the rules of one tier and direction that match a peer, by their ports, each list in the
// order in which rules count. The zero portRules has none.
type portRules struct {
	// every has the rules of every port.
	every []clusterMatch
	// firsts has the first port of each range, sorted; ranges has the rest. They may overlap.
	firsts []protocolPort
	ranges []matchRange
	// matches has the rules of all ranges.
	matches []clusterMatch
}

// A matchRange is a range of ports and where its rules are in matches.
type matchRange struct {
	// last is included. reach is the greatest last port of this range and of all before it.
	last, reach protocolPort
	from, to    uint32
}

// A bitset is a set of small numbers.
type bitset []uint64

// has reports whether i is in the set.
func (b bitset) has(i uint32) bool { return i/64 < uint32(len(b)) && b[i/64]>>(i%64)&1 != 0 }

// with returns the set with i in it. It modifies b.
func (b bitset) with(i uint32) bitset {
	for i/64 >= uint32(len(b)) {
		b = append(b, 0)
	}
	b[i/64] |= 1 << (i % 64)
	return b
}

// meets reports whether the sets have a number in common.
func (b bitset) meets(o bitset) bool {
	for i := range min(len(b), len(o)) {
		if b[i]&o[i] != 0 {
			return true
		}
	}
	return false
}

// subjectOf returns the policies that select a class as subject, which is tiered.
func (x *clusterRules) subjectOf(c *hotClass) *clusterSubject {
	if n := c.fewPeers[subjectNumber]; n != ownNumber {
		return x.subjects.at(n)
	}
	return c.cold.tiers.own.subject
}

// peerOf returns what rules make of a class as their peer; c may be nil.
func (x *clusterRules) peerOf(c *hotClass) *clusterPeer {
	if c == nil || !c.numbered {
		return x.peers.at(0)
	}
	if n := c.fewPeers[peerNumber]; n != ownNumber {
		return x.peers.at(n)
	}
	return c.cold.tiers.own.peer
}

// first returns the first rule of a tier that matches, of the policies that select c (S34, S35), or noMatch.
// c must be tiered.
func (x *clusterRules) first(
	tier Tier, d direction, c *hotClass, protocol Protocol, port uint16, p *peer,
) clusterMatch {
	policies := x.subjectOf(c).policies
	seen, at := x.peerOf(p.class), portOf(protocol, port)
	rules := &seen.rules[d][clusterTier(tier)]
	best := x.search(rules, at, policies, noMatch)
	named := seen.named // those of the destination (S43)
	if d == ingress {
		named = x.peerOf(c).named
	}
	for i := range named {
		if named[i].at == at {
			best = x.search(rules, named[i].name, policies, best)
		}
	}
	if x.networks == nil || !p.addr.IsValid() || !x.networkPolicies[d].meets(policies) {
		return best
	}
	best = x.searchNetworks(tier, d, at, named, policies, p, best)
	return best
}

// searchNetworks returns the first rule of policies that has an address of the peer in its networks, if it
// counts before best, and otherwise best (S39).
func (x *clusterRules) searchNetworks(
	tier Tier, d direction, at protocolPort, named []namedAt, policies bitset, p *peer, best clusterMatch,
) clusterMatch {
	for i := -1; i < len(p.more); i++ {
		addr := p.addr
		if i >= 0 {
			addr = p.more[i]
		}
		n, _ := x.networks.Lookup(addr)
		for ; n != nil; n = n.parent {
			rules := &n.rules[d][clusterTier(tier)]
			best = x.search(rules, at, policies, best)
			for j := range named {
				if named[j].at == at {
					best = x.search(rules, named[j].name, policies, best)
				}
			}
		}
	}
	return best
}

// search returns the first rule for a port, or for the key of a port name, of some policies, if it counts
// before best, and otherwise best.
func (x *clusterRules) search(r *portRules, at protocolPort, policies bitset, best clusterMatch) clusterMatch {
	best = x.earliest(r.every, policies, best)
	low, high := 0, len(r.firsts) // the number of ranges that begin at the port or before
	for low < high {
		if mid := int(uint(low+high) / 2); r.firsts[mid] <= at {
			low = mid + 1
		} else {
			high = mid
		}
	}
	for i := low - 1; i >= 0 && r.ranges[i].reach >= at; i-- {
		if g := &r.ranges[i]; at <= g.last {
			best = x.earliest(r.matches[g.from:g.to], policies, best)
		}
	}
	return best
}

// earliest returns the first rule of list whose policy is among policies, if it counts before best, and
// otherwise best.
func (x *clusterRules) earliest(list []clusterMatch, policies bitset, best clusterMatch) clusterMatch {
	for _, m := range list {
		if policies.has(m.slot) {
			if best.isNone() || x.before(m, best) {
				return m
			}
			return best
		}
	}
	return best
}

// before reports whether rule a counts before rule b (S34).
func (x *clusterRules) before(a, b clusterMatch) bool {
	if a.slot == b.slot {
		return a.rule < b.rule
	}
	return x.place[a.slot] < x.place[b.slot]
}
