package peers

import (
	"slices"
	"testing"
)

// TestDifferences: the peers that are said to differ do, and the others do not.
func TestDifferences(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, d := range Differences() {
		for _, p := range All() {
			t.Run(d.Rule+" "+d.What+"/"+p.Name, func(t *testing.T) {
				o := exampleCluster()
				q, want := d.example(o)
				got, err := load(t, p, o).Allowed(q)
				if differs := err != nil || got != want; differs != slices.Contains(d.Peers, p.Name) {
					t.Errorf("allowed %t (%v); netpold says %t, and the peers that differ are %v", got, err, want, d.Peers)
				}
			})
		}
	}
}
