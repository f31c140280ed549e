package server_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
)

// withPorts returns a question about a Pod with so many named ports.
func withPorts(n int) *netpoldv1.AllowedRequest {
	question := ask()
	question.Src = netpold.Labels("shop", map[string]string{"app": "frontend"})
	for range n {
		question.Src.GetLabels().NamedPorts = append(question.Src.GetLabels().NamedPorts, &netpoldv1.NamedPort{
			Name: "http", Port: 80,
		})
	}
	return question
}

// A message that would be large in memory is refused before it is decoded, and names what is too large.
func TestManyElementsAreRefused(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	if _, err := r.decisions().Allowed(soon(t), withPorts(1000)); err != nil {
		t.Errorf("as many as may be: %v", err)
	}
	_, alone := r.decisions().Allowed(soon(t), withPorts(1100))
	_, batch := r.decisions().BatchAllowed(soon(t), &netpoldv1.BatchAllowedRequest{
		Questions: []*netpoldv1.AllowedRequest{ask(), withPorts(1000), withPorts(1100)},
	})
	watch, err := r.decisions().WatchAllowed(soon(t))
	if err == nil {
		err = watch.Send(&netpoldv1.WatchAllowedRequest{Add: []*netpoldv1.WatchQuestion{{Id: 1, Question: withPorts(1100)}}})
	}
	for err == nil { // heartbeats may come before
		_, err = watch.Recv()
	}
	for field, err := range map[string]error{"request": alone, "questions[2]": batch, "add[0]": err} {
		d := detailsOf(t, status.Convert(err))
		if d.Code != codes.InvalidArgument || len(d.Violations) != 1 || d.Violations[0].Field != field ||
			!strings.Contains(d.Violations[0].Description, "1024") {
			t.Errorf("%s: %v: %+v", field, err, d)
		}
	}
}

// Large messages have a budget together, of which one caller has half. It refuses the large ones alone, and is given
// back.
func TestMemoryInFlight(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.MaxMemoryInFlight = 4 << 20 })
	batch := func(n int) error {
		request := &netpoldv1.BatchAllowedRequest{}
		for range n {
			request.Questions = append(request.Questions, ask())
		}
		_, err := r.decisions().BatchAllowed(soon(t), request)
		return err
	}
	for range 20 { // each takes a part of what one caller may have
		if err := batch(600); err != nil {
			t.Fatalf("a batch within the budget: %v", err)
		}
	}
	if limit, _ := refusal(t, batch(5000), "CALLER_OVER_LIMIT"); limit != "memory_per_caller" {
		t.Errorf("limit %q", limit)
	}
	if _, err := r.decisions().Allowed(soon(t), ask()); err != nil {
		t.Errorf("a small question: %v", err)
	}
	expectMetrics(t, metricsOf(t, r), map[string]string{`netpold_shed_total{limit="memory_per_caller"}`: "1"})
}

// A request that does not come ends with --max-deadline, of a unary call and of a stream of the server's.
func TestUnfinishedRequestsEnd(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) {
		c.MaxDeadline, c.MaxAuditDeadline = 20*time.Millisecond, 20*time.Millisecond
	})
	for _, method := range []string{
		netpoldv1.DecisionService_Allowed_FullMethodName, netpoldv1.StatusService_GetStatus_FullMethodName,
		netpoldv1.AuditService_ListConnections_FullMethodName, netpoldv1.AuditService_Explain_FullMethodName,
	} {
		stream, err := r.conn.NewStream(soon(t), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(&netpoldv1.AllowedResponse{}); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("%s: %v, want DEADLINE_EXCEEDED", method, err)
		}
	}
	r.awaitInFlight(t, 0)
	// A stream of the caller's may be silent for as long as it wants.
	stream, err := r.decisions().StreamAllowed(soon(t))
	if err == nil {
		err = errors.Join(stream.CloseSend())
	}
	if err == nil {
		_, err = stream.Recv()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("a stream without a message: %v", err)
	}
}

// Messages may be compressed, and a bomb is as large as it unpacks.
func TestCompressedMessages(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.MaxMessageBytes = 1 << 20 })
	batch := func(n int) error {
		request := &netpoldv1.BatchAllowedRequest{}
		for range n {
			request.Questions = append(request.Questions, ask())
		}
		response, err := r.decisions().BatchAllowed(soon(t), request, grpc.UseCompressor(gzip.Name))
		if err == nil && len(response.GetAnswers()) != n {
			return fmt.Errorf("%d answers of %d", len(response.GetAnswers()), n)
		}
		return err
	}
	for _, n := range []int{0, 1, 5000} {
		if err := batch(n); err != nil {
			t.Errorf("%d questions: %v", n, err)
		}
	}
	if err := batch(100_000); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a bomb: %v", err)
	}
}
