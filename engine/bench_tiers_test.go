package engine_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// clusterWide are the cluster-wide policies that the benchmarks of tiers add.
func clusterWide() []engine.Change {
	var changes []engine.Change
	for _, p := range synthetic.ClusterPolicies(100, 25) {
		changes = append(changes, engine.Change{Object: p})
	}
	return changes
}

// reportCPU begins to measure processor time, and returns what reports it. Unlike the time of the clock it does
// not grow with what else the machine does.
func reportCPU(b *testing.B) func() {
	used := func() time.Duration {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			b.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkTiers measures a decision by address without and with 100 cluster-wide policies of 25 rules.
func BenchmarkTiers(b *testing.B) {
	size := synthetic.Sizes[2]
	told, held := built(size)
	without := held.Snapshot()
	with := engine.NewCluster(engine.Options{}).Apply(append(told.Changes(), clusterWide()...)...)
	for _, kind := range traffic {
		n := asked
		if kind == "hot" {
			n = 1024
		}
		ips := addressPairs(told, kind, n)
		for _, s := range []struct {
			name string
			*engine.Snapshot
		}{{"without", without}, {"with", with}} {
			b.Run(fmt.Sprintf("%v/%s/direct/%s", size, kind, s.name), func(b *testing.B) {
				defer reportCPU(b)()
				direct(b, s.Snapshot, ips, []uint16{8080})
			})
		}
		for _, s := range []struct {
			name string
			*engine.Snapshot
		}{{"without", without}, {"with", with}} {
			b.Run(fmt.Sprintf("%v/%s/ip/%s", size, kind, s.name), func(b *testing.B) {
				defer reportCPU(b)()
				ask(b, s.Snapshot, n, func(i int) engine.Query {
					return engine.Query{Src: engine.ByIP(ips[i][0]), Dst: engine.ByIP(ips[i][1]), Port: 8080}
				})
			})
		}
	}
}

// BenchmarkApplyTiers measures changes of a cluster-wide policy whose subject is every Pod, beside a label key
// that comes into use, in a cluster that has 100 other cluster-wide policies.
func BenchmarkApplyTiers(b *testing.B) {
	for _, size := range synthetic.Sizes {
		told := synthetic.New(size)
		held := engine.NewCluster(engine.Options{})
		held.Apply(append(told.Changes(), clusterWide()...)...)
		everywhere := engine.Selector{}
		all := func(priority int32, port uint16) engine.Change {
			return engine.Change{Object: &engine.ClusterPolicy{
				Name: "all", Tier: engine.Admin, Priority: priority, Ingress: []engine.ClusterRule{{Rule: engine.Rule{
					Peers: []engine.Peer{{Namespaces: &everywhere}}, Ports: []engine.Port{{First: port, Last: port}},
				}}},
			}}
		}
		b.Run(fmt.Sprintf("%v/key", size), func(b *testing.B) {
			defer reportCPU(b)()
			for i := 0; b.Loop(); i++ {
				held.Apply(keyInUse(i))
			}
		})
		b.Run(fmt.Sprintf("%v/rules", size), func(b *testing.B) {
			defer reportCPU(b)()
			for i := 0; b.Loop(); i++ {
				held.Apply(all(500, uint16(1+i%1000)))
			}
		})
		b.Run(fmt.Sprintf("%v/priority", size), func(b *testing.B) {
			defer reportCPU(b)()
			for i := 0; b.Loop(); i++ {
				held.Apply(all(int32(i*7%1001), 1))
			}
		})
	}
}
