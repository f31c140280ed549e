package server_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
)

// A watcher is a stream of WatchAllowed, and what a caller knows of it. It fails the test when a response breaks
// what every response promises.
type watcher struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[netpoldv1.WatchAllowedRequest, netpoldv1.WatchAllowedResponse]
	// sent counts requests. answers has the last answer to each question.
	sent    uint64
	answers map[uint64]*netpoldv1.WatchAnswer
	// last is the last response, and order the ids of all answers as they came.
	last  *netpoldv1.WatchAllowedResponse
	order []uint64
	// heartbeat is the one in force.
	heartbeat time.Duration
}

// watch opens a watch, which ends soon.
func watch(t *testing.T, conn grpc.ClientConnInterface) *watcher {
	t.Helper()
	return watchUntil(soon(t), t, conn)
}

// watchUntil opens a watch, which ends with ctx.
func watchUntil(ctx context.Context, t *testing.T, conn grpc.ClientConnInterface) *watcher {
	t.Helper()
	stream, err := netpoldv1.NewDecisionServiceClient(conn).WatchAllowed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &watcher{t: t, stream: stream, answers: map[uint64]*netpoldv1.WatchAnswer{},
		last: &netpoldv1.WatchAllowedResponse{}, heartbeat: time.Second}
}

// send sends a request.
func (w *watcher) send(req *netpoldv1.WatchAllowedRequest) {
	w.t.Helper()
	if req.GetHeartbeat() != nil {
		w.heartbeat = req.GetHeartbeat().AsDuration()
	}
	if err := w.stream.Send(req); err != nil {
		w.t.Fatal(err)
	}
	w.sent++
}

// receive receives the next response.
func (w *watcher) receive() *netpoldv1.WatchAllowedResponse {
	w.t.Helper()
	r, err := w.stream.Recv()
	if err != nil {
		w.t.Fatal(err)
	}
	w.check(r)
	for _, a := range r.GetAnswers() {
		w.answers[a.GetId()] = a
		w.order = append(w.order, a.GetId())
	}
	w.last = r
	return r
}

// check checks what every response promises.
func (w *watcher) check(r *netpoldv1.WatchAllowedResponse) {
	w.t.Helper()
	if len(r.GetAnswers()) > 1000 {
		w.t.Errorf("%d answers in a response", len(r.GetAnswers()))
	}
	if r.GetRevision() < w.last.GetRevision() || r.GetApplied() < w.last.GetApplied() {
		w.t.Errorf("revision %d applied %d after revision %d applied %d", r.GetRevision(), r.GetApplied(),
			w.last.GetRevision(), w.last.GetApplied())
	}
	if r.GetApplied() > w.sent {
		w.t.Errorf("%d requests are applied, of %d", r.GetApplied(), w.sent)
	}
	if r.GetApplied() > 0 && r.GetHeartbeat().AsDuration() != w.heartbeat {
		w.t.Errorf("heartbeat %v, want %v", r.GetHeartbeat().AsDuration(), w.heartbeat)
	}
	if r.GetToken() == "" {
		w.t.Error("a response has no token")
	}
	for _, a := range r.GetAnswers() {
		if a.GetAnswer() == nil || a.GetEtag() == 0 {
			w.t.Errorf("no answer: %v", a)
		}
		if a.GetResponse().GetStale() {
			w.t.Errorf("stale is set inside an answer: %v", a)
		}
		if last := w.answers[a.GetId()]; last != nil && a.GetResponse() != nil &&
			a.GetResponse().GetRevision() < last.GetResponse().GetRevision() {
			w.t.Errorf("question %d: revision %d after %d", a.GetId(), a.GetResponse().GetRevision(),
				last.GetResponse().GetRevision())
		}
		if a.GetResponse().GetRevision() > r.GetRevision() {
			w.t.Errorf("question %d: revision %d in a response of %d", a.GetId(), a.GetResponse().GetRevision(),
				r.GetRevision())
		}
	}
}

// complete receives until all requests sent are taken into account and all is current.
func (w *watcher) complete() *netpoldv1.WatchAllowedResponse {
	w.t.Helper()
	for {
		if r := w.receive(); r.GetComplete() && r.GetApplied() == w.sent {
			return r
		}
	}
}

// now asks whether all is current, and waits until it is.
func (w *watcher) now() *netpoldv1.WatchAllowedResponse {
	w.t.Helper()
	w.send(&netpoldv1.WatchAllowedRequest{})
	return w.complete()
}

// add watches questions, from id on, and waits for their answers.
func (w *watcher) add(id uint64, questions ...*netpoldv1.AllowedRequest) *netpoldv1.WatchAllowedResponse {
	w.t.Helper()
	w.send(&netpoldv1.WatchAllowedRequest{Add: numbered(id, questions...)})
	return w.complete()
}

