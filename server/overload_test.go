package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
)

// checkMethod is that of ext_authz.
const checkMethod = "/envoy.service.auth.v3.Authorization/Check"

// dialFrom returns a connection from an address of the loopback: each is a caller of its own.
func (r *running) dialFrom(t *testing.T, from string) *grpc.ClientConn {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return r.dial(t, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", addr)
		}))
}

// unfinished begins calls whose requests never come, and returns what ends them.
func unfinished(t *testing.T, conn *grpc.ClientConn, method string, n int) context.CancelFunc {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	for range n {
		if _, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, method); err != nil {
			t.Fatal(err)
		}
	}
	return cancel
}

// awaitInFlight waits until so many places are taken.
func (r *running) awaitInFlight(t *testing.T, want int) {
	t.Helper()
	r.awaitMetric(t, "netpold_in_flight", strconv.Itoa(want))
}

// awaitMetric waits until a metric has a value.
func (r *running) awaitMetric(t *testing.T, series, want string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if got = metricsOf(t, r)[series]; got == want {
			return
		}
	}
	t.Fatalf("%s is %q, want %q", series, got, want)
}

// refusal returns the limit of the ErrorInfo of an error, and checks its code, reason and advice.
func refusal(t *testing.T, err error, reason string) (limit string, retry time.Duration) {
	t.Helper()
	d := detailsOf(t, status.Convert(err))
	if d.Code != codes.ResourceExhausted || d.Reason != reason || d.Retry < 50*time.Millisecond ||
		d.Retry > 500*time.Millisecond || d.Message == "" {
		t.Fatalf("%v: %+v, want RESOURCE_EXHAUSTED %s to be tried again in 50 to 500 ms", err, d, reason)
	}
	return d.Metadata["limit"], d.Retry
}

// P40, P41: a stream has a place only while it works on a batch. Open ones have the same limits, and take no place of
// calls; a batch of an open stream is not refused.
func TestP40P41OpenStreams(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.MaxInFlight, c.MaxInFlightPerCaller = 4, 2 })
	begin := func(conn *grpc.ClientConn) (stream, error) {
		t.Helper()
		stream, err := netpoldv1.NewDecisionServiceClient(conn).StreamAllowed(soon(t))
		if err != nil {
			return nil, err
		}
		// One that is refused may be over by now. Then receiving says why.
		if err := stream.Send(large(2)); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		_, err = stream.Recv()
		return stream, err
	}
	var streams []stream
	first := r.dialFrom(t, "127.0.0.2")
	for _, conn := range []*grpc.ClientConn{first, first, r.dialFrom(t, "127.0.0.3"), r.dialFrom(t, "127.0.0.4")} {
		stream, err := begin(conn)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	third := r.dialFrom(t, "127.0.0.5")
	_, err := begin(third)
	refusal(t, err, "OVERLOADED")
	_, err = begin(first)
	refusal(t, err, "CALLER_OVER_LIMIT")
	r.awaitInFlight(t, 0)
	if _, err := netpoldv1.NewDecisionServiceClient(third).Allowed(soon(t), ask()); err != nil {
		t.Errorf("a call beside open streams of others: %v", err)
	}
	_, err = netpoldv1.NewDecisionServiceClient(first).Allowed(soon(t), ask())
	refusal(t, err, "CALLER_OVER_LIMIT")
	end := unfinished(t, r.dialFrom(t, "127.0.0.6"), netpoldv1.DecisionService_Allowed_FullMethodName, 2)
	endThird := unfinished(t, third, netpoldv1.DecisionService_Allowed_FullMethodName, 2)
	r.awaitInFlight(t, 4)
	for _, stream := range streams {
		err := stream.Send(large(2))
		if err == nil {
			_, err = stream.Recv()
		}
		if err != nil {
			t.Errorf("a batch of an open stream: %v", err)
		}
	}
	end()
	endThird()
	for _, stream := range streams {
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("a stream ends with %v", err)
		}
	}
	r.awaitInFlight(t, 0)
	if _, err := begin(third); err != nil {
		t.Errorf("a stream afterwards: %v", err)
	}
}

