package server_test

import (
	"path/filepath"
	"testing"

	"github.com/netpold/netpold/server"
)

// BenchmarkDecisionLog measures what the decision log costs, with client, server and writer on the same cores.
// Compare neighbouring lines of one run. Most questions of the streams are denied, and denials are always
// written: these lines show the worst case of a sampled log, not what sampling leaves out.
func BenchmarkDecisionLog(b *testing.B) {
	without := wire(b)
	logged := func(sample float64) *wired {
		return wire(b, func(c *server.Config) {
			c.DecisionLog, c.DecisionLogSample = filepath.Join(b.TempDir(), "decisions"), sample
		})
	}
	all, few := logged(1), logged(0.001)
	for range 3 {
		b.Run("Allowed/off", func(b *testing.B) { callers(b, 1, without.allowed) })
		b.Run("Allowed/all", func(b *testing.B) { callers(b, 1, all.allowed) })
		b.Run("StreamAllowed/off", func(b *testing.B) { without.streams(b, batchSize) })
		b.Run("StreamAllowed/0.001", func(b *testing.B) { few.streams(b, batchSize) })
	}
}
