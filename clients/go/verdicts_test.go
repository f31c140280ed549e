package netpold_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

// randomQuestion returns a question between a few addresses of both families, that may be wrong.
func randomQuestion(rng *rand.Rand) netpold.Question {
	addresses := []netip.Addr{
		addr("10.0.1.4"), addr("10.0.3.7"), addr("::ffff:10.0.3.7"), addr("192.0.2.255"), addr("2001:db8::1"),
		addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), addr("fe80::1%eth0"), addr("fe80::1%" + strings.Repeat("z", 300)), addr("fe80::1%\xff"), {},
	}
	ports := []uint16{0, 1, 127, 128, 8080, 8080, 16384, 65535}
	protocols := []netpoldv1.Protocol{0, 1, 2, 3, 4, 127, 128, 255, 256, -1}
	return netpold.Question{
		Src: addresses[rng.IntN(len(addresses))], Dst: addresses[rng.IntN(len(addresses))],
		Port: ports[rng.IntN(len(ports))], Protocol: protocols[rng.IntN(len(protocols))],
	}
}

// Verdicts says of each question, field by field, what BatchAllowed says of it as a message.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	instance := servertest.Start(t, shop()...)
	client := instance.Client()
	rng := rand.New(rand.NewPCG(3, 3))
	outcomes := map[string]int{}
	for _, n := range []int{0, 1, 7, 8, 9, 2000} {
		batch, questions := &netpoldv1.BatchAllowedRequest{}, make([]netpold.Question, n)
		for i := range questions {
			q := randomQuestion(rng)
			questions[i] = q
			message := &netpoldv1.AllowedRequest{
				Port: uint32(q.Port), Protocol: q.Protocol, Src: &netpoldv1.Endpoint{}, Dst: &netpoldv1.Endpoint{},
			}
			if q.Src.IsValid() {
				message.Src = netpold.IP(strings.ToValidUTF8(q.Src.String(), "?"))
			}
			if q.Dst.IsValid() {
				message.Dst = netpold.IP(strings.ToValidUTF8(q.Dst.String(), "?"))
			}
			batch.Questions = append(batch.Questions, message)
		}
		want, err := client.BatchAllowed(soon(t), batch)
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Verdicts(soon(t), questions)
		if err != nil {
			t.Fatal(err)
		}
		if got.Len() != n || got.Revision != want.GetRevision() || got.Token != want.GetToken() || got.Stale != want.GetStale() {
			t.Errorf("%d questions: %d verdicts of %d, %q, %v", n, got.Len(), got.Revision, got.Token, got.Stale)
		}
		for i, answer := range want.GetAnswers() {
			verdict, wrong := got.At(i), netpold.AnswerError(answer)
			response, err := got.Response(i)
			if wrong == nil {
				outcomes[verdict.Reason.String()]++
				if verdict.Err != nil || err != nil || verdict.Allowed != answer.GetResponse().GetAllowed() ||
					verdict.Reason != answer.GetResponse().GetReason() || verdict.Revision != want.GetRevision() {
					t.Errorf("%+v: %+v, %v", questions[i], verdict, err)
				}
				if diff := cmp.Diff(answer.GetResponse(), response, protocmp.Transform()); diff != "" {
					t.Errorf("%+v: -BatchAllowed +Verdicts\n%s", questions[i], diff)
				}
				continue
			}
			outcomes["error"]++
			a, b := errorOf(t, wrong, netpold.ErrInvalidQuestion), errorOf(t, verdict.Err, netpold.ErrInvalidQuestion)
			if err == nil || err.Error() != b.Error() || response != nil || verdict.Allowed {
				t.Errorf("%+v: %+v, %v", questions[i], verdict, err)
			}
			if diff := cmp.Diff(a, b, cmpopts.IgnoreUnexported(netpold.Error{})); diff != "" {
				t.Errorf("%+v: -BatchAllowed +Verdicts\n%s", questions[i], diff)
			}
		}
	}
	if len(outcomes) < 4 || outcomes["error"] < 100 {
		t.Errorf("the questions have only these outcomes: %v", outcomes)
	}
}

// S25: no answer is from an older snapshot than the token, and a token that cannot be had is an error of the call.
func TestS25VerdictsAtLeast(t *testing.T) {
	t.Parallel()
	instance := servertest.Start(t, shop()...)
	client := instance.Client()
	token := instance.Apply()
	answers, err := client.VerdictsAtLeast(soon(t), []netpold.Question{toCart(8080)}, token)
	if err != nil || answers.Token != token || !answers.At(0).Allowed {
		t.Errorf("%+v, %v", answers, err)
	}
	_, err = client.VerdictsAtLeast(soon(t), []netpold.Question{toCart(8080)}, "another:1")
	_ = errorOf(t, err, netpold.ErrPrecondition)
}

