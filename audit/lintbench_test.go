package audit_test

import (
	"fmt"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// BenchmarkLint looks for everything, without and with cluster-wide policies.
func BenchmarkLint(b *testing.B) {
	for _, size := range synthetic.Sizes {
		s := halfOpen(size)
		b.Run(size.String(), func(b *testing.B) { benchmarkLint(b, s) })
	}
}

// benchmarkLint lints a snapshot.
func benchmarkLint(b *testing.B, s *engine.Snapshot) {
	b.ReportAllocs()
	defer reportCPU(b)()
	findings := 0
	for b.Loop() {
		findings = 0
		if _, err := audit.Lint(nil, s, &audit.LintRequest{}, nil, func(*audit.Finding) bool {
			findings++
			return true
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(findings), "findings")
}

// BenchmarkLintTiers looks for everything in clusters with cluster-wide policies of 10 rules.
func BenchmarkLintTiers(b *testing.B) {
	for _, size := range synthetic.Sizes {
		for _, n := range []int{20, 100} {
			b.Run(fmt.Sprintf("%s/%d", size, n), func(b *testing.B) {
				var changes []engine.Change
				for _, p := range synthetic.ClusterPolicies(n, 10) {
					changes = append(changes, engine.Change{Object: p})
				}
				benchmarkLint(b, halfOpen(size).With(changes))
			})
		}
	}
}
