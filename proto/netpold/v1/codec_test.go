package netpoldv1_test

import (
	"strings"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

func ip(address string) *netpoldv1.Endpoint {
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: address}}
}

func pod(name string) *netpoldv1.Endpoint {
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Pod{Pod: &netpoldv1.PodRef{Namespace: "shop",
		Name: name}}}
}

// requests returns requests of the usual form, and of every other form.
func requests() []*netpoldv1.AllowedRequest {
	unknown := &netpoldv1.AllowedRequest{Port: 7}
	unknown.ProtoReflect().SetUnknown(
		protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
	return []*netpoldv1.AllowedRequest{
		nil, {},
		{Src: ip("10.0.1.4"), Dst: ip("2001:db8::1"), Port: 8080, Protocol: netpoldv1.Protocol_PROTOCOL_SCTP,
			AtLeast: "a:1"},
		{Src: ip(""), Dst: &netpoldv1.Endpoint{}, Port: 1 << 31},
		{Src: pod("a"), Dst: ip("10.0.3.7"), Protocol: -1},
		{Src: ip(strings.Repeat("1", 127)), Dst: ip(strings.Repeat("2", 300))},
		{Src: ip(strings.Repeat("1", 20_000))},
		{Src: ip("10.0.1.4"), Details: true},
		unknown,
	}
}

func responses() []*netpoldv1.AllowedResponse {
	denied := &netpoldv1.Side{Isolated: true, IsolatedByTotal: 3}
	for range 3 {
		denied.IsolatedBy = append(denied.IsolatedBy, strings.Repeat("n", 60)+"/"+strings.Repeat("p", 60))
	}
	families := []netpoldv1.IpFamily{1, 2}
	return []*netpoldv1.AllowedResponse{
		nil, {},
		{
			Allowed: true, Reason: 4, Egress: &netpoldv1.Side{Allowed: true},
			Ingress:  &netpoldv1.Side{Allowed: true, Isolated: true, Policy: "shop/cart", RuleIndex: proto.Uint32(0)},
			Families: families, Revision: 1 << 63, Token: "t", BackendsAllowed: 1, BackendsTotal: 300, Stale: true,
		},
		{
			Allowed: true, Src: &netpoldv1.Resolved{Kind: 1, Namespace: "shop",
				Workload: &netpoldv1.WorkloadRef{Kind: "Job"}},
			Dst: &netpoldv1.Resolved{Ip: "10.0.3.7", IpFamily: 1}, Port: 8080,
			Protocol: netpoldv1.Protocol_PROTOCOL_TCP,
			Notes:    []*netpoldv1.Note{{Code: "HOST_NETWORK", Message: "m"}, {}},
		},
		{Port: 1}, {Protocol: 1}, {Notes: []*netpoldv1.Note{{}}},
		{Reason: -3, Egress: denied, Ingress: denied, Families: append(families, 9, -1)},
	}
}

func messages() []proto.Message {
	batch := &netpoldv1.BatchAllowedRequest{AtLeast: "servertest:1"}
	answers := &netpoldv1.BatchAllowedResponse{Revision: 7, Token: "servertest:7", Stale: true}
	all := []proto.Message{
		&netpoldv1.BatchAllowedRequest{}, &netpoldv1.BatchAllowedResponse{}, (*netpoldv1.BatchAllowedRequest)(nil),
		&netpoldv1.StreamAllowedRequest{Port: 1}, batch, answers,
	}
	for _, q := range requests() {
		all = append(all, q)
		for range 50 {
			batch.Questions = append(batch.Questions, q)
		}
	}
	for _, r := range responses() {
		all = append(all, r)
		for range 50 {
			answers.Answers = append(answers.Answers,
				&netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: r}})
		}
	}
	answers.Answers = append(answers.Answers, nil, &netpoldv1.BatchAnswer{}, &netpoldv1.BatchAnswer{
		Answer: &netpoldv1.BatchAnswer_Error{Error: &spb.Status{Code: 5, Message: "unknown"}},
	})
	return all
}

// fresh returns a message of m's type that is not empty, because decoding must replace its content.
func fresh(m proto.Message) proto.Message {
	n := m.ProtoReflect().New()
	n.SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 98, protowire.VarintType), 1))
	return n.Interface()
}

// The library decodes what the codec encodes, and the other way round.
func TestCodecIsProtobuf(t *testing.T) {
	t.Parallel()
	for _, m := range messages() {
		compareCodec(t, m)
	}
	if name := netpoldv1.Codec(0).Name(); name != "proto" {
		t.Errorf("the codec's name is %q", name)
	}
}

// A string that is not UTF-8 is an error, as in the library.
func TestCodecRefusesWhatIsNotUTF8(t *testing.T) {
	t.Parallel()
	for _, m := range []proto.Message{
		&netpoldv1.AllowedRequest{Src: ip("\xff")},
		&netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{{Src: ip("10.0.0.1")},
			{AtLeast: "\xff"}}},
		&netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{{Src: pod("\xff")}}},
		&netpoldv1.AllowedResponse{Egress: &netpoldv1.Side{IsolatedBy: []string{"\xff"}}},
		&netpoldv1.BatchAllowedResponse{Token: "\xff"},
	} {
		_, want := proto.Marshal(m)
		if _, err := netpoldv1.Codec(0).Marshal(m); err == nil || want == nil || err.Error() != want.Error() {
			t.Errorf("%v: %v, want %v", m, err, want)
		}
	}
}

// FuzzCodec decodes bytes by the codec and by the library. They must agree on what is no message, on the
// content, and on what the codec encodes again.
func FuzzCodec(f *testing.F) {
	for _, m := range messages() {
		wire, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		if len(wire) < 4096 {
			f.Add(wire)
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		for _, m := range []proto.Message{
			&netpoldv1.BatchAllowedRequest{}, &netpoldv1.BatchAllowedResponse{},
		} {
			want, got := fresh(m), fresh(m)
			errWant := proto.Unmarshal(wire, want)
			err := netpoldv1.Codec(0).Unmarshal(mem.BufferSlice{mem.SliceBuffer(wire)}, got)
			if (err == nil) != (errWant == nil) {
				t.Fatalf("%T: %v, the library %v", m, err, errWant)
			}
			if err != nil {
				continue
			}
			if !proto.Equal(got, want) {
				t.Fatalf("read as\n%v, by the library\n%v", got, want)
			}
			written, err := netpoldv1.Codec(0).Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			again := fresh(m)
			if err := proto.Unmarshal(written.Materialize(), again); err != nil || !proto.Equal(again, want) {
				t.Fatalf("%v is written as\n%v, %v", want, again, err)
			}
			written.Free()
		}
	})
}
