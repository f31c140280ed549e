package persist

import (
	"hash/maphash"
	"math/bits"
)

const (
	wideSlots      = 3
	wideBlockSlots = tableLines * wideSlots
	wideFill       = 7 * tableLines / 4 // keys of a block before it splits
)

// WideTable is a [Table] of 128-bit keys.
//
//	hash ─► place ─► block of 128 lines ─► line of 64 bytes: 3 keys, their values, whether more keys went on
//
// Three slots are few, so that more lines are full than in a Table. Hence a line says whether a key of its own went on, and
// a look-up seldom reads a second one. It is made by [NewWideTable]; a plain copy is a snapshot.
type WideTable struct {
	seed WideKey
	places[wideLines]
}

// A WideKey is a key of a [WideTable].
type WideKey struct{ A, B uint64 }

// A wideLines is a block, as lines is. Keys of a line that is full go on in the next line that has room.
// Invariant: one slot at least is empty.
type wideLines [tableLines]wideLine

// A wideLine has its slots filled in order. A slot whose value is 0 is empty, and its key is zero.
// Invariant: more is not 0 if a key went past the line, and then the line is full.
type wideLine struct {
	keys   [wideSlots]WideKey
	values [wideSlots]uint32
	more   uint32
}

// noWideLines is the block of an empty table.
var noWideLines wideLines

// NewWideTable returns an empty table. Its hash is seeded anew.
func NewWideTable() WideTable { return emptyWideTable(wideSeed()) }

// NewWideHash returns a hash for keys of a [Map], seeded anew at each call.
func NewWideHash() func(WideKey) uint64 {
	seed := wideSeed()
	return func(k WideKey) uint64 { return k.hash(seed) }
}

// wideSeed returns a random seed.
func wideSeed() WideKey {
	return WideKey{maphash.Comparable(maphash.MakeSeed(), 0), maphash.Comparable(maphash.MakeSeed(), 0)}
}

// hash returns the hash of a key: both halves, multiplied with the seed and folded, as wyhash does. Keys may hash alike.
func (k WideKey) hash(seed WideKey) uint64 {
	high, low := bits.Mul64(k.A^seed.A, k.B^seed.B)
	high, low = bits.Mul64(high^low^seed.A, 0x9E3779B97F4A7C15)
	return high ^ low
}

// emptyWideTable returns an empty table with a seed.
func emptyWideTable(seed WideKey) WideTable { return WideTable{seed, newPlaces(&noWideLines)} }

// Get returns the value of a key, or 0. It is the hot path, and as free of branches as [Table.Get].
func (t *WideTable) Get(k WideKey) uint32 {
	h := k.hash(t.seed)
	b := t.at(h)
	l := &b[lineOf(h)]
	v := uint32(0)
	v0, v1, v2 := l.values[0], l.values[1], l.values[2]
	if (l.keys[2].A^k.A)|(l.keys[2].B^k.B) == 0 {
		v = v2
	}
	if (l.keys[1].A^k.A)|(l.keys[1].B^k.B) == 0 {
		v = v1
	}
	if (l.keys[0].A^k.A)|(l.keys[0].B^k.B) == 0 {
		v = v0
	}
	if v == 0 && l.more != 0 {
		return b.next(h, k)
	}
	return v
}

// next returns the value of k from the lines after its own, or 0.
func (b *wideLines) next(h uint64, k WideKey) uint32 {
	for i := lineOf(h) + 1; ; i++ {
		l := &b[i%tableLines]
		if at := l.slot(k); at >= 0 {
			return l.values[at]
		}
		if l.more == 0 {
			return 0
		}
	}
}

// slot returns which slot has k, or -1.
func (l *wideLine) slot(k WideKey) int {
	for i := range l.keys {
		if l.keys[i] == k && l.values[i] != 0 {
			return i
		}
	}
	return -1
}

// Set makes v the value of k. v must not be 0.
func (t *WideTable) Set(e *Edit, k WideKey, v uint32) {
	h := k.hash(t.seed)
	if t.n == 0 {
		*t = emptyWideTable(t.seed)
		t.begin(e)
	}
	b, s := t.own(e, h)
	if l, at := b.find(h, k); l != nil {
		l.values[at] = v
		return
	}
	for t.isOverfull(s, wideFill) {
		t.split(e, h, b, s)
		b, s = t.own(e, h)
	}
	if s.n == wideBlockSlots-1 {
		t.reseed(e)
		t.Set(e, k, v)
		return
	}
	b.add(h, k, v)
	t.count(e, h, s, 1)
}

// Delete removes k, and reports whether it was there.
func (t *WideTable) Delete(e *Edit, k WideKey) bool {
	if t.Get(k) == 0 {
		return false
	}
	if t.n == 1 {
		*t = emptyWideTable(t.seed)
		return true
	}
	h := k.hash(t.seed)
	b, s := t.own(e, h)
	if l := &b[lineOf(h)]; l.more == 0 {
		l.remove(k)
	} else { // keys have gone on past it: fill the block anew
		old := *b
		*b = wideLines{}
		old.all(func(key WideKey, value uint32) {
			if key != k {
				b.add(key.hash(t.seed), key, value)
			}
		})
	}
	t.count(e, h, s, -1)
	return true
}

// remove takes k out of a line that has it. The last key takes its slot.
func (l *wideLine) remove(k WideKey) {
	at, last := l.slot(k), wideSlots-1
	for l.values[last] == 0 {
		last--
	}
	l.keys[at], l.values[at] = l.keys[last], l.values[last]
	l.keys[last], l.values[last] = WideKey{}, 0
}

// find returns the line and the slot that have k, or nil.
func (b *wideLines) find(h uint64, k WideKey) (*wideLine, int) {
	for i := lineOf(h); ; i++ {
		l := &b[i%tableLines]
		if at := l.slot(k); at >= 0 {
			return l, at
		}
		if l.more == 0 {
			return nil, 0
		}
	}
}

// add adds a key that is not there. The block must have room.
func (b *wideLines) add(h uint64, k WideKey, v uint32) {
	for i := lineOf(h); ; i++ {
		l := &b[i%tableLines]
		for j := range l.values {
			if l.values[j] == 0 {
				l.keys[j], l.values[j] = k, v
				return
			}
		}
		l.more = 1
	}
}

// all yields every key and value, in no particular order.
func (b *wideLines) all(yield func(k WideKey, v uint32)) {
	for i := range b {
		for j, v := range b[i].values {
			if v != 0 {
				yield(b[i].keys[j], v)
			}
		}
	}
}

// split divides a block by the next bit of its keys' hashes.
func (t *WideTable) split(e *Edit, h uint64, b *wideLines, s blockState) {
	halves, counts := [2]*wideLines{{}, {}}, [2]uint16{}
	b.all(func(k WideKey, v uint32) {
		kh := k.hash(t.seed)
		half := halfOf(kh, s.depth)
		halves[half].add(kh, k, v)
		counts[half]++
	})
	t.replace(e, h, s.depth, halves, counts)
}

// reseed makes the table anew with another seed, if so many keys hash alike that a block cannot take them. Nobody can
// know such keys before they know the seed.
func (t *WideTable) reseed(e *Edit) {
	fresh := emptyWideTable(wideSeed())
	var before *wideLines
	for _, b := range t.list {
		if b != before { // a block's places are neighbours
			b.all(func(k WideKey, v uint32) { fresh.Set(e, k, v) })
		}
		before = b
	}
	*t = fresh
}
