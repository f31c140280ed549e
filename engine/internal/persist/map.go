// Package persist holds persistent collections: a copy of one is a snapshot that later writes to the other
// never change.
//
// A write copies the few small blocks on its path, so that its cost does not grow with the collection. Blocks
// made under the present [Edit] belong to no snapshot yet and are changed in place, so that a large batch
// costs little more than it would in a mutable collection. One goroutine writes; any number read snapshots.
package persist

import (
	"hash/maphash"
	"iter"
	"math/bits"
)

// Edit owns the blocks made during one batch of writes. A new one must be taken after a snapshot was handed
// out.
type Edit struct{ _ byte }

const (
	pageSize   = 24 // entries of a page before it splits; with its header, tags fit one cache line
	tagWords   = pageSize / 8
	lowBits    = 0x0101010101010101
	highBits   = 0x8080808080808080
	firstSlots = 2
)

// Map is a persistent hash map by extendible hashing: the first bits of a key's hash choose its page.
//
//	hash ─► directory ─► page: 24 tags │ 24 entries
//
// A look-up reads the directory, which stays in the processor's cache, one cache line of tags, and nearly
// always just one entry. A hash trie would read three or four nodes. It is made by [NewMap]; a plain copy is
// a snapshot.
type Map[K comparable, V any] struct {
	hash  func(K) uint64
	pages directory[*page[K, V]]
	n     int
}

// A page holds entries in no particular order. The low byte of each hash is its tag, so that a look-up reads
// the tags and then, nearly always, just the entry that it wants. Pages of keys that hash alike grow beyond
// pageSize; entries after that have no tag.
type page[K comparable, V any] struct {
	tags    [tagWords]uint64
	entries []entry[K, V]
	owner   *Edit
	depth   uint8
}

// A wide is a page with room for its entries beside it, so that a look-up stays within one page of memory.
type wide[K comparable, V any] struct {
	page[K, V]
	room [pageSize]entry[K, V]
}

// An entry is a key and its value.
type entry[K comparable, V any] struct {
	key   K
	value V
}

// NewMap returns an empty map. hash must depend on nothing but the key; its first bits matter most.
func NewMap[K comparable, V any](hash func(K) uint64) Map[K, V] {
	return Map[K, V]{hash: hash}
}

// HashOf returns a hash for keys of any type, seeded anew at each call.
func HashOf[K comparable]() func(K) uint64 {
	seed := maphash.MakeSeed()
	return func(k K) uint64 { return maphash.Comparable(seed, k) }
}

// Len returns the number of keys.
func (m *Map[K, V]) Len() int { return m.n }

// Find returns a pointer to the value of k, or nil. The value must not be modified, and the pointer must not
// be kept beyond the next write of the map that it is from.
func (m *Map[K, V]) Find(k K) *V {
	if m.n == 0 {
		return nil
	}
	h := m.hash(k)
	return m.pages.at(h).find(h, k)
}

// Get returns the value of k and whether there is one.
func (m *Map[K, V]) Get(k K) (v V, ok bool) {
	if p := m.Find(k); p != nil {
		return *p, true
	}
	return v, false
}

// find returns a pointer to the value of k, whose hash is h, or nil.
func (p *page[K, V]) find(h uint64, k K) *V {
	tag := (h & 0xff) * lowBits
	for w, word := range p.tags {
		// The classic zero-byte test: it may report a tag that differs, never miss one that is equal.
		x := word ^ tag
		for hits := (x - lowBits) &^ x & highBits; hits != 0; hits &= hits - 1 {
			i := w*8 + bits.TrailingZeros64(hits)/8
			if i >= len(p.entries) {
				return nil
			}
			if e := &p.entries[i]; e.key == k {
				return &e.value
			}
		}
	}
	for i := pageSize; i < len(p.entries); i++ {
		if e := &p.entries[i]; e.key == k {
			return &e.value
		}
	}
	return nil
}

// Set makes v the value of k.
func (m *Map[K, V]) Set(e *Edit, k K, v V) {
	h := m.hash(k)
	if m.n == 0 {
		*m = NewMap[K, V](m.hash)
		m.pages.put(e, h, 0, newPage[K, V](e, 0, firstSlots))
	}
	p := m.own(e, h)
	if old := p.find(h, k); old != nil {
		*old = v
		return
	}
	for len(p.entries) >= pageSize && (p.depth < m.pages.depth || m.pages.mayDouble(m.n/pageSize)) {
		m.split(e, h, p)
		p = m.pages.at(h)
	}
	p.add(h, entry[K, V]{k, v})
	m.n++
}

// add adds an entry whose key is not there. h is its hash.
func (p *page[K, V]) add(h uint64, en entry[K, V]) {
	if i := len(p.entries); i < pageSize {
		p.tags[i/8] |= h & 0xff << (i % 8 * 8)
	}
	p.entries = append(p.entries, en)
}

// own returns the page of h for writing: itself if e owns it, otherwise a copy that takes its place.
func (m *Map[K, V]) own(e *Edit, h uint64) *page[K, V] {
	p := m.pages.at(h)
	if p.owner == e {
		return p
	}
	fresh := newPage[K, V](e, p.depth, len(p.entries)+firstSlots)
	fresh.tags = p.tags
	fresh.entries = append(fresh.entries, p.entries...)
	m.pages.put(e, h, p.depth, fresh)
	return fresh
}