// numbered returns questions with ids from id on.
func numbered(id uint64, questions ...*netpoldv1.AllowedRequest) []*netpoldv1.WatchQuestion {
	var list []*netpoldv1.WatchQuestion
	for i, q := range questions {
		list = append(list, &netpoldv1.WatchQuestion{Id: id + uint64(i), Question: q})
	}
	return list
}

// end receives until the stream ends, and returns why.
func (w *watcher) end() details {
	w.t.Helper()
	for {
		r, err := w.stream.Recv()
		if err != nil {
			return detailsOf(w.t, status.Convert(err))
		}
		w.check(r)
	}
}

// expect checks the last answer to a question: "allowed", "denied", or the reason of an error.
func (w *watcher) expect(id uint64, want string) {
	w.t.Helper()
	if got := w.verdict(id); got != want {
		w.t.Errorf("question %d: %s, want %s (%v)", id, got, want, w.answers[id])
	}
}

func (w *watcher) verdict(id uint64) string {
	a := w.answers[id]
	switch {
	case a == nil:
		return "nothing"
	case a.GetError() != nil:
		return detailsOf(w.t, status.FromProto(a.GetError())).Reason
	case a.GetResponse().GetAllowed():
		return "allowed"
	}
	return "denied"
}

// ipQuestion returns a question by IP, on port 8080.
func ipQuestion(src, dst string) *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{Src: netpold.IP(src), Dst: netpold.IP(dst), Port: 8080}
}

// Every question is answered once, in the order added, and then only when its answer changes. The answers are
// those of Allowed.
func TestP18AnswersOnceAndThenChanges(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	r := start(t, source, nil)
	w := watch(t, r.conn)
	w.add(7, ask(), ipQuestion("10.0.1.4", "10.0.3.7"), ipQuestion("10.0.3.8", "10.0.3.7"))
	if !slices.Equal(w.order, []uint64{7, 8, 9}) {
		t.Errorf("answered in the order %v", w.order)
	}
	want, err := r.decisions().Allowed(soon(t), ask())
	if err != nil {
		t.Fatal(err)
	}
	if got := w.answers[7].GetResponse(); !proto.Equal(got, want) {
		t.Errorf("got %v, Allowed says %v", got, want)
	}
	w.expect(9, "denied")
	source.Apply(engine.Change{Object: pod("other-0", "other", "10.0.9.9")})
	if got := w.now(); len(got.GetAnswers()) > 0 || got.GetRevision() != 2 {
		t.Errorf("after a change elsewhere: %v", got)
	}
	source.Apply(engine.Change{Object: allowCart(), Delete: true})
	w.now()
	if got := slices.Sorted(slices.Values(w.order[3:])); !slices.Equal(got, []uint64{7, 8, 9}) {
		t.Errorf("after the policy went: %v", got) // 9 is denied by one policy less
	}
	w.expect(7, "denied")
	w.expect(8, "denied")
	source.Apply(engine.Change{Object: allowCart()})
	w.now()
	w.expect(7, "allowed")
	w.expect(9, "denied")
	// Another policy with the same verdict is another answer.
	renamed := allowCart()
	renamed.Name = "cart2"
	source.Apply(engine.Change{Object: allowCart(), Delete: true}, engine.Change{Object: renamed})
	w.now()
	if got := w.answers[7].GetResponse().GetIngress().GetPolicy(); got != "shop/cart2" {
		t.Errorf("allowed by %q", got)
	}
}

// A question under an id that is in use replaces the earlier one, and one that is removed says nothing more.
func TestP18QuestionsComeAndGo(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	w := watch(t, start(t, source, nil).conn)
	w.add(1, ask(), ipQuestion("10.0.1.4", "10.0.3.8"))
	w.send(&netpoldv1.WatchAllowedRequest{
		Remove: []uint64{2, 77}, Add: numbered(1, ipQuestion("10.0.3.8", "10.0.3.7")),
	})
	w.complete()
	w.expect(1, "denied")
	w.order = nil
	source.Apply(engine.Change{Object: allowCart(), Delete: true}, engine.Change{Object: denyAll(), Delete: true})
	w.now()
	w.expect(1, "allowed")
	if !slices.Equal(w.order, []uint64{1}) {
		t.Errorf("changes of %v", w.order)
	}
	// The id was free again: remove goes before add.
	w.send(&netpoldv1.WatchAllowedRequest{Remove: []uint64{1}, Add: numbered(1, ipQuestion("10.0.1.4", "10.0.3.8"))})
	w.complete()
	if !slices.Equal(w.order, []uint64{1, 1}) {
		t.Errorf("answers to %v", w.order)
	}
}

