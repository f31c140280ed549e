package persist

import (
	"hash/maphash"
	"slices"
)

const (
	lineSlots  = 8
	tableLines = 128
	blockSlots = tableLines * lineSlots
	tableFill  = 5*tableLines + tableLines/2 // keys of a block before it splits
)

// Table is a persistent hash table from 32-bit keys to 32-bit values other than 0. It is a [Map] for the one
// look-up that every decision makes twice.
//
//	hash ─► place ─► block of 128 lines ─► line of 64 bytes: 8 keys with their values
//
// A look-up reads one line, which is one cache line, in nearly all cases, and compares its eight keys without
// a loop and without a branch. Blocks are large, so that the list of places stays in the nearest cache: for a
// million keys it has 2,048 places, 16 KiB. Blocks have no pointers, so the garbage collector does not scan them. It is
// made by [NewTable]; a plain copy is a snapshot.
//
// Invariant: there are as many places as states has, at least two, and a place of one is about the same block as
// that of the other.
type Table struct {
	seed uint64
	// places has the block of every value of the first bits of a hash, as a [directory] has, in one piece.
	places []*lines
	// shift is by how much to shift a hash to get its place.
	shift  uint8
	owner  *Edit // owns places
	n      int
	states directory[blockState] // apart from the blocks, so that a look-up reads none of it
}

// A blockState is what only writes need to know of a block.
type blockState struct {
	owner *Edit
	n     uint16 // its keys
	depth uint8
}

// A lines is a block. The bits of the hash after those of the place choose the line. Keys of a line that
// is full go on in the next line that has room, so a look-up may stop at the first line that is not full.
// Invariant: one slot at least is empty.
type lines [tableLines]line

// A line has its slots filled in order, so that it is full if its last slot is not 0. A slot has the key in its
// high half and the value in its low half, and 0 if it is empty.
type line [lineSlots]uint64

// noLines is the block of an empty table.
var noLines lines

// NewTable returns an empty table. Its hash is seeded anew.
func NewTable() Table { return emptyTable(maphash.Comparable(maphash.MakeSeed(), 0)) }

// emptyTable returns an empty table with a seed.
func emptyTable(seed uint64) Table {
	return Table{seed: seed, places: []*lines{&noLines, &noLines}, shift: hashBits - 1}
}

// Len returns the number of keys.
func (t *Table) Len() int { return t.n }

// Get returns the value of k, or 0. It is the hot path: all that it calls is inlined but for lines after a
// full one.
//
// After xor a slot is below 1<<32 if its key is k, and then it is the value. Slots are tried from the last to
// the first, as an empty one looks like that of key 0, and comes after it. The compiler makes conditional moves
// of it, so that there is no branch to guess.
func (t *Table) Get(k uint32) uint32 {
	h := t.hash(k)
	b := t.places[h>>(t.shift%hashBits)]
	l := &b[lineOf(h)]
	want, v := uint64(k)<<32, uint64(0)
	if x := l[7] ^ want; x < 1<<32 {
		v = x
	}
	if x := l[6] ^ want; x < 1<<32 {
		v = x
	}
	if x := l[5] ^ want; x < 1<<32 {
		v = x
	}
	if x := l[4] ^ want; x < 1<<32 {
		v = x
	}
	if x := l[3] ^ want; x < 1<<32 {
		v = x
	}
	if x := l[2] ^ want; x < 1<<32 {
		v = x
	}
	if x := l[1] ^ want; x < 1<<32 {
		v = x
	}
	if x := l[0] ^ want; x < 1<<32 {
		v = x
	}
	if v == 0 && l[lineSlots-1] != 0 {
		return b.next(h, k)
	}
	return uint32(v)
}

// next returns the value of k from the lines after its own, which is full, or 0.
func (b *lines) next(h uint64, k uint32) uint32 {
	for i := lineOf(h) + 1; ; i++ {
		l := &b[i%tableLines]
		if v := l.find(k); v != 0 || l[lineSlots-1] == 0 {
			return v
		}
	}
}