// A batch that is too large fails, and so does a server that cannot be reached.
func TestVerdictsErrors(t *testing.T) {
	t.Parallel()
	client := servertest.Start(t, shop()...).Client()
	_, err := client.Verdicts(soon(t), make([]netpold.Question, 10_001))
	if e := errorOf(t, err, netpold.ErrTooLarge); e.Metadata["limit"] != "10000" {
		t.Errorf("%+v", e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Verdicts(ctx, []netpold.Question{toCart(8080)})
	_ = errorOf(t, err, context.Canceled)
}

// A server that answers in an unusual form is understood, and one that breaks the protocol never allows.
func TestVerdictsOfOtherServers(t *testing.T) {
	t.Parallel()
	response := &netpoldv1.AllowedResponse{Allowed: true, Reason: netpoldv1.Reason_REASON_ALLOWED_BY_RULE}
	allowed := wireOf(t, &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: response}})
	denied := wireOf(t, &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{
		Response: &netpoldv1.AllowedResponse{Reason: netpoldv1.Reason_REASON_DENIED_AT_EGRESS}}})
	failed := wireOf(t, &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{
		Error: &spb.Status{Code: int32(codes.NotFound), Message: "no Pod"}}})
	answer := func(wire []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), wire)
	}
	unsaid := wireOf(t, &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{
		Response: &netpoldv1.AllowedResponse{Allowed: true}}})
	beyond := wireOf(t, &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{
		Response: &netpoldv1.AllowedResponse{Allowed: true, Reason: 256}}})
	unknown := protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), []byte("new"))
	for name, test := range map[string]struct {
		wire    []byte
		allowed bool
		code    codes.Code // of the question
		call    codes.Code
	}{
		"usual":                       {wire: answer(allowed), allowed: true},
		"denied":                      {wire: answer(denied)},
		"an error":                    {wire: answer(failed), code: codes.NotFound},
		"an unknown field of batches": {wire: append(append([]byte{}, unknown...), answer(allowed)...), allowed: true},
		"an unknown field of answers": {wire: answer(append(append([]byte{}, allowed...), unknown...)), allowed: true},
		"a response after an error":   {wire: answer(append(append([]byte{}, failed...), allowed...)), allowed: true},
		"an error after a response":   {wire: answer(append(append([]byte{}, allowed...), failed...)), code: codes.NotFound},
		"a denial after a response":   {wire: answer(append(append([]byte{}, allowed...), denied...)), allowed: true}, // merged
		"neither":                     {wire: answer(nil), code: codes.Internal},
		"no reason":                   {wire: answer(unsaid), code: codes.Internal},
		"a reason beyond all":         {wire: answer(beyond), call: codes.Internal},
		"no answer":                   {call: codes.Internal},
		"two answers":                 {wire: append(answer(allowed), answer(allowed)...), call: codes.Internal},
		"cut off":                     {wire: answer(allowed)[:4], call: codes.Internal},
		"cut off within an answer":    {wire: answer(allowed[:len(allowed)-1]), call: codes.Internal},
		"a tag that is none":          {wire: []byte{0}, call: codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := dialAnswering(t, test.wire)
			got, err := client.Verdicts(soon(t), []netpold.Question{toCart(8080)})
			if e, _ := errors.AsType[*netpold.Error](err); test.call != codes.OK {
				if e == nil || e.Code != test.call {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			verdict := got.At(0)
			if e, _ := errors.AsType[*netpold.Error](verdict.Err); verdict.Allowed != test.allowed || e != nil != (test.code != codes.OK) ||
				e != nil && e.Code != test.code {
				t.Errorf("%+v", verdict)
			}
			response, err := got.Response(0)
			if (err == nil) != (verdict.Err == nil) || response.GetAllowed() && !test.allowed {
				t.Errorf("%+v, %v", response, err)
			}
		})
	}
}

func wireOf(t *testing.T, m proto.Message) []byte {
	t.Helper()
	wire, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// dialAnswering returns a client of a server that answers every batch with wire.
func dialAnswering(t *testing.T, wire []byte) *netpold.Client {
	t.Helper()
	s := grpc.NewServer(grpc.ForceServerCodecV2(asIs{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if method, _ := grpc.MethodFromServerStream(stream); method != netpoldv1.DecisionService_BatchAllowed_FullMethodName {
			return status.Error(codes.Unimplemented, method)
		}
		if err := stream.RecvMsg(nil); err != nil {
			return err
		}
		return stream.SendMsg(wire)
	}))
	return dial(t, serve(t, s))
}

// asIs is a codec that writes bytes as they are, and does not read what comes.
type asIs struct{}

func (asIs) Name() string { return "proto" }

func (asIs) Marshal(message any) (mem.BufferSlice, error) {
	wire, _ := message.([]byte)
	return mem.BufferSlice{mem.SliceBuffer(wire)}, nil
}

func (asIs) Unmarshal(mem.BufferSlice, any) error { return nil }
