package agree

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/cli"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/manifests"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server of a cluster's snapshot, and returns its address and a client of it.
func serve(t *testing.T, c *cluster) (addr string, client *netpold.Client) {
	t.Helper()
	config := server.Defaults()
	config.Source = still{mirror.State{Snapshot: c.snapshot, Token: "still:1", Published: published}}
	config.Listen, config.AdminListen, config.DrainDelay = "127.0.0.1:0", "", 0
	config.Overlay = func(base *engine.Snapshot, o *mirror.Overlay) ([]engine.Change, []mirror.OverlayProblem, error) {
		return manifests.ReadOverlay(base, o, manifests.Options{})
	}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	client, err = netpold.Dial(s.Addr(), netpold.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := client.Close()
		stop()
		if err := errors.Join(err, <-ended); err != nil {
			t.Error(err)
		}
	})
	return s.Addr(), client
}

// still is a source whose state never changes.
type still struct{ state mirror.State }

func (s still) State() (mirror.State, bool) { return s.state, true }

func (s still) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

func (s still) Wait(context.Context, string) (mirror.State, error) { return s.state, nil }

func (s still) Stale() (bool, <-chan struct{}) { return false, nil }

func (s still) Status() mirror.Status { return mirror.Status{Source: "test", Ready: true} }

// command runs the command in this process and returns what it prints.
func command(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := cli.Run(t.Context(), args, strings.NewReader(""), &out, &errs, nil); code != 0 {
		t.Fatalf("netpold %s: exit %d\n%s", strings.Join(args, " "), code, &errs)
	}
	return out.String()
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
