package engine

import (
	"cmp"
	"slices"
)

// newRuleTable returns the merged rules of the NetworkPolicies that isolate a class in a direction. policies
// are in the order in which they count, at least one. ports are the class's named ports. The result depends
// on nothing that is not in [ruleTableKey].
func newRuleTable(d direction, policies []*policy, ports []NamedPort) *ruleTable {
	t := &ruleTable{}
	b := ruleTableBuilder{table: t, sets: map[portKey]*peerSetBuilder{}}
	for _, p := range policies {
		t.policies = append(t.policies, p.source)
		for i := range p.rules[d] {
			r := &p.rules[d][i]
			b.add(r, d, ports, uint32(len(t.rules)))
			t.rules = append(t.rules, ruleRef{p.source, uint32(i)})
			t.usesBlocks = t.usesBlocks || len(r.blocks) > 0
		}
	}
	b.build()
	return t
}

// A portKey is a group of ports that rules name alike: a range, or a name. All rules for it share one peer
// set.
type portKey struct {
	name        string // empty for a range
	protocol    Protocol
	first, last uint16 // 0 for a name
}

// span returns the range.
func (k portKey) span() portSpan {
	return portSpan{first: portOf(k.protocol, k.first), last: portOf(k.protocol, k.last)}
}

// compare orders keys by protocol and first port, as the ranges of a rule table are.
func (k portKey) compare(o portKey) int {
	return cmp.Or(
		cmp.Compare(k.protocol, o.protocol), cmp.Compare(k.first, o.first),
		cmp.Compare(k.last, o.last), cmp.Compare(k.name, o.name),
	)
}

// A ruleTableBuilder collects the peers of rules by their ports, rule by rule in the order of rank.
type ruleTableBuilder struct {
	table *ruleTable
	// every has the rules without ports (S15); nil for none.
	every *peerSetBuilder
	sets  map[portKey]*peerSetBuilder
}

// add adds a rule to the sets of all its ports.
//
// A named port is looked up on the destination (S21). For ingress that is the class itself, whose ports are
// known here. For egress it is the other end, so the name stays. A port that is invalid is skipped, so that
// it matches nothing (S23), and so is one of any protocol, which only cluster-wide policies have.
func (b *ruleTableBuilder) add(r *rule, d direction, ports []NamedPort, rank uint32) {
	if r.anyPort {
		if b.every == nil {
			b.every = newPeerSetBuilder()
		}
		b.every.add(r, rank)
	}
	for _, p := range r.ports {
		switch {
		case p.Name == "" && p.First > 0 && p.First <= p.Last:
			b.addTo(portKey{"", p.Protocol, p.First, p.Last}, r, rank)
		case p.AnyProtocol:
		case p.Name != "" && d == egress:
			b.addTo(portKey{p.Name, p.Protocol, 0, 0}, r, rank)
		case p.Name != "":
			for _, own := range ports {
				if own.Name == p.Name && own.Protocol == p.Protocol {
					b.addTo(portKey{"", own.Protocol, own.Port, own.Port}, r, rank)
				}
			}
		}
	}
}

// addTo adds the peers of a rule to the set of one group of ports. An unknown protocol has no set.
func (b *ruleTableBuilder) addTo(k portKey, r *rule, rank uint32) {
	if k.protocol >= protocols {
		return
	}
	if b.sets[k] == nil {
		b.sets[k] = newPeerSetBuilder()
	}
	b.sets[k].add(r, rank)
}

// build lays the sets out in the table, in the order in which a search reads them. Sets that match nothing
// are left out.
func (b *ruleTableBuilder) build() {
	t := b.table
	t.ranges, t.selectors = t.fewRanges[:0], t.fewSelectors[:0]
	more := rareRules{byAddress: b.extractBlocks()}
	t.every = peerSet{firstRank: noRank, anyPeer: noRank}
	if b.every != nil {
		t.every = b.every.build(t)
	}
	keys := make([]portKey, 0, len(b.sets))
	for k := range b.sets {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, portKey.compare)
	for _, k := range keys {
		switch set := b.sets[k].build(t); {
		case set.firstRank == noRank:
		case k.name != "":
			more.named = append(more.named, namedPortSet{k.name, k.protocol, set})
		default:
			t.ranges = append(t.ranges, portRange{k.span(), set})
		}
	}
	setReach(t.ranges, func(r *portRange) *portSpan { return &r.portSpan })
	if t.matchesRare = more.named != nil || more.byAddress != nil; t.matchesRare {
		t.rare = &more
	}
	t.digest()
}

// extractBlocks moves the blocks of all sets to a table by address, and returns it. If they are few, or a
// table would not pay, it returns nil and the sets keep them. Sets for port names keep theirs in any case, as
// a name has no range.
func (b *ruleTableBuilder) extractBlocks() *rulesByAddress {
	var entries []portBlock
	every := portSpan{last: portOf(protocols, 0)}
	if b.every != nil {
		entries = appendBlocks(entries, b.every.blocks, every)
	}
	for k, set := range b.sets {
		if k.name == "" {
			entries = appendBlocks(entries, set.blocks, k.span())
		}
	}
	table := newRulesByAddress(entries)
	if table == nil {
		return nil
	}
	if b.every != nil {
		b.every.blocks = nil
	}
	for k, set := range b.sets {
		if k.name == "" {
			set.blocks = nil
		}
	}
	return table
}

// appendBlocks appends the blocks of list, for a range of ports.
func appendBlocks(entries []portBlock, list blockList, of portSpan) []portBlock {
	for _, block := range list {
		entries = append(entries, portBlock{of, block})
	}
	return entries
}
