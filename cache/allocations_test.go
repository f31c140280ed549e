package cache

import (
	"testing"

	"github.com/netpold/netpold/engine"
)

// A question between two addresses allocates nothing, with a cache and without, and neither does one that is remembered.
func TestNothingIsAllocated(t *testing.T) {
	s := shop().Snapshot()
	direct := engine.Query{Src: engine.ByIP(ip("10.0.0.1")), Dst: engine.ByIP(ip("10.0.0.3")), Port: 5432}
	c := New(100)
	for range 2 { // what is asked twice is remembered
		mustAsk(t, c, s, toService())
	}
	for name, of := range map[string]struct {
		cache *Cache
		query engine.Query
	}{"without a cache": {nil, direct}, "between addresses": {c, direct}, "remembered": {c, toService()}} {
		if n := testing.AllocsPerRun(100, func() { _, _ = allowed(of.cache, nil, s, of.query) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
