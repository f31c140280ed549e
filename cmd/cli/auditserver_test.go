package cli_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/cmd/cli"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
)

// A breakingService ends each stream after one answer, as a server does that drains.
type breakingService struct{ *decisions.Service }

// StreamAllowed implements [netpoldv1.DecisionServiceServer].
func (b breakingService) StreamAllowed(
	stream grpc.BidiStreamingServer[netpoldv1.StreamAllowedRequest, netpoldv1.StreamAllowedResponse],
) error {
	return b.Service.StreamAllowed(&oneAnswer{BidiStreamingServer: stream})
}

// A oneAnswer sends one message.
type oneAnswer struct {
	grpc.BidiStreamingServer[netpoldv1.StreamAllowedRequest, netpoldv1.StreamAllowedResponse]
	sent bool
}

// SendMsg implements [grpc.ServerStream].
func (o *oneAnswer) SendMsg(m any) error {
	if o.sent {
		return status.Error(codes.Unavailable, "the server is shutting down")
	}
	o.sent = true
	return o.BidiStreamingServer.SendMsg(m)
}

// onePod returns a cluster of a Pod that anybody may reach.
func onePod() *servertest.Source {
	source := servertest.NewSource()
	source.Apply(engine.Change{Object: &engine.Pod{
		Namespace: "shop", Name: "web-0", IPs: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
	}})
	return source
}

// serveService serves a service of decisions.
func serveService(t *testing.T, source *servertest.Source, service netpoldv1.DecisionServiceServer) (addr string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	netpoldv1.RegisterDecisionServiceServer(server, service)
	netpoldv1.RegisterStatusServiceServer(server, decisions.NewStatus(source, "test", nil))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// manyFlows is more records than are on their way at once, each of them another question.
func manyFlows() (string, int) {
	const count = 9500
	var b strings.Builder
	for port := 1; port <= count; port++ {
		fmt.Fprintf(&b, `{"src":"10.0.0.1","dst":"192.0.2.1","port":%d,"verdict":"allow"}`+"\n", port)
	}
	return b.String(), count
}

// checkAllAgree fails the test unless each record was answered once, in order, and agrees.
func checkAllAgree(t *testing.T, got result, count int) {
	t.Helper()
	kinds, items := auditLines(t, got.stdout)
	if got.code != 0 || len(kinds) != count+2 || kinds[count+1] != "summary" {
		t.Fatalf("exit %d, %d lines\n%s", got.code, len(kinds), got.stderr)
	}
	for i, flow := range items[1 : count+1] {
		if flow["line"] != float64(i+1) || flow["port"] != float64(i+1) || flow["compared"] != "AGREES" {
			t.Fatalf("record %d: %v", i+1, flow)
		}
	}
}

// F1: a stream that breaks is opened again, and every record is answered once and in order.
func TestF1StreamThatBreaks(t *testing.T) {
	text, count := manyFlows()
	records, source := writeFile(t, "flows.jsonl", text), onePod()
	server := serveService(t, source, breakingService{decisions.New(source, decisions.Options{})})
	checkAllAgree(t, netpold(t, "audit", records, "--server", server, "-o", "json"), count)
}

// F1: a server that takes few questions at once is asked in parts.
func TestF1SmallBatches(t *testing.T) {
	text, count := manyFlows()
	records, state := writeFile(t, "flows.jsonl", text), writeFile(t, "cluster.yaml", "apiVersion: v1\nkind: Namespace\n"+
		"metadata: {name: shop}\n")
	server := serve(t, "--manifests", state, "--max-batch", "333").addr
	checkAllAgree(t, netpold(t, "audit", records, "--server", server, "-o", "json"), count)
}

// F1: what has come is answered before more comes, in every form.
func TestF1LiveInput(t *testing.T) {
	state := writeFile(t, "cluster.yaml", cluster)
	first, rest, _ := strings.Cut(flowLines, "\n")
	for output, sign := range map[string]string{"json": `"line":1,`, "table": "shop/cart-0", "csv": "shop/cart-0"} {
		in, input := io.Pipe()
		out, code := newLogWriter(), make(chan int, 1)
		go func() {
			code <- cli.Run(t.Context(), []string{"audit", "--manifests", state, "-o", output, "-q"}, in, out, io.Discard, nil)
		}()
		if _, err := io.WriteString(input, first+"\n"); err != nil {
			t.Fatal(err)
		}
		out.awaitText(t, func(text string) bool { return strings.Contains(text, sign) })
		if _, err := io.WriteString(input, rest); err != nil {
			t.Fatal(err)
		}
		if err := input.Close(); err != nil {
			t.Fatal(err)
		}
		if got := <-code; got != 1 || strings.Count(out.String(), "\n") < 10 {
			t.Errorf("-o %s ends with %d\n%s", output, got, out)
		}
	}
}
