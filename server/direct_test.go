package server_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
	wireform "github.com/netpold/netpold/server/internal/wire"
)

// maxDirect is the largest batch of the tests.
const maxDirect = 100

// A twoWays answers requests in their wire form, without messages and with them.
type twoWays struct{ direct, messages map[string]grpc.MethodHandler }

// registered keeps the handlers of a service.
type registered map[string]grpc.MethodHandler

// RegisterService implements [grpc.ServiceRegistrar]. The handlers get the service themselves.
func (r registered) RegisterService(desc *grpc.ServiceDesc, service any) {
	for _, m := range desc.Methods {
		r[m.MethodName] = func(_ any, ctx context.Context, decode func(any) error,
			through grpc.UnaryServerInterceptor) (any, error) {
			return m.Handler(service, ctx, decode, through)
		}
	}
}

func newTwoWays() twoWays {
	service := decisions.New(synced(shop()...), decisions.Options{MaxBatch: maxDirect})
	w := twoWays{registered{}, registered{}}
	decisions.Register(registered(w.direct), service)
	netpoldv1.RegisterDecisionServiceServer(registered(w.messages), service)
	return w
}

// A returned is what a call came to.
type returned struct {
	response proto.Message
	// wrong means that the request is no message.
	wrong bool
	err   error
}

// call calls a handler with a request in its wire form. into is an empty response.
func call(t *testing.T, ctx context.Context, handler grpc.MethodHandler, request []byte, into proto.Message) returned {
	t.Helper()
	codec, o := wireform.Codec(maxDirect), returned{}
	response, err := handler(nil, ctx, func(v any) error {
		// What is decoded must not share memory with the bytes, which are used again.
		data := slices.Clone(request)
		err := codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, v)
		clear(data)
		o.wrong = err != nil
		return err
	}, nil)
	if err != nil {
		o.err = err
		return o
	}
	encoded, err := codec.Marshal(response)
	if err != nil {
		o.err = err
		return o
	}
	defer encoded.Free()
	if err := proto.Unmarshal(encoded.Materialize(), into); err != nil {
		t.Fatalf("an answer that is no message: %v", err)
	}
	o.response = into
	return o
}

// compare fails the test unless a request is answered alike both ways.
func (w twoWays) compare(t *testing.T, ctx context.Context, method string, request []byte, empty func() proto.Message) returned {
	t.Helper()
	want := call(t, ctx, w.messages[method], request, empty())
	got := call(t, ctx, w.direct[method], request, empty())
	switch {
	case got.wrong != want.wrong || (got.err == nil) != (want.err == nil):
		t.Fatalf("%s of %.500x: %v, with messages %v", method, request, got.err, want.err)
	case got.wrong:
	case got.err != nil:
		if !sameError(status.Convert(got.err), status.Convert(want.err)) {
			t.Fatalf("%s of %.500x: %v, with messages %v", method, request, got.err, want.err)
		}
	case !proto.Equal(got.response, want.response):
		t.Fatalf("%s of %.500x:\n%v\nwith messages\n%v", method, request, got.response, want.response)
	}
	return got
}

// sameError compares errors by what is packed in them: the order of metadata may differ.
func sameError(a, b *status.Status) bool {
	return a.Code() == b.Code() && a.Message() == b.Message() &&
		slices.EqualFunc(a.Details(), b.Details(), func(a, b any) bool {
			x, _ := a.(proto.Message)
			y, _ := b.(proto.Message)
			return proto.Equal(x, y)
		})
}

func (w twoWays) allowed(t *testing.T, ctx context.Context, request []byte) returned {
	t.Helper()
	return w.compare(t, ctx, "Allowed", request, func() proto.Message { return new(netpoldv1.AllowedResponse) })
}

func (w twoWays) batch(t *testing.T, ctx context.Context, request []byte) returned {
	t.Helper()
	return w.compare(t, ctx, "BatchAllowed", request, func() proto.Message { return new(netpoldv1.BatchAllowedResponse) })
}

