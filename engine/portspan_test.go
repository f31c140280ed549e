package engine

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPortTreesFindEveryRange compares searches of trees of random ranges, nested, wide and narrow, with a look at
// every range (S15).
func TestPortTreesFindEveryRange(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(6, 6))
	policies := bitset(nil).with(1)
	for range 300 {
		n, most := rng.IntN(60), 1+rng.IntN(80)
		rules := &ruleTable{every: peerSet{firstRank: noRank, anyPeer: noRank}}
		x, wide := &clusterRules{}, wideRules{}
		for rank := range uint32(n) {
			first := portOf(TCP, uint16(1+rng.IntN(100)))
			span := portSpan{first: first, last: first + protocolPort(rng.IntN(most))}
			rules.ranges = append(rules.ranges, portRange{span, peerSet{firstRank: rank, anyPeer: rank}})
			wide.ranges = append(wide.ranges, matchRange{span, []clusterMatch{matchOf(1, int(rank), Allow)}})
		}
		byFirst := func(a, b portSpan) int { return cmp.Compare(a.first, b.first) }
		slices.SortFunc(rules.ranges, func(a, b portRange) int { return byFirst(a.portSpan, b.portSpan) })
		slices.SortFunc(wide.ranges, func(a, b matchRange) int { return byFirst(a.portSpan, b.portSpan) })
		setReach(rules.ranges, func(r *portRange) *portSpan { return &r.portSpan })
		setReach(wide.ranges, func(r *matchRange) *portSpan { return &r.portSpan })
		for port := range uint16(200) {
			want, at := noRank, portOf(TCP, port)
			for _, r := range rules.ranges {
				if r.first <= at && at <= r.last {
					want = min(want, r.set.firstRank)
				}
			}
			if got := rules.match(TCP, port, &peer{}); got != want {
				t.Fatalf("port %d of %d ranges: rank %d, want %d", port, n, got, want)
			}
			got := noRank
			if m := x.searchWide(&wide, at, policies, clusterMatch{}); !m.isNone() {
				got = uint32(m.index())
			}
			if got != want {
				t.Fatalf("port %d of %d ranges of cluster-wide rules: rule %d, want %d", port, n, got, want)
			}
		}
	}
}
