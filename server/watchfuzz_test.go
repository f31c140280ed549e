package server_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
)

// A watchScript is a stream of a watch that sends some messages and half-closes. With each message the cluster changes.
// It ends when all of them are acknowledged by a complete response.
type watchScript struct {
	grpc.ServerStream
	t        *testing.T
	ctx      context.Context //nolint:containedctx // a grpc.ServerStream is where a stream's context lives
	end      context.CancelFunc
	messages []*netpoldv1.WatchAllowedRequest
	received int
	source   *servertest.Source
	// states has each state of the cluster, by its revision.
	states map[uint64]mirror.State

	last *netpoldv1.WatchAllowedResponse
	// answers has the last answer to each id, and at how many messages were taken into account with it.
	answers map[uint64]*netpoldv1.WatchAnswer
	at      map[uint64]uint64
	ended   bool
}

func (s *watchScript) Context() context.Context { return s.ctx }

func (s *watchScript) Recv() (*netpoldv1.WatchAllowedRequest, error) {
	if s.received == len(s.messages) {
		return nil, io.EOF
	}
	s.received++
	return s.messages[s.received-1], nil
}

// change opens the cart, or closes it again, and keeps the state.
func (s *watchScript) change() {
	open := &engine.Policy{Namespace: "shop", Name: "open", IsolatesIngress: true, Ingress: []engine.Rule{{}}}
	state := s.source.Apply(engine.Change{Object: open, Delete: len(s.states)%2 == 0})
	s.states[state.Snapshot.Revision()] = state
}

func (s *watchScript) Send(r *netpoldv1.WatchAllowedResponse) error {
	if r.GetRevision() < s.last.GetRevision() || r.GetApplied() < s.last.GetApplied() {
		s.t.Errorf("revision %d applied %d after revision %d applied %d", r.GetRevision(), r.GetApplied(),
			s.last.GetRevision(), s.last.GetApplied())
	}
	s.last = r
	for _, a := range r.GetAnswers() {
		s.answers[a.GetId()], s.at[a.GetId()] = proto.CloneOf(a), r.GetApplied()
	}
	if !r.GetComplete() {
		return nil
	}
	s.check(r)
	if r.GetApplied() == uint64(len(s.messages)) {
		if len(s.states) > len(s.messages) {
			s.ended = true
			s.end()
		}
		s.change() // the watch is to say what that changes
	} else if len(s.states) <= len(s.messages) {
		s.change()
	}
	return nil
}

// check compares the last answers to what is watched with those of Allowed at the revision of a complete response (P20).
func (s *watchScript) check(r *netpoldv1.WatchAllowedResponse) {
	service := decisions.New(frozen{s.source, s.states[r.GetRevision()]}, decisions.Options{})
	watched, added := map[uint64]*netpoldv1.WatchQuestion{}, map[uint64]uint64{}
	for i, message := range s.messages[:r.GetApplied()] {
		for _, id := range message.GetRemove() {
			delete(watched, id)
		}
		for _, q := range message.GetAdd() {
			watched[q.GetId()], added[q.GetId()] = q, uint64(i)+1
		}
	}
	for id, q := range watched {
		answer := s.answers[id]
		if answer == nil || s.at[id] < added[id] {
			if q.GetIfNot() == 0 {
				s.t.Errorf("question %d of message %d is not answered at %d", id, added[id], r.GetApplied())
			}
			continue
		}
		want, err := service.Allowed(s.t.Context(), q.GetQuestion())
		code := status.Code(err)
		if id == 0 || q.GetQuestion().GetAtLeast() != "" {
			code = codes.InvalidArgument
		}
		got := codes.Code(answer.GetError().GetCode())
		if got != code || code == codes.OK && answer.GetResponse().GetReason() != want.GetReason() {
			s.t.Errorf("question %d, %v: %v, Allowed says %v, %v at revision %d", id, q, answer, want, err, r.GetRevision())
		}
	}
}

// FuzzWatch reads bytes as the messages of a watch, each behind its length, while the cluster changes. At every complete
// response all answers are those of its revision, and revisions never fall; or else the stream ends with an error that
// says what is wrong with a message (P18 to P21, P23).
func FuzzWatch(f *testing.F) {
	question := func(id uint64, q *netpoldv1.AllowedRequest) *netpoldv1.WatchQuestion {
		return &netpoldv1.WatchQuestion{Id: id, Question: q}
	}
	gone := &netpoldv1.AllowedRequest{Src: netpold.Pod("shop", "gone"), Dst: netpold.IP("192.0.2.1"), Port: 80}
	for _, messages := range [][]*netpoldv1.WatchAllowedRequest{
		{}, {{}}, {{}, {}, {}}, {{Add: []*netpoldv1.WatchQuestion{question(1, ask()), question(2, gone)}}},
		{{Add: []*netpoldv1.WatchQuestion{question(1, ask()), question(1, gone)}}, {Remove: []uint64{1, 7}}},
		{{Add: []*netpoldv1.WatchQuestion{question(1, ask())}, Remove: []uint64{1}}, {Add: []*netpoldv1.WatchQuestion{question(1, gone)}}},
		{{Add: []*netpoldv1.WatchQuestion{question(0, ask()), question(3, nil), question(4, &netpoldv1.AllowedRequest{})}}, {Remove: []uint64{0}}},
		{{Add: []*netpoldv1.WatchQuestion{{Id: 5, Question: ask(), IfNot: 12345}}}}, {{VerdictsOnly: true}, {VerdictsOnly: true}},
		{{Add: slices.Repeat([]*netpoldv1.WatchQuestion{question(1, ask())}, 9)}},
	} {
		var wire bytes.Buffer
		for _, message := range messages {
			if _, err := protodelim.MarshalTo(&wire, message); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(wire.Bytes())
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		s := &watchScript{t: t, source: synced(shop()...), states: map[uint64]mirror.State{},
			answers: map[uint64]*netpoldv1.WatchAnswer{}, at: map[uint64]uint64{}}
		for reader := bytes.NewReader(wire); len(s.messages) < 10; {
			message := &netpoldv1.WatchAllowedRequest{}
			if protodelim.UnmarshalFrom(reader, message) != nil {
				break
			}
			message.AtLeast = "" // not waited for
			s.messages = append(s.messages, message)
		}
		if len(s.messages) == 0 {
			return
		}
		state, _ := s.source.State()
		s.states[state.Snapshot.Revision()] = state
		s.ctx, s.end = context.WithTimeout(t.Context(), patience)
		defer s.end()
		err := decisions.New(s.source, decisions.Options{MaxBatch: 8, WatchHeartbeat: 100 * time.Millisecond}).WatchAllowed(s)
		switch code := status.Code(err); {
		case s.ended:
		case code != codes.InvalidArgument && code != codes.ResourceExhausted:
			t.Errorf("the stream of %v ends with %v", s.messages, err)
		}
	})
}
