package netpoldv1_test

import (
	"testing"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// BenchmarkReadBatch measures what a client reads: 1,000 answers, by hand and by the library.
func BenchmarkReadBatch(b *testing.B) {
	answers := &netpoldv1.BatchAllowedResponse{Revision: 7, Token: "servertest:7"}
	for range 1000 {
		answers.Answers = append(answers.Answers, &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{
			Response: &netpoldv1.AllowedResponse{
				Reason: netpoldv1.Reason_REASON_DENIED_AT_INGRESS, Egress: &netpoldv1.Side{Allowed: true, Isolated: true,
					Policy: "namespace-12/allow-cart", RuleIndex: proto.Uint32(1), Kind: "NetworkPolicy", Tier: 2},
				Ingress: &netpoldv1.Side{Isolated: true, IsolatedBy: []string{"namespace-12/default-deny"}, IsolatedByTotal: 1,
					Tier: netpoldv1.Tier_TIER_NETWORK_POLICY}, Revision: 7, Token: "servertest:7",
			}}})
	}
	wire, err := proto.Marshal(answers)
	if err != nil {
		b.Fatal(err)
	}
	for _, by := range []struct {
		name  string
		codec encoding.CodecV2
	}{{"hand", netpoldv1.Codec(0)}, {"library", encoding.GetCodecV2(grpcproto.Name)}} {
		b.Run(by.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var m netpoldv1.BatchAllowedResponse
				if err := by.codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(wire)}, &m); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/answer")
		})
	}
}