// With verdicts_only an answer is allowed, reason and revision, and another policy is no change.
func TestP18VerdictsOnly(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	w := watch(t, start(t, source, nil).conn)
	w.send(&netpoldv1.WatchAllowedRequest{
		VerdictsOnly: true, Heartbeat: durationpb.New(5 * time.Second),
		Add: numbered(1, ask(), &netpoldv1.AllowedRequest{
			Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.Pod("shop", "gone"), Port: 1,
		}),
	})
	w.complete()
	want := &netpoldv1.AllowedResponse{
		Allowed: true, Reason: netpoldv1.Reason_REASON_ALLOWED_BY_RULE, Revision: 1,
	}
	if got := w.answers[1].GetResponse(); !proto.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	w.expect(2, "NOT_FOUND")
	renamed, finished := allowCart(), pod("gone", "gone")
	renamed.Name, finished.Finished = "cart2", true
	source.Apply(engine.Change{Object: allowCart(), Delete: true}, engine.Change{Object: renamed},
		engine.Change{Object: finished})
	if got := w.now(); len(got.GetAnswers()) > 0 {
		t.Errorf("no verdict and no code changed, and it sends %v", got)
	}
	source.Apply(engine.Change{Object: renamed, Delete: true})
	w.now()
	w.expect(1, "denied")
}

// if_not holds back the very answer that the caller has, on another replica too.
func TestP18IfNotOnAnyReplica(t *testing.T) {
	t.Parallel()
	first, second := synced(shop()...), synced(shop()...)
	w := watch(t, start(t, first, nil).conn)
	w.add(1, ask(), ipQuestion("10.0.3.8", "10.0.3.7"), &netpoldv1.AllowedRequest{
		Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.Service("shop", "idle"), Port: 80,
	})
	w.expect(3, "NO_READY_ENDPOINT")
	again := numbered(1, ask(), ipQuestion("10.0.3.8", "10.0.3.7"), &netpoldv1.AllowedRequest{
		Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.Service("shop", "idle"), Port: 80,
	})
	for _, q := range again {
		q.IfNot = w.answers[q.GetId()].GetEtag()
	}
	other := watch(t, start(t, second, nil).conn)
	other.send(&netpoldv1.WatchAllowedRequest{Add: again, AtLeast: w.last.GetToken()})
	if got := other.complete(); len(got.GetAnswers()) > 0 {
		t.Errorf("the caller has these already: %v", got)
	}
	second.Apply(engine.Change{Object: allowCart(), Delete: true})
	other.now()
	if !slices.Equal(slices.Sorted(maps.Keys(other.answers)), []uint64{1, 2}) {
		// 2 is denied by one policy less.
		t.Errorf("changed: %v", other.answers)
	}
	other.expect(1, "denied")
}

// Errors are answers: those that may pass stay watched, and a Pod that goes is one.
func TestP19ErrorsAreAnswers(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	r := start(t, source, nil)
	w := watch(t, r.conn)
	late := &netpoldv1.AllowedRequest{
		Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.Pod("shop", "late-0"), Port: 80,
	}
	idle := &netpoldv1.AllowedRequest{
		Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.Service("shop", "idle"), Port: 80,
	}
	w.add(1, late, idle, ipQuestion("10.0.1.300", "10.0.3.7"),
		&netpoldv1.AllowedRequest{Src: ask().GetSrc(), Dst: ask().GetDst(), Port: 8080, AtLeast: "servertest:1"})
	w.expect(1, "NOT_FOUND")
	w.expect(2, "NO_READY_ENDPOINT")
	for id, field := range map[uint64]string{3: "src.ip", 4: "at_least"} {
		d := detailsOf(t, status.FromProto(w.answers[id].GetError()))
		if d.Code != codes.InvalidArgument || len(d.Violations) != 1 || d.Violations[0].Field != field {
			t.Errorf("question %d: %+v", id, d)
		}
	}
	w.send(&netpoldv1.WatchAllowedRequest{Add: []*netpoldv1.WatchQuestion{{Question: ask()}, {Id: 3}}})
	w.complete()
	if d := detailsOf(t, status.FromProto(w.answers[0].GetError())); d.Violations[0].Field != "id" {
		t.Errorf("without an id: %+v", d)
	}
	w.order = nil
	if w.now(); len(w.order) > 0 {
		t.Errorf("errors of what is not watched came again: %v", w.order)
	}
	_, err := r.decisions().Allowed(soon(t), late)
	if want, got := status.Convert(err).Proto(), w.answers[1].GetError(); !proto.Equal(want, got) {
		t.Errorf("got %v, Allowed says %v", got, want)
	}
	source.Apply(engine.Change{Object: pod("late-0", "late", "10.0.7.7")},
		engine.Change{Object: denyAll(), Delete: true},
		engine.Change{Object: &engine.EndpointSlice{
			Namespace: "shop", Name: "idle-x", Service: "idle",
			Endpoints: []engine.SliceEndpoint{{Addr: pod("", "", "10.0.7.7").IPs[0], Ready: true}},
			Ports:     []engine.ServicePort{{Name: "http", Port: 80}},
		}})
	w.now()
	w.expect(1, "allowed")
	w.expect(2, "allowed")
	source.Apply(engine.Change{Object: pod("late-0", "late"), Delete: true})
	w.now()
	w.expect(1, "NOT_FOUND")
	finished := pod("late-0", "late", "10.0.7.7")
	finished.Finished = true
	source.Apply(engine.Change{Object: finished})
	w.now()
	w.expect(1, "POD_FINISHED") // the same code, another reason
	// The last endpoint of a Service goes.
	source.Apply(engine.Change{Object: &engine.EndpointSlice{Namespace: "shop", Name: "idle-x"}, Delete: true})
	w.now()
	w.expect(2, "NO_READY_ENDPOINT")
}

