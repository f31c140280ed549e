package server_test

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Errors of a stream say no more than a client takes: 4 MiB by default, of the largest batch. Each has its code.
func TestErrorsOfAStreamAreBounded(t *testing.T) {
	t.Parallel()
	const n = 10_000
	r := start(t, synced(shop()...), nil)
	stream, err := r.decisions().StreamAllowed(soon(t), grpc.MaxCallRecvMsgSize(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	addresses := make([]byte, 4*n)
	err = stream.Send(&netpoldv1.StreamAllowedRequest{
		Src: &netpoldv1.StreamAllowedRequest_SrcIpv4{SrcIpv4: addresses},
		Dst: &netpoldv1.StreamAllowedRequest_DstIpv4{DstIpv4: addresses}, Ports: make([]byte, 2*n),
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if size := proto.Size(answer); size > 4<<20 || len(answer.GetErrors()) != n {
		t.Errorf("%d errors of %d questions take %d bytes", len(answer.GetErrors()), n, size)
	}
	if first, last := proto.Size(answer.GetErrors()[0]), proto.Size(answer.GetErrors()[n-1]); last >= first {
		t.Errorf("the first error takes %d bytes, the last %d: it should be brief", first, last)
	}
	for _, e := range answer.GetErrors() {
		if e.GetError().GetCode() != 3 || e.GetError().GetMessage() == "" {
			t.Fatalf("%v", e)
		}
	}
}
