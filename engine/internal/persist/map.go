// Package persist holds persistent collections: a copy of one is a snapshot that later writes to the other never change.
//
// A write copies the few small blocks on its path, so that its cost does not grow with the collection. Blocks made under
// the present [Edit] belong to no snapshot yet and are changed in place, so that a large batch costs little more than it
// would in a mutable collection. One goroutine writes; any number read snapshots.
package persist

import (
	"hash/maphash"
	"iter"
	"math/bits"
)

// Edit owns the blocks made during one batch of writes. A new one must be taken after a snapshot was handed out.
type Edit struct{ _ byte }

const (
	pageSize   = 24 // entries of a page before it splits; with its header, tags fit one cache line
	chunkBits  = 6
	chunkSize  = 1 << chunkBits
	spareBits  = 4 // how much deeper than its size asks the directory may get before pages of like hashes grow instead
	tagWords   = pageSize / 8
	lowBits    = 0x0101010101010101
	highBits   = 0x8080808080808080
	hashBits   = 64
	firstSlots = 2
)

// Map is a persistent hash map by extendible hashing: the first depth bits of a key's hash choose its page. It is made by
// [NewMap]; a plain copy is a snapshot.
type Map[K comparable, V any] struct {
	hash  func(K) uint64
	only  *page[K, V]    // the page while depth is 0
	top   []*chunk[K, V] // the directory of 1<<depth pages, in chunks
	owner *Edit          // owns top
	depth uint8
	n     int
}

type chunk[K comparable, V any] struct {
	owner *Edit
	pages [chunkSize]*page[K, V]
}

// page holds its entries in no order. The low byte of each hash is its tag, so that a look-up reads the tags and then,
// nearly always, just the entry that it wants.
type page[K comparable, V any] struct {
	tags    [tagWords]uint64
	entries []entry[K, V]
	owner   *Edit
	depth   uint8
}

// wide is a page with room for its entries beside it, so that a look-up stays within one page of memory.
type wide[K comparable, V any] struct {
	page[K, V]
	room [pageSize]entry[K, V]
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// NewMap returns an empty map whose keys are hashed by hash.
func NewMap[K comparable, V any](hash func(K) uint64) Map[K, V] {
	return Map[K, V]{hash: hash}
}

// HashOf returns a hash for keys of any type, seeded anew for each process.
func HashOf[K comparable]() func(K) uint64 {
	seed := maphash.MakeSeed()
	return func(k K) uint64 { return maphash.Comparable(seed, k) }
}

// Len is the number of keys.
func (m *Map[K, V]) Len() int { return m.n }

// Find returns the value of k, which must not be changed, or nil.
func (m *Map[K, V]) Find(k K) *V {
	if m.n == 0 {
		return nil
	}
	h := m.hash(k)
	return m.page(h).find(h, k)
}

// Get returns the value of k, or the zero value.
func (m *Map[K, V]) Get(k K) (v V, ok bool) {
	if p := m.Find(k); p != nil {
		return *p, true
	}
	return v, false
}

func (m *Map[K, V]) page(h uint64) *page[K, V] {
	if m.depth == 0 {
		return m.only
	}
	i := h >> (hashBits - m.depth)
	return m.top[i>>chunkBits].pages[i%chunkSize]
}

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
		*m = Map[K, V]{hash: m.hash, only: newPage[K, V](e, 0, firstSlots)}
	}
	p := m.own(e, h)
	if old := p.find(h, k); old != nil {
		*old = v
		return
	}
	for len(p.entries) >= pageSize && (p.depth < m.depth || int(m.depth) < bits.Len(uint(m.n/pageSize))+spareBits) {
		m.split(e, h, p)
		p = m.page(h)
	}
	p.add(h, entry[K, V]{k, v})
	m.n++
}

func (p *page[K, V]) add(h uint64, en entry[K, V]) {
	if i := len(p.entries); i < pageSize {
		p.tags[i/8] |= h & 0xff << (i % 8 * 8)
	}
	p.entries = append(p.entries, en)
}

// own returns the page of h, copied with the directory's way to it unless e owns them.
func (m *Map[K, V]) own(e *Edit, h uint64) *page[K, V] {
	p := m.page(h)
	if p.owner == e {
		return p
	}
	fresh := newPage[K, V](e, p.depth, len(p.entries)+firstSlots)
	fresh.tags = p.tags
	fresh.entries = append(fresh.entries, p.entries...)
	m.place(e, h, fresh)
	return fresh
}