// shedBody is what forward-auth says of overload, with the id of the decision that was not made (P16).
var shedBody = regexp.MustCompile(`^\{"code":"RESOURCE_EXHAUSTED","decision_id":"([0-9a-f]{32})"\}\n$`)

// P16, P40, P41, P44, P47: calls beyond the limit are refused at once, in every way to ask, with advice that is not the
// same for all. Those of a caller beyond its own limit take no place of others. Health and status are not refused.
func TestP40P41P44CallsInFlight(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	r := start(t, synced(shop()...), func(c *server.Config) {
		c.MaxInFlight, c.MaxInFlightPerCaller, c.ForwardAuthListen, c.Logger = 5, 3, "127.0.0.1:0", log.logger()
	})
	greedy, other := r.dialFrom(t, "127.0.0.2"), r.dialFrom(t, "127.0.0.3")
	endGreedy := unfinished(t, greedy, netpoldv1.DecisionService_Allowed_FullMethodName, 3)
	r.awaitInFlight(t, 3)
	for range 10 { // none of them takes a place
		_, err := netpoldv1.NewDecisionServiceClient(greedy).Allowed(soon(t), ask())
		if limit, _ := refusal(t, err, "CALLER_OVER_LIMIT"); limit != "in_flight_per_caller" {
			t.Errorf("limit %q", limit)
		}
	}
	if _, err := netpoldv1.NewDecisionServiceClient(other).Allowed(soon(t), ask()); err != nil {
		t.Errorf("another caller: %v", err)
	}
	endOther := unfinished(t, other, checkMethod, 2)
	r.awaitInFlight(t, 5)
	third := r.dialFrom(t, "127.0.0.4")
	advised := map[time.Duration]bool{}
	stream, err := netpoldv1.NewDecisionServiceClient(third).StreamAllowed(soon(t))
	if err == nil {
		_, err = stream.Recv()
	}
	refusal(t, err, "OVERLOADED")
	for range 20 {
		for way, ask := range waysToAsk(third) {
			limit, retry := refusal(t, ask(soon(t)), "OVERLOADED")
			if limit != "in_flight" {
				t.Errorf("%s: limit %q", way, limit)
			}
			advised[retry] = true
		}
	}
	if len(advised) < 10 {
		t.Errorf("callers are advised to come back all at once: %v", advised)
	}
	code, body := forwardAuth(t, r, "/authz?dst=10.0.3.7&port=8080")
	of := shedBody.FindStringSubmatch(body)
	if code != http.StatusServiceUnavailable || of == nil {
		t.Errorf("forward-auth: %d %s", code, body)
	} else if !strings.Contains(log.String(), "decision_id="+of[1]) { // P16
		t.Errorf("the log has nothing of %s:\n%s", of[1], log.String())
	}
	if code, body := forwardAuth(t, r, "/healthz"); code != http.StatusOK {
		t.Errorf("health of forward-auth: %d %s", code, body)
	}
	if _, err := healthv1.NewHealthClient(third).Check(soon(t), &healthv1.HealthCheckRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
	if answer := statusOf(t, third); answer != "OK" {
		t.Errorf("status: %s", answer)
	}
	if n := strings.Count(log.String(), "caller=127.0.0.2"); n != 1 {
		t.Errorf("the caller beyond its limit is named %d times:\n%s", n, log.String())
	}
	expectMetrics(t, metricsOf(t, r), map[string]string{
		`netpold_shed_total{limit="in_flight_per_caller"}`:                                   "10",
		`netpold_shed_total{limit="in_flight"}`:                                              "62",
		`netpold_decision_errors_total{code="ResourceExhausted",reason="CALLER_OVER_LIMIT"}`: "10",
		`netpold_decision_errors_total{code="ResourceExhausted",reason="OVERLOADED"}`:        "62",
		`netpold_forward_auth_requests_total{code="503"}`:                                    "1",
	})
	endGreedy()
	endOther()
	r.awaitInFlight(t, 0)
	for way, ask := range waysToAsk(third) {
		if err := ask(soon(t)); err != nil {
			t.Errorf("afterwards, %s: %v", way, err)
		}
	}
}

// waysToAsk returns the unary ways to ask.
func waysToAsk(conn *grpc.ClientConn) map[string]func(context.Context) error {
	decisions := netpoldv1.NewDecisionServiceClient(conn)
	return map[string]func(context.Context) error{
		"Allowed": func(ctx context.Context) error {
			_, err := decisions.Allowed(ctx, ask())
			return err
		},
		"BatchAllowed": func(ctx context.Context) error {
			_, err := decisions.BatchAllowed(ctx, &netpoldv1.BatchAllowedRequest{
				Questions: []*netpoldv1.AllowedRequest{ask()},
			})
			return err
		},
		"Check": func(ctx context.Context) error {
			err := conn.Invoke(ctx, checkMethod, &emptypb.Empty{}, &emptypb.Empty{})
			if status.Code(err) == codes.InvalidArgument { // an answer: nothing was asked
				return nil
			}
			return err
		},
	}
}

// forwardAuth asks by HTTP.
func forwardAuth(t *testing.T, r *running, path string) (code int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(soon(t), http.MethodGet, "http://"+r.ForwardAuthAddr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", "10.0.1.4")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return response.StatusCode, string(text)
}

// P40: at most half of the calls wait for at_least. One that would not have to wait is answered.
func TestP40WaitingForAtLeast(t *testing.T) {
	t.Parallel()
	source := &waitingSource{Source: synced(shop()...), waits: make(chan context.Context, 9)}
	r := start(t, source, func(c *server.Config) { c.MaxInFlight, c.MaxInFlightPerCaller = 4, 4 })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := r.decisions().Allowed(ctx, atLeast("servertest:99"))
			ended <- err
		}()
		within(t, source.waits, "a call to wait")
	}
	_, err := r.decisions().Allowed(soon(t), atLeast("servertest:99"))
	if limit, _ := refusal(t, err, "OVERLOADED"); limit != "waiting" {
		t.Errorf("limit %q", limit)
	}
	expectMetrics(t, metricsOf(t, r), map[string]string{`netpold_shed_total{limit="waiting"}`: "1"})
	if _, err := r.decisions().Allowed(soon(t), ask()); err != nil {
		t.Errorf("a question that does not wait: %v", err)
	}
	cancel()
	for range 2 {
		if err := within(t, ended, "the calls to end"); status.Code(err) != codes.Canceled {
			t.Error(err)
		}
	}
}

