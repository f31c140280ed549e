package server_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
)

// TestG1Watch proves that each answer of a watch has a record with its question, under the id of its response:
// first answers, those that change, and errors. The id of a response follows from that in the metadata. A
// request that ends the watch has a record too.
func TestG1Watch(t *testing.T) {
	t.Parallel()
	r, written := startLogged(t, func(c *server.Config) { c.MaxBatch = 3 })
	w := watch(t, r.conn)
	denied, wrong := ask(), ask()
	denied.Port, denied.Protocol, wrong.Port = 9090, netpoldv1.Protocol_PROTOCOL_UDP, 0
	questions := []*netpoldv1.AllowedRequest{ask(), denied, wrong}
	add := &netpoldv1.WatchAllowedRequest{}
	for i, q := range questions {
		add.Add = append(add.Add, &netpoldv1.WatchQuestion{Id: uint64(i + 1), Question: q})
	}
	w.send(add)
	var responses []*netpoldv1.WatchAllowedResponse
	answers := 0
	for answers < len(questions) {
		last := w.receive()
		responses, answers = append(responses, last), answers+len(last.GetAnswers())
	}
	// Four questions at once are too many.
	w.send(&netpoldv1.WatchAllowedRequest{Add: append(add.GetAdd(), add.GetAdd()[0])})
	var end error
	for end == nil {
		var last *netpoldv1.WatchAllowedResponse
		if last, end = w.stream.Recv(); end == nil {
			responses = append(responses, last)
		}
	}
	if status.Code(end) != codes.ResourceExhausted {
		t.Fatal(end)
	}
	header, err := w.stream.Header()
	if err != nil {
		t.Fatal(err)
	}
	got, id, at := written(), idOf(t, header), 0
	for _, response := range responses {
		for i, answer := range response.GetAnswers() {
			if at == len(got) {
				t.Fatalf("%d records", len(got))
			}
			d := &got[at]
			if at++; d.DecisionID != id || d.Method != "WatchAllowed" || *d.Index != i {
				t.Errorf("answer %d of response %s: %+v", i, id, d)
			}
			want := questions[answer.GetId()-1]
			if want.Protocol == 0 && answer.GetError() == nil {
				want.Protocol = netpoldv1.Protocol_PROTOCOL_TCP // as it was read
			}
			if diff := cmp.Diff(want, d.question(t), protocmp.Transform()); diff != "" {
				t.Errorf("question (-asked +written):\n%s", diff)
			}
			if answer.GetError() != nil {
				if requestInfo(t, answer.GetError()) != id {
					t.Errorf("the error %v has not the id %s", answer.GetError(), id)
				}
				if diff := cmp.Diff(answer.GetError(), message(t, d.Error, new(spb.Status)), protocmp.Transform()); diff != "" {
					t.Errorf("error (-given +written):\n%s", diff)
				}
				continue
			}
			answer.GetResponse().Token = ""
			if diff := cmp.Diff(answer.GetResponse(), d.answer(t), protocmp.Transform()); diff != "" {
				t.Errorf("answer (-given +written):\n%s", diff)
			}
		}
		id = successor(t, id)
	}
	if at != len(got)-1 || got[at].DecisionID != id || got[at].Error == nil || got[at].Question != nil ||
		requestInfo(t, status.Convert(end).Proto()) != id {
		t.Errorf("the end %v is written as %+v", end, got[at:])
	}
}

// TestG2Watch proves that sampling leaves out allowed answers of a watch alone.
func TestG2Watch(t *testing.T) {
	t.Parallel()
	r, written := startLogged(t, func(c *server.Config) { c.DecisionLogDenialsOnly = true })
	w := watch(t, r.conn)
	denied := ask()
	denied.Port = 9090
	w.send(&netpoldv1.WatchAllowedRequest{Add: []*netpoldv1.WatchQuestion{
		{Id: 1, Question: ask()}, {Id: 2, Question: denied}}})
	for len(w.answers) < 2 {
		w.receive()
	}
	if got := written(); len(got) != 1 || got[0].answer(t).GetAllowed() || got[0].question(t).GetPort() != 9090 {
		t.Errorf("%+v", got)
	}
}
