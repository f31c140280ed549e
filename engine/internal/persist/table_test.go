package persist

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// A numbers is a Table or a WideTable.
type numbers[K comparable, T any] interface {
	*T
	Get(k K) uint32
	Set(e *Edit, k K, v uint32)
	Delete(e *Edit, k K) bool
	Len() int
}

// againstBuiltin drives a table and a builtin map alike, and checks that snapshots taken on the way never change. It asks for
// the keys of more as well.
func againstBuiltin[K comparable, T any, P numbers[K, T]](t *testing.T, table T, key func(*rand.Rand) K, more ...K) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	want := map[K]uint32{}
	type frozen struct {
		table T
		want  map[K]uint32
	}
	var snapshots []frozen
	asked := map[K]bool{}
	for _, k := range more {
		asked[k] = true
	}
	for round := range 40 {
		edit := &Edit{}
		for range rng.IntN(2000) {
			k := key(rng)
			asked[k] = true
			if rng.IntN(10) < 2+round/10*2 {
				_, had := want[k]
				if P(&table).Delete(edit, k) != had {
					t.Fatalf("Delete(%v) disagrees", k)
				}
				delete(want, k)
			} else {
				v := 1 + rng.Uint32N(1<<32-1)
				P(&table).Set(edit, k, v)
				want[k] = v
			}
		}
		snapshots = append(snapshots, frozen{table, maps.Clone(want)})
	}
	for i := range snapshots {
		s := &snapshots[i]
		if n := P(&s.table).Len(); n != len(s.want) {
			t.Fatalf("snapshot %d: Len %d, want %d", i, n, len(s.want))
		}
		for k := range asked {
			if got := P(&s.table).Get(k); got != s.want[k] {
				t.Fatalf("snapshot %d: Get(%v) = %d, want %d", i, k, got, s.want[k])
			}
		}
	}
}

// TestTableAgainstBuiltin drives a Table and a builtin map alike, over keys that lie close, far apart, and at
// both ends.
func TestTableAgainstBuiltin(t *testing.T) {
	for name, key := range map[string]func(*rand.Rand) uint32{
		"close":     func(r *rand.Rand) uint32 { return 10<<24 | r.Uint32N(3000) },
		"any":       func(r *rand.Rand) uint32 { return r.Uint32() },
		"few":       func(r *rand.Rand) uint32 { return r.Uint32N(20) },
		"networks":  func(r *rand.Rand) uint32 { return r.Uint32N(2000)<<12 | 1 },
		"both ends": func(r *rand.Rand) uint32 { return r.Uint32N(5) - 2 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			againstBuiltin(t, NewTable(), key, 0, 1, 1<<31, 1<<32-1)
		})
	}
}

// TestWideTableAgainstBuiltin does the same with a WideTable, also if all keys of a half hash alike.
func TestWideTableAgainstBuiltin(t *testing.T) {
	seed := WideKey{0x123456789ABCDEF0, 0xFEDCBA9876543210}
	for name, of := range map[string]struct {
		seed WideKey
		key  func(*rand.Rand) WideKey
	}{
		"close":     {wideSeed(), func(r *rand.Rand) WideKey { return WideKey{0xfd, uint64(r.Uint32N(3000)) << 32} }},
		"any":       {wideSeed(), func(r *rand.Rand) WideKey { return WideKey{r.Uint64(), r.Uint64()} }},
		"few":       {wideSeed(), func(r *rand.Rand) WideKey { return WideKey{uint64(r.Uint32N(5)), uint64(r.Uint32N(4))} }},
		"networks":  {wideSeed(), func(r *rand.Rand) WideKey { return WideKey{uint64(r.Uint32N(2000)) << 48, 1 << 56} }},
		"both ends": {wideSeed(), func(r *rand.Rand) WideKey { return WideKey{r.Uint64N(3) - 1, r.Uint64N(3) - 1} }},
		"alike":     {seed, func(r *rand.Rand) WideKey { return WideKey{seed.A, r.Uint64N(100)} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			most := uint64(1<<64 - 1)
			againstBuiltin(t, emptyWideTable(of.seed), of.key, WideKey{}, WideKey{0, 1}, WideKey{1, 0}, WideKey{most, most})
		})
	}
}

// TestWideTableOfOneHash fills a block with keys that hash alike beyond what it takes: the table takes another seed.
func TestWideTableOfOneHash(t *testing.T) {
	seed, edit := WideKey{3, 4}, &Edit{}
	table := emptyWideTable(seed)
	const n = 2 * wideBlockSlots
	for i := range uint64(n) {
		k := WideKey{seed.A, i}
		if k.hash(seed) != (WideKey{seed.A, 0}).hash(seed) {
			t.Fatalf("%v does not hash as it should for this test", k)
		}
		table.Set(edit, k, uint32(i)+1)
	}
	if table.seed == seed || table.Len() != n {
		t.Errorf("the seed is %v and the table has %d keys, want another seed and %d", table.seed, table.Len(), n)
	}
	for i := range uint64(n) {
		if got := table.Get(WideKey{seed.A, i}); got != uint32(i)+1 {
			t.Fatalf("Get of key %d = %d, want %d", i, got, i+1)
		}
	}
}

// TestTableOfOneBlock fills a line past its end, and on past the last line.
func TestTableOfOneBlock(t *testing.T) {
	table, edit := NewTable(), &Edit{}
	want := map[uint32]uint32{}
	for k := uint32(0); len(want) < 3*lineSlots; k++ {
		if lineOf(table.hash(k)) == tableLines-1 {
			want[k] = k + 1
			table.Set(edit, k, k+1)
		}
	}
	for k, v := range want {
		if got := table.Get(k); got != v {
			t.Errorf("Get(%d) = %d, want %d", k, got, v)
		}
	}
	for k := range want {
		table.Delete(edit, k)
		delete(want, k)
		for k, v := range want {
			if got := table.Get(k); got != v {
				t.Errorf("after a Delete: Get(%d) = %d, want %d", k, got, v)
			}
		}
	}
}

// TestWideTableOfOneBlock fills a line past its end, and on past the last line, and takes the keys out again.
func TestWideTableOfOneBlock(t *testing.T) {
	table, edit := NewWideTable(), &Edit{}
	want := map[WideKey]uint32{}
	for k := uint64(0); len(want) < 4*wideSlots; k++ {
		if lineOf(WideKey{k, k}.hash(table.seed)) == tableLines-1 {
			want[WideKey{k, k}] = uint32(k) + 1
			table.Set(edit, WideKey{k, k}, uint32(k)+1)
		}
	}
	for len(want) > 0 {
		for k, v := range want {
			if got := table.Get(k); got != v {
				t.Errorf("Get(%v) = %d with %d keys, want %d", k, got, len(want), v)
			}
		}
		for k := range want {
			table.Delete(edit, k)
			delete(want, k)
			if got := table.Get(k); got != 0 {
				t.Errorf("Get(%v) = %d after Delete", k, got)
			}
			break
		}
	}
}

func TestRecordsSnapshots(t *testing.T) {
	var r Records[[8]uint64]
	var snapshots []Records[[8]uint64]
	const n = 3*recordBlock + 5
	for round := range 5 {
		edit := &Edit{}
		for i := range uint32(n) {
			r.Set(edit, i, [8]uint64{uint64(round), uint64(i)})
		}
		snapshots = append(snapshots, r)
	}
	for round, s := range snapshots {
		for i := range uint32(n) {
			if got, want := *s.At(i), [8]uint64{uint64(round), uint64(i)}; got != want {
				t.Fatalf("snapshot %d item %d = %v, want %v", round, i, got, want)
			}
		}
	}
}
