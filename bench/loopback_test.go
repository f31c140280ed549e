// Package bench measures the whole path over loopback, client and server in one process.
package bench

import (
	"context"
	"fmt"
	"testing"

	"github.com/netpold/netpold/bench/synthetic"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

// batch is how many questions BatchAllowed is asked at once.
const batch = 1000

func byIP(ip fmt.Stringer) *netpoldv1.Endpoint {
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: ip.String()}}
}

// BenchmarkLoopback measures Allowed, with one call at a time and with many, and BatchAllowed, at 10,000 Pods and 1,000
// policies.
func BenchmarkLoopback(b *testing.B) {
	told := synthetic.New(synthetic.Sizes[1])
	server := servertest.Start(b)
	server.Apply(told.Changes()...)
	client := netpoldv1.NewDecisionServiceClient(server.Conn())
	questions := make([]*netpoldv1.AllowedRequest, batch)
	for i := range questions {
		src, dst := told.Pods[i*7%len(told.Pods)], told.Pods[i*13%len(told.Pods)]
		questions[i] = &netpoldv1.AllowedRequest{Src: byIP(src.IPs[0]), Dst: byIP(dst.IPs[0]), Port: 8080}
	}
	ctx := context.Background()
	b.Run("Allowed", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := client.Allowed(ctx, questions[i%batch]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "questions/s")
	})
	b.Run("Allowed-64-callers", func(b *testing.B) {
		b.SetParallelism(32) // times GOMAXPROCS
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if _, err := client.Allowed(ctx, questions[i%batch]); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "questions/s")
	})
	b.Run(fmt.Sprintf("BatchAllowed-%d", batch), func(b *testing.B) {
		request := &netpoldv1.BatchAllowedRequest{Questions: questions}
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := client.BatchAllowed(ctx, request); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)*batch/b.Elapsed().Seconds(), "questions/s")
	})
}