// An address that is outside the cluster becomes a Pod's, another Pod's, and nobody's again.
func TestP18AnAddressChangesHands(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	w := watch(t, start(t, source, nil).conn)
	w.add(1, ipQuestion("10.0.8.8", "10.0.3.7"))
	w.expect(1, "denied")
	source.Apply(engine.Change{Object: pod("frontend-1", "frontend", "10.0.8.8")})
	w.now()
	w.expect(1, "allowed")
	newer := pod("batch-1", "batch", "10.0.8.8")
	newer.Created = 5
	source.Apply(engine.Change{Object: newer})
	w.now()
	w.expect(1, "denied")
	source.Apply(engine.Change{Object: newer, Delete: true})
	w.now()
	w.expect(1, "allowed")
	source.Apply(engine.Change{Object: pod("frontend-1", "frontend"), Delete: true})
	w.now()
	w.expect(1, "denied")
}

// An empty request asks whether all is current; silence is broken by a heartbeat, at the present revision.
func TestP21AppliedAndHeartbeats(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	w := watch(t, start(t, source, nil).conn)
	w.send(&netpoldv1.WatchAllowedRequest{Heartbeat: durationpb.New(100 * time.Millisecond)})
	for i := range uint64(5) {
		if got := w.now(); got.GetApplied() != i+2 {
			t.Errorf("applied %d, want %d", got.GetApplied(), i+2)
		}
	}
	for range 3 {
		revision := source.Apply().Snapshot.Revision() // a change that touches nothing
		for w.last.GetRevision() < revision {
			if got := w.receive(); !got.GetComplete() || len(got.GetAnswers()) > 0 {
				t.Errorf("a heartbeat is %v", got)
			}
		}
	}
}

// After half-close the watch goes on, as grpcurl needs it.
func TestP18GoesOnAfterHalfClose(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	w := watch(t, start(t, source, nil).conn)
	w.send(&netpoldv1.WatchAllowedRequest{Add: numbered(1, ask())})
	if err := w.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	w.complete()
	source.Apply(engine.Change{Object: allowCart(), Delete: true})
	for w.verdict(1) != "denied" {
		w.receive()
	}
}

// A request with at_least is not answered from an older state. Meanwhile the watch goes on.
func TestP18AtLeastHoldsBackOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	cluster := synced(shop()...)
	source := &waitingSource{Source: cluster, waits: make(chan context.Context, 1)}
	w := watch(t, start(t, source, nil).conn)
	w.add(1, ask())
	w.send(&netpoldv1.WatchAllowedRequest{Add: numbered(2, ask()), AtLeast: "servertest:3"})
	within(t, source.waits, "the request to wait")
	cluster.Apply(engine.Change{Object: allowCart(), Delete: true})
	for w.verdict(1) != "denied" {
		if r := w.receive(); r.GetApplied() > 1 {
			t.Errorf("applied before its token is reached: %v", r)
		}
	}
	cluster.Apply(engine.Change{Object: allowCart()})
	w.complete()
	w.expect(2, "allowed")
	if got := w.answers[2].GetResponse().GetRevision(); got < 3 {
		t.Errorf("answered from revision %d", got)
	}
}

// The response tells when the state is stale, and soon.
func TestP18StaleOfTheResponse(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	w := watch(t, start(t, source, func(c *server.Config) { c.WatchHeartbeat = 30 * time.Second }).conn)
	w.heartbeat = 30 * time.Second
	w.add(1, ask())
	for _, stale := range []bool{true, false} {
		source.SetStale(stale)
		for w.last.GetStale() != stale {
			w.receive()
		}
	}
	if len(w.order) != 1 {
		t.Errorf("answers to %v", w.order)
	}
}
