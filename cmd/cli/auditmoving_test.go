package cli_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
)

// A movingService changes its snapshot behind every answer of a stream: web-0 is isolated, and is not, in turns.
type movingService struct {
	*decisions.Service
	mu     sync.Mutex
	source *servertest.Source
	closed bool
}

// turn changes the snapshot.
func (m *movingService) turn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	policy := &engine.Policy{Namespace: "shop", Name: "closed", IsolatesIngress: true}
	change := engine.Change{Object: policy}
	if m.closed {
		change = engine.Change{Object: policy, Delete: true}
	}
	m.closed = !m.closed
	m.source.Apply(change)
}

// StreamAllowed implements [netpoldv1.DecisionServiceServer].
func (m *movingService) StreamAllowed(
	stream grpc.BidiStreamingServer[netpoldv1.StreamAllowedRequest, netpoldv1.StreamAllowedResponse],
) error {
	return m.Service.StreamAllowed(&turning{stream, m})
}

// A turning is a stream of a movingService.
type turning struct {
	grpc.BidiStreamingServer[netpoldv1.StreamAllowedRequest, netpoldv1.StreamAllowedResponse]
	service *movingService
}

// SendMsg implements [grpc.ServerStream].
func (s *turning) SendMsg(message any) error {
	defer s.service.turn()
	return s.BidiStreamingServer.SendMsg(message)
}

// F1, F5: while a server's snapshot moves on, each record has the verdict of the snapshot that its revision names,
// the records are in order, and a notice says how often it moved.
func TestF5SnapshotThatMoves(t *testing.T) {
	t.Parallel()
	text, count := manyFlows()
	records := writeFile(t, "flows.jsonl", strings.ReplaceAll(text, `"src":"10.0.0.1","dst":"192.0.2.1"`,
		`"src":"192.0.2.1","dst":"10.0.0.1"`))
	source := onePod()
	first, _ := source.State()
	service := &movingService{Service: decisions.New(source, decisions.Options{}), source: source}
	got := netpold(t, "audit", records, "--server", serveService(t, source, service), "-o", "json")
	_, items := auditLines(t, got.stdout)
	if len(items) != count+2 {
		t.Fatalf("exit %d, %d lines\n%s", got.code, len(items), got.stderr)
	}
	if header := items[0]; header["revision"] != fmt.Sprint(first.Snapshot.Revision()) || header["token"] != first.Token {
		t.Errorf("the header is of %v, %v", header["revision"], header["token"])
	}
	verdicts := map[bool]int{}
	for i, flow := range items[1 : count+1] {
		var revision uint64
		if _, err := fmt.Sscan(flow["revision"].(string), &revision); err != nil {
			t.Fatal(err)
		}
		open := (revision-first.Snapshot.Revision())%2 == 0
		verdicts[open]++
		if flow["line"] != float64(i+1) || flow["allowed"] != open || flow["compared"] == "AGREES" != open {
			t.Fatalf("record %d, open is %v: %v", i+1, open, flow)
		}
	}
	summary := items[count+1]
	if verdicts[true] == 0 || verdicts[false] == 0 || summary["allowed"] != fmt.Sprint(verdicts[true]) ||
		summary["denied"] != fmt.Sprint(verdicts[false]) || got.code != 1 {
		t.Errorf("exit %d, %v, and the summary has %v and %v", got.code, verdicts, summary["allowed"], summary["denied"])
	}
	if !strings.Contains(got.stderr, "the server's snapshot moved on ") {
		t.Errorf("nothing says that it moved: %s", got.stderr)
	}
}
