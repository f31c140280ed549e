package engine

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"github.com/netpold/netpold/engine/internal/persist"
)

// clusterPeerKey returns the identity of a clusterPeer: all of a class that it is made of.
func clusterPeerKey(selectors []uint32, ports []NamedPort) []byte {
	if len(selectors) == 0 && len(ports) == 0 {
		return nil
	}
	b := binary.AppendUvarint(make([]byte, 0, 64), uint64(len(selectors)))
	for _, id := range selectors {
		b = binary.AppendUvarint(b, uint64(id))
	}
	return appendPorts(b, ports)
}

// mentioned returns those of ports whose names some rule mentions.
func (x *clusterRules) mentioned(ports []NamedPort) []NamedPort {
	if x.names.Len() == 0 {
		return nil
	}
	var list []NamedPort
	for _, p := range ports {
		if x.names.Find(p.Name) != nil {
			list = append(list, p)
		}
	}
	return list
}

// newPeer returns what the rules make of a peer that these selectors select and that has these named ports.
func (x *clusterRules) newPeer(
	owner *persist.Edit, key string, selectors []uint32, ports []NamedPort,
) *clusterPeer {
	c := &clusterPeer{owner: owner, key: key, selectors: selectors, ports: ports}
	for _, p := range ports {
		if name, ok := x.nameKey(p.Name, p.Protocol); ok {
			c.named = append(c.named, namedAt{portOf(p.Protocol, p.Port), name})
		}
	}
	var b clusterPeerBuilder
	for _, p := range x.inOrder {
		for d := range directions {
			for i := range p.rules[d] {
				if r := &p.rules[d][i]; r.anyPeer || r.namesAny(selectors) {
					b.add(x, d, p, i)
				}
			}
		}
	}
	b.build(c)
	return c
}

// namesAny reports whether the rule has one of some selectors, which are sorted, as a peer.
func (r *rule) namesAny(selectors []uint32) bool {
	for _, id := range r.selectors {
		if _, found := slices.BinarySearch(selectors, id); found {
			return true
		}
	}
	return false
}

// A portName is the number of a port name, and how many ports of rules mention it.
type portName struct {
	id    uint32
	rules int
}

// nameKey returns the key under which the rules for a port name and a protocol are, and whether some rule
// mentions the name. It is greater than every port, and has less than 30 bits.
func (x *clusterRules) nameKey(name string, protocol Protocol) (protocolPort, bool) {
	n := x.names.Find(name)
	if n == nil {
		return 0, false
	}
	return 1<<29 | protocolPort(protocol)<<27 | protocolPort(n.id), true
}

// A clusterPeerBuilder collects rules in the order in which they count.
type clusterPeerBuilder struct {
	sides [portSides]struct {
		every []clusterMatch
		spans []matchSpan
	}
}

// A matchSpan is a range of ports of a rule, or the key of a port name.
type matchSpan struct {
	first, last protocolPort
	match       clusterMatch
}

// add adds the rule at index i of a policy. A port that is invalid is skipped, so that it matches nothing
// (S23). One without protocol stands for every protocol (S43).
func (b *clusterPeerBuilder) add(x *clusterRules, d direction, p *policy, i int) {
	to, r := &b.sides[sideOf(d, p.tier)], &p.rules[d][i]
	match := matchOf(p.slot, i, r.action)
	if r.anyPort {
		to.every = append(to.every, match)
	}
	for _, port := range r.ports {
		switch {
		case port.Name != "":
			for protocol := range Protocol(protocols) {
				if port.AnyProtocol || port.Protocol == protocol {
					key, _ := x.nameKey(port.Name, protocol)
					to.spans = append(to.spans, matchSpan{key, key, match})
				}
			}
		case port.First > 0 && port.First <= port.Last && port.Protocol < protocols:
			first, last := portOf(port.Protocol, port.First), portOf(port.Protocol, port.Last)
			to.spans = append(to.spans, matchSpan{first, last, match})
		}
	}
}

