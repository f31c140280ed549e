package audits_test

import (
	"fmt"
	"math"
	"net/netip"
	"syscall"
	"testing"

	"github.com/netpold/netpold/audit"
	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
)

// isolated returns a source in which a number of policies isolate Pod shop/db-0. Each has two rules with two
// peers and a port, and none allows shop/web-0 to port 80.
func isolated(policies int) *servertest.Source {
	s := servertest.NewSource()
	var changes []engine.Change
	for i, app := range []string{"web", "db"} {
		changes = append(changes, engine.Change{Object: &engine.Pod{
			Namespace: "shop", Name: app + "-0", Labels: map[string]string{"app": app},
			IPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})},
		}})
	}
	for i := range policies {
		rule := func(n int, port uint16) engine.Rule {
			return engine.Rule{
				Peers: []engine.Peer{
					{Pods: &engine.Selector{{Key: "app", Values: []string{fmt.Sprint("peer-", i, "-", n)}}}},
					{Block: &engine.IPBlock{CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, byte(i), byte(n), 0}), 24)}},
				},
				Ports: []engine.Port{{First: port, Last: port}},
			}
		}
		changes = append(changes, engine.Change{Object: &engine.Policy{
			Namespace: "shop", Name: fmt.Sprintf("p-%03d", i), IsolatesIngress: true,
			Subject: engine.Selector{{Key: "app", Values: []string{"db"}}},
			Ingress: []engine.Rule{rule(0, 80), rule(1, 443)},
		}})
	}
	s.Apply(changes...)
	return s
}

// reportCPU begins to measure processor time, and returns what reports it. Unlike the time of the clock it does
// not grow with what else the machine does.
func reportCPU(b *testing.B) func() {
	used := func() int64 {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			b.Fatal(err)
		}
		return usage.Utime.Nano() + usage.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkExplain asks why a Pod is denied that 3 or 300 policies isolate: by a decision alone, with every
// entry and the closest rules, and as the service answers both, the text among it.
func BenchmarkExplain(b *testing.B) {
	for _, policies := range []int{3, 300} {
		from := isolated(policies)
		state, _ := from.State()
		q := engine.Query{Src: engine.ByPod("shop", "web-0"), Dst: engine.ByPod("shop", "db-0"), Port: 80}
		req := &netpoldv1.AllowedRequest{Src: netpold.Pod("shop", "web-0"), Dst: netpold.Pod("shop", "db-0"), Port: 80}
		decider, auditor := decisions.New(from, decisions.Options{}), audits.New(from, audits.Options{})
		for _, c := range []struct {
			name string
			ask  func() error
		}{
			{"engine/allowed", func() error {
				_, err := state.Snapshot.Allowed(q)
				return err
			}},
			{"engine/explain", func() error {
				e, err := state.Snapshot.Explain(nil, q, math.MaxInt)
				audit.ClosestRules(state.Snapshot, &e)
				return err
			}},
			{"service/allowed", func() error {
				_, err := decider.Allowed(b.Context(), req)
				return err
			}},
			{"service/explain", func() error {
				_, err := auditor.Explain(b.Context(), &netpoldv1.ExplainRequest{Question: req})
				return err
			}},
		} {
			b.Run(fmt.Sprintf("policies=%d/%s", policies, c.name), func(b *testing.B) {
				b.ReportAllocs()
				defer reportCPU(b)()
				for b.Loop() {
					if err := c.ask(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
