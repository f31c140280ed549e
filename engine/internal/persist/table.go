package persist

import (
	"hash/maphash"
	"math/bits"
)

const (
	lineSlots  = 8
	tableLines = 64
	tableFill  = 5*tableLines + tableLines/2 // keys of a block before it splits, of the 8*64 that it has room for
	fanBits    = 6
	fanSize    = 1 << fanBits
	keyPair    = 1<<32 + 1
	pairHigh   = 1<<63 | 1<<31
)

// Table is a persistent hash table from 32-bit keys to 32-bit values other than 0. It is a [Map] for the one look-up that
// every decision makes twice: keys and values lie in lines of 64 bytes, in blocks without pointers, and a look-up reads one
// line in nearly all cases. It is made by [NewTable]; a plain copy is a snapshot.
type Table struct {
	top   []*fan // the directory of 1<<depth blocks
	owner *Edit  // owns top
	seed  uint64
	n     int
	depth uint8 // fanBits at least, once it has a key
}

// fan is 64 places of the directory. A block stands in all places that share its first depth bits.
type fan struct {
	owner  *Edit
	blocks [fanSize]*lines
	state  [fanSize]blockState
}

type blockState struct {
	owner *Edit
	n     uint16
	depth uint8
}

// lines are a block: the bits of the hash after the directory's choose the line. One that is full goes on in the next.
type lines [tableLines]line

// line has its slots filled in order: the low halves of keys are slots 0 to 3, the high halves 4 to 7. The value of an empty
// slot is 0.
type line struct {
	keys   [lineSlots / 2]uint64
	values [lineSlots]uint32
}

// NewTable returns an empty table, which hashes in its own way.
func NewTable() Table { return Table{seed: maphash.Comparable(maphash.MakeSeed(), 0)} }

// Len is the number of keys.
func (t *Table) Len() int { return t.n }

// Get returns the value of k, or 0.
func (t *Table) Get(k uint32) uint32 {
	if t.n == 0 {
		return 0
	}
	h := t.hash(k)
	i := h >> (hashBits - t.depth)
	b := t.top[i>>fanBits].blocks[i%fanSize]
	l := &b[lineOf(h)]
	if m := l.match(pairOf(k)); m != 0 {
		if v := l.values[slotOf(m)]; v != 0 {
			return v
		}
	}
	if l.values[lineSlots-1] == 0 {
		return 0
	}
	return b.next(h, k)
}

// next looks in the lines after a full one.
func (b *lines) next(h uint64, k uint32) uint32 {
	for i := lineOf(h) + 1; ; i++ {
		l := &b[i%tableLines]
		if m := l.match(pairOf(k)); m != 0 {
			return l.values[slotOf(m)]
		}
		if l.values[lineSlots-1] == 0 {
			return 0
		}
	}
}

// pairOf is a key in both halves of a word.
func pairOf(k uint32) uint64 { return uint64(k) * keyPair }

// match compares all keys at once with that of pairOf: a half of a word that is zero after xor borrows from its high bit. What a
// zero low half reports of its high half may be wrong, but the low half comes first. It is small enough to be inlined.
func (l *line) match(want uint64) uint64 {
	a, b, c, d := l.keys[0]^want, l.keys[1]^want, l.keys[2]^want, l.keys[3]^want
	return ((a-keyPair)&^a&pairHigh)>>3 | ((b-keyPair)&^b&pairHigh)>>2 | ((c-keyPair)&^c&pairHigh)>>1 | (d-keyPair)&^d&pairHigh
}

func slotOf(m uint64) int {
	at := bits.TrailingZeros64(m)
	return at>>5<<2&4 | at&3
}

// hash is a bijection, so that no two keys hash alike.
func (t *Table) hash(k uint32) uint64 {
	x := (uint64(k) ^ t.seed) * 0x9E3779B97F4A7C15
	return (x ^ x>>32) * 0xD6E8FEB86659FD93
}

// lineOf takes bits that no directory reaches, and that all bits of the key have a part in.
func lineOf(h uint64) uint64 { return h >> 34 % tableLines }

// Set makes v, which must not be 0, the value of k.
func (t *Table) Set(e *Edit, k, v uint32) {
	h := t.hash(k)
	if t.n == 0 {
		*t = Table{seed: t.seed, top: []*fan{{owner: e}}, owner: e, depth: fanBits}
		b := &lines{}
		for i := range fanSize {
			t.top[0].blocks[i], t.top[0].state[i] = b, blockState{owner: e}
		}
	}
	b, s := t.own(e, h)
	if at := b.slot(h, k); at != nil {
		*at = v
		return
	}
	for s.n >= tableFill && (s.depth < t.depth || int(t.depth) < fanBits+bits.Len(uint(t.n/tableFill))+spareBits || s.n == tableLines*lineSlots-1) {
		t.split(e, h, b, s)
		b, s = t.own(e, h)
	}
	b.add(h, k, v)
	s.n++
	t.setState(e, h, s)
	t.n++
}

