package engine

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestS19BlockTable compares the table of many blocks with looking at each, for blocks and excepts that nest deeply.
func TestS19BlockTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	prefix := func(most int) netip.Prefix {
		ip := netip.AddrFrom4([4]byte{10, byte(rng.IntN(3)), byte(rng.IntN(3)), byte(rng.IntN(256))})
		if rng.IntN(4) == 0 {
			ip = netip.AddrFrom16([16]byte{0xfd, byte(rng.IntN(2)), 15: byte(rng.IntN(4))})
			most *= 4
		}
		return netip.PrefixFrom(ip, rng.IntN(most+1))
	}
	for range 3000 {
		var list blockList
		for rank := range uint32(1 + rng.IntN(20)) {
			for range 1 + rng.IntN(2) { // several of one rule
				b := &IPBlock{CIDR: prefix(26)}
				for range rng.IntN(4) {
					b.Except = append(b.Except, prefix(32))
				}
				list = append(list, rankedBlock{b, rank})
			}
		}
		table := blocks{table: blockTable(list)}
		for range 40 {
			addr := prefix(32).Addr()
			if got, want := table.first(addr), list.first(addr); got != want {
				t.Fatalf("%v: rank %d, want %d, of %+v", addr, got, want, list)
			}
		}
	}
}
