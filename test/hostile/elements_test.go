//go:build linux

package hostile

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// encode returns a message as it is sent.
func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// manyPorts returns a question about a Pod with n empty named ports, of 2 bytes each.
func manyPorts(n int) *netpoldv1.AllowedRequest {
	pod := &netpoldv1.LabelledPod{Namespace: "shop"}
	for range n {
		pod.NamedPorts = append(pod.NamedPorts, &netpoldv1.NamedPort{})
	}
	q := proto.CloneOf(questions()[0].request)
	q.Src = &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Labels{Labels: pod}}
	return q
}

// A megabyte of empty messages would be fifty once decoded, and so many times.
func TestEmptyElements(t *testing.T) {

	n := start(t, writeCluster(t))
	request := encode(t, manyPorts(512<<10))
	conns, ended := n.dialAll(t, attackers), &tally{}
	n.besiege(t, attackTime, func(ctx context.Context) {
		each(ctx, attackers, func(ctx context.Context, from string) {
			var answer []byte
			ended.add(conns[from].Invoke(ctx, netpoldv1.DecisionService_Allowed_FullMethodName, request, &answer,
				grpc.WaitForReady(true)))
		})
	})
	t.Logf("the attackers' calls:\n%v", ended)
	if ended.of(codes.InvalidArgument) < attackers {
		t.Errorf("few calls were refused for what is in them")
	}
}
