package engine_test

import (
	"os"
	"slices"

	"github.com/netpold/netpold/bench/synthetic"
)

// sizes returns the sizes of clusters to measure: those of [synthetic.Sizes], and [synthetic.Large] as well if the
// environment has NETPOLD_BENCH_LARGE.
func sizes() []synthetic.Size {
	if os.Getenv("NETPOLD_BENCH_LARGE") == "" {
		return synthetic.Sizes
	}
	return append(slices.Clone(synthetic.Sizes), synthetic.Large)
}
