package engine

import "math/bits"

// A portTable finds a number by a port, or by the key of a port name. It is a hash table without removal: an
// entry is at the place that its key hashes to, or at the next one that is free. The number of places is a
// power of two, and at least half of them are free. The zero portTable must not be searched.
type portTable struct {
	places []portEntry
	// shift makes a hash a place.
	shift uint8
}

// A portEntry is a key and its number. The key of a free place is 0.
type portEntry struct{ key, number uint32 }

// newPortTable returns a table of entries with different keys.
func newPortTable(entries []portEntry) portTable {
	size := bits.Len(uint(2 * len(entries)))
	t := portTable{make([]portEntry, 1<<size), uint8(32 - size)}
	for _, e := range entries {
		i := hashKey(e.key) >> t.shift
		for t.places[i&(1<<size-1)].key != 0 {
			i++
		}
		t.places[i&(1<<size-1)] = e
	}
	return t
}

// find returns the number of a key, which is not 0, and whether there is one.
func (t *portTable) find(key uint32) (uint32, bool) {
	mask := uint32(len(t.places) - 1)
	for i := hashKey(key) >> t.shift; ; i++ {
		switch e := &t.places[i&mask]; e.key {
		case key:
			return e.number, true
		case 0:
			return 0, false
		}
	}
}

// hashKey returns a hash of a key, of which the high bits matter most.
func hashKey(key uint32) uint32 { return key * 0x9E3779B1 }

// A portSide is a direction and a tier of cluster-wide policies.
type portSide uint8

// portSides is the number of portSides.
const portSides = directions * 2

// sideOf returns the portSide of a direction and of Admin or Baseline.
func sideOf(d direction, t Tier) portSide { return portSide(d)<<1 | portSide(t>>1) }

// direction returns the direction.
func (s portSide) direction() direction { return direction(s >> 1) }

// exactKey returns the key of a port, or of the key of a port name, in a portTable. It is never 0, as no port
// of a rule is.
func exactKey(at protocolPort, side portSide) uint32 { return uint32(at)<<2 | uint32(side) }
