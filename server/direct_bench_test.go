package server_test

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/netpold/netpold/bench/synthetic"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
	wireform "github.com/netpold/netpold/server/internal/wire"
)

// BenchmarkWithoutMessages measures a batch of 1,000 from its wire form to that of its answers, without gRPC, and beside
// it the same with messages.
func BenchmarkWithoutMessages(b *testing.B) {
	source := synced()
	source.Apply(synthetic.New(synthetic.Sizes[1]).Changes()...)
	service := decisions.New(source, decisions.Options{})
	direct, messages := registered{}, registered{}
	decisions.Register(direct, service)
	netpoldv1.RegisterDecisionServiceServer(messages, service)
	batches := sharedQuestions().batches
	for _, way := range []struct {
		name    string
		handler grpc.MethodHandler
	}{{"direct", direct["BatchAllowed"]}, {"messages", messages["BatchAllowed"]}} {
		b.Run(way.name, func(b *testing.B) {
			codec := wireform.Codec(decisions.DefaultMaxBatch)
			before := cpuTime(b)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				response, err := way.handler(nil, b.Context(), func(into any) error {
					return codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(batches[i%len(batches)])}, into)
				}, nil)
				if err != nil {
					b.Fatal(err)
				}
				encoded, err := codec.Marshal(response)
				if err != nil {
					b.Fatal(err)
				}
				encoded.Free()
			}
			rate(b, batchSize)
			reportCPU(b, before, batchSize)
		})
	}
}
