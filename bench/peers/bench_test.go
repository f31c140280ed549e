package peers

import (
	"testing"

	"github.com/netpold/netpold/bench/synthetic"
)

// sizes are those that every peer loads in a moment; the table of the command goes further.
var sizes = synthetic.Sizes[:2]

func eachPeer(b *testing.B, bench func(*testing.B, Peer, *synthetic.Cluster)) {
	b.Chdir(b.TempDir()) // netpol-analyzer writes a log there.
	for _, size := range sizes {
		c := synthetic.New(size)
		for _, p := range All() {
			b.Run(size.String()+"/"+p.Name, func(b *testing.B) { bench(b, p, c) })
		}
	}
}

// BenchmarkDecision measures 1,024 questions again and again.
func BenchmarkDecision(b *testing.B) {
	eachPeer(b, func(b *testing.B, p Peer, c *synthetic.Cluster) {
		questions := NewQuestions(c, hot)
		e := load(b, p, newObjects(b, c))
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := e.Allowed(questions[i&(hot-1)]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkLoad measures loading from objects in memory.
func BenchmarkLoad(b *testing.B) {
	eachPeer(b, func(b *testing.B, p Peer, c *synthetic.Cluster) {
		o := newObjects(b, c)
		b.ReportAllocs()
		for b.Loop() {
			load(b, p, o)
		}
	})
}

// BenchmarkChange measures a change of a Pod's labels up to the decision that counts it.
func BenchmarkChange(b *testing.B) {
	eachPeer(b, func(b *testing.B, p Peer, c *synthetic.Cluster) {
		list, err := NewChanges(c, changes)
		if err != nil {
			b.Fatal(err)
		}
		e := load(b, p, newObjects(b, c))
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			change := &list[i/2%changes]
			set := change.there
			if i%2 == 1 {
				set = change.back
			}
			if _, err := set(e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
