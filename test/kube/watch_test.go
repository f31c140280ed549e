package kube_test

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/kube/kubetest"
	"github.com/netpold/netpold/test/scenario"
)

// A follower watches questions on one replica after the other.
type follower struct {
	t         *testing.T
	questions []*netpoldv1.AllowedRequest
	service   netpoldv1.DecisionServiceClient
	stream    grpc.BidiStreamingClient[netpoldv1.WatchAllowedRequest, netpoldv1.WatchAllowedResponse]
	end       context.CancelFunc
	// sent counts the messages of the present stream. answers and last are what came of all streams.
	sent    uint64
	answers map[uint64]*netpoldv1.WatchAnswer
	last    *netpoldv1.WatchAllowedResponse
	// complete counts complete responses, compared those whose revision was still the present one when it was asked.
	complete, compared int
}

// follow opens a stream to a replica, which resumes if there was one before.
func (f *follower) follow(n *kubetest.Netpold) {
	f.t.Helper()
	if f.end != nil {
		f.end()
	}
	f.service = direct(f.t, n)
	ctx, end := context.WithCancel(f.t.Context())
	f.t.Cleanup(end)
	stream, err := f.service.WatchAllowed(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	f.stream, f.end, f.sent = stream, end, 0
	request := &netpoldv1.WatchAllowedRequest{AtLeast: f.last.GetToken()}
	for i, q := range f.questions {
		id := uint64(i) + 1
		request.Add = append(request.Add, &netpoldv1.WatchQuestion{Id: id, Question: q, IfNot: f.answers[id].GetEtag()})
	}
	// Revisions are counted by each replica for itself.
	f.last = &netpoldv1.WatchAllowedResponse{}
	f.send(request)
}

func (f *follower) send(request *netpoldv1.WatchAllowedRequest) {
	f.t.Helper()
	if err := f.stream.Send(request); err != nil {
		f.t.Fatal(err)
	}
	f.sent++
}

// receive receives a response, and compares what the watch has said with a batch of the same revision, if it is still the
// present one.
func (f *follower) receive() {
	f.t.Helper()
	r, err := f.stream.Recv()
	if err != nil {
		f.t.Fatal(err)
	}
	if r.GetRevision() < f.last.GetRevision() {
		f.t.Errorf("revision %d after %d", r.GetRevision(), f.last.GetRevision())
	}
	for _, a := range r.GetAnswers() {
		f.answers[a.GetId()] = a
	}
	f.last = r
	if !r.GetComplete() || r.GetApplied() == 0 {
		return
	}
	f.complete++
	batch, err := f.service.BatchAllowed(soon(f.t), &netpoldv1.BatchAllowedRequest{Questions: f.questions})
	if err != nil {
		f.t.Fatal(err)
	}
	if batch.GetRevision() != r.GetRevision() {
		return
	}
	f.compared++
	for i, want := range batch.GetAnswers() {
		if got := f.answer(i); !proto.Equal(plainAnswer(got), plainAnswer(want)) {
			f.t.Fatalf("at revision %d, question %v: the watch says %v, a batch %v", r.GetRevision(), f.questions[i], got, want)
		}
	}
}

// answer returns the last answer to a question as a batch has it.
func (f *follower) answer(i int) *netpoldv1.BatchAnswer {
	a := f.answers[uint64(i)+1]
	if e := a.GetError(); e != nil {
		return &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: e}}
	}
	return &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: a.GetResponse()}}
}

// plainAnswer returns an answer without what names the snapshot, and an error without its text, which names a place.
func plainAnswer(a *netpoldv1.BatchAnswer) *netpoldv1.BatchAnswer {
	a = proto.CloneOf(a)
	if r := a.GetResponse(); r != nil {
		r.Revision, r.Token, r.Stale = 0, "", false
	}
	if e := a.GetError(); e != nil {
		e.Message, e.Details = "", nil
	}
	return a
}

// reach asks for a state not older than token, and receives until all answers are of one.
func (f *follower) reach(token string) {
	f.t.Helper()
	f.send(&netpoldv1.WatchAllowedRequest{AtLeast: token})
	for done := false; !done; {
		f.receive()
		done = f.last.GetComplete() && f.last.GetApplied() >= f.sent
	}
}

// check compares all answers with the oracle.
func (f *follower) check(w *world) {
	f.t.Helper()
	oracle := w.oracle()
	for i, q := range f.questions {
		question, ok := scenario.Question{Request: q}.Engine()
		if !ok {
			f.t.Fatalf("question %v is wrong in itself", q)
		}
		decision, err := oracle.Allowed(question)
		want := wanted(decision, err)
		if want.Error != nil {
			want.Error.End = "" // an error of the other end is no change, if it has the same code and reason (P18)
		}
		if differences := want.Compare(f.answer(i)); len(differences) > 0 {
			f.t.Fatalf("question %v: %v", q, differences)
		}
	}
}

// TestP20WatchOfARealAPIServer: while a real cluster changes at random, at every complete response whose revision is still
// the present one all answers are those of a batch of that revision; and when the watch has reached the last change, those of
// the oracle. The watch is cut and resumed on another replica (P18 to P21, P25).
func TestP20WatchOfARealAPIServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	replicas := []*kubetest.Netpold{s.serve(t), s.serve(t)}
	for _, n := range replicas {
		n.AwaitReady()
	}
	w := newWorld(t, s.Client(), 7)
	churn(t, w, 150, func(string) {}) // so that there is what to ask about
	f := &follower{t: t, answers: map[uint64]*netpoldv1.WatchAnswer{}}
	services := w.serviceAddresses()
	for range 150 {
		f.questions = append(f.questions, w.r.Question(services))
	}
	states := map[string]bool{}
	for round := range 60 {
		if round%15 == 0 {
			f.follow(replicas[round/15%2])
		}
		before := maps.Clone(f.answers)
		churn(t, w, 1+w.r.IntN(8), func(string) {})
		f.reach(w.token)
		f.check(w)
		for id, a := range f.answers {
			if before[id] != nil && before[id].GetEtag() != a.GetEtag() {
				states[fmt.Sprint(id, a.GetEtag())] = true
			}
		}
	}
	if f.compared < 60 || len(states) < 100 {
		t.Errorf("%d of %d complete responses compared, %d changes of answers: the test proves little", f.compared, f.complete,
			len(states))
	}
	t.Logf("%d complete responses, %d compared with a batch, %d changes of answers", f.complete, f.compared, len(states))
}
