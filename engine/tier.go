package engine

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// verdict is what a rule, or the end of a tier, says. The zero verdict denies.
type verdict uint8

const (
	deny verdict = iota
	allow
	// pass leaves the connection to the next tier.
	pass
)

// The kinds of tier, in the order in which they are walked.
const (
	networkPolicies = iota
	tierKinds
)

// tiers are those of a class for one direction, by kind: nil for a kind of which no policy selects the class (S13).
type tiers [tierKinds]*tier

// tier is all rules of one kind of policy for one direction of a class, merged: the first rule that matches speaks, and
// where none does, otherwise. It is immutable, and shared by all classes that the same policies select.
type tier struct {
	// policies are those that apply, by name.
	policies []*Policy
	// rules has the rule of each rank.
	rules []ruleRef
	// otherwise is the tier's last word: deny for NetworkPolicy (S12, S14).
	otherwise verdict
	// blocks says that the peer's address takes part, hasNamed that named is not empty.
	blocks, hasNamed bool
	ports            [protocols]portTable
	// named are rules for a named port of the destination (S21); for ingress they were resolved into ports.
	named []namedPortSet
}

// protocols is how many there are.
const protocols = 3

type ruleRef struct {
	policy *Policy
	rule   uint32
	says   verdict
}

type namedPortSet struct {
	name     string
	protocol Protocol
	set      *peerSet
}

// portTable finds the peer sets for a port.
type portTable struct {
	// every is for rules of every port; nil for none.
	every *peerSet
	// ranges are by first port.
	ranges []portRange
}

type portRange struct {
	first, last uint16
	// reach is the greatest last port of this range and all before it: below, none of them is met.
	reach uint16
	set   peerSet
}

// match is the rank of the first rule that has this peer and port.
func (t *tier) match(protocol Protocol, port uint16, p *peer) uint32 {
	best, table := noRank, &t.ports[protocol]
	if s := table.every; s != nil && s.first < best {
		best = s.match(p, best)
	}
	ranges := table.ranges
	if len(ranges) > 8 { // cut off those that begin past the port; a few are faster passed by
		at, _ := slices.BinarySearchFunc(ranges, port, func(r portRange, port uint16) int {
			if r.first <= port {
				return -1
			}
			return 1
		})
		ranges = ranges[:at]
	}
	for i := len(ranges) - 1; i >= 0 && ranges[i].reach >= port; i-- {
		if r := &ranges[i]; r.first <= port && port <= r.last && r.set.first < best {
			best = r.set.match(p, best)
		}
	}
	if !t.hasNamed {
		return best
	}
	for i := range t.named {
		n := &t.named[i]
		if n.protocol == protocol && n.set.first < best && p.class != nil && p.class.names(n.name, protocol, port) {
			best = n.set.match(p, best)
		}
	}
	return best
}

// tierKey names a tier by all that it is built from.
func tierKey(d direction, policies []*policy, ports []NamedPort) string {
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

// newTier merges the NetworkPolicies that isolate a class for a direction; ports are the class's named ports.
func newTier(d direction, policies []*policy, ports []NamedPort) *tier {
	t := &tier{otherwise: deny}
	b := tierBuilder{sets: map[portKey]*peerSetBuilder{}}
	for _, p := range policies {
		t.policies = append(t.policies, p.source)
		for i := range p.rules[d] {
			r := &p.rules[d][i]
			b.add(r, d, ports, uint32(len(t.rules)))
			t.rules = append(t.rules, ruleRef{policy: p.source, rule: uint32(i), says: allow})
			t.blocks = t.blocks || len(r.blocks) > 0
		}
	}
	b.build(t)
	return t
}

// portKey is a group of ports that rules name alike: a range, or a name.
type portKey struct {
	name        string
	protocol    Protocol
	first, last uint16
}

type tierBuilder struct {
	// all has the rules without ports (S15).
	all  *peerSetBuilder
	sets map[portKey]*peerSetBuilder
}

func (b *tierBuilder) add(r *rule, d direction, ports []NamedPort, rank uint32) {
	if r.anyPort {
		if b.all == nil {
			b.all = newPeerSetBuilder()
		}
		b.all.add(r, rank)
	}
	for _, p := range r.ports {
		switch {
		case p.Name == "" && p.First > 0 && p.First <= p.Last:
			b.put(portKey{"", p.Protocol, p.First, p.Last}, r, rank)
		case p.Name != "" && d == egress:
			b.put(portKey{p.Name, p.Protocol, 0, 0}, r, rank)
		case p.Name != "":
			for _, own := range ports {
				if own.Name == p.Name && own.Protocol == p.Protocol {
					b.put(portKey{"", p.Protocol, own.Port, own.Port}, r, rank)
				}
			}
		}
	}
}

func (b *tierBuilder) put(k portKey, r *rule, rank uint32) {
	if k.protocol >= protocols {
		return
	}
	if b.sets[k] == nil {
		b.sets[k] = newPeerSetBuilder()
	}
	b.sets[k].add(r, rank)
}

func (b *tierBuilder) build(t *tier) {
	if b.all != nil {
		set := b.all.build()
		for i := range t.ports {
			t.ports[i].every = set
		}
	}
	for k, builder := range b.sets {
		set := builder.build()
		switch {
		case set == nil:
		case k.name != "":
			t.named, t.hasNamed = append(t.named, namedPortSet{k.name, k.protocol, set}), true
		default:
			table := &t.ports[k.protocol]
			table.ranges = append(table.ranges, portRange{first: k.first, last: k.last, set: *set})
		}
	}
	for i := range t.ports {
		ranges := t.ports[i].ranges
		slices.SortFunc(ranges, func(a, b portRange) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last)) })
		reach := uint16(0)
		for j := range ranges {
			reach = max(reach, ranges[j].last)
			ranges[j].reach = reach
		}
	}
}
