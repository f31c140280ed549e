package engine_test

import (
	"math/rand/v2"
	"testing"

	"github.com/netpold/netpold/engine"
)

// TestPortSets compares the operations of sets of ports with those of maps.
func TestPortSets(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	edges := []uint16{0, 1, 2, 3, 5, 8, 65533, 65534, 65535}
	random := func() (engine.PortSet, map[engine.PortRange]bool) {
		var ranges []engine.PortRange
		has := map[engine.PortRange]bool{}
		for range rng.IntN(4) {
			r := engine.PortRange{
				Protocol: engine.Protocol(rng.IntN(4)), First: edges[rng.IntN(len(edges))],
				Last: edges[rng.IntN(len(edges))],
			}
			ranges = append(ranges, r)
			for _, e := range edges {
				if e > 0 && r.First <= e && e <= r.Last && r.Protocol <= engine.SCTP {
					has[engine.PortRange{Protocol: r.Protocol, First: e, Last: e}] = true
				}
			}
		}
		if rng.IntN(8) == 0 {
			ranges = append(ranges, engine.EveryPort()...)
			for p := engine.TCP; p <= engine.SCTP; p++ {
				for _, e := range edges[1:] {
					has[engine.PortRange{Protocol: p, First: e, Last: e}] = true
				}
			}
		}
		return engine.NewPortSet(ranges...), has
	}
	for range 20_000 {
		a, inA := random()
		b, inB := random()
		for name, op := range map[string]struct {
			got  engine.PortSet
			want func(a, b bool) bool
		}{
			"union":     {a.Union(b), func(a, b bool) bool { return a || b }},
			"intersect": {a.Intersect(b), func(a, b bool) bool { return a && b }},
			"minus":     {a.Minus(b), func(a, b bool) bool { return a && !b }},
		} {
			for p := engine.TCP; p <= engine.SCTP; p++ {
				for _, e := range edges[1:] {
					at := engine.PortRange{Protocol: p, First: e, Last: e}
					if got := op.got.Contains(p, e); got != op.want(inA[at], inB[at]) {
						t.Fatalf("%s of %v and %v: %v, has %v %d: %v", name, a, b, op.got, p, e, got)
					}
				}
			}
			for i, r := range op.got {
				if r.First == 0 || r.First > r.Last || i > 0 && op.got[i-1].Protocol == r.Protocol &&
					int(op.got[i-1].Last)+1 >= int(r.First) || i > 0 && op.got[i-1].Protocol > r.Protocol {
					t.Fatalf("%s of %v and %v: %v is not in order, or touches", name, a, b, op.got)
				}
			}
			if !op.got.Equal(engine.NewPortSet(op.got...)) {
				t.Fatalf("%s of %v and %v: %v", name, a, b, op.got)
			}
		}
	}
}