func encoded(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// questionsOfEveryForm returns questions that are right, wrong and unusual.
func questionsOfEveryForm() []*netpoldv1.AllowedRequest {
	by := func(src, dst string, port uint32) *netpoldv1.AllowedRequest {
		return &netpoldv1.AllowedRequest{Src: netpold.IP(src), Dst: netpold.IP(dst), Port: port}
	}
	all := []*netpoldv1.AllowedRequest{
		{}, ask(), byIP(), by("10.0.1.4", "10.0.3.7", 9090), by("10.0.3.7", "10.0.1.4", 65535),
		by("2001:db8::1:4", "2001:db8::3:7", 8080), by("::ffff:10.0.1.4", "10.0.3.7", 8080), by("::1", "1.2.3.4", 1),
		by("10.0.1.4", "10.96.0.10", 80), by("10.0.1.4", "10.96.0.10", 81), by("10.0.1.4", "10.96.0.11", 80),
		by("10.0.1.4", "10.0.3.7", 0), by("10.0.1.4", "10.0.3.7", 65536), by("10.0.1.4", "10.0.3.7", 1<<32-1),
		by("", "10.0.3.7", 1), by("10.0.1.04", "10.0.3.7", 1), by("10.0.1", "10.0.3.7.1", 1), by("256.0.0.1", "1..2.3", 1),
		by("fe80::1%eth0", "10.0.3.7", 1), by(".1.2.3", "1.2.3.", 1), by(strings.Repeat("1", 200), "0.0.0.0", 1),
		atLeast("servertest:1"), atLeast("other:1"), atLeast("nonsense"),
	}
	for protocol := range netpoldv1.Protocol(5) {
		q := byIP()
		q.Protocol = protocol - 1
		all = append(all, q)
	}
	detailed, known := byIP(), byIP()
	detailed.Details, known.AtLeast = true, "servertest:1"
	all = append(all, detailed, known)
	// Every field that there is, one at a time, in a question by IP: a new one must not be passed over.
	for _, of := range []func(*netpoldv1.AllowedRequest) protoreflect.Message{
		func(q *netpoldv1.AllowedRequest) protoreflect.Message { return q.ProtoReflect() },
		func(q *netpoldv1.AllowedRequest) protoreflect.Message { return q.GetSrc().ProtoReflect() },
		func(q *netpoldv1.AllowedRequest) protoreflect.Message { return q.GetDst().ProtoReflect() },
	} {
		fields := of(byIP()).Descriptor().Fields()
		for i := range fields.Len() {
			q := byIP()
			setField(of(q), fields.Get(i))
			all = append(all, q)
		}
		q := byIP()
		of(q).SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
		all = append(all, q)
	}
	return all
}

// setField sets a field to something else than its default.
func setField(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	switch field.Kind() {
	case protoreflect.MessageKind:
		m.Mutable(field)
	case protoreflect.StringKind:
		m.Set(field, protoreflect.ValueOfString("servertest:1"))
	case protoreflect.BoolKind:
		m.Set(field, protoreflect.ValueOfBool(true))
	case protoreflect.EnumKind:
		m.Set(field, protoreflect.ValueOfEnum(2))
	default:
		m.Set(field, protoreflect.ValueOfUint32(7))
	}
}

// Without messages and with them, every question gets the same answer or error, alone and in batches.
func TestWithoutMessagesAnswersAreTheSame(t *testing.T) {
	t.Parallel()
	w := newTwoWays()
	all := questionsOfEveryForm()
	denied, failed, allowed := 0, 0, 0
	for _, q := range all {
		o := w.allowed(t, t.Context(), encoded(t, q))
		switch r, _ := o.response.(*netpoldv1.AllowedResponse); {
		case o.err != nil:
			failed++
		case r.GetAllowed():
			allowed++
		default:
			denied++
		}
		w.batch(t, t.Context(), encoded(t, &netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{q}}))
	}
	if allowed < 5 || denied < 3 || failed < 15 {
		t.Errorf("%d allowed, %d denied, %d failed: these test little", allowed, denied, failed)
	}
	for _, batch := range []*netpoldv1.BatchAllowedRequest{
		{}, {Questions: all}, {Questions: all, AtLeast: "servertest:1"}, {Questions: all, AtLeast: "nonsense"},
		{Questions: slices.Repeat(all, 3)}, {AtLeast: "other:1"},
	} {
		request := encoded(t, batch)
		w.batch(t, t.Context(), request)
		w.batch(t, t.Context(), append(request, encoded(t, &netpoldv1.BatchAllowedRequest{Questions: all[:3]})...))
		w.batch(t, t.Context(), append(request, 0xff))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	w.batch(t, ended, encoded(t, &netpoldv1.BatchAllowedRequest{Questions: all}))
}

// FuzzWithoutMessages answers bytes as a question and as a batch, without messages and with them, and counts the elements
// of both ways.
func FuzzWithoutMessages(f *testing.F) {
	for _, q := range questionsOfEveryForm() {
		f.Add(encoded(f, q))
		f.Add(encoded(f, &netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{byIP(), q, q}}))
	}
	w := newTwoWays()
	question := netpoldv1.ShapeOf((*netpoldv1.AllowedRequest)(nil).ProtoReflect().Descriptor())
	batch := netpoldv1.ShapeOf((*netpoldv1.BatchAllowedRequest)(nil).ProtoReflect().Descriptor())
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, most := range []int{5, 1 << 20} {
			n, tooLarge := batch.Elements(data, most)
			q := wireform.TakeQuestions(maxDirect)
			if got, at := q.Read(data, most); at != tooLarge || tooLarge < 0 && got != n {
				t.Errorf("%x has %d elements, too large at %d; want %d, %d", data, got, at, n, tooLarge)
			}
			q.Release()
		}
		n, tooLarge := question.Elements(data, netpoldv1.MaxQuestionElements)
		if got, at := new(wireform.Question).Read(data); at != tooLarge || tooLarge < 0 && got != n {
			t.Errorf("%x has %d elements, too large at %d; want %d, %d", data, got, at, n, tooLarge)
		}
		ended, cancel := context.WithCancel(t.Context()) // so that nothing waits for tokens of the future
		cancel()
		w.allowed(t, ended, data)
		asked := &netpoldv1.BatchAllowedRequest{}
		if proto.Unmarshal(data, asked) == nil && !proto.Equal(asked, withoutTokensToCome(proto.CloneOf(asked))) {
			return
		}
		w.batch(t, t.Context(), data)
	})
}
