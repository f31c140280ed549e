package persist

import (
	"hash/maphash"
	"math/bits"
)

const (
	lineSlots  = 8
	tableLines = 64
	blockSlots = tableLines * lineSlots
	tableFill  = 5*tableLines + tableLines/2 // keys of a block before it splits
	keyPair    = 1<<32 + 1                   // times a key: the key in both halves of a word
	pairHigh   = 1<<63 | 1<<31               // the high bits of both halves
)

// Table is a persistent hash table from 32-bit keys to 32-bit values other than 0. It is a [Map] for the one
// look-up that every decision makes twice.
//
//	hash ─► directory ─► block of 64 lines ─► line of 64 bytes: 8 keys, 8 values
//
// A look-up reads one line, which is one cache line, in nearly all cases, and compares its eight keys without
// a loop. Blocks have no pointers, so the garbage collector does not scan them. It is made by [NewTable]; a
// plain copy is a snapshot.
//
// Invariant: blocks and states have the same depth, and a place of one is about the same block as that of the
// other.
type Table struct {
	seed   uint64
	n      int
	blocks directory[*lines]
	states directory[blockState] // apart from the blocks, so that a look-up reads none of it
}

// A blockState is what only writes need to know of a block.
type blockState struct {
	owner *Edit
	n     uint16 // its keys
	depth uint8
}

// A lines is a block. The bits of the hash after those of the directory choose the line. Keys of a line that
// is full go on in the next line that has room, so a look-up may stop at the first line that is not full.
// Invariant: one slot at least is empty.
type lines [tableLines]line

// A line has its slots filled in order, so that it is full if its last value is not 0. Two keys share a word:
// the low halves of keys are slots 0 to 3, the high halves slots 4 to 7. The value of an empty slot is 0.
type line struct {
	keys   [lineSlots / 2]uint64
	values [lineSlots]uint32
}

// NewTable returns an empty table. Its hash is seeded anew.
func NewTable() Table { return Table{seed: maphash.Comparable(maphash.MakeSeed(), 0)} }

// Len returns the number of keys.
func (t *Table) Len() int { return t.n }

// Get returns the value of k, or 0. It is the hot path: all that it calls is inlined but for lines after a
// full one.
func (t *Table) Get(k uint32) uint32 {
	if t.n == 0 {
		return 0
	}
	h := t.hash(k)
	b := t.blocks.at(h)
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

// next returns the value of k from the lines after its own, which is full, or 0.
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

// pairOf returns a key in both halves of a word.
func pairOf(k uint32) uint64 { return uint64(k) * keyPair }

// match compares the keys of all slots at once with want, a [pairOf]. The result has a bit for each slot that
// is equal; see [slotOf]. After xor, a half of a word that is zero borrows from its high bit. A zero low half
// may report a high half that is not equal, but the low half counts first. The caller must check that the
// slot is not empty, as its key is 0. It is small enough to be inlined.
func (l *line) match(want uint64) uint64 {
	a, b, c, d := l.keys[0]^want, l.keys[1]^want, l.keys[2]^want, l.keys[3]^want
	return ((a-keyPair)&^a&pairHigh)>>3 | ((b-keyPair)&^b&pairHigh)>>2 |
		((c-keyPair)&^c&pairHigh)>>1 | (d-keyPair)&^d&pairHigh
}

// slotOf returns the first slot in the result of match, which is not 0. Bit 28+i is slot i, and bit 60+i slot
// 4+i.
func slotOf(m uint64) int {
	at := bits.TrailingZeros64(m)
	return at>>5<<2&4 | at&3
}

// hash returns the hash of a key. It is a bijection, so that no two keys hash alike, and a block can always
// be split.
func (t *Table) hash(k uint32) uint64 {
	x := (uint64(k) ^ t.seed) * 0x9E3779B97F4A7C15
	return (x ^ x>>32) * 0xD6E8FEB86659FD93
}

// lineOf returns the line of a hash. It takes bits that no directory reaches and that all bits of the key
// affect.
func lineOf(h uint64) uint64 { return h >> 34 % tableLines }

// Set makes v the value of k. v must not be 0.
func (t *Table) Set(e *Edit, k, v uint32) {
	h := t.hash(k)
	if t.n == 0 {
		*t = Table{seed: t.seed}
		t.blocks.put(e, h, 0, &lines{})
		t.states.put(e, h, 0, blockState{owner: e})
	}
	b, s := t.own(e, h)
	if at := b.slot(h, k); at != nil {
		*at = v
		return
	}
	for s.n >= tableFill &&
		(s.depth < t.blocks.depth || t.blocks.mayDouble(t.n/tableFill) || s.n == blockSlots-1) {
		t.split(e, h, b, s)
		b, s = t.own(e, h)
	}
	b.add(h, k, v)
	s.n++
	t.states.put(e, h, s.depth, s)
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
	} else { // keys may have gone on past it: fill the block anew
		old := *b
		*b = lines{}
		old.all(func(key, value uint32) {
			if key != k {
				b.add(t.hash(key), key, value)
			}
		})
	}
	s.n--
	t.states.put(e, h, s.depth, s)
	t.n--
	return true
}

// remove takes k out of a line that has it. The last key takes its slot.
func (l *line) remove(k uint32) {
	last := 0
	for last+1 < lineSlots && l.values[last+1] != 0 {
		last++
	}
	at := slotOf(l.match(pairOf(k)))
	l.put(at, l.key(last), l.values[last])
	l.put(last, 0, 0)
}

// key returns the key of a slot.
func (l *line) key(slot int) uint32 { return uint32(l.keys[slot%4] >> (slot / 4 * 32)) }

// put fills a slot, or empties it if k and v are 0.
func (l *line) put(slot int, k, v uint32) {
	half := slot / 4 * 32
	l.keys[slot%4] = l.keys[slot%4]&^(0xffffffff<<half) | uint64(k)<<half
	l.values[slot] = v
}

// slot returns where the value of k is, or nil.
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

// add adds a key that is not there. The block must have room.
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

// all yields every key and value, in no particular order.
func (b *lines) all(yield func(k, v uint32)) {
	for i := range b {
		for slot, v := range b[i].values {
			if v != 0 {
				yield(b[i].key(slot), v)
			}
		}
	}
}

// own returns the block of h for writing, and its state. A caller that changes the state must store it.
func (t *Table) own(e *Edit, h uint64) (*lines, blockState) {
	b, s := t.blocks.at(h), t.states.at(h)
	if s.owner != e {
		fresh := *b
		b, s.owner = &fresh, e
		t.blocks.put(e, h, s.depth, b)
		t.states.put(e, h, s.depth, s)
	}
	return b, s
}

// split divides a block by the next bit of its keys' hashes.
func (t *Table) split(e *Edit, h uint64, b *lines, s blockState) {
	halves := [2]*lines{{}, {}}
	states := [2]blockState{{owner: e, depth: s.depth + 1}, {owner: e, depth: s.depth + 1}}
	b.all(func(k, v uint32) {
		kh, half := t.hash(k), 0
		if kh&splitBit(s.depth) != 0 {
			half = 1
		}
		halves[half].add(kh, k, v)
		states[half].n++
	})
	t.blocks.split(e, h, s.depth, halves[0], halves[1])
	t.states.split(e, h, s.depth, states[0], states[1])
}