// Delete removes k, and reports whether it was there.
func (t *Table) Delete(e *Edit, k uint32) bool {
	if t.Get(k) == 0 {
		return false
	}
	if t.n == 1 {
		*t = Table{seed: t.seed}
		return true
	}
	h := t.hash(k)
	b, s := t.own(e, h)
	if l := &b[lineOf(h)]; l.values[lineSlots-1] == 0 {
		l.remove(k)
	} else { // others may have gone on past it
		old := *b
		*b = lines{}
		old.all(func(key, value uint32) {
			if key != k {
				b.add(t.hash(key), key, value)
			}
		})
	}
	s.n--
	t.setState(e, h, s)
	t.n--
	return true
}

// remove takes k out of a line that has it; the last key takes its place.
func (l *line) remove(k uint32) {
	last := 0
	for last+1 < lineSlots && l.values[last+1] != 0 {
		last++
	}
	at := slotOf(l.match(pairOf(k)))
	l.put(at, l.key(last), l.values[last])
	l.put(last, 0, 0)
}

func (l *line) key(slot int) uint32 { return uint32(l.keys[slot%4] >> (slot / 4 * 32)) }

func (l *line) put(slot int, k, v uint32) {
	half := slot / 4 * 32
	l.keys[slot%4] = l.keys[slot%4]&^(0xffffffff<<half) | uint64(k)<<half
	l.values[slot] = v
}

// slot is where k's value is, or nil.
func (b *lines) slot(h uint64, k uint32) *uint32 {
	for i := lineOf(h); ; i++ {
		l := &b[i%tableLines]
		if m := l.match(pairOf(k)); m != 0 && l.values[slotOf(m)] != 0 {
			return &l.values[slotOf(m)]
		}
		if l.values[lineSlots-1] == 0 {
			return nil
		}
	}
}

func (b *lines) add(h uint64, k, v uint32) {
	for i := lineOf(h); ; i++ {
		l := &b[i%tableLines]
		for slot := range l.values {
			if l.values[slot] == 0 {
				l.put(slot, k, v)
				return
			}
		}
	}
}

func (b *lines) all(yield func(k, v uint32)) {
	for i := range b {
		for slot, v := range b[i].values {
			if v != 0 {
				yield(b[i].key(slot), v)
			}
		}
	}
}

// own returns the block of h for writing.
func (t *Table) own(e *Edit, h uint64) (*lines, blockState) {
	i := h >> (hashBits - t.depth)
	f := t.top[i>>fanBits]
	b, s := f.blocks[i%fanSize], f.state[i%fanSize]
	if s.owner != e {
		fresh := *b
		b, s.owner = &fresh, e
		t.place(e, h, b, s)
	}
	return b, s
}

// place puts a block at all of its places in the directory.
func (t *Table) place(e *Edit, h uint64, b *lines, s blockState) {
	if t.owner != e {
		t.top, t.owner = append([]*fan(nil), t.top...), e
	}
	first := uint64(0)
	if s.depth > 0 {
		first = h >> (hashBits - s.depth) << (t.depth - s.depth)
	}
	for i := first; i < first+1<<(t.depth-s.depth); i++ {
		f := t.top[i>>fanBits]
		if f.owner != e {
			fresh := *f
			f, fresh.owner = &fresh, e
			t.top[i>>fanBits] = f
		}
		f.blocks[i%fanSize], f.state[i%fanSize] = b, s
	}
}

// setState stores the state of a block that e owns.
func (t *Table) setState(e *Edit, h uint64, s blockState) {
	t.place(e, h, t.top[h>>(hashBits-t.depth)>>fanBits].blocks[h>>(hashBits-t.depth)%fanSize], s)
}

// split divides a block by the next bit of its keys' hashes.
func (t *Table) split(e *Edit, h uint64, b *lines, s blockState) {
	if s.depth == t.depth {
		t.double(e)
	}
	bit := uint64(1) << (hashBits - 1 - s.depth)
	halves := [2]*lines{{}, {}}
	states := [2]blockState{{owner: e, depth: s.depth + 1}, {owner: e, depth: s.depth + 1}}
	b.all(func(k, v uint32) {
		kh, half := t.hash(k), 0
		if kh&bit != 0 {
			half = 1
		}
		halves[half].add(kh, k, v)
		states[half].n++
	})
	t.place(e, h&^bit, halves[0], states[0])
	t.place(e, h|bit, halves[1], states[1])
}

// double gives the directory one more bit; each block then stands in twice as many places.
func (t *Table) double(e *Edit) {
	top := make([]*fan, 2*len(t.top))
	for i := range top {
		f := &fan{owner: e}
		from := t.top[i/2]
		for j := range fanSize {
			at := (i*fanSize + j) / 2 % fanSize
			f.blocks[j], f.state[j] = from.blocks[at], from.state[at]
		}
		top[i] = f
	}
	t.top, t.owner = top, e
	t.depth++
}
