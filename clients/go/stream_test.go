package netpold_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// toCart returns a question that shop allows on port 8080.
func toCart(port uint16) netpold.Question {
	return netpold.Question{Src: addr("10.0.1.4"), Dst: addr("10.0.3.7"), Port: port}
}

// Answers come in the order sent. The error of an invalid question is in its place, even if the columns
// cannot express it.
func TestStream(t *testing.T) {
	t.Parallel()
	client := servertest.Start(t, shop()...).Client()
	stream, err := client.Stream(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	batches := [][]netpold.Question{
		{toCart(8080), toCart(9090)},
		nil,
		{
			{Src: addr("10.0.1.4"), Port: 8080},
			{Src: addr("10.0.1.4"), Dst: addr("fe80::1%eth0"), Port: 8080},
			{Src: addr("10.0.1.4"), Dst: addr("10.0.3.7"), Port: 8080, Protocol: 256},
			{Src: addr("10.0.1.4"), Dst: addr("10.0.3.7"), Port: 8080, Protocol: -1},
			{Src: addr("10.0.1.4"), Dst: addr("10.0.3.7"), Port: 8080, Protocol: 4},
			toCart(0),
			toCart(8080),
		},
		{
			{Src: addr("::ffff:10.0.1.4"), Dst: addr("10.0.3.7"), Port: 8080,
				Protocol: netpoldv1.Protocol_PROTOCOL_TCP},
			{Src: addr("10.0.1.4"), Dst: addr("2001:db8::1"), Port: 8080},
			{Src: addr("10.0.1.4"), Dst: addr("10.0.3.7"), Port: 8080, Protocol: netpoldv1.Protocol_PROTOCOL_UDP},
		},
	}
	for _, batch := range batches {
		if err := stream.Send(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	const allowed, none, denied = netpoldv1.Reason_REASON_ALLOWED_BY_RULE, netpoldv1.Reason_REASON_NOT_ISOLATED, netpoldv1.Reason_REASON_DENIED_AT_INGRESS
	type outcome struct {
		Allowed bool
		Reason  netpoldv1.Reason
		Wrong   string
	}
	want := [][]outcome{
		{{true, allowed, ""}, {false, denied, ""}},
		{},
		{
			{Wrong: "dst.ip: is no address; give an IPv4 or IPv6 address"},
			{Wrong: `dst.ip: "fe80::1%eth0" has a zone, which means nothing to a cluster; give the address without it`},
			{Wrong: "protocol: 256 is not a protocol; give PROTOCOL_TCP (1), PROTOCOL_UDP (2) or PROTOCOL_SCTP (3)"},
			{Wrong: "protocol: -1 is not a protocol; give PROTOCOL_TCP (1), PROTOCOL_UDP (2) or PROTOCOL_SCTP (3)"},
			{Wrong: "protocol: 4 is not a protocol; give PROTOCOL_TCP (1), PROTOCOL_UDP (2) or PROTOCOL_SCTP (3)"},
			{Wrong: "port: 0 is not a port; give 1 to 65535"},
			{true, allowed, ""},
		},
		{{true, allowed, ""}, {true, none, ""}, {false, denied, ""}},
	}
	for i := range batches {
		answers, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if answers.Revision != 1 || answers.Token != "servertest:1" || answers.Stale {
			t.Errorf("batch %d: %+v", i, answers)
		}
		got := make([]outcome, answers.Len())
		for j := range got {
			v := answers.At(j)
			got[j] = outcome{Allowed: v.Allowed, Reason: v.Reason}
			if v.Err != nil {
				e := errorOf(t, v.Err, netpold.ErrInvalidQuestion)
				got[j].Wrong = e.Violations[0].Field + ": " + e.Violations[0].Description
				if e.Reason != "INVALID_QUESTION" || e.Message != got[j].Wrong {
					t.Errorf("%+v", e)
				}
			}
			if v.Revision != 1 {
				t.Errorf("revision %d", v.Revision)
			}
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("batch %d: -want +got:\n%s", i, diff)
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
}

func TestStreamAtLeast(t *testing.T) {
	t.Parallel()
	instance := servertest.Start(t, shop()...)
	stream, err := instance.Client().Stream(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	token := instance.Apply()
	if err := stream.SendAtLeast([]netpold.Question{toCart(8080)}, token); err != nil {
		t.Fatal(err)
	}
	if answers, err := stream.Recv(); err != nil || answers.Token != token {
		t.Errorf("%+v, %v", answers, err)
	}
	if err := stream.SendAtLeast(nil, "other:1"); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	if e := errorOf(t, err, netpold.ErrPrecondition); e.Reason != "TOKEN_UNKNOWN" {
		t.Errorf("%+v", e)
	}
	for stream.Send(nil) == nil { // the stream has ended; sending fails soon
	}
}

// AllowedMany yields every verdict in the order asked, for every number of questions.
func TestAllowedMany(t *testing.T) {
	t.Parallel()
	client := servertest.Start(t, shop()...).Client()
	for _, n := range []int{0, 1, 999, 1000, 1001, 4321} {
		questions := make([]netpold.Question, n)
		for i := range questions {
			questions[i] = toCart([]uint16{8080, 9090, 0}[i%3])
		}
		i := 0
		for verdict, err := range client.AllowedMany(soon(t), slices.Values(questions)) {
			if err != nil {
				t.Fatal(err)
			}
			if verdict.Allowed != (i%3 == 0) || (verdict.Err != nil) != (i%3 == 2) {
				t.Fatalf("%d of %d: %+v", i, n, verdict)
			}
			i++
		}
		if i != n {
			t.Errorf("%d verdicts on %d questions", i, n)
		}
	}
}

// A caller may leave the loop early: nothing is left behind, and no more questions are asked.
func TestAllowedManyLeftEarly(t *testing.T) {
	t.Parallel()
	client := servertest.Start(t, shop()...).Client()
	endless := func(ended chan<- struct{}) iter.Seq[netpold.Question] {
		return func(yield func(netpold.Question) bool) {
			defer close(ended)
			for yield(toCart(8080)) {
			}
		}
	}
	seen, ended := 0, make(chan struct{})
	for _, err := range client.AllowedMany(soon(t), endless(ended)) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 1500 {
			break
		}
	}
	wait(t, ended)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	ended = make(chan struct{})
	for _, last = range client.AllowedMany(ctx, endless(ended)) {
		cancel()
	}
	_ = errorOf(t, last, context.Canceled)
	wait(t, ended)
}

// TestAllowedManyOfQuestionsThatBlock proves that the loop can end although the questions block.
func TestAllowedManyOfQuestionsThatBlock(t *testing.T) {
	t.Parallel()
	client := servertest.Start(t, shop()...).Client()
	more, ended := make(chan struct{}), make(chan struct{})
	for _, err := range client.AllowedMany(soon(t), func(yield func(netpold.Question) bool) {
		defer close(ended)
		for range 1500 {
			if !yield(toCart(8080)) {
				return
			}
		}
		<-more
		for yield(toCart(8080)) {
		}
	}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	close(more)
	wait(t, ended)
}

func wait(t *testing.T, ended <-chan struct{}) {
	t.Helper()
	select {
	case <-ended:
	case <-soon(t).Done():
		t.Fatal("the questions are still run")
	}
}

func TestAllowedManyWithoutServer(t *testing.T) {
	t.Parallel()
	client := dial(t, "127.0.0.1:1")
	n := 0
	for _, err := range client.AllowedMany(soon(t), slices.Values([]netpold.Question{toCart(8080)})) {
		_ = errorOf(t, err, netpold.ErrUnavailable)
		n++
	}
	if n != 1 {
		t.Errorf("%d elements", n)
	}
}

// An answering is a server whose stream a test writes.
type answering struct {
	netpoldv1.UnimplementedDecisionServiceServer
	answer *netpoldv1.StreamAllowedResponse
	after  error
}

func (a *answering) StreamAllowed(stream grpc.BidiStreamingServer[netpoldv1.StreamAllowedRequest, netpoldv1.StreamAllowedResponse]) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	if a.answer != nil {
		if err := stream.Send(a.answer); err != nil {
			return err
		}
	}
	return a.after
}

// Whatever a server sends, a question without an answer is never allowed.
func TestStreamOfABrokenServer(t *testing.T) {
	t.Parallel()
	gaveUp := status.Error(codes.Aborted, "gave up")
	for name, test := range map[string]struct {
		server answering
		want   string
	}{
		"too few": {answering{answer: &netpoldv1.StreamAllowedResponse{Allowed: []byte{1}, Reasons: []byte{4}}},
			"Internal: the server sent answers to 1 of 2 questions"},
		"too many": {answering{answer: &netpoldv1.StreamAllowedResponse{Allowed: []byte{1},
			Reasons: []byte{4, 4, 4}}}, "Internal: the server sent answers to 3 of 2 questions"},
		"no verdicts": {answering{answer: &netpoldv1.StreamAllowedResponse{Reasons: []byte{4, 4}}},
			"Internal: the server sent answers to 2 of 2 questions"},
		"no reason": {answering{answer: &netpoldv1.StreamAllowedResponse{Allowed: []byte{3},
			Reasons: []byte{0, 0}}}, "Internal: the server sent neither an answer nor an error for a question"},
		"an error that is none": {answering{answer: &netpoldv1.StreamAllowedResponse{
			Allowed: []byte{3}, Reasons: []byte{4, 4}, Errors: []*netpoldv1.QuestionError{{Index: 0}, {Index: 1}},
		}}, "Internal: the server sent an error that is none"},
		"an error of nobody": {answering{answer: &netpoldv1.StreamAllowedResponse{
			Allowed: []byte{3}, Reasons: []byte{4, 4}, Errors: []*netpoldv1.QuestionError{{Index: math.MaxUint32}},
		}}, "Internal: the server sent an error for question 4294967295 of 2"},
		"an early end":  {answering{}, "Internal: the server sent no answers to the last batches"},
		"an early fail": {answering{after: gaveUp}, "Aborted: gave up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := dial(t, serveFake(t, &test.server))
			for verdict, err := range client.AllowedMany(soon(t),
				slices.Values([]netpold.Question{toCart(8080), toCart(9090)})) {
				if err == nil {
					err = verdict.Err
				}
				if verdict.Allowed || err == nil || !strings.HasSuffix(err.Error(), test.want) {
					t.Errorf("%+v, %v", verdict, err)
				}
			}
		})
	}
}

// serveFake serves decisions of a test until the test ends.
func serveFake(t *testing.T, decisions netpoldv1.DecisionServiceServer) (address string) {
	t.Helper()
	s := grpc.NewServer()
	netpoldv1.RegisterDecisionServiceServer(s, decisions)
	healthy := health.NewServer()
	healthy.SetServingStatus(netpoldv1.DecisionService_ServiceDesc.ServiceName,
		healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(s, healthy)
	return serve(t, s)
}

func ExampleClient_AllowedMany() {
	address, stop := exampleServer()
	defer stop()

	client, err := netpold.Dial(address, netpold.WithInsecure())
	if err != nil {
		panic(err)
	}
	defer client.Close()

	frontend, cart := netip.MustParseAddr("10.0.1.4"), netip.MustParseAddr("10.0.3.7")
	questions := func(yield func(netpold.Question) bool) {
		for port := uint16(8078); port <= 8081; port++ {
			if !yield(netpold.Question{Src: frontend, Dst: cart, Port: port}) {
				return
			}
		}
	}
	for verdict, err := range client.AllowedMany(context.Background(), questions) {
		if err != nil {
			panic(err) // no answer to this question, nor to those after it
		}
		fmt.Println(verdict.Allowed, verdict.Reason, verdict.Err)
	}
	// Output:
	// false REASON_DENIED_AT_INGRESS <nil>
	// false REASON_DENIED_AT_INGRESS <nil>
	// true REASON_ALLOWED_BY_RULE <nil>
	// false REASON_DENIED_AT_INGRESS <nil>
}
