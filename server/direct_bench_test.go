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
// it the same with messages, and questions by IPv6.
func BenchmarkWithoutMessages(b *testing.B) {
	source := synced()
	told := synthetic.NewDualStack(synthetic.Sizes[1])
	source.Apply(told.Changes()...)
	service := decisions.New(source, decisions.Options{})
	direct, messages := registered{}, registered{}
	decisions.Register(direct, service)
	netpoldv1.RegisterDecisionServiceServer(messages, service)
	four, six := sharedQuestions(told, 0).batches, sharedQuestions(told, 1).batches
	for _, way := range []struct {
		name    string
		handler grpc.MethodHandler
		batches [][]byte
	}{
		{"direct", direct["BatchAllowed"], four},
		{"ipv6", direct["BatchAllowed"], six},
		{"messages", messages["BatchAllowed"], four},
	} {
		b.Run(way.name, func(b *testing.B) {
			codec := wireform.Codec(decisions.DefaultMaxBatch)
			before := cpuTime(b)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				response, err := way.handler(nil, b.Context(), func(into any) error {
					return codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(way.batches[i%len(way.batches)])}, into)
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
