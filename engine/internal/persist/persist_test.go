package persist

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// TestMapAgainstBuiltin drives a Map and a builtin map alike, and checks that snapshots taken on the way
// never change.
func TestMapAgainstBuiltin(t *testing.T) {
	hashes := map[string]func(uint32) uint64{
		"seeded":   HashOf[uint32](),
		"equal":    func(uint32) uint64 { return 42 },
		"few bits": func(k uint32) uint64 { return uint64(k%7) << 61 },
		"low bits": func(k uint32) uint64 { return uint64(k % 64) },
	}
	for name, hash := range hashes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, 2))
			m, want := NewMap[uint32, int](hash), map[uint32]int{}
			type frozen struct {
				m    Map[uint32, int]
				want map[uint32]int
			}
			var snapshots []frozen
			for range 60 {
				edit, keys := &Edit{}, uint32(1+rng.IntN(600))
				for range rng.IntN(400) {
					k, v := rng.Uint32N(keys), rng.Int()
					if rng.IntN(3) == 0 {
						_, had := want[k]
						if m.Delete(edit, k) != had {
							t.Fatalf("Delete(%d) disagrees", k)
						}
						delete(want, k)
					} else {
						m.Set(edit, k, v)
						want[k] = v
					}
				}
				snapshots = append(snapshots, frozen{m, maps.Clone(want)})
			}
			for i, s := range snapshots {
				if got := maps.Collect(s.m.All()); !maps.Equal(got, s.want) || s.m.Len() != len(s.want) {
					t.Fatalf("snapshot %d: %d keys by All, Len %d, want %d",
						i, len(got), s.m.Len(), len(s.want))
				}
				for k := range uint32(600) {
					got, ok := s.m.Get(k)
					if v, has := s.want[k]; ok != has || got != v {
						t.Fatalf("snapshot %d: Get(%d) = %d, %v, want %d, %v", i, k, got, ok, v, has)
					}
				}
			}
		})
	}
}

func TestArraySnapshots(t *testing.T) {
	var a Array[int]
	var snapshots []Array[int]
	for round := range 5 {
		edit := &Edit{}
		for i := range uint32(300) {
			a.Set(edit, i, round*1000+int(i))
		}
		snapshots = append(snapshots, a)
	}
	for round, s := range snapshots {
		for i := range uint32(300) {
			if got, want := s.At(i), round*1000+int(i); got != want {
				t.Fatalf("snapshot %d item %d = %d, want %d", round, i, got, want)
			}
		}
	}
}

// TestFindAllocatesNothing guards the hot path.
func TestFindAllocatesNothing(t *testing.T) {
	m, edit := NewMap[string, int](HashOf[string]()), &Edit{}
	for _, k := range []string{"a", "b", "c"} {
		m.Set(edit, k, 1)
	}
	if n := testing.AllocsPerRun(100, func() { m.Find("b") }); n != 0 {
		t.Fatalf("Find allocates %v times", n)
	}
}

// TestUnsharedHasAllThatDiffers writes to copies of maps, and compares all entries.
func TestUnsharedHasAllThatDiffers(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 7))
		first := NewMap[int, int](HashOf[int]())
		e := &Edit{}
		for range rng.IntN(3000) {
			first.Set(e, rng.IntN(4000), rng.IntN(3))
		}
		second := first
		writes := rng.IntN(30)
		if seed%10 == 0 {
			writes = 5000 // so that the directory doubles
		}
		e = &Edit{}
		for range writes {
			if k := rng.IntN(8000); rng.IntN(3) == 0 {
				second.Delete(e, k)
			} else {
				second.Set(e, k, rng.IntN(3))
			}
		}
		for _, pair := range [][2]*Map[int, int]{{&first, &second}, {&second, &first}} {
			changed := map[int]bool{}
			pair[0].EachChanged(pair[1], func(a, b int) bool { return a == b }, func(k int) { changed[k] = true })
			for k := range 8000 {
				a, inA := pair[0].Get(k)
				if b, inB := pair[1].Get(k); changed[k] != (inA != inB || a != b) {
					t.Fatalf("seed %d: key %d: %d, %v and %d, %v; changed is %v", seed, k, a, inA, b, inB, changed[k])
				}
			}
			got, n := map[int]int{}, 0
			for k, v := range pair[0].Unshared(pair[1]) {
				got[k] = v
				n++
			}
			if n != len(got) {
				t.Fatalf("seed %d: %d entries, %d keys", seed, n, len(got))
			}
			for k, v := range pair[0].All() {
				other, ok := pair[1].Get(k)
				if found, yielded := got[k]; yielded && found != v || !yielded && (!ok || other != v) {
					t.Fatalf("seed %d: key %d: %d, %v; the other has %d, %v", seed, k, found, yielded, other, ok)
				}
			}
			if writes < 30 && pair[0].Len() > 2000 && n > pair[0].Len()/2 {
				t.Errorf("seed %d: %d of %d entries after %d writes", seed, n, pair[0].Len(), writes)
			}
		}
	}
}