// build writes the rules to c, laid out by their ports.
func (b *clusterPeerBuilder) build(c *clusterPeer) {
	var exact []portEntry
	for side := range b.sides {
		from := &b.sides[side]
		slices.SortStableFunc(from.spans, func(a, b matchSpan) int {
			return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last))
		})
		wide := wideRules{every: from.every}
		for rest := from.spans; len(rest) > 0; {
			span := portSpan{first: rest[0].first, last: rest[0].last}
			var list []clusterMatch
			for len(rest) > 0 && rest[0].first == span.first && rest[0].last == span.last {
				list, rest = append(list, rest[0].match), rest[1:]
			}
			if span.first == span.last {
				exact = append(exact, portEntry{exactKey(span.first, portSide(side)), uint32(len(c.matches))})
				c.matches = append(c.matches, padded(list)...)
				continue
			}
			wide.ranges = append(wide.ranges, matchRange{span, list})
		}
		setReach(wide.ranges, func(r *matchRange) *portSpan { return &r.portSpan })
		c.wide[side], c.hasWide[side] = wide, wide.every != nil || wide.ranges != nil
	}
	c.exact = newPortTable(exact)
}

// padded returns a list with the end that lists of matches have.
func padded(list []clusterMatch) []clusterMatch {
	for ok := true; ok; ok = len(list)%stride != 0 {
		list = append(list, clusterMatch{})
	}
	return list
}

// arrangePorts gives each single port of a rule its columns of the memo.
func (x *clusterRules) arrangePorts() {
	known := map[protocolPort]bool{}
	var entries []portEntry
	for _, p := range x.inOrder {
		p.eachPort(func(port *Port) {
			at := portOf(port.Protocol, port.First)
			if known[at] || port.Name != "" || port.First == 0 || port.First != port.Last ||
				port.Protocol >= protocols {
				return
			}
			known[at] = true
			entries = append(entries, portEntry{uint32(at), uint32(len(entries)) * uint32(portSides)})
		})
	}
	x.ports, x.columns = newPortTable(entries), len(entries)*int(portSides)
}

// arrangeNetworks lays out the rules with networks anew. It looks at all of them.
func (x *clusterRules) arrangeNetworks() {
	x.networks, x.networkPolicies, x.networkBytes = nil, [directions]bitset{}, [4]uint64{}
	built := map[netip.Prefix]*clusterPeerBuilder{}
	var order []netip.Prefix
	for _, p := range x.inOrder {
		for d := range directions {
			for i := range p.rules[d] {
				for _, block := range p.rules[d][i].blocks {
					x.networkPolicies[d] = x.networkPolicies[d].with(p.slot)
					for _, network := range networksOf(block) {
						if built[network] == nil {
							built[network] = &clusterPeerBuilder{}
							order = append(order, network)
						}
						built[network].add(x, d, p, i)
					}
				}
			}
		}
	}
	if len(order) == 0 {
		return
	}
	x.networks = &bart.Table[*networkRules]{}
	slices.SortFunc(order, func(a, b netip.Prefix) int { return cmp.Compare(a.Bits(), b.Bits()) })
	for _, network := range order { // shorter ones first, so that one comes after all that contain it
		n := &networkRules{rules: &clusterPeer{}}
		n.parent, _ = x.networks.LookupPrefix(network)
		built[network].build(n.rules)
		x.networks.Insert(network, n)
		if network.Addr().Is4() {
			first := int(network.Addr().As4()[0])
			for b := first; b < first+1<<max(8-network.Bits(), 0); b++ {
				x.networkBytes[b/64] |= 1 << (b % 64)
			}
		}
	}
}

// networksOf returns the networks that have the addresses of a block, and no others: CIDR, or what its
// exceptions leave of it.
func networksOf(b *IPBlock) []netip.Prefix {
	cidr, excepted := b.CIDR.Masked(), false
	for _, e := range b.Except {
		if e.Bits() <= cidr.Bits() && e.Contains(cidr.Addr()) {
			return nil
		}
		excepted = excepted || cidr.Overlaps(e)
	}
	if !excepted {
		return []netip.Prefix{cidr}
	}
	low := netip.PrefixFrom(cidr.Addr(), cidr.Bits()+1)
	bytes := low.Addr().AsSlice()
	bytes[cidr.Bits()/8] |= 0x80 >> (cidr.Bits() % 8)
	upper, _ := netip.AddrFromSlice(bytes)
	high := netip.PrefixFrom(upper, low.Bits())
	return append(networksOf(&IPBlock{low, b.Except}), networksOf(&IPBlock{high, b.Except})...)
}
