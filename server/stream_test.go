package server_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// A stream is the client's end of StreamAllowed.
type stream = grpc.BidiStreamingClient[netpoldv1.StreamAllowedRequest, netpoldv1.StreamAllowedResponse]

// open opens a stream that lasts until the test ends.
func open(t *testing.T, conn *grpc.ClientConn) stream {
	t.Helper()
	s, err := netpoldv1.NewDecisionServiceClient(conn).StreamAllowed(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// exchange sends a batch and receives its answers.
func exchange(t *testing.T, s stream,
	batch *netpoldv1.StreamAllowedRequest) *netpoldv1.StreamAllowedResponse {
	t.Helper()
	if err := s.Send(batch); err != nil {
		t.Fatal(err)
	}
	response, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// column packs addresses in 4 or 16 bytes each.
func column(width int, addrs ...string) []byte {
	var packed []byte
	for _, text := range addrs {
		addr := netip.MustParseAddr(text)
		if width == 4 {
			packed = append(packed, addr.AsSlice()...)
			continue
		}
		wide := addr.As16()
		packed = append(packed, wide[:]...)
	}
	return packed
}

func ports(list ...uint16) []byte {
	var packed []byte
	for _, port := range list {
		packed = binary.BigEndian.AppendUint16(packed, port)
	}
	return packed
}

func srcIPv4(addrs ...string) *netpoldv1.StreamAllowedRequest_SrcIpv4 {
	return &netpoldv1.StreamAllowedRequest_SrcIpv4{SrcIpv4: column(4, addrs...)}
}

func dstIPv4(addrs ...string) *netpoldv1.StreamAllowedRequest_DstIpv4 {
	return &netpoldv1.StreamAllowedRequest_DstIpv4{DstIpv4: column(4, addrs...)}
}

// twice returns a question that shop allows and one that it denies.
func twice() *netpoldv1.StreamAllowedRequest {
	return &netpoldv1.StreamAllowedRequest{
		Src: srcIPv4("10.0.1.4", "10.0.1.4"), Dst: dstIPv4("10.0.3.7", "10.0.3.7"), Ports: ports(8080, 9090),
	}
}

// The example of the proto's comment.
func TestStreamExample(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	want := &netpoldv1.StreamAllowedResponse{Allowed: []byte{1}, Reasons: []byte{4, 6}, Revision: 1,
		Token: "servertest:1"}
	if diff := cmp.Diff(want, exchange(t, open(t, r.conn), twice()), protocmp.Transform()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// S9, S28: a question in columns of any width has the answer, or the error, of Allowed.
func TestStreamAnswersAsAllowed(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	s := open(t, r.conn)
	rng := rand.New(rand.NewPCG(3, 5))
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	v4 := []string{"10.0.1.4", "10.0.3.7", "10.0.3.8", "10.96.0.10", "10.96.0.11", "192.0.2.1", "0.0.0.0",
		"255.255.255.255"}
	all := append([]string{"2001:db8::1:4", "2001:db8::3:7", "2001:db8::9", "::ffff:10.0.1.4", "::ffff:10.0.3.7",
		"::"}, v4...)
	errorsSeen := map[string]bool{}
	for range 60 {
		batch := &netpoldv1.StreamAllowedRequest{}
		questions := make([]*netpoldv1.AllowedRequest, rng.IntN(20))
		var src, dst []string
		var protocols []byte
		var numbers []uint16
		wideSrc, wideDst, onePort, oneProtocol := rng.IntN(2) == 0, rng.IntN(2) == 0, rng.IntN(4) == 0,
			rng.IntN(2) == 0
		batch.Protocol = netpoldv1.Protocol(rng.IntN(4))
		from := func(wide bool) string {
			if wide {
				return pick(all...)
			}
			return pick(v4...)
		}
		for i := range questions {
			q := &netpoldv1.AllowedRequest{Port: uint32([]int{0, 80, 8080, 8080, 65535}[rng.IntN(5)]),
				Protocol: netpoldv1.Protocol(rng.IntN(5))}
			if onePort {
				q.Port = 8080
			}
			if oneProtocol {
				q.Protocol = batch.GetProtocol()
			}
			src, dst = append(src, from(wideSrc)), append(dst, from(wideDst))
			q.Src, q.Dst = netpold.IP(src[i]), netpold.IP(dst[i])
			numbers, protocols = append(numbers, uint16(q.GetPort())), append(protocols, byte(q.GetProtocol()))
			questions[i] = q
		}
		if batch.Src = srcIPv4(); wideSrc {
			batch.Src = &netpoldv1.StreamAllowedRequest_SrcIpv6{SrcIpv6: column(16, src...)}
		} else {
			batch.Src = srcIPv4(src...)
		}
		if wideDst {
			batch.Dst = &netpoldv1.StreamAllowedRequest_DstIpv6{DstIpv6: column(16, dst...)}
		} else {
			batch.Dst = dstIPv4(dst...)
		}
		if onePort {
			batch.Port = 8080
		} else {
			batch.Ports = ports(numbers...)
		}
		if !oneProtocol && len(questions) > 0 {
			batch.Protocol, batch.Protocols = 0, protocols
		}
		compareWithAllowed(t, r, questions, exchange(t, s, batch), errorsSeen)
	}
	for _, reason := range []string{"INVALID_QUESTION", "NO_SERVICE_PORT", "NO_READY_ENDPOINT"} {
		if !errorsSeen[reason] {
			t.Errorf("no question was answered %s", reason)
		}
	}
}

// compareWithAllowed asks each question of a batch again, alone.
func compareWithAllowed(
	t *testing.T, r *running, questions []*netpoldv1.AllowedRequest, got *netpoldv1.StreamAllowedResponse,
	errorsSeen map[string]bool,
) {
	t.Helper()
	wrong := map[uint32]*netpoldv1.QuestionError{}
	for _, e := range got.GetErrors() {
		wrong[e.GetIndex()] = e
	}
	if len(got.GetReasons()) != len(questions) || len(got.GetAllowed()) != (len(questions)+7)/8 ||
		len(wrong) != len(got.GetErrors()) {
		t.Fatalf("%d reasons, %d bytes of verdicts and %d errors for %d questions",
			len(got.GetReasons()), len(got.GetAllowed()), len(got.GetErrors()), len(questions))
	}
	for i := len(questions); i < 8*len(got.GetAllowed()); i++ {
		if got.GetAllowed()[i/8]&(1<<(i%8)) != 0 {
			t.Errorf("bit %d is set, of %d questions", i, len(questions))
		}
	}
	for i, q := range questions {
		allowed := got.GetAllowed()[i/8]&(1<<(i%8)) != 0
		reason := netpoldv1.Reason(got.GetReasons()[i])
		want, err := r.decisions().Allowed(soon(t), q)
		if err != nil {
			errorsSeen[detailsOf(t, status.Convert(err)).Reason] = true
			if e := wrong[uint32(i)]; !proto.Equal(e.GetError(), status.Convert(err).Proto()) || allowed ||
				reason != 0 {
				t.Errorf("%v\n\tallowed %v, %v, error %v\n\twant %v", q, allowed, reason, e, status.Convert(err).Proto())
			}
			continue
		}
		if wrong[uint32(i)] != nil || allowed != want.GetAllowed() || reason != want.GetReason() {
			t.Errorf("%v\n\tallowed %v, %v, error %v\n\twant %v", q, allowed, reason, wrong[uint32(i)], want)
		}
		if got.GetRevision() != want.GetRevision() || got.GetToken() != want.GetToken() {
			t.Errorf("revision %d, token %q; want %d and %q", got.GetRevision(), got.GetToken(), want.GetRevision(),
				want.GetToken())
		}
	}
}

// S28: a malformed batch ends the stream after the earlier answers. The error names every invalid field.
func TestS28StreamEndsAtAMalformedBatch(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	change := func(f func(*netpoldv1.StreamAllowedRequest)) *netpoldv1.StreamAllowedRequest {
		batch := twice()
		f(batch)
		return batch
	}
	for name, test := range map[string]struct {
		batch *netpoldv1.StreamAllowedRequest
		want  []violation
	}{
		"no source": {change(func(b *netpoldv1.StreamAllowedRequest) { b.Src = nil }), []violation{
			{"src", "is required: the column has no address, of 2 questions"},
		}},
		"an empty source": {change(func(b *netpoldv1.StreamAllowedRequest) { b.Src = srcIPv4() }), []violation{
			{"src_ipv4", "is required: the column has no address, of 2 questions"},
		}},
		"no destination": {change(func(b *netpoldv1.StreamAllowedRequest) { b.Dst = nil }), []violation{
			{"dst", "is required: the column has no address, of 2 questions"},
		}},
		"one destination for two": {change(func(b *netpoldv1.StreamAllowedRequest) { b.Dst = dstIPv4("10.0.3.7") }),
			[]violation{
				{"dst_ipv4", "is 4 bytes long; 2 questions need 8, 4 for each"},
			}},
		"IPv4 in the place of IPv6": {change(func(b *netpoldv1.StreamAllowedRequest) {
			b.Dst = &netpoldv1.StreamAllowedRequest_DstIpv6{DstIpv6: column(4, "10.0.3.7", "10.0.3.7")}
		}), []violation{{"dst_ipv6", "is 8 bytes long; 2 questions need 32, 16 for each"}}},
		"part of an address": {change(func(b *netpoldv1.StreamAllowedRequest) {
			b.Src = &netpoldv1.StreamAllowedRequest_SrcIpv4{SrcIpv4: append(column(4, "10.0.1.4", "10.0.1.4"), 10)}
		}), []violation{{"src_ipv4", "is 9 bytes long; 2 questions need 8, 4 for each"}}},
		"one port for two": {change(func(b *netpoldv1.StreamAllowedRequest) { b.Ports = ports(8080) }), []violation{
			{"ports", "is 2 bytes long; 2 questions need 4, 2 for each"},
		}},
		"no port": {change(func(b *netpoldv1.StreamAllowedRequest) { b.Ports = nil }), []violation{
			{"port", "is required: give the port of all questions, 1 to 65535, or one for each in ports"},
		}},
		"port and ports": {change(func(b *netpoldv1.StreamAllowedRequest) { b.Port = 80 }), []violation{
			{"port", "80 is given beside ports; give one of them"},
		}},
		"a port that is none": {change(func(b *netpoldv1.StreamAllowedRequest) { b.Port, b.Ports = 65536, nil }),
			[]violation{
				{"port", "65536 is not a port; give 1 to 65535"},
			}},
		"protocols of three": {change(func(b *netpoldv1.StreamAllowedRequest) { b.Protocols = []byte{1, 1, 1} }),
			[]violation{
				{"protocols", "is 3 bytes long; 2 questions need 2, 1 for each"},
			}},
		"protocol and protocols": {change(
			func(b *netpoldv1.StreamAllowedRequest) { b.Protocol, b.Protocols = 1, []byte{1, 1} }), []violation{
			{"protocol", "PROTOCOL_TCP is given beside protocols; give one of them"},
		}},
		"a protocol that is none": {change(func(b *netpoldv1.StreamAllowedRequest) { b.Protocol = 9 }), []violation{
			{"protocol", "9 is not a protocol; give PROTOCOL_TCP (1), PROTOCOL_UDP (2) or PROTOCOL_SCTP (3)"},
		}},
		"ports of no question": {&netpoldv1.StreamAllowedRequest{Src: srcIPv4(), Dst: dstIPv4(), Ports: ports(80)},
			[]violation{
				{"ports", "is 2 bytes long; 0 questions need 0, 2 for each"},
			}},
		"a port without columns": {&netpoldv1.StreamAllowedRequest{Port: 8080}, []violation{
			{"src", "is required beside port: give the packed addresses in src_ipv4 or src_ipv6; did the encoder drop them?"},
			{"dst", "is required beside port: give the packed addresses in dst_ipv4 or dst_ipv6; did the encoder drop them?"},
		}},
		"a protocol without columns": {&netpoldv1.StreamAllowedRequest{Protocol: 2}, []violation{
			{"src", "is required beside protocol: give the packed addresses in src_ipv4 or src_ipv6; did the encoder drop them?"},
			{"dst", "is required beside protocol: give the packed addresses in dst_ipv4 or dst_ipv6; did the encoder drop them?"},
		}},
		"an empty source alone": {&netpoldv1.StreamAllowedRequest{Src: srcIPv4()}, []violation{
			{"dst", "is required beside src: give the packed addresses in dst_ipv4 or dst_ipv6; did the encoder drop them?"},
		}},
		"an unknown field": {change(func(b *netpoldv1.StreamAllowedRequest) {
			b.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 12, protowire.BytesType),
				[]byte{1, 2}))
		}), []violation{
			{"12", "is the number of a field that this server does not know; leave it out, or ask a newer server"},
		}},
		"all at once": {&netpoldv1.StreamAllowedRequest{Src: srcIPv4("10.0.1.4"), Ports: []byte{1},
			Protocols: []byte{1, 1}}, []violation{
			{"dst", "is required: the column has no address, of 1 questions"},
			{"ports", "is 1 bytes long; 1 questions need 2, 2 for each"},
			{"protocols", "is 2 bytes long; 1 questions need 1, 1 for each"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, r.conn)
			if err := errors.Join(s.Send(twice()), s.Send(test.batch), s.Send(twice())); err != nil &&
				!errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			if before, err := s.Recv(); err != nil || before.GetAllowed()[0] != 1 {
				t.Fatalf("the batch before: %v, %v", before, err)
			}
			_, err := s.Recv()
			want := details{
				Code: codes.InvalidArgument, Reason: "INVALID_QUESTION", Message: messageOf(test.want),
				Violations: test.want,
			}
			if diff := cmp.Diff(want, detailsOf(t, status.Convert(err))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestStreamBatchTooLarge(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.MaxBatch = 2 })
	s := open(t, r.conn)
	exchange(t, s, twice()) // at the limit
	if err := s.Send(&netpoldv1.StreamAllowedRequest{Dst: dstIPv4("10.0.0.1", "10.0.0.1",
		"10.0.0.1")}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Recv()
	want := details{
		Code: codes.ResourceExhausted, Reason: "BATCH_TOO_LARGE",
		Metadata: map[string]string{"limit": "2", "actual": "3"},
		Message:  "dst_ipv4: 3 are more than the 2 questions that one batch may hold; ask in several batches, or raise the server's --max-batch",
	}
	if diff := cmp.Diff(want, detailsOf(t, status.Convert(err))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Empty batches have answers. A half-closed stream ends without error after all its answers.
func TestStreamHalfClose(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	s := open(t, r.conn)
	empty := &netpoldv1.StreamAllowedRequest{}
	if err := errors.Join(s.Send(twice()), s.Send(empty), s.Send(twice()), s.CloseSend()); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{2, 0, 2} {
		got, err := s.Recv()
		if err != nil || len(got.GetReasons()) != want || got.GetRevision() != 1 ||
			got.GetToken() != "servertest:1" {
			t.Errorf("batch %d: %v, %v", i, got, err)
		}
	}
	if got, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v, %v", got, err)
	}
}

// S25: one snapshot serves a whole batch, even if the cluster changes all the time, and later batches see
// later ones.
func TestS25OneSnapshotPerBatchOfAStream(t *testing.T) {
	t.Parallel()
	r := start(t, &flipping{Source: synced(shop()...), looks: make(chan struct{}, 1)}, nil)
	s := open(t, r.conn)
	batch := &netpoldv1.StreamAllowedRequest{
		Src: &netpoldv1.StreamAllowedRequest_SrcIpv4{}, Dst: &netpoldv1.StreamAllowedRequest_DstIpv4{}, Port: 8080,
	}
	for range 300 {
		batch.Src.(*netpoldv1.StreamAllowedRequest_SrcIpv4).SrcIpv4 = append(batch.GetSrcIpv4(), 10, 0, 1, 4)
		batch.Dst.(*netpoldv1.StreamAllowedRequest_DstIpv4).DstIpv4 = append(batch.GetDstIpv4(), 10, 0, 3, 7)
	}
	last := uint64(0)
	for range 20 {
		got := exchange(t, s, batch)
		if got.GetRevision() <= last {
			t.Errorf("revision %d after %d", got.GetRevision(), last)
		}
		last = got.GetRevision()
		// Odd revisions are those that allow.
		want := netpoldv1.Reason_REASON_DENIED_AT_INGRESS
		if last%2 == 1 {
			want = netpoldv1.Reason_REASON_ALLOWED_BY_RULE
		}
		for i, reason := range got.GetReasons() {
			if netpoldv1.Reason(reason) != want {
				t.Fatalf("revision %d answers question %d %v", last, i, netpoldv1.Reason(reason))
			}
		}
	}
}

// S26: before the first full sync a stream fails as every call does, and also while stale states are refused.
func TestS26StreamAnswersNothingBeforeTheFirstSync(t *testing.T) {
	t.Parallel()
	source := servertest.NewSource()
	r := start(t, source, func(c *server.Config) { c.WhenStale = server.DenyWhenStale })
	ends := func(want string) {
		t.Helper()
		s := open(t, r.conn)
		if err := s.Send(twice()); err != nil {
			t.Fatal(err)
		}
		_, err := s.Recv()
		if d := detailsOf(t, status.Convert(err)); d.Code != codes.Unavailable || d.Reason != want || d.Retry == 0 {
			t.Errorf("%+v, want %s", d, want)
		}
	}
	ends("NOT_SYNCED")
	source.Apply(upserts(shop())...)
	exchange(t, open(t, r.conn), twice())
	goStale(t, r, source, notServing)
	ends("STALE")
}

func TestStreamSaysWhenItsStateIsStale(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	r := start(t, source, nil)
	s := open(t, r.conn)
	for _, stale := range []bool{false, true, false} {
		if stale != (exchange(t, s, twice()).GetStale()) {
			want := map[bool]healthv1.HealthCheckResponse_ServingStatus{true: notServing, false: serving}
			goStale(t, r, source, want[stale])
		}
		if got := exchange(t, s, twice()).GetStale(); got != stale {
			t.Errorf("stale is %v, want %v", got, stale)
		}
	}
}

// A batch with a token waits for the snapshot that it names. A token that cannot be reached ends the stream.
func TestStreamAtLeast(t *testing.T) {
	t.Parallel()
	held := synced(shop()...)
	source := &waitingSource{Source: held, waits: make(chan context.Context, 1)}
	r := start(t, source, func(c *server.Config) { c.MaxDeadline = 20 * time.Minute })
	s := open(t, r.conn)
	batch := twice()
	batch.AtLeast = "servertest:2"
	if err := s.Send(batch); err != nil {
		t.Fatal(err)
	}
	waiting := within(t, source.waits, "the batch to wait")
	if deadline, ok := waiting.Deadline(); !ok || time.Until(deadline) > patience {
		t.Errorf("waits until %v", deadline) // the stream's own deadline is earlier
	}
	held.Apply(isolate())
	if got, err := s.Recv(); err != nil || got.GetRevision() != 2 || got.GetAllowed()[0] != 0 {
		t.Errorf("%v, %v", got, err)
	}
	for token, want := range map[string]string{"other:1": "TOKEN_UNKNOWN", "nonsense": "INVALID_QUESTION"} {
		s, batch := open(t, r.conn), twice()
		batch.AtLeast = token
		if err := s.Send(batch); err != nil {
			t.Fatal(err)
		}
		within(t, source.waits, "the batch to wait")
		_, err := s.Recv()
		if d := detailsOf(t, status.Convert(err)); d.Reason != want {
			t.Errorf("%s: %+v", token, d)
		}
	}
}