// newPage returns an empty page of a depth, with room for n entries: beside it, unless they are few.
func newPage[K comparable, V any](e *Edit, depth uint8, n int) *page[K, V] {
	if n < pageSize/3 || n > pageSize {
		return &page[K, V]{owner: e, depth: depth, entries: make([]entry[K, V], 0, n)}
	}
	w := &wide[K, V]{}
	w.entries, w.owner, w.depth = w.room[:0], e, depth
	return &w.page
}

// split divides p, the page of h, by the next bit of its hashes.
func (m *Map[K, V]) split(e *Edit, h uint64, p *page[K, V]) {
	low, high := newPage[K, V](e, p.depth+1, pageSize), newPage[K, V](e, p.depth+1, pageSize)
	for _, en := range p.entries {
		eh := m.hash(en.key)
		half := low
		if eh&splitBit(p.depth) != 0 {
			half = high
		}
		half.add(eh, en)
	}
	m.pages.split(e, h, p.depth, low, high)
}

// Delete removes k, and reports whether it was there.
func (m *Map[K, V]) Delete(e *Edit, k K) bool {
	if m.Find(k) == nil {
		return false
	}
	if m.n == 1 {
		*m = NewMap[K, V](m.hash)
		return true
	}
	h := m.hash(k)
	p := m.own(e, h)
	last := len(p.entries) - 1
	for i := range p.entries {
		if p.entries[i].key == k {
			p.entries[i] = p.entries[last]
			p.setTag(i, p.tag(last))
			break
		}
	}
	if last < pageSize {
		p.setTag(last, 0)
	} else {
		p.retag(m.hash)
	}
	p.entries[last] = entry[K, V]{}
	p.entries = p.entries[:last]
	m.n--
	return true
}

// tag returns the tag of an entry, 0 if it has none.
func (p *page[K, V]) tag(i int) uint64 {
	if i >= pageSize {
		return 0
	}
	return p.tags[i/8] >> (i % 8 * 8) & 0xff
}

// setTag stores the tag of an entry, if it has one.
func (p *page[K, V]) setTag(i int, tag uint64) {
	if i < pageSize {
		p.tags[i/8] = p.tags[i/8]&^(0xff<<(i%8*8)) | tag<<(i%8*8)
	}
}

// retag computes all tags anew. It is for a page of like hashes, in which an entry without tag took the place
// of another.
func (p *page[K, V]) retag(hash func(K) uint64) {
	for i := range min(pageSize, len(p.entries)) {
		p.setTag(i, hash(p.entries[i].key)&0xff)
	}
}

// All yields every key and value, in no particular order. The map may be written meanwhile only under a new
// Edit, on another copy.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		var before *page[K, V]
		for p := range m.pages.all() {
			if p != before && !p.all(yield) { // a page's places are neighbours
				return
			}
			before = p
		}
	}
}

// Unshared yields the keys and values of m that may differ from those of o, in no particular order: all but
// those of the pages that both maps have. If one map came from a copy of the other, it takes time for the
// directory and for what was written since. Otherwise it yields all of m.
func (m *Map[K, V]) Unshared(o *Map[K, V]) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		var before *page[K, V]
		for p := range m.pages.unshared(&o.pages) {
			if p != before && !p.all(yield) {
				return
			}
			before = p
		}
	}
}

// EachChanged yields the keys that only one of m and before has, or whose values are not the same, some of them
// several times. If one was made of the other, it takes time for the pages that were written.
//
// A write copies a page, and leaves most entries where they are. So most are compared without a look-up.
func (m *Map[K, V]) EachChanged(before *Map[K, V], same func(a, b V) bool, yield func(K)) {
	var lastFresh, lastOld *page[K, V]
	for fresh, old := range m.pages.unshared(&before.pages) {
		if fresh == lastFresh && old == lastOld {
			continue
		}
		lastFresh, lastOld = fresh, old
		for i, x := range fresh.list() {
			was := old.valueAt(i, &x.key)
			if was == nil {
				was = before.Find(x.key)
			}
			if was == nil || !same(*was, x.value) {
				yield(x.key)
			}
		}
		for i, x := range old.list() {
			if fresh.valueAt(i, &x.key) == nil && m.Find(x.key) == nil {
				yield(x.key)
			}
		}
	}
}

// list returns the entries of a page, none of no page.
func (p *page[K, V]) list() []entry[K, V] {
	if p == nil {
		return nil
	}
	return p.entries
}

// valueAt returns a pointer to the value at an index, if the key there is k; otherwise nil.
func (p *page[K, V]) valueAt(i int, k *K) *V {
	if p == nil || i >= len(p.entries) || p.entries[i].key != *k {
		return nil
	}
	return &p.entries[i].value
}

// all yields every entry, and reports whether the caller wants more.
func (p *page[K, V]) all(yield func(K, V) bool) bool {
	for i := range p.entries {
		if !yield(p.entries[i].key, p.entries[i].value) {
			return false
		}
	}
	return true
}
