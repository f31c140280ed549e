package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A breakingAudits breaks off every call after many messages.
type breakingAudits struct {
	netpoldv1.UnimplementedAuditServiceServer
}

// sendMany sends a message often, and returns the error that a call breaks off with.
func sendMany[M any](to grpc.ServerStreamingServer[M], m *M) error {
	for range 3000 {
		if err := to.Send(m); err != nil {
			return err
		}
	}
	return status.Error(codes.Internal, "out of luck")
}

func (breakingAudits) ListConnections(_ *netpoldv1.ListConnectionsRequest,
	to grpc.ServerStreamingServer[netpoldv1.ListConnectionsResponse]) error {
	return sendMany(to, &netpoldv1.ListConnectionsResponse{
		Item: &netpoldv1.ListConnectionsResponse_Group{Group: &netpoldv1.Group{Namespace: "shop"}}})
}

func (breakingAudits) Simulate(_ *netpoldv1.SimulateRequest,
	to grpc.ServerStreamingServer[netpoldv1.SimulateResponse]) error {
	return sendMany(to, &netpoldv1.SimulateResponse{
		Item: &netpoldv1.SimulateResponse_Group{Group: &netpoldv1.Group{Namespace: "shop"}}})
}

func (breakingAudits) Lint(_ *netpoldv1.LintRequest, to grpc.ServerStreamingServer[netpoldv1.LintResponse]) error {
	return sendMany(to, &netpoldv1.LintResponse{
		Item: &netpoldv1.LintResponse_Finding{Finding: &netpoldv1.Finding{Code: "not-isolated"}}})
}

// TestA6BrokenOffJSONIsLines proves that the output of a call that breaks off is whole lines of JSON, and that the
// last is the error.
func TestA6BrokenOffJSONIsLines(t *testing.T) {
	t.Parallel()
	server := serveAudits(t, breakingAudits{})
	for _, verb := range [][]string{{"list"}, {"diff", "--delete=ns/shop"}, {"lint"}} {
		got := netpold(t, append(verb, "--server", server, "-ojson")...)
		if got.code != 2 || !strings.Contains(got.stderr, "out of luck") {
			t.Errorf("%s: exit code %d: %s", verb[0], got.code, got.stderr)
		}
		lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
		for i, text := range lines {
			var line struct{ Error *struct{ Message string } }
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatalf("%s: line %d of %d: %v in %s", verb[0], i+1, len(lines), err, text)
			}
			if isLast := i == len(lines)-1; (line.Error != nil) != isLast ||
				isLast && !strings.Contains(line.Error.Message, "out of luck") {
				t.Fatalf("%s: line %d of %d is %s", verb[0], i+1, len(lines), text)
			}
		}
		if len(lines) < 100 {
			t.Errorf("%s: %d lines: nothing was broken off", verb[0], len(lines))
		}
	}
}
