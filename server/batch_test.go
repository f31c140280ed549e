package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
)

// S28: the answers are in the order asked, and a wrong question fails alone, in its own place.
func TestS28BatchKeepsOrderAndErrorsInPlace(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	denied := ask()
	denied.Port = 9090
	response, err := r.decisions().
		BatchAllowed(soon(t), &netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{
			ask(),
			{Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.IP("10.0.0.999"), Port: 0},
			denied,
			{Src: netpold.Pod("shop", "nobody"), Dst: netpold.IP("10.0.3.7"), Port: 1},
			{Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.Service("shop", "cart"), Port: 81},
			ask(),
		}})
	if err != nil {
		t.Fatal(err)
	}
	if response.GetRevision() != 1 || response.GetToken() != "servertest:1" {
		t.Errorf("revision %d, token %q", response.GetRevision(), response.GetToken())
	}
	type answer struct {
		Allowed  bool
		Revision uint64
		Token    string
		Error    *details
	}
	ip := violation{"questions[1].dst.ip",
		`"10.0.0.999" is not an IPv4 or IPv6 address; write it like "10.0.3.7" or "2001:db8::7"`}
	port := violation{"questions[1].port", "0 is not a port; give 1 to 65535"}
	want := []answer{
		{Allowed: true, Revision: 1, Token: "servertest:1"},
		{Error: &details{
			Code: codes.InvalidArgument, Reason: "INVALID_QUESTION",
			Message: messageOf([]violation{ip, port}), Violations: []violation{ip, port},
		}},
		{Allowed: false, Revision: 1, Token: "servertest:1"},
		{Error: &details{Code: codes.NotFound, Reason: "NOT_FOUND",
			Metadata: map[string]string{"field": "questions[3].src.pod"}}},
		{Error: &details{
			Code: codes.FailedPrecondition, Reason: "NO_SERVICE_PORT",
			Metadata: map[string]string{"field": "questions[4].dst.service"},
		}},
		{Allowed: true, Revision: 1, Token: "servertest:1"},
	}
	var got []answer
	for i, a := range response.GetAnswers() {
		if a.GetError() == nil {
			r := a.GetResponse()
			got = append(got, answer{Allowed: r.GetAllowed(), Revision: r.GetRevision(), Token: r.GetToken()})
			continue
		}
		d := detailsOf(t, status.FromProto(a.GetError()))
		if i > 1 { // The engine's words are tested with the engine.
			d.Message = ""
		}
		got = append(got, answer{Error: &d})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestEmptyBatch(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	response, err := r.decisions().BatchAllowed(soon(t), &netpoldv1.BatchAllowedRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(response.GetAnswers()) != 0 || response.GetRevision() != 1 || response.GetToken() != "servertest:1" {
		t.Errorf("%v", response)
	}
}

func TestBatchTooLarge(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.MaxBatch = 2 })
	batch := &netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{ask(), ask()}}
	if _, err := r.decisions().BatchAllowed(soon(t), batch); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	batch.Questions = append(batch.Questions, ask())
	_, err := r.decisions().BatchAllowed(soon(t), batch)
	want := details{
		Code: codes.ResourceExhausted, Reason: "BATCH_TOO_LARGE",
		Metadata: map[string]string{"limit": "2", "actual": "3"},
		Message:  "questions: 3 are more than the 2 questions that one batch may hold; ask in several batches, or raise the server's --max-batch",
	}
	if diff := cmp.Diff(want, detailsOf(t, status.Convert(err))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A flipping is a source whose cluster changes with each read: the cart is allowed at every other one.
type flipping struct {
	*servertest.Source
	looks chan struct{}
}

func (f *flipping) State() (mirror.State, bool) {
	f.looks <- struct{}{}
	defer func() { <-f.looks }()
	state, _ := f.Source.State()
	return f.Apply(engine.Change{Object: allowCart(), Delete: state.Snapshot.Revision()%2 == 1}), true
}

// S25: one snapshot serves a whole batch, even if the cluster changes all the time.
func TestS25OneSnapshotPerBatch(t *testing.T) {
	t.Parallel()
	source := &flipping{Source: synced(shop()...), looks: make(chan struct{}, 1)}
	r := start(t, source, nil)
	batch := &netpoldv1.BatchAllowedRequest{}
	for range 300 {
		batch.Questions = append(batch.Questions, ask())
	}
	seen := map[bool]int{}
	for i := range 20 {
		if i%2 == 0 { // However often a batch looks, batches see both states.
			source.State()
		}
		response, err := r.decisions().BatchAllowed(soon(t), batch)
		if err != nil {
			t.Fatal(err)
		}
		first := response.GetAnswers()[0].GetResponse()
		seen[first.GetAllowed()]++
		for i, a := range response.GetAnswers() {
			got := a.GetResponse()
			if got.GetAllowed() != first.GetAllowed() || got.GetRevision() != response.GetRevision() ||
				got.GetToken() != response.GetToken() {
				t.Fatalf("answer %d is %v; answer 0 is %v; the batch's revision is %d", i, got, first,
					response.GetRevision())
			}
		}
		// Odd revisions are those that allow.
		if want := response.GetRevision()%2 == 1; first.GetAllowed() != want {
			t.Fatalf("revision %d answers %v", response.GetRevision(), first.GetAllowed())
		}
	}
	if seen[true] == 0 || seen[false] == 0 {
		t.Errorf("the batches saw one state only: %v", seen)
	}
}

// A batch stops when its caller is gone.
func TestBatchHeedsItsContext(t *testing.T) {
	t.Parallel()
	service := decisions.New(synced(shop()...), decisions.Options{})
	batch := &netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{ask()}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := service.BatchAllowed(ctx, batch); status.Code(err) != codes.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if _, err := service.BatchAllowed(ctx, batch); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("past its deadline: %v", err)
	}
}

// However many questions of a batch are wrong, a client with the limits of gRPC takes the answer. The first errors say
// all, the rest what went wrong and why they say no more.
func TestErrorsOfABatchAreBounded(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	wrong := &netpoldv1.AllowedRequest{Protocol: 99, Port: 1 << 20,
		Src: netpold.Labels(strings.Repeat("N", 300), nil), Dst: netpold.IP(strings.Repeat("x", 300))}
	for range 20 {
		wrong.Src.GetLabels().NamedPorts = append(wrong.Src.GetLabels().NamedPorts, &netpoldv1.NamedPort{})
	}
	batch := &netpoldv1.BatchAllowedRequest{}
	for range decisions.DefaultMaxBatch {
		batch.Questions = append(batch.Questions, wrong)
	}
	response, err := r.decisions().BatchAllowed(soon(t), batch)
	if err != nil {
		t.Fatal(err)
	}
	answers := response.GetAnswers()
	first := detailsOf(t, status.FromProto(answers[0].GetError()))
	last := detailsOf(t, status.FromProto(answers[len(answers)-1].GetError()))
	if len(first.Violations) != 16 || first.Reason != "INVALID_QUESTION" {
		t.Errorf("the first error: %+v", first)
	}
	if last.Code != codes.InvalidArgument || last.Reason != "INVALID_QUESTION" ||
		!strings.Contains(last.Message, "ask fewer questions at once") {
		t.Errorf("the last error: %+v", last)
	}
}
