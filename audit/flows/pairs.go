package flows

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A Pair is what all records between two ends on one port come to.
type Pair struct {
	// Src and Dst are names of parties.
	Src, Dst string
	Port     uint16
	Protocol engine.Protocol
	// Records are those with an answer. Allowed and Denied count their verdicts, the others what came of the
	// comparison.
	Records, Allowed, Denied, Agrees, Disagrees, NotCompared uint64
	// Span is that of the records.
	Span Span

	// weight is Records, and those of pairs that gave up their place before. index is the place in the heap.
	weight uint64
	index  int
}

type pairKey struct {
	src, dst string
	port     uint16
	protocol engine.Protocol
}

// A pairs keeps the pairs that records are of. While they are few it keeps all. When there is no room left, a
// new pair takes the place of the least: the one with the lowest weight, among those without a disagreement if
// there are any. The new pair takes over the weight ("Space-Saving", Metwally et al. 2005): so a pair that has
// more than 1/most of all records is never missing.
type pairs struct {
	most  int
	known map[pairKey]*Pair
	// least is a heap of all pairs, once there is no room left; before it is nil.
	least leastPairs
	// lossy means that a pair was given up or not taken in.
	lossy bool
}

// add counts a record with an answer.
func (p *pairs) add(r *Record, a *Answer, j Judgement) {
	key := pairKey{a.Src.Name, a.Dst.Name, r.Port, r.Protocol}
	pair := p.known[key]
	if pair == nil {
		if pair = p.place(j.Compared == Disagrees); pair == nil {
			p.lossy = true
			return
		}
		pair.Src, pair.Dst, pair.Port, pair.Protocol = key.src, key.dst, key.port, key.protocol
		p.known[key] = pair
	}
	pair.count(r, a, j)
	if p.least != nil {
		heap.Fix(&p.least, pair.index)
	}
}

// place returns a pair for a new key, which no longer stands for another one. It returns nil if all that are
// kept disagree and the new one does not.
func (p *pairs) place(disagrees bool) *Pair {
	if len(p.known) < p.most {
		return new(Pair)
	}
	if p.least == nil {
		p.least = make(leastPairs, 0, len(p.known))
		for _, pair := range p.known {
			pair.index = len(p.least)
			p.least = append(p.least, pair)
		}
		heap.Init(&p.least)
	}
	old := p.least[0]
	if old.Disagrees > 0 && !disagrees {
		return nil
	}
	p.lossy = true
	delete(p.known, pairKey{old.Src, old.Dst, old.Port, old.Protocol})
	*old = Pair{weight: old.weight, index: old.index}
	return old
}

func (p *Pair) count(r *Record, a *Answer, j Judgement) {
	p.weight++
	p.Records++
	if a.Reason.Allowed() {
		p.Allowed++
	} else {
		p.Denied++
	}
	switch j.Compared {
	case Agrees:
		p.Agrees++
	case Disagrees:
		p.Disagrees++
	case NotCompared:
		p.NotCompared++
	}
	p.Span.Add(r.Time)
}

// top returns at most n pairs, as [Summary.Pairs] orders them.
func (p *pairs) top(n int) []Pair {
	list := make([]*Pair, 0, len(p.known))
	for _, pair := range p.known {
		list = append(list, pair)
	}
	slices.SortFunc(list, func(a, b *Pair) int {
		return cmp.Or(
			cmp.Compare(b.Disagrees, a.Disagrees), cmp.Compare(b.Records, a.Records), cmp.Compare(a.Src, b.Src),
			cmp.Compare(a.Dst, b.Dst), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port),
		)
	})
	top := make([]Pair, min(n, len(list)))
	for i := range top {
		top[i] = *list[i]
	}
	return top
}

// A leastPairs is a heap whose first pair is the next one to give up its place.
type leastPairs []*Pair

// Len implements [heap.Interface].
func (h leastPairs) Len() int { return len(h) }

// Less implements [heap.Interface]. Pairs that disagree come last.
func (h leastPairs) Less(i, j int) bool {
	a, b := h[i], h[j]
	if (a.Disagrees > 0) != (b.Disagrees > 0) {
		return a.Disagrees == 0
	}
	return a.weight < b.weight
}

// Swap implements [heap.Interface].
func (h leastPairs) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements [heap.Interface]. The heap never grows.
func (*leastPairs) Push(any) { panic("a heap of pairs does not grow") }

// Pop implements [heap.Interface]. The heap never shrinks.
func (*leastPairs) Pop() any { panic("a heap of pairs does not shrink") }
