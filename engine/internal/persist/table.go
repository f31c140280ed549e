package persist

import "hash/maphash"

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
type Table struct {
	seed uint64
	places[lines]
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
func emptyTable(seed uint64) Table { return Table{seed, newPlaces(&noLines)} }

// Get returns the value of k, or 0. It is the hot path: all that it calls is inlined but for lines after a
// full one.
//
// After xor a slot is below 1<<32 if its key is k, and then it is the value. Slots are tried from the last to
// the first, as an empty one looks like that of key 0, and comes after it. The compiler makes conditional moves
// of it, so that there is no branch to guess.
func (t *Table) Get(k uint32) uint32 {
	h := t.hash(k)
	b := t.at(h)
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
		*t = emptyTable(t.seed)
		t.begin(e)
	}
	b, s := t.own(e, h)
	if at := b.slot(h, k); at != nil {
		*at = slotOf(k, v)
		return
	}
	for s.n == blockSlots-1 || t.isOverfull(s, tableFill) {
		t.split(e, h, b, s)
		b, s = t.own(e, h)
	}
	b.add(h, k, v)
	t.count(e, h, s, 1)
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
	t.count(e, h, s, -1)
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

// split divides a block by the next bit of its keys' hashes.
func (t *Table) split(e *Edit, h uint64, b *lines, s blockState) {
	halves, counts := [2]*lines{{}, {}}, [2]uint16{}
	b.all(func(k, v uint32) {
		kh := t.hash(k)
		half := halfOf(kh, s.depth)
		halves[half].add(kh, k, v)
		counts[half]++
	})
	t.replace(e, h, s.depth, halves, counts)
}