// newPage returns an empty page with room for n entries, beside it unless they are few.
func newPage[K comparable, V any](e *Edit, depth uint8, n int) *page[K, V] {
	if n < pageSize/3 || n > pageSize {
		return &page[K, V]{owner: e, depth: depth, entries: make([]entry[K, V], 0, n)}
	}
	w := &wide[K, V]{}
	w.entries, w.owner, w.depth = w.room[:0], e, depth
	return &w.page
}

// place puts p at all of its places in the directory, those that share the first p.depth bits of h.
func (m *Map[K, V]) place(e *Edit, h uint64, p *page[K, V]) {
	if m.depth == 0 {
		m.only = p
		return
	}
	if m.owner != e {
		m.top, m.owner = append([]*chunk[K, V](nil), m.top...), e
	}
	first := uint64(0)
	if p.depth > 0 {
		first = h >> (hashBits - p.depth) << (m.depth - p.depth)
	}
	for i := first; i < first+1<<(m.depth-p.depth); i++ {
		c := m.top[i>>chunkBits]
		if c.owner != e {
			c = &chunk[K, V]{owner: e, pages: c.pages}
			m.top[i>>chunkBits] = c
		}
		c.pages[i%chunkSize] = p
	}
}

// split divides p, the page of h, by the next bit of its hashes.
func (m *Map[K, V]) split(e *Edit, h uint64, p *page[K, V]) {
	if p.depth == m.depth {
		m.double(e)
	}
	bit := uint64(1) << (hashBits - 1 - p.depth)
	halves := [2]*page[K, V]{newPage[K, V](e, p.depth+1, pageSize), newPage[K, V](e, p.depth+1, pageSize)}
	for _, en := range p.entries {
		eh := m.hash(en.key)
		half := halves[0]
		if eh&bit != 0 {
			half = halves[1]
		}
		half.add(eh, en)
	}
	m.place(e, h&^bit, halves[0])
	m.place(e, h|bit, halves[1])
}

// double gives the directory one more bit; each page then stands in twice as many places.
func (m *Map[K, V]) double(e *Edit) {
	size := 1 << (m.depth + 1)
	top := make([]*chunk[K, V], (size+chunkSize-1)/chunkSize)
	for i := range top {
		top[i] = &chunk[K, V]{owner: e}
	}
	for i := range uint64(size) {
		from := m.only
		if m.depth > 0 {
			from = m.top[i>>1>>chunkBits].pages[i>>1%chunkSize]
		}
		top[i>>chunkBits].pages[i%chunkSize] = from
	}
	m.top, m.owner, m.only = top, e, nil
	m.depth++
}

// Delete removes k, and reports whether it was there.
func (m *Map[K, V]) Delete(e *Edit, k K) bool {
	if m.Find(k) == nil {
		return false
	}
	if m.n == 1 {
		*m = Map[K, V]{hash: m.hash}
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

func (p *page[K, V]) tag(i int) uint64 {
	if i >= pageSize {
		return 0
	}
	return p.tags[i/8] >> (i % 8 * 8) & 0xff
}

func (p *page[K, V]) setTag(i int, tag uint64) {
	if i < pageSize {
		p.tags[i/8] = p.tags[i/8]&^(0xff<<(i%8*8)) | tag<<(i%8*8)
	}
}

// retag makes the tags anew, for a page of equal hashes that an untagged entry moved within.
func (p *page[K, V]) retag(hash func(K) uint64) {
	for i := range min(pageSize, len(p.entries)) {
		p.setTag(i, hash(p.entries[i].key)&0xff)
	}
}

// All yields every key and value, in no order that means anything.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if m.depth == 0 {
			if m.only != nil {
				m.only.all(yield)
			}
			return
		}
		var before *page[K, V]
		for i := range 1 << m.depth {
			p := m.top[i>>chunkBits].pages[i%chunkSize]
			if p != before && !p.all(yield) { // a page's places are neighbours
				return
			}
			before = p
		}
	}
}

func (p *page[K, V]) all(yield func(K, V) bool) bool {
	for i := range p.entries {
		if !yield(p.entries[i].key, p.entries[i].value) {
			return false
		}
	}
	return true
}