// find returns the value of k, or 0.
func (l *line) find(k uint32) uint32 {
	for _, slot := range l {
		if uint32(slot>>32) == k {
			return uint32(slot)
		}
	}
	return 0
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
		t.begin(e)
	}
	b, s := t.own(e, h)
	if at := b.slot(h, k); at != nil {
		*at = slotOf(k, v)
		return
	}
	for s.n >= tableFill &&
		(s.depth < t.states.depth || t.states.mayDouble(t.n/tableFill) || s.n == blockSlots-1) {
		t.split(e, h, b, s)
		b, s = t.own(e, h)
	}
	b.add(h, k, v)
	s.n++
	t.states.put(e, h, s.depth, s)
	t.n++
}

// begin gives an empty table a block, which stands at both places.
func (t *Table) begin(e *Edit) {
	*t = emptyTable(t.seed)
	t.states.put(e, 0, 0, blockState{owner: e})
	t.states.double(e)
	t.put(e, 0, 0, &lines{})
}

// Delete removes k, and reports whether it was there.
func (t *Table) Delete(e *Edit, k uint32) bool {
	if t.Get(k) == 0 {
		return false
	}
	if t.n == 1 {
		*t = emptyTable(t.seed)
		return true
	}
	h := t.hash(k)
	b, s := t.own(e, h)
	if l := &b[lineOf(h)]; l[lineSlots-1] == 0 {
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

// slotOf returns the slot of a key and its value.
func slotOf(k, v uint32) uint64 { return uint64(k)<<32 | uint64(v) }

// remove takes k out of a line that has it. The last key takes its slot.
func (l *line) remove(k uint32) {
	last, at := 0, 0
	for i, slot := range l {
		if slot == 0 {
			break
		}
		if last = i; uint32(slot>>32) == k {
			at = i
		}
	}
	l[at], l[last] = l[last], 0
}

// slot returns where k is, or nil.
func (b *lines) slot(h uint64, k uint32) *uint64 {
	for i := lineOf(h); ; i++ {
		l := &b[i%tableLines]
		for j := range l {
			switch {
			case l[j] == 0:
				return nil
			case uint32(l[j]>>32) == k:
				return &l[j]
			}
		}
	}
}

// add adds a key that is not there. The block must have room.
func (b *lines) add(h uint64, k, v uint32) {
	for i := lineOf(h); ; i++ {
		l := &b[i%tableLines]
		for j := range l {
			if l[j] == 0 {
				l[j] = slotOf(k, v)
				return
			}
		}
	}
}

// all yields every key and value, in no particular order.
func (b *lines) all(yield func(k, v uint32)) {
	for i := range b {
		for _, slot := range b[i] {
			if slot != 0 {
				yield(uint32(slot>>32), uint32(slot))
			}
		}
	}
}

// own returns the block of h for writing, and its state. A caller that changes the state must store it.
func (t *Table) own(e *Edit, h uint64) (*lines, blockState) {
	b, s := t.places[h>>(t.shift%hashBits)], t.states.at(h)
	if s.owner != e {
		fresh := *b
		b, s.owner = &fresh, e
		t.put(e, h, s.depth, b)
		t.states.put(e, h, s.depth, s)
	}
	return b, s
}

// put stores b, which has this depth, at all of its places.
func (t *Table) put(e *Edit, h uint64, depth uint8, b *lines) {
	if t.owner != e {
		t.places, t.owner = slices.Clone(t.places), e
	}
	n := 1 << (hashBits - t.shift - depth) // it has
	first := int(h>>(t.shift%hashBits)) &^ (n - 1)
	for i := range n {
		t.places[first+i] = b
	}
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
	t.states.split(e, h, s.depth, states[0], states[1])
	if t.states.depth > hashBits-t.shift { // every block then stands at twice as many places
		places := make([]*lines, 2*len(t.places))
		for i := range places {
			places[i] = t.places[i/2]
		}
		t.places, t.owner, t.shift = places, e, t.shift-1
	}
	t.put(e, h&^splitBit(s.depth), s.depth+1, halves[0])
	t.put(e, h|splitBit(s.depth), s.depth+1, halves[1])
}
