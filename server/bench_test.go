package server_test

import (
	"strconv"
	"testing"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// byIP is a question by address, as proxies ask it.
func byIP() *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{Src: netpold.IP("10.0.1.4"), Dst: netpold.IP("10.0.3.7"), Port: 8080}
}

func batchOf(n int) *netpoldv1.BatchAllowedRequest {
	batch := &netpoldv1.BatchAllowedRequest{}
	for range n {
		batch.Questions = append(batch.Questions, byIP())
	}
	return batch
}

// BenchmarkAllowed is one question on a small cluster: in the process, and over the loopback with client and server on the
// same cores, by one caller and by many.
func BenchmarkAllowed(b *testing.B) {
	b.Run("in-process", func(b *testing.B) {
		decisions, question := server.NewDecisions(synced(shop()...), server.Limits{}), byIP()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decisions.Allowed(b.Context(), question); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("loopback", func(b *testing.B) {
		client, question := servertest.Start(b, shop()...).Client(), byIP()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := client.Allowed(b.Context(), question); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("loopback-parallel", func(b *testing.B) {
		client := servertest.Start(b, shop()...).Client()
		b.ReportAllocs()
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			question := byIP()
			for pb.Next() {
				if _, err := client.Allowed(b.Context(), question); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// BenchmarkBatchAllowed is a batch on a small cluster; ns/question is what one question costs in it.
func BenchmarkBatchAllowed(b *testing.B) {
	for _, size := range []int{1, 100, 1000, 10_000} {
		b.Run("in-process/"+strconv.Itoa(size), func(b *testing.B) {
			decisions, batch := server.NewDecisions(synced(shop()...), server.Limits{}), batchOf(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decisions.BatchAllowed(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			perQuestion(b, size)
		})
		b.Run("loopback/"+strconv.Itoa(size), func(b *testing.B) {
			client, batch := servertest.Start(b, shop()...).Client(), batchOf(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.BatchAllowed(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			perQuestion(b, size)
		})
	}
}

func perQuestion(b *testing.B, size int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/question")
}
