package engine_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// addressPairs returns the addresses of pairs of Pods, in an order of access.
func addressPairs(told *synthetic.Cluster, kind string, n int) [][2]netip.Addr {
	ips := make([][2]netip.Addr, n)
	for i, o := range pairs(kind, len(told.Pods), n) {
		ips[i] = [2]netip.Addr{told.Pods[o[0]].IPs[0], told.Pods[o[1]].IPs[0]}
	}
	return ips
}

// BenchmarkReaders measures what one and two readers, each on a processor of its own, get done together.
func BenchmarkReaders(b *testing.B) {
	told, held := built(synthetic.Sizes[2])
	s := held.Snapshot()
	for _, kind := range traffic {
		ips := addressPairs(told, kind, asked)
		for _, readers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/%d", kind, readers), func(b *testing.B) {
				var wg sync.WaitGroup
				for r := range readers {
					wg.Go(func() {
						allowed := 0
						for i := range b.N / readers {
							pair := &ips[(i+r*asked/2)&(asked-1)]
							if reason, _ := reasonOf(s, pair[0], pair[1], 8080); reason.Allowed() {
								allowed++
							}
						}
						if allowed == b.N/readers && b.N > 1000 {
							b.Error("everything is allowed")
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// BenchmarkReaderBesideWriter measures single decisions, the clock's own time included, while nothing changes
// and while 1,000 Pods a second change their address. Each takes the present snapshot anew.
func BenchmarkReaderBesideWriter(b *testing.B) {
	told, held := built(synthetic.Sizes[2])
	ips := addressPairs(told, "zipf", asked)
	for _, writes := range []int{0, 1000} {
		b.Run(fmt.Sprintf("%d/s", writes), func(b *testing.B) {
			stop := make(chan struct{})
			var wg sync.WaitGroup
			if writes > 0 {
				wg.Go(func() { churn(held, told, time.Second/time.Duration(writes), stop) })
			}
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				pair := &ips[i&(asked-1)]
				start := time.Now()
				reason, err := reasonOf(held.Snapshot(), pair[0], pair[1], 8080)
				took = append(took, time.Since(start))
				if sink = reason.Allowed(); err != nil {
					b.Fatal(err)
				}
			}
			close(stop)
			wg.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
			b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
			b.ReportMetric(float64(took[len(took)*999/1000]), "p99.9-ns")
		})
	}
}

// churn gives a Pod another address at every tick, until stop is closed.
func churn(held *engine.Cluster, told *synthetic.Cluster, every time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-tick.C:
			p := *told.Pods[i%len(told.Pods)]
			p.IPs = []netip.Addr{p.IPs[0], netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})}
			held.Apply(engine.Change{Object: &p})
		}
	}
}