// P40: a batch counts 1 for each 100 questions begun, and one caller's batch never more than the caller may have.
func TestP40BatchesCountByTheirQuestions(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.MaxInFlight, c.MaxInFlightPerCaller = 8, 5 })
	conn := r.dialFrom(t, "127.0.0.2")
	end := unfinished(t, conn, netpoldv1.DecisionService_Allowed_FullMethodName, 2)
	r.awaitInFlight(t, 2)
	batch := func(n int) error {
		request := &netpoldv1.BatchAllowedRequest{}
		for range n {
			request.Questions = append(request.Questions, ask())
		}
		_, err := netpoldv1.NewDecisionServiceClient(conn).BatchAllowed(soon(t), request)
		return err
	}
	for n, refused := range map[int]bool{0: false, 1: false, 100: false, 300: false, 301: true, 10_000: true} {
		err := batch(n)
		if !refused && err != nil {
			t.Errorf("%d questions: %v", n, err)
		}
		if refused {
			refusal(t, err, "CALLER_OVER_LIMIT")
		}
	}
	r.awaitInFlight(t, 2)
	end()
	r.awaitInFlight(t, 0)
	if err := batch(10_000); err != nil {
		t.Errorf("the largest batch, alone: %v", err)
	}
}

// P41: callers are told apart by their certificates before their addresses.
func TestP40PrincipalsAreCallers(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, `{"name": "callers", "allow_rules": [{"name": "all"}]}`, func(c *server.Config) {
		c.MaxInFlight, c.MaxInFlightPerCaller = 10, 1
	})
	one, same, other := g.as(t, names{uri: "spiffe://td/ns/a/sa/a"}), g.as(t, names{uri: "spiffe://td/ns/a/sa/a"}),
		g.as(t, names{uri: "spiffe://td/ns/a/sa/b"})
	defer unfinished(t, one, netpoldv1.DecisionService_Allowed_FullMethodName, 1)()
	g.awaitInFlight(t, 1)
	if got := allowed(t, same); got != "ResourceExhausted CALLER_OVER_LIMIT" {
		t.Errorf("the same principal on another connection: %s", got)
	}
	if got := allowed(t, other); got != "OK" {
		t.Errorf("another principal at the same address: %s", got)
	}
}

