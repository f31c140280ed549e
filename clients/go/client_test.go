package netpold_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, target string, options ...netpold.Option) *netpold.Client {
	t.Helper()
	client, err := netpold.Dial(target, append([]netpold.Option{netpold.WithInsecure()}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// A fake is a server whose answers and health a test sets.
type fake struct {
	netpoldv1.UnimplementedDecisionServiceServer
	netpoldv1.UnimplementedStatusServiceServer
	address string
	health  *health.Server
	// fail is how many more calls end with UNAVAILABLE. calls is the number of calls.
	fail, calls atomic.Int32
}

// serve serves on the loopback until the test ends.
func serve(t *testing.T, s *grpc.Server) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(listener) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func startFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{health: health.NewServer()}
	f.health.SetServingStatus("netpold.v1.DecisionService", healthv1.HealthCheckResponse_SERVING)
	s := grpc.NewServer()
	netpoldv1.RegisterDecisionServiceServer(s, f)
	netpoldv1.RegisterStatusServiceServer(s, f)
	healthv1.RegisterHealthServer(s, f.health)
	f.address = serve(t, s)
	return f
}

func (f *fake) Allowed(context.Context, *netpoldv1.AllowedRequest) (*netpoldv1.AllowedResponse, error) {
	f.calls.Add(1)
	if f.fail.Add(-1) >= 0 {
		return nil, status.Error(codes.Unavailable, "not now")
	}
	return &netpoldv1.AllowedResponse{Allowed: true}, nil
}

func (f *fake) GetStatus(context.Context, *netpoldv1.GetStatusRequest) (*netpoldv1.GetStatusResponse, error) {
	return &netpoldv1.GetStatusResponse{Version: f.address}, nil
}

// Plaintext must be chosen.
func TestDialRequiresAChoiceOfSecurity(t *testing.T) {
	t.Parallel()
	for want, options := range map[string][]netpold.Option{
		"no transport security chosen: give WithTLS, or WithInsecure for plaintext": nil,
		"WithTLS and WithInsecure exclude each other: give one of them": {netpold.WithTLS(nil),
			netpold.WithInsecure()},
	} {
		_, err := netpold.Dial("127.0.0.1:1", options...)
		if err == nil || err.Error() != `netpold: dial "127.0.0.1:1": `+want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := netpold.Dial("\x00", netpold.WithInsecure()); err == nil ||
		!strings.HasPrefix(err.Error(), "netpold: dial") {
		t.Errorf("a target that is none: %v", err)
	}
}

// With TLS the client sends no question to a server without TLS.
func TestTLSIsNotGivenUp(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client, err := netpold.Dial(f.address, netpold.WithTLS(&tls.Config{MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Allowed(soon(t), nil); !errors.Is(err, netpold.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if n := f.calls.Load(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// UNAVAILABLE is retried, up to four attempts in all.
func TestUnavailableIsTriedAgain(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := dial(t, f.address)
	f.fail.Store(3)
	if _, err := client.Allowed(soon(t), nil); err != nil {
		t.Errorf("after 3 failures: %v", err)
	}
	if n := f.calls.Swap(0); n != 4 {
		t.Errorf("%d calls", n)
	}
	f.fail.Store(100)
	_, err := client.Allowed(soon(t), nil)
	if !errors.Is(err, netpold.ErrUnavailable) || !strings.Contains(err.Error(), "not now") {
		t.Errorf("%v", err)
	}
	if n := f.calls.Load(); n != 4 {
		t.Errorf("%d calls", n)
	}
}

// Calls go to the healthy servers in turn.
func TestRoundRobinOverHealthyServers(t *testing.T) {
	t.Parallel()
	fakes := []*fake{startFake(t), startFake(t), startFake(t)}
	fakes[1].health.SetServingStatus("netpold.v1.DecisionService", healthv1.HealthCheckResponse_NOT_SERVING)
	addresses := manual.NewBuilderWithScheme("test")
	state := resolver.State{}
	for _, f := range fakes {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: f.address})
	}
	addresses.InitialState(state)
	client := dial(t, "test:///servers", netpold.WithDialOptions(grpc.WithResolvers(addresses)))
	ctx := soon(t)
	for fakes[0].calls.Load() < 10 || fakes[2].calls.Load() < 10 {
		if _, err := client.Allowed(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := fakes[1].calls.Load(); n != 0 {
		t.Errorf("%d calls to a server that is not healthy", n)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	client := servertest.Start(t, shop()...).Client()
	good := &netpoldv1.AllowedRequest{Src: netpold.IP("10.0.1.4"), Dst: netpold.Pod("shop", "cart-0"),
		Port: 8080}

	_, err := client.Allowed(soon(t),
		&netpoldv1.AllowedRequest{Src: netpold.IP("x"), Dst: netpold.Pod("shop", "cart-0"), Port: 8080})
	e := errorOf(t, err, netpold.ErrInvalidQuestion)
	want := &netpold.Error{
		Code: codes.InvalidArgument, Reason: "INVALID_QUESTION", Message: e.Message,
		Violations: []netpold.Violation{{
			Field: "src.ip", Description: `"x" is not an IPv4 or IPv6 address; write it like "10.0.3.7" or "2001:db8::7"`,
		}},
	}
	if diff := cmp.Diff(want, e, cmpopts.IgnoreUnexported(netpold.Error{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !strings.HasPrefix(err.Error(), "netpold: INVALID_QUESTION: src.ip: ") {
		t.Errorf("%v", err)
	}
	if status.Code(err) != codes.InvalidArgument || len(status.Convert(err).Details()) != 2 {
		t.Errorf("the status is %v", status.Convert(err))
	}

	_, err = client.Allowed(soon(t),
		&netpoldv1.AllowedRequest{Src: netpold.Pod("shop", "x"), Dst: netpold.IP("10.0.3.7"), Port: 1})
	if e := errorOf(t, err, netpold.ErrNotFound); e.Reason != "NOT_FOUND" || e.Metadata["field"] != "src.pod" {
		t.Errorf("%+v", e)
	}

	foreign := &netpoldv1.AllowedRequest{Src: good.Src, Dst: good.Dst, Port: 8080, AtLeast: "other:1"}
	_, err = client.Allowed(soon(t), foreign)
	if e := errorOf(t, err, netpold.ErrPrecondition); e.Reason != "TOKEN_UNKNOWN" {
		t.Errorf("%+v", e)
	}

	_, err = client.BatchAllowed(soon(t),
		&netpoldv1.BatchAllowedRequest{Questions: make([]*netpoldv1.AllowedRequest, 10_001)})
	if e := errorOf(t, err, netpold.ErrTooLarge); e.Reason != "BATCH_TOO_LARGE" ||
		e.Metadata["limit"] != "10000" || e.Metadata["actual"] != "10001" {
		t.Errorf("%+v", e)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Allowed(ctx, good)
	if e := errorOf(t, err, context.Canceled); e.Code != codes.Canceled {
		t.Errorf("%+v", e)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	_, err = client.Allowed(ctx, good)
	if e := errorOf(t, err, context.DeadlineExceeded); e.Code != codes.DeadlineExceeded {
		t.Errorf("%+v", e)
	}
}

// errorOf returns err as an [netpold.Error]. It fails the test unless err matches kind and no other.
func errorOf(t *testing.T, err, kind error) *netpold.Error {
	t.Helper()
	for _, other := range []error{
		netpold.ErrInvalidQuestion, netpold.ErrNotFound, netpold.ErrPrecondition, netpold.ErrUnavailable,
		netpold.ErrTooLarge, netpold.ErrOverloaded,
		context.Canceled, context.DeadlineExceeded,
	} {
		if got, want := errors.Is(err, other), errors.Is(kind, other); got != want {
			t.Errorf("%v: that it is %q is %v", err, other, got)
		}
	}
	e, ok := errors.AsType[*netpold.Error](err)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	return e
}

// The error has the server's advice when to retry.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	st, err := status.New(codes.Unavailable, "not now").WithDetails(retryInfo(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	got := netpold.AnswerError(&netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: st.Proto()}})
	if e := errorOf(t, got, netpold.ErrUnavailable); e.RetryAfter != time.Second {
		t.Errorf("%+v", e)
	}
}

// Whatever a server leaves out, its silence is not an answer.
func TestAnswerError(t *testing.T) {
	t.Parallel()
	answered := &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: &netpoldv1.AllowedResponse{}}}
	if err := netpold.AnswerError(answered); err != nil {
		t.Errorf("an answer: %v", err)
	}
	for name, answer := range map[string]*netpoldv1.BatchAnswer{
		"nil": nil, "empty": {}, "an error that is none": {Answer: &netpoldv1.BatchAnswer_Error{Error: &spb.Status{}}},
	} {
		err := netpold.AnswerError(answer)
		if e, ok := errors.AsType[*netpold.Error](err); !ok || e.Code == codes.OK || status.Code(err) == codes.OK {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func errorInfo(reason string, metadata map[string]string) *errdetails.ErrorInfo {
	return &errdetails.ErrorInfo{Reason: reason, Metadata: metadata}
}

func retryInfo(d time.Duration) *errdetails.RetryInfo {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(d)}
}
