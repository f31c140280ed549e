package engine

import (
	"math/bits"
	"net/netip"
	"sync/atomic"

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
// far fewer than Pods, and small, so that they stay in the near caches. What was found for two kinds is in memo.
//
// A policy is known by its slot, which it keeps while it exists. Everything reachable is immutable but for the
// transaction that owns the struct.
type clusterRules struct {
	owner *persist.Edit
	// slots allocates the slots, of which 0 is none; bySlot has the policies, nil for a free slot.
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
	// networkBytes has the first bytes of all IPv4 addresses in networks.
	networkBytes [4]uint64
	// ports finds the first of the columns of a single port in memo, one for each portSide; columns is their
	// number.
	ports   portTable
	columns int
	memo    *clusterMemo
}

// A clusterSubject is a set of policies that select the same classes as their subject (S36).
type clusterSubject struct {
	// policies has the slots.
	policies bitset
	key      string
}

// A clusterPeer is what cluster-wide rules make of their peer, for all classes that the same of their
// selectors select and that give the same ports those names that rules mention.
//
// It has the rules that match the peer by a selector, or that match every peer. What most decisions read of it
// is its first cache line.
type clusterPeer struct {
	// exact finds the list of a single port or a port name in matches.
	exact portTable
	// matches has the lists of exact. A list ends with a match of slot 0, at a multiple of [stride].
	matches []clusterMatch
	// hasWide reports by portSide whether wide has rules.
	hasWide [portSides]bool

	owner *persist.Edit
	key   string
	// selectors has the ids of the selectors, sorted; ports has the named ports.
	selectors []uint32
	ports     []NamedPort
	// named has the ports again, with the keys of their names.
	named []namedAt
	// wide has the rules of every port, and of ranges of ports.
	wide [portSides]wideRules
}

// stride is how many matches are tried at once: that costs less than to stop at each.
const stride = 4

// A namedAt is a port and the key under which the rules for its name are.
type namedAt struct{ at, name protocolPort }

// A networkRules has the rules with one network. parent has those of the next network around it, or is nil.
type networkRules struct {
	parent *networkRules
	rules  *clusterPeer
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
	if c == nil || !c.numbered() {
		return x.peers.at(0)
	}
	if n := c.fewPeers[peerNumber]; n != ownNumber {
		return x.peers.at(n)
	}
	return c.cold.tiers.own.peer
}

// first returns the first rule of a tier that matches, of the policies that select c (S34, S35), or none. c
// must be tiered.
func (x *clusterRules) first(
	tier Tier, d direction, c *hotClass, protocol Protocol, port uint16, p *peer,
) clusterMatch {
	at, side := portOf(protocol, port), sideOf(d, tier)
	var best clusterMatch
	cell := x.cell(c, p.class, at, side)
	if known := loadCell(cell); known != 0 {
		best = matchOfCell(known)
	} else {
		best = x.firstPeer(c, p.class, at, side)
		if cell != nil {
			cell.Store(cellOf(best))
		}
	}
	if x.networks != nil && (p.more != nil || x.mayHave(p.addr)) {
		best = x.firstNetwork(c, at, side, p, best)
	}
	return best
}

// cell returns the cell of the memo for a question, or nil if there is none. Ingress to a port that has a name
// has none, as the answer then depends on the subject's names (S43); those of the peer are part of its kind.
func (x *clusterRules) cell(c, other *hotClass, at protocolPort, side portSide) *atomic.Uint32 {
	column, ok := x.ports.find(uint32(at))
	if !ok || side.direction() == ingress && c.mayName(at.port()) {
		return nil
	}
	peer := uint32(0)
	if other != nil && other.numbered() {
		peer = other.fewPeers[peerNumber]
	}
	return x.memo.cell(column|uint32(side), c.fewPeers[subjectNumber], peer)
}

// loadCell returns the content of a cell, 0 for nil.
func loadCell(cell *atomic.Uint32) uint32 {
	if cell == nil {
		return 0
	}
	return cell.Load()
}

// firstPeer does what first does, for the rules that match the peer by a selector, or that match every peer.
func (x *clusterRules) firstPeer(c, other *hotClass, at protocolPort, side portSide) clusterMatch {
	policies, seen := x.subjectOf(c).policies, x.peerOf(other)
	named := seen.named // those of the destination
	if side.direction() == ingress {
		named = x.peerOf(c).named
	}
	return x.search(seen, named, at, side, policies, clusterMatch{})
}

// search returns the first rule of policies for a port and for the names that the destination gives it (S43),
// if it counts before best, and otherwise best.
func (x *clusterRules) search(
	seen *clusterPeer, named []namedAt, at protocolPort, side portSide, policies bitset, best clusterMatch,
) clusterMatch {
	best = x.earlier(seen.exactly(exactKey(at, side), policies), best)
	if seen.hasWide[side] {
		best = x.searchWide(&seen.wide[side], at, policies, best)
	}
	for i := range named {
		if named[i].at == at {
			best = x.earlier(seen.exactly(exactKey(named[i].name, side), policies), best)
		}
	}
	return best
}

// exactly returns the first rule of policies for a key, or none.
func (c *clusterPeer) exactly(key uint32, policies bitset) clusterMatch {
	if from, ok := c.exact.find(key); ok {
		return firstOf(c.matches, from, policies)
	}
	return clusterMatch{}
}

// firstOf returns the first rule of policies in the list that begins at from, or none.
func firstOf(matches []clusterMatch, from uint32, policies bitset) clusterMatch {
	for ; ; from += stride {
		m := (*[stride]clusterMatch)(matches[from:])
		found := policies.bit(m[0].slot) | policies.bit(m[1].slot)<<1 |
			policies.bit(m[2].slot)<<2 | policies.bit(m[3].slot)<<3
		if found != 0 {
			return m[bits.TrailingZeros64(found)&(stride-1)]
		}
		if m[stride-1].isNone() {
			return clusterMatch{}
		}
	}
}

// searchWide returns the first rule of policies for a port, if it counts before best, and otherwise best.
func (x *clusterRules) searchWide(
	r *wideRules, at protocolPort, policies bitset, best clusterMatch,
) clusterMatch {
	best = x.earliest(r.every, policies, best)
	if len(r.ranges) == 0 || at < r.ranges[0].first {
		return best
	}
	return x.searchRanges(r.ranges, at, policies, best)
}

// searchRanges does what searchWide does, for the rules of ranges that are a tree; see [setReach].
func (x *clusterRules) searchRanges(
	ranges []matchRange, at protocolPort, policies bitset, best clusterMatch,
) clusterMatch {
	for len(ranges) > 0 {
		mid := len(ranges) / 2
		r := &ranges[mid]
		switch {
		case r.reach < at:
			return best
		case r.first > at:
			ranges = ranges[:mid]
			continue
		case at <= r.last:
			best = x.earliest(r.matches, policies, best)
		}
		best = x.searchRanges(ranges[:mid], at, policies, best)
		ranges = ranges[mid+1:]
	}
	return best
}

// mayHave reports whether an address may be in some network.
func (x *clusterRules) mayHave(addr netip.Addr) bool {
	if !addr.Is4() {
		return addr.IsValid()
	}
	first := addr.As4()[0]
	return x.networkBytes[first/64]>>(first%64)&1 != 0
}

// firstNetwork returns the first rule of a side that has an address of the peer in its networks, of the
// policies that select c, if it counts before best, and otherwise best (S39).
func (x *clusterRules) firstNetwork(
	c *hotClass, at protocolPort, side portSide, p *peer, best clusterMatch,
) clusterMatch {
	policies := x.subjectOf(c).policies
	if !x.networkPolicies[side.direction()].meets(policies) {
		return best
	}
	destination := p.class
	if side.direction() == ingress {
		destination = c
	}
	named := x.peerOf(destination).named
	for i := -1; i < len(p.more); i++ {
		addr := p.addr
		if i >= 0 {
			addr = p.more[i]
		}
		n, _ := x.networks.Lookup(addr)
		for ; n != nil; n = n.parent {
			best = x.search(n.rules, named, at, side, policies, best)
		}
	}
	return best
}

// earliest returns the first rule of list whose policy is among policies, if it counts before best, and
// otherwise best.
func (x *clusterRules) earliest(list []clusterMatch, policies bitset, best clusterMatch) clusterMatch {
	for _, m := range list {
		if policies.has(m.slot) {
			return x.earlier(m, best)
		}
	}
	return best
}

// earlier returns the one of two rules that counts before the other (S34); each may be none.
func (x *clusterRules) earlier(a, b clusterMatch) clusterMatch {
	switch {
	case a.isNone():
		return b
	case b.isNone():
		return a
	case a.slot == b.slot && a.rule < b.rule, a.slot != b.slot && x.place[a.slot] < x.place[b.slot]:
		return a
	}
	return b
}
