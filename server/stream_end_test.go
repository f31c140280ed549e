package server_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/decisions"
)

// At a drain the present batch is answered, and then the stream ends. A stream that waits for questions ends
// immediately. The server never waits for a client.
func TestP45DrainEndsStreams(t *testing.T) {
	t.Parallel()
	gate := newGated()
	r := start(t, gate, func(c *server.Config) { c.DrainTimeout = time.Hour })
	idle, busy := open(t, r.conn), open(t, r.conn)
	exchange(t, idle, twice())
	exchange(t, busy, twice())
	close(gate.shut)
	if err := busy.Send(twice()); err != nil {
		t.Fatal(err)
	}
	within(t, gate.waiting, "a batch to be in hand")
	r.stop()
	want := details{
		Code: codes.Unavailable, Reason: "SHUTTING_DOWN", Retry: time.Second,
		Message: "the server is shutting down; retry on another connection",
	}
	_, err := idle.Recv()
	if diff := cmp.Diff(want, detailsOf(t, status.Convert(err))); diff != "" {
		t.Errorf("the idle stream: -want +got:\n%s", diff)
	}
	close(gate.open)
	if got, err := busy.Recv(); err != nil || got.GetAllowed()[0] != 1 {
		t.Errorf("the batch in hand: %v, %v", got, err)
	}
	_, err = busy.Recv()
	if diff := cmp.Diff(want, detailsOf(t, status.Convert(err))); diff != "" {
		t.Errorf("after the batch in hand: -want +got:\n%s", diff)
	}
	if err := r.wait(t); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A batch that waits for its token does not hold the drain.
func TestP45DrainEndsAStreamThatWaits(t *testing.T) {
	t.Parallel()
	source := &waitingSource{Source: synced(shop()...), waits: make(chan context.Context, 1)}
	r := start(t, source, func(c *server.Config) { c.DrainTimeout = time.Hour })
	s, batch := open(t, r.conn), twice()
	batch.AtLeast = "servertest:99"
	if err := s.Send(batch); err != nil {
		t.Fatal(err)
	}
	within(t, source.waits, "the batch to wait")
	r.stop()
	_, err := s.Recv()
	if d := detailsOf(t, status.Convert(err)); d.Reason != "SHUTTING_DOWN" {
		t.Errorf("%+v", d)
	}
	if err := r.wait(t); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// --max-deadline bounds how long a batch waits for its token, and not the stream.
func TestMaxDeadlineDoesNotBoundStreams(t *testing.T) {
	t.Parallel()
	source := &waitingSource{Source: synced(shop()...), waits: make(chan context.Context, 1)}
	r := start(t, source, func(c *server.Config) { c.MaxDeadline = 20 * time.Millisecond })
	lasting := open(t, r.conn)
	exchange(t, lasting, twice())
	s, batch := open(t, r.conn), twice()
	batch.AtLeast = "servertest:99"
	if err := s.Send(batch); err != nil {
		t.Fatal(err)
	}
	_, err := s.Recv()
	if diff := cmp.Diff(notReached, detailsOf(t, status.Convert(err))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	exchange(t, lasting, twice()) // longer than 20 ms later
}

// A cancelled stream leaves nothing in the server: goleak would find it.
func TestStreamCancelled(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := r.decisions().StreamAllowed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, s, twice())
	cancel()
	if _, err := s.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("%v", err)
	}
	const series = `grpc_server_handled_total{grpc_code="Canceled",grpc_method="StreamAllowed",` +
		`grpc_service="netpold.v1.DecisionService",grpc_type="bidi_stream"}`
	for ctx := soon(t); metricsOf(t, r)[series] != "1"; {
		if ctx.Err() != nil {
			t.Fatal("the server does not see that the caller is gone")
		}
	}
}

// A panic ends only its stream, shows the caller nothing internal, and is logged with its own stack.
func TestP43StreamRecovery(t *testing.T) {
	t.Parallel()
	source, log := &panicking{Source: synced(shop()...), now: make(chan struct{}, 1)}, &logBuffer{}
	r := start(t, source, func(c *server.Config) { c.Logger = log.logger() })
	s := open(t, r.conn)
	source.now <- struct{}{}
	if err := s.Send(twice()); err != nil {
		t.Fatal(err)
	}
	_, err := s.Recv()
	want := details{Code: codes.Internal,
		Message: "internal error; this is a defect of netpold: its log has the stack"}
	if diff := cmp.Diff(want, detailsOf(t, status.Convert(err))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, part := range []string{"the engine met the impossible", "panicking).State",
		"method=/netpold.v1.DecisionService/StreamAllowed"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log does not have %q:\n%s", part, log.String())
		}
	}
	exchange(t, open(t, r.conn), twice())
}

// The server does not read from a client that never reads. Another client on the same connection is not
// delayed, and the server's memory does not grow. In a bubble "blocked" is a fact, not a matter of time.
func TestASlowReaderSlowsOnlyItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		listener := bufconn.Listen(1 << 16)
		s := grpc.NewServer()
		netpoldv1.RegisterDecisionServiceServer(s, decisions.New(synced(shop()...), decisions.Options{}))
		served := make(chan error, 1)
		go func() { served <- s.Serve(listener) }()
		conn, err := grpc.NewClient("passthrough:///bufconn",
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return listener.DialContext(ctx)
			}))
		if err != nil {
			t.Fatal(err)
		}
		client := netpoldv1.NewDecisionServiceClient(conn)
		ctx, cancel := context.WithCancel(t.Context())
		slow, err := client.StreamAllowed(ctx)
		if err != nil {
			t.Fatal(err)
		}
		batch := large(1000)
		sent, ended := 0, make(chan struct{})
		go func() {
			defer close(ended)
			for slow.Send(batch) == nil {
				sent++
			}
		}()
		synctest.Wait() // the slow one's sender, and all that serves it, are blocked
		select {
		case <-ended:
			t.Fatal("the slow stream ended")
		default:
		}
		if bytes := sent * len(batch.GetSrcIpv4()) * 10 / 4; bytes > 8<<20 {
			t.Errorf("%d batches, of %d bytes, were taken from a client that does not read", sent, bytes)
		}
		before := sent
		fast, err := client.StreamAllowed(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			if got := exchange(t, fast, batch); len(got.GetReasons()) != 1000 {
				t.Fatalf("%v", got)
			}
		}
		synctest.Wait()
		if sent != before {
			t.Errorf("%d batches were taken from a client that does not read, and now %d", before, sent)
		}
		for range before { // nothing is lost when it does read
			if got, err := slow.Recv(); err != nil || len(got.GetReasons()) != 1000 {
				t.Fatalf("%v, %v", got, err)
			}
		}
		cancel()
		<-ended
		s.Stop()
		_ = conn.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

