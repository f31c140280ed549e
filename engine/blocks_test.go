package engine

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// TestS19BlockTable compares the table of many blocks with looking at each, for blocks and excepts that nest
// deeply.
func TestS19BlockTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	for range 3000 {
		var list blockList
		for rank := range uint32(1 + rng.IntN(20)) {
			for range 1 + rng.IntN(2) { // several of one rule
				b := &IPBlock{CIDR: randomPrefix(rng, 26)}
				for range rng.IntN(4) {
					b.Except = append(b.Except, randomPrefix(rng, 32))
				}
				list = append(list, rankedBlock{b, rank})
			}
		}
		table := blocks{table: blockTable(list)}
		for range 40 {
			addr := randomPrefix(rng, 32).Addr()
			if got, want := table.lowestRank(addr), list.lowestRank(addr); got != want {
				t.Fatalf("%v: rank %d, want %d, of %+v", addr, got, want, list)
			}
		}
	}
}

// TestS19AddressTable compares finding rules by address first with looking at each, port by port.
func TestS19AddressTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 19))
	tables := 0
	for range 1500 {
		entries := randomPortBlocks(rng)
		table := newRulesByAddress(entries)
		if table == nil {
			continue
		}
		tables++
		for range 60 {
			p := peer{addr: randomPrefix(rng, 32).Addr()}
			if rng.IntN(4) == 0 {
				p.more = append(p.more, randomPrefix(rng, 32).Addr())
			}
			at, limit := portOf(Protocol(rng.IntN(protocols)), uint16(1+rng.IntN(40))), noRank
			if rng.IntN(4) == 0 {
				limit = uint32(rng.IntN(60))
			}
			want := limit
			for _, e := range entries {
				for _, addr := range append(p.more, p.addr) {
					if e.first <= at && at <= e.last && e.block.Contains(addr) {
						want = min(want, e.rank)
					}
				}
			}
			if got := table.match(at, &p, limit); got != want {
				t.Fatalf("%v at %x: rank %d, want %d, of %+v", p, at, got, want, entries)
			}
		}
	}
	if tables < 500 {
		t.Errorf("only %d of 1,500 lists of blocks made a table", tables)
	}
}

// randomPortBlocks returns blocks and excepts that nest, and ranges of ports that overlap.
func randomPortBlocks(rng *rand.Rand) []portBlock {
	var entries []portBlock
	for rank := range uint32(manyBlocks + rng.IntN(60)) {
		b := &IPBlock{CIDR: randomPrefix(rng, 26)}
		if rng.IntN(3) > 0 {
			b.CIDR = netip.PrefixFrom(b.CIDR.Addr(), max(b.CIDR.Bits(), 16+rng.IntN(9)))
		}
		for range rng.IntN(4) {
			b.Except = append(b.Except, randomPrefix(rng, 32))
		}
		first := 1 + rng.IntN(40)
		protocol := Protocol(rng.IntN(protocols))
		of := portSpan{
			first: portOf(protocol, uint16(first)), last: portOf(protocol, uint16(first+rng.IntN(6))),
		}
		if rng.IntN(10) == 0 {
			of = portSpan{last: portOf(protocols, 0)}
		}
		entries = append(entries, portBlock{of, rankedBlock{b, rank}})
	}
	rng.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	return entries
}

// TestS19HeavyPod asks about a Pod that many policies of many blocks select, so many that rules are found by
// address first, of an engine and of one that looks at each block.
func TestS19HeavyPod(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 19))
	for range 20 {
		c := NewCluster(Options{})
		pod := &Pod{
			Namespace: "a", Name: "p", IPs: []netip.Addr{netip.MustParseAddr("10.9.0.1")},
			Ports: []NamedPort{{Name: "web", Port: 7}},
		}
		c.Apply(Change{Object: pod})
		var rules []Rule
		for _, e := range randomPortBlocks(rng) {
			r := Rule{Peers: []Peer{{Block: e.block}}, Ports: []Port{{
				Protocol: Protocol(rng.IntN(protocols)),
				First:    uint16(e.first), Last: max(uint16(e.first), uint16(e.last)),
			}}}
			switch rng.IntN(8) {
			case 0:
				r.Ports = nil
			case 1:
				r.Ports = append(r.Ports, Port{Name: "web"})
			}
			rules = append(rules, r)
		}
		s := c.Apply(
			Change{Object: &Policy{Namespace: "a", Name: "heavy", IsolatesIngress: true, Ingress: rules}},
		)
		for range 300 {
			src, port := randomPrefix(rng, 32).Addr(), uint16(1+rng.IntN(40))
			protocol := Protocol(rng.IntN(protocols))
			if !src.Is4() {
				continue
			}
			d, err := s.Allowed(Query{Src: ByIP(src), Dst: ByIP(pod.IPs[0]), Port: port, Protocol: protocol})
			if err != nil {
				t.Fatal(err)
			}
			want := slices.IndexFunc(rules, func(r Rule) bool {
				hasPort := func(p Port) bool {
					return p.Protocol == protocol &&
						(p.First <= port && port <= p.Last && p.Name == "" || p.Name == "web" && port == 7)
				}
				return r.Peers[0].Block.Contains(src) &&
					(r.Ports == nil || slices.ContainsFunc(r.Ports, hasPort))
			})
			if d.Allowed != (want >= 0) || d.Allowed && d.Ingress.Rule != want {
				t.Fatalf("%v to port %d, protocol %d: %+v, want rule %d", src, port, protocol, d, want)
			}
		}
	}
}

func randomPrefix(rng *rand.Rand, most int) netip.Prefix {
	ip := netip.AddrFrom4([4]byte{10, byte(rng.IntN(3)), byte(rng.IntN(3)), byte(rng.IntN(256))})
	if rng.IntN(4) == 0 {
		ip = netip.AddrFrom16([16]byte{0xfd, byte(rng.IntN(2)), 15: byte(rng.IntN(4))})
		most *= 4
	}
	return netip.PrefixFrom(ip, rng.IntN(most+1))
}
