package persist

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// TestTableAgainstBuiltin drives a Table and a builtin map alike, over keys that lie close, far apart, and at
// both ends, and checks that snapshots taken on the way never change.
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
			rng := rand.New(rand.NewPCG(3, 4))
			table, want := NewTable(), map[uint32]uint32{}
			type frozen struct {
				table Table
				want  map[uint32]uint32
			}
			var snapshots []frozen
			asked := []uint32{0, 1, 1 << 31, 1<<32 - 1}
			for round := range 40 {
				edit := &Edit{}
				for range rng.IntN(2000) {
					k := key(rng)
					asked = append(asked, k)
					if rng.IntN(10) < 2+round/10*2 {
						_, had := want[k]
						if table.Delete(edit, k) != had {
							t.Fatalf("Delete(%d) disagrees", k)
						}
						delete(want, k)
					} else {
						v := 1 + rng.Uint32N(1<<32-1)
						table.Set(edit, k, v)
						want[k] = v
					}
				}
				snapshots = append(snapshots, frozen{table, maps.Clone(want)})
			}
			for i, s := range snapshots {
				if s.table.Len() != len(s.want) {
					t.Fatalf("snapshot %d: Len %d, want %d", i, s.table.Len(), len(s.want))
				}
				for _, k := range asked {
					if got := s.table.Get(k); got != s.want[k] {
						t.Fatalf("snapshot %d: Get(%d) = %d, want %d", i, k, got, s.want[k])
					}
				}
			}
		})
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