// large returns n questions that shop allows and denies in turn.
func large(n int) *netpoldv1.StreamAllowedRequest {
	var src, dst []byte
	var numbers []uint16
	for i := range n {
		src, dst = append(src, 10, 0, 1, 4), append(dst, 10, 0, 3, 7)
		numbers = append(numbers, []uint16{8080, 9090}[i%2])
	}
	return &netpoldv1.StreamAllowedRequest{
		Src:   &netpoldv1.StreamAllowedRequest_SrcIpv4{SrcIpv4: src},
		Dst:   &netpoldv1.StreamAllowedRequest_DstIpv4{DstIpv4: dst},
		Ports: ports(numbers...),
	}
}

// A script is the server's end of a stream without a network. It sends one batch many times.
type script struct {
	grpc.ServerStream
	ctx   context.Context //nolint:containedctx // a grpc.ServerStream is where a stream's context lives
	batch *netpoldv1.StreamAllowedRequest
	left  int
	// look is called with each response.
	look func(*netpoldv1.StreamAllowedResponse)
}

func (s *script) Context() context.Context { return s.ctx }

func (s *script) RecvMsg(m any) error {
	if s.left == 0 {
		return io.EOF
	}
	s.left--
	*m.(*netpoldv1.StreamAllowedRequest) = netpoldv1.StreamAllowedRequest{
		Src: s.batch.Src, Dst: s.batch.Dst, Port: s.batch.Port, Ports: s.batch.Ports, Protocol: s.batch.Protocol,
		Protocols: s.batch.Protocols, AtLeast: s.batch.AtLeast,
	}
	return nil
}

func (s *script) SendMsg(m any) error {
	s.look(m.(*netpoldv1.StreamAllowedResponse))
	return nil
}

func (s *script) Recv() (*netpoldv1.StreamAllowedRequest, error) {
	m := new(netpoldv1.StreamAllowedRequest)
	return m, s.RecvMsg(m)
}

func (s *script) Send(m *netpoldv1.StreamAllowedResponse) error { return s.SendMsg(m) }

// No question allocates, and no batch after the first, except for its token.
func TestAStreamsMemoryIsThatOfOneBatch(t *testing.T) {
	service := decisions.New(synced(shop()...), decisions.Options{})
	mallocs := func(questions, batches int) uint64 {
		answered := 0
		s := &script{ctx: t.Context(), batch: large(questions), left: batches,
			look: func(r *netpoldv1.StreamAllowedResponse) {
				answered += len(r.GetReasons())
			}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := service.StreamAllowed(s)
		runtime.ReadMemStats(&after)
		if err != nil || answered != questions*batches {
			t.Fatalf("%d answers, %v", answered, err)
		}
		return after.Mallocs - before.Mallocs
	}
	mallocs(10, 1)
	one, many, larger := mallocs(10, 1), mallocs(10, 1000), mallocs(10_000, 1)
	const few = 64 // allocations of the runtime itself
	if many > one+few || larger > one+few {
		t.Errorf("1 batch of 10 questions: %d allocations; 1,000 batches: %d; 1 batch of 10,000 questions: %d", one,
			many, larger)
	}
}

// Batches and questions of streams count like those of calls.
func TestMetricsOfStreams(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	s := open(t, r.conn)
	exchange(t, s, large(10))
	batch := twice()
	batch.Ports = ports(8080, 0)
	exchange(t, s, batch)
	if err := s.Send(&netpoldv1.StreamAllowedRequest{Ports: ports(1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Fatal(err)
	}
	expectMetrics(t, metricsOf(t, r), map[string]string{
		`netpold_decisions_total{allowed="true",reason="allowed_by_rule"}`:                "6",
		`netpold_decisions_total{allowed="false",reason="denied_at_ingress"}`:             "5",
		`netpold_decision_errors_total{code="InvalidArgument",reason="INVALID_QUESTION"}`: "2",
		`netpold_decision_duration_seconds_count{method="StreamAllowed"}`:                 "2",
		`netpold_batch_size_count{method="StreamAllowed"}`:                                "2",
		`netpold_batch_size_sum{method="StreamAllowed"}`:                                  "12",
		`grpc_server_handled_total{grpc_code="InvalidArgument",grpc_method="StreamAllowed",` +
			`grpc_service="netpold.v1.DecisionService",grpc_type="bidi_stream"}`: "1",
	})
}