// P40: connections beyond the limit are closed, unless an idle one can go for them. An open call keeps its
// connection.
func TestP40Connections(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.MaxClientConnections = 2 })
	busy, second := r.dialFrom(t, "127.0.0.2"), r.dialFrom(t, "127.0.0.3")
	for _, conn := range []*grpc.ClientConn{busy, second} {
		defer unfinished(t, conn, netpoldv1.DecisionService_Allowed_FullMethodName, 1)()
	}
	r.awaitInFlight(t, 2)
	beyond, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer beyond.Close()
	if err := beyond.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := beyond.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a connection beyond the limit: %v, want it closed", err)
	}
	expectMetrics(t, metricsOf(t, r), map[string]string{`netpold_shed_total{limit="connections"}`: "1"})
	for i, conn := range []*grpc.ClientConn{busy, second} {
		if _, err := netpoldv1.NewDecisionServiceClient(conn).Allowed(soon(t), ask()); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}

// P43: a panic while a request is decoded is an error of that call alone.
func TestP43PanicWhileDecoding(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	r := startWith(t, synced(shop()...), func(c *server.Config) { c.Logger = log.logger() },
		func(s *server.Server) {
			server.RegisterGated(s, &grpc.ServiceDesc{ServiceName: "test.Broken", HandlerType: (*any)(nil),
				Methods: []grpc.MethodDesc{{MethodName: "Call", Handler: func(any, context.Context, func(any) error,
					grpc.UnaryServerInterceptor) (any, error) {
					panic("the decoder met the impossible")
				}}}}, struct{}{})
		})
	err := r.conn.Invoke(soon(t), "/test.Broken/Call", &healthv1.HealthCheckRequest{}, &healthv1.HealthCheckResponse{})
	if status.Code(err) != codes.Internal || fmt.Sprint(err) == "" {
		t.Errorf("%v, want INTERNAL", err)
	}
	if _, err := r.decisions().Allowed(soon(t), ask()); err != nil {
		t.Errorf("the next call: %v", err)
	}
	r.awaitInFlight(t, 0)
	expectMetrics(t, metricsOf(t, r), map[string]string{"netpold_panics_total": "1"})
}

// Connections leave files over for the admin pages.
func TestConnectionsStayBelowTheLimitOfFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		limit int
		files uint64
		want  int
	}{
		{10_000, 1 << 20, 10_000}, {10_000, math.MaxUint64, 10_000}, {10_000, 1024, 768}, {100, 1024, 100},
		{10_000, 512, 256}, {10_000, 64, 32}, {10_000, 1, 1},
	} {
		if got := server.WithinFiles(test.limit, test.files); got != test.want {
			t.Errorf("%d connections with %d files: %d, want %d", test.limit, test.files, got, test.want)
		}
	}
}
