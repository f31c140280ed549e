//go:build linux

package hostile

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	netpold "github.com/netpold/netpold/clients/go"
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

// inside returns a field of bytes, or of a message, in those that path names from the outside in.
func inside(data []byte, path ...protowire.Number) []byte {
	for i := len(path) - 1; i >= 0; i-- {
		data = protowire.AppendBytes(protowire.AppendTag(nil, path[i], protowire.BytesType), data)
	}
	return data
}

// A heavyMessage has much in it that takes few bytes on the wire, and many in memory.
type heavyMessage struct {
	name, method string
	message      []byte
	// refused is what its caller gets.
	refused codes.Code
}

// heavyMessages returns messages of a megabyte: lists of empty messages and map entries, of 2 bytes each, numbers of one
// byte, and YAML of little more.
func heavyMessages(t *testing.T) []heavyMessage {
	const (
		allowed = netpoldv1.DecisionService_Allowed_FullMethodName
		batch   = netpoldv1.DecisionService_BatchAllowed_FullMethodName
		stream  = netpoldv1.DecisionService_StreamAllowed_FullMethodName
		watch   = netpoldv1.DecisionService_WatchAllowed_FullMethodName
		explain = netpoldv1.AuditService_Explain_FullMethodName
		list    = netpoldv1.AuditService_ListConnections_FullMethodName
		change  = netpoldv1.AuditService_Simulate_FullMethodName
		wrong   = codes.InvalidArgument
		heavy   = codes.ResourceExhausted // its caller may not have the memory that it would take
	)
	many := func(path ...protowire.Number) []byte {
		last := path[len(path)-1]
		return inside(bytes.Repeat(inside(nil, last), 512<<10), path[:len(path)-1]...)
	}
	dst := encode(t, &netpoldv1.AllowedRequest{Dst: netpold.Pod("shop", "cart-0"), Port: 8080})
	question := func(field protowire.Number) []byte { return append(many(1, 5, field), dst...) }
	return []heavyMessage{
		{"labels", allowed, question(2), wrong},
		{"named ports", allowed, question(3), wrong},
		{"questions of a batch", batch, many(1), heavy},
		{"labels of a batch's question", batch, inside(question(2), 1), wrong},
		{"labels of many questions of a batch", batch, bytes.Repeat(inside(
			bytes.Repeat(inside(nil, 2), 500), 1, 1, 5), 1000), heavy},
		{"questions of a stream", stream, encode(t, &netpoldv1.StreamAllowedRequest{
			Src: &netpoldv1.StreamAllowedRequest_SrcIpv4{SrcIpv4: make([]byte, 1<<20)},
			Dst: &netpoldv1.StreamAllowedRequest_DstIpv4{DstIpv4: make([]byte, 1<<20)}}), heavy},
		{"questions of a watch", watch, many(1), heavy},
		{"labels of a watch's question", watch, inside(question(2), 1, 2), wrong},
		{"removals of a watch", watch, inside(bytes.Repeat([]byte{1}, 1<<20), 2), heavy},
		{"labels of an explanation", explain, inside(question(2), 1), wrong},
		{"changes of an overlay", explain, many(2, 1), heavy},
		{"objects of an overlay", change, encode(t, overlay(strings.Repeat("---\n{}\n", 150<<10))), heavy},
		{"YAML of an overlay", change, encode(t, overlay("a: ["+strings.Repeat("[],", 340<<10)+"]")), heavy},
		{"YAML that grows", change, encode(t, overlay(growing())), wrong},
		{"endpoints of a list", list, many(1, 2), heavy},
		{"headers of ext_authz", checkMethod, many(1, 4, 2, 3), wrong},
	}
}

// overlay returns a request with one change, of objects to apply.
func overlay(text string) *netpoldv1.SimulateRequest {
	return &netpoldv1.SimulateRequest{Overlay: &netpoldv1.Overlay{Changes: []*netpoldv1.OverlayChange{
		{Change: &netpoldv1.OverlayChange_Apply{Apply: text}},
	}}}
}

// growing returns YAML whose aliases name ten times what the line before has, again and again.
func growing() string {
	text := &strings.Builder{}
	text.WriteString("a0: &a0 [x]\n")
	for i := 1; i < 10; i++ {
		at := string(rune('0' + i))
		before := string(rune('0' + i - 1))
		text.WriteString("a" + at + ": &a" + at + " [" + strings.Repeat("*a"+before+",", 10) + "]\n")
	}
	return text.String()
}

// A megabyte of small or empty messages would be fifty once decoded, and so many times.
func TestHeavyMessages(t *testing.T) {
	for _, c := range heavyMessages(t) {
		t.Run(c.name, func(t *testing.T) {
			n, ended := start(t, writeCluster(t)), &tally{}
			n.enough = func() bool { return ended.of(c.refused) >= 20 }
			n.besiege(t, attackTime/2, func(ctx context.Context) {
				each(ctx, attackers, func(ctx context.Context, from string) {
					ended.add(ask(ctx, n.client(t, from), c.method, c.message))
				})
			})
			t.Logf("the attackers' calls:\n%v", ended)
			if ended.of(c.refused) < 20 {
				t.Errorf("few calls were refused for what is in them")
			}
		})
	}
}

// ask sends one message to any method, and reads one answer.
func ask(ctx context.Context, conn *grpc.ClientConn, method string, message []byte) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	call, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	_ = call.SendMsg(message) // what is wrong, the answer says
	_ = call.CloseSend()
	var answer []byte
	return call.RecvMsg(&answer)
}
