package agree

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/door"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server of a cluster's snapshot, and returns its addresses and a client of it.
func serve(t *testing.T, c *cluster) (addr, forwardAuth string, client *netpold.Client) {
	t.Helper()
	addr, forwardAuth = door.ServeProxies(t, c.snapshot)
	return addr, forwardAuth, dial(t, addr)
}

// dial returns a client of a server.
func dial(t *testing.T, addr string, options ...netpold.Option) *netpold.Client {
	t.Helper()
	client, err := netpold.Dial(addr, append(options, netpold.WithInsecure())...)
	if err != nil {
		t.Fatal(err)
	}
	door.Close(t, client)
	return client
}

// command runs the command and returns what it prints.
func command(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := door.Command(t.Context(), "", args...)
	if code != 0 {
		t.Fatalf("netpold %s: exit %d\n%s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// An end is a Pod by name, or an address.
type end struct {
	pod *engine.Pod
	ip  netip.Addr
}

// A question is one pair of ends on one port.
type question struct {
	src, dst end
	port     engine.PortRange
}

func (e end) proto() *netpoldv1.Endpoint {
	if e.pod != nil {
		return netpold.Pod(e.pod.Namespace, e.pod.Name)
	}
	return netpold.IP(e.ip.String())
}

func (e end) oracle() enginetest.Endpoint {
	if e.pod != nil {
		return enginetest.Endpoint{Pod: &enginetest.Name{Namespace: e.pod.Namespace, Name: e.pod.Name}}
	}
	return enginetest.Endpoint{IP: e.ip}
}

func (q question) proto() *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{
		Src: q.src.proto(), Dst: q.dst.proto(), Port: uint32(q.port.First),
		Protocol: netpoldv1.Protocol(q.port.Protocol) + netpoldv1.Protocol_PROTOCOL_TCP,
	}
}

func (q question) oracle() enginetest.Question {
	return enginetest.Question{
		Src: q.src.oracle(), Dst: q.dst.oracle(), Port: q.port.First, Protocol: q.port.Protocol,
	}
}

// askBatch asks all questions in one batch.
func askBatch(t *testing.T, client *netpold.Client, questions []question) []*netpoldv1.AllowedResponse {
	t.Helper()
	batch := new(netpoldv1.BatchAllowedRequest)
	for _, q := range questions {
		batch.Questions = append(batch.Questions, q.proto())
	}
	response, err := client.BatchAllowed(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	answers := make([]*netpoldv1.AllowedResponse, len(questions))
	for i, a := range response.GetAnswers() {
		if a.GetResponse() == nil {
			t.Fatalf("%v: %v", questions[i].oracle(), a.GetError())
		}
		answers[i] = a.GetResponse()
		answers[i].Revision, answers[i].Token = response.GetRevision(), response.GetToken()
	}
	return answers
}

// askGathered asks each question in a goroutine of its own. Some of them go before they are answered, and ask again.
func askGathered(t *testing.T, client *netpold.Client, questions []netpold.Question) []netpold.Verdict {
	t.Helper()
	verdicts := make([]netpold.Verdict, len(questions))
	var all sync.WaitGroup
	for i, q := range questions {
		all.Go(func() {
			if i%5 == 0 {
				ctx, cancel := context.WithCancel(t.Context())
				go cancel()
				_, _ = client.Verdict(ctx, q)
			}
			verdicts[i], _ = client.Verdict(t.Context(), q)
		})
	}
	all.Wait()
	return verdicts
}

// checkAnswer compares an answer with the oracle's.
func checkAnswer(t *testing.T, way string, q question, got *netpoldv1.AllowedResponse, want engine.Decision) {
	t.Helper()
	if got.GetAllowed() != want.Allowed || families(got.GetFamilies()) != want.Families ||
		got.GetReason().String() != "REASON_"+reasons[want.Reason] {
		t.Errorf("%s: %v\ngot  %v\nwant %v %s families %d",
			way, q.oracle(), got, want.Allowed, reasons[want.Reason], want.Families)
	}
}

var reasons = map[engine.Reason]string{
	engine.Self: "SELF", engine.LocalNode: "LOCAL_NODE", engine.NotIsolated: "NOT_ISOLATED",
	engine.AllowedByRule: "ALLOWED_BY_RULE", engine.DeniedAtEgress: "DENIED_AT_EGRESS",
	engine.DeniedAtIngress: "DENIED_AT_INGRESS",
}

// checkAlone asks a question by Allowed and by Explain, whose answers are those of the batch.
func checkAlone(t *testing.T, client *netpold.Client, q question, batched *netpoldv1.AllowedResponse) {
	t.Helper()
	alone, err := client.Allowed(t.Context(), q.proto())
	if err != nil {
		t.Fatal(err)
	}
	explained, err := client.Explain(t.Context(), &netpoldv1.ExplainRequest{Question: q.proto()})
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(alone, batched) || !proto.Equal(explained.GetAnswer(), alone) {
		t.Errorf("%v\nbatch   %v\nalone   %v\nexplain %v", q.oracle(), batched, alone, explained.GetAnswer())
	}
}

// checkWatched asks a question twice of a client with a cache. The first answer comes over the watch, the second is
// local, and both are those of the batch (P1).
func checkWatched(t *testing.T, cached *netpold.Client, q question, batched *netpoldv1.AllowedResponse) {
	t.Helper()
	before := cached.CacheStats()
	for range 2 {
		got, err := cached.Allowed(t.Context(), q.proto())
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, batched) {
			t.Errorf("%v\nbatch %v\ncache %v", q.oracle(), batched, got)
		}
	}
	if s := cached.CacheStats(); s.Hits == before.Hits {
		t.Errorf("%v: no local answer: %+v", q.oracle(), s)
	}
}
