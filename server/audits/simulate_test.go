package audits_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
)

// deletions reads overlays that delete policies.
func deletions(_ *engine.Snapshot, o *mirror.Overlay) ([]engine.Change, []mirror.OverlayProblem, error) {
	var changes []engine.Change
	for _, c := range o.Changes {
		changes = append(changes, engine.Change{
			Object: &engine.Policy{Namespace: c.Delete.Namespace, Name: c.Delete.Name}, Delete: true,
		})
	}
	return changes, nil, nil
}

// without returns a request for what deleting policies of namespace shop would change.
func without(names ...string) *netpoldv1.SimulateRequest {
	req := &netpoldv1.SimulateRequest{Overlay: new(netpoldv1.Overlay)}
	for _, name := range names {
		req.Overlay.Changes = append(req.Overlay.Changes, &netpoldv1.OverlayChange{Change: &netpoldv1.OverlayChange_Delete{
			Delete: &netpoldv1.ObjectRef{Kind: "NetworkPolicy", Namespace: "shop", Name: name},
		}})
	}
	return req
}

// question asks whether a Pod of namespace shop may open TCP 80 of another.
func question(src, dst string) *netpoldv1.AllowedRequest {
	pod := func(name string) *netpoldv1.Endpoint {
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Pod{Pod: &netpoldv1.PodRef{Namespace: "shop", Name: name}}}
	}
	return &netpoldv1.AllowedRequest{Src: pod(src), Dst: pod(dst), Port: 80}
}

// simulate asks s, and returns the messages without progress.
func simulate(t *testing.T, s *audits.Service, req *netpoldv1.SimulateRequest) ([]*netpoldv1.SimulateResponse, error) {
	t.Helper()
	out := &stream[netpoldv1.SimulateResponse]{ctx: t.Context()}
	err := s.Simulate(req, out)
	var messages []*netpoldv1.SimulateResponse
	for _, m := range out.messages {
		if m.GetProgress() == nil {
			messages = append(messages, m)
		}
	}
	return messages, err
}

// kinds returns a letter for the kind of each message.
func kinds(messages []*netpoldv1.SimulateResponse) string {
	var b strings.Builder
	for _, m := range messages {
		switch m.GetItem().(type) {
		case *netpoldv1.SimulateResponse_Header:
			b.WriteByte('H')
		case *netpoldv1.SimulateResponse_Group:
			b.WriteByte('g')
		case *netpoldv1.SimulateResponse_Set:
			b.WriteByte('s')
		case *netpoldv1.SimulateResponse_Change:
			b.WriteByte('c')
		case *netpoldv1.SimulateResponse_Answer:
			b.WriteByte('a')
		case *netpoldv1.SimulateResponse_Summary:
			b.WriteByte('S')
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// inOrder reports whether kinds are a header, groups, changes and sets, answers, and a summary.
func inOrder(kinds string) bool {
	rest, header := strings.CutPrefix(kinds, "H")
	rest, summary := strings.CutSuffix(rest, "S")
	return header && summary && strings.TrimLeft(strings.TrimLeft(strings.TrimLeft(rest, "g"), "cs"), "a") == ""
}

// D1: the stream has a header, groups, changes, answers and a summary, and each change what is so on both sides.
func TestD1Stream(t *testing.T) {
	t.Parallel()
	s := audits.New(shops(3), audits.Options{Overlay: deletions})
	req := without("app-02")
	req.Include = []netpoldv1.Include{netpoldv1.Include_INCLUDE_POLICIES}
	req.Src = &netpoldv1.Ends{Endpoints: []*netpoldv1.Endpoint{question("app-00", "").GetSrc()}}
	req.Dst = &netpoldv1.Ends{Scope: netpoldv1.Scope_SCOPE_CLUSTER}
	req.Questions = []*netpoldv1.AllowedRequest{question("app-00", "app-02")}
	messages, err := simulate(t, s, req)
	if err != nil {
		t.Fatal(err)
	}
	if !inOrder(kinds(messages)) {
		t.Fatalf("the messages are %s", kinds(messages))
	}
	header := messages[0].GetHeader()
	if header.GetToken() != "servertest:1" || header.GetObjects().GetNetworkPolicies() != 3 || !header.GetOverlaid() {
		t.Errorf("the header is %v", header)
	}
	names := map[uint32]string{}
	var changes []*netpoldv1.Change
	for _, m := range messages {
		if g := m.GetGroup(); g != nil {
			names[g.GetId()] = g.GetMembers()[0].GetName()
			if g.GetPresence() != netpoldv1.Presence_PRESENCE_BOTH {
				t.Errorf("the presence of %v", g)
			}
		}
		if c := m.GetChange(); c != nil {
			changes = append(changes, c)
		}
	}
	if len(changes) != 1 {
		t.Fatalf("the changes are %v", changes)
	}
	c := changes[0]
	if names[c.GetSrcGroups()[0]] != "app-00" || names[c.GetDstGroups()[0]] != "app-02" {
		t.Errorf("the ends of %v, of the groups %v", c, names)
	}
	c.SrcGroups, c.DstGroups = nil, nil
	every := func(p netpoldv1.Protocol) *netpoldv1.PortRange {
		return &netpoldv1.PortRange{Protocol: p, First: 1, Last: 65535}
	}
	want := &netpoldv1.Change{
		Kind: netpoldv1.ChangeKind_CHANGE_KIND_OPENED,
		Ports: []*netpoldv1.PortRange{
			every(netpoldv1.Protocol_PROTOCOL_TCP), every(netpoldv1.Protocol_PROTOCOL_UDP),
			every(netpoldv1.Protocol_PROTOCOL_SCTP),
		},
		Before: &netpoldv1.ChangeState{},
		After:  &netpoldv1.ChangeState{Allowed: true, Families: []netpoldv1.IpFamily{netpoldv1.IpFamily_IP_FAMILY_IPV4}},
	}
	if diff := cmp.Diff(want, c, protocmp.Transform()); diff != "" {
		t.Errorf("the change: -want +got:\n%s", diff)
	}
	wantSummary := &netpoldv1.SimulateSummary{Opened: 1, PoliciesRemoved: []string{"NetworkPolicy/shop/app-02"}}
	if diff := cmp.Diff(wantSummary, messages[len(messages)-1].GetSummary(), protocmp.Transform(),
		protocmp.IgnoreFields(wantSummary, "took")); diff != "" {
		t.Errorf("the summary: -want +got:\n%s", diff)
	}
}

// D1: a comparison with a state that was built apart says what an overlay that leads to it says.
func TestD1StateBuiltApart(t *testing.T) {
	t.Parallel()
	from := shops(4)
	s := audits.New(from, audits.Options{Overlay: deletions})
	state, _ := from.State()
	after := state.Snapshot.With([]engine.Change{
		{Object: &engine.Policy{Namespace: "shop", Name: "app-02"}, Delete: true},
	})
	want, err := simulate(t, s, without("app-02"))
	if err != nil {
		t.Fatal(err)
	}
	out := &stream[netpoldv1.SimulateResponse]{ctx: t.Context()}
	if err := s.Compare(new(netpoldv1.SimulateRequest), after, out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.messages, protocmp.Transform(),
		protocmp.IgnoreFields(&netpoldv1.SimulateSummary{}, "took"),
		protocmp.IgnoreFields(&netpoldv1.AuditHeader{}, "overlaid")); diff != "" {
		t.Errorf("-overlay +apart:\n%s", diff)
	}
	if !strings.Contains(kinds(want), "c") {
		t.Error("nothing differs")
	}
}

// D3: answers are those of Allowed in both states, with the exception of a Pod to itself (S2), and a question
// that is wrong fails alone.
func TestD3Answers(t *testing.T) {
	t.Parallel()
	s := audits.New(shops(3), audits.Options{Overlay: deletions})
	req := without("app-02")
	req.QuestionsOnly = true
	late := question("app-00", "app-02")
	late.AtLeast = "servertest:9"
	detailed := question("app-00", "app-02")
	detailed.Details = true
	req.Questions = []*netpoldv1.AllowedRequest{
		question("app-00", "app-02"), question("app-01", "app-01"), question("app-00", "app-01"), question("app-00", "app-09"),
		{}, late, detailed,
	}
	messages, err := simulate(t, s, req)
	if err != nil {
		t.Fatal(err)
	}
	if got := kinds(messages); got != "HaaaaaaaS" {
		t.Fatalf("the messages are %s", got)
	}
	say := func(a *netpoldv1.BatchAnswer) string {
		if a.GetError() != nil {
			return a.GetError().GetMessage()
		}
		return strings.TrimPrefix(a.GetResponse().GetReason().String(), "REASON_")
	}
	for i, want := range [][2]string{
		{"DENIED_AT_INGRESS", "NOT_ISOLATED"},
		{"SELF", "SELF"},
		{"DENIED_AT_INGRESS", "DENIED_AT_INGRESS"},
		{`questions[3].dst: Pod "shop/app-09" is not known`, `questions[3].dst: Pod "shop/app-09" is not known`},
		{"questions[4].src: is required", "questions[4].src: is required"},
		{`questions[5].at_least: "servertest:9": all answers rest on one state`, "questions[5].at_least: "},
		{"DENIED_AT_INGRESS", "NOT_ISOLATED"},
	} {
		a := messages[i+1].GetAnswer()
		if a.GetIndex() != uint32(i) || !strings.HasPrefix(say(a.GetBefore()), want[0]) ||
			!strings.HasPrefix(say(a.GetAfter()), want[1]) {
			t.Errorf("answer %d is %v, want %q", i, a, want)
		}
		for _, r := range []*netpoldv1.AllowedResponse{a.GetBefore().GetResponse(), a.GetAfter().GetResponse()} {
			if r != nil && (r.GetToken() != "servertest:1" || r.GetRevision() != 1) {
				t.Errorf("answer %d rests on %v", i, r)
			}
			if i == 6 && r.GetDst().GetName() != "app-02" {
				t.Errorf("the details are %v", r)
			}
		}
	}
}

// A8: a difference stops at the limit of connections, says so, and still answers the questions.
func TestA8TruncatedDifference(t *testing.T) {
	t.Parallel()
	req := without("app-02", "app-03", "app-04")
	whole, err := simulate(t, audits.New(shops(6), audits.Options{Overlay: deletions}), req)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Count(kinds(whole), "c")
	if all < 3 || whole[len(whole)-1].GetSummary().GetTruncated() {
		t.Fatalf("there are %d changes, and the summary %v", all, whole[len(whole)-1].GetSummary())
	}
	req.Questions = []*netpoldv1.AllowedRequest{question("app-00", "app-02")}
	for _, limit := range []int{1, 2, all - 1, all} {
		got, err := simulate(t, audits.New(shops(6), audits.Options{Overlay: deletions, MaxConnections: limit}), req)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(kinds(got), "c"); n != limit || !strings.HasSuffix(kinds(got), "aS") {
			t.Errorf("at a limit of %d: %s", limit, kinds(got))
		}
		if s := got[len(got)-1].GetSummary(); s.GetTruncated() != (limit < all) {
			t.Errorf("at a limit of %d of %d: %v", limit, all, s)
		}
	}
}

// A5: a caller that does not read cannot hold a difference beyond its deadline, and others go on meanwhile.
func TestA5SimulateCallerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	for _, stuck := range []string{"g", "c", "a"} {
		synctest.Test(t, func(t *testing.T) {
			s := audits.New(shops(3), audits.Options{Overlay: deletions, MaxDeadline: time.Minute, MaxAudits: 2})
			audits.SetProcessors(s, 1)
			gone := make(chan struct{})
			out := &stream[netpoldv1.SimulateResponse]{ctx: t.Context(), sending: func(m *netpoldv1.SimulateResponse) error {
				if kinds([]*netpoldv1.SimulateResponse{m}) == stuck {
					<-gone // as a send does until the handler returns
					return errors.New("the stream is done")
				}
				return nil
			}}
			req := without("app-02")
			req.Questions = []*netpoldv1.AllowedRequest{question("app-00", "app-02")}
			began := time.Now()
			ended := make(chan error)
			go func() { ended <- s.Simulate(req, out) }()
			synctest.Wait()
			if _, err := simulate(t, s, req); err != nil {
				t.Errorf("another: %v", err)
			}
			err := <-ended
			if status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "--max-audit-deadline") {
				t.Errorf("it ends with %v", err)
			}
			if took := time.Since(began); took != time.Minute {
				t.Errorf("it ends after %v", took)
			}
			close(gone)
			synctest.Wait()
			for range 2 { // its place is free again
				if _, err := simulate(t, s, req); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A5: a difference ends when its caller goes away, also between answers.
func TestA5SimulateCancelled(t *testing.T) {
	t.Parallel()
	s := audits.New(shops(3), audits.Options{Overlay: deletions})
	ctx, cancel := context.WithCancel(t.Context())
	req := without("app-02")
	req.QuestionsOnly = true
	for range 100 {
		req.Questions = append(req.Questions, question("app-00", "app-02"))
	}
	out := &stream[netpoldv1.SimulateResponse]{ctx: ctx, sending: func(m *netpoldv1.SimulateResponse) error {
		if m.GetAnswer().GetIndex() == 7 {
			cancel()
		}
		return nil
	}}
	if err := s.Simulate(req, out); status.Code(err) != codes.Canceled || len(out.messages) > 10 {
		t.Errorf("after %d messages: %v", len(out.messages), err)
	}
}

// S28: each field that is wrong is named, with its value and what to give.
func TestS28SimulateFields(t *testing.T) {
	t.Parallel()
	s := audits.New(shops(2), audits.Options{Overlay: deletions})
	with := func(change func(*netpoldv1.SimulateRequest)) *netpoldv1.SimulateRequest {
		req := without("app-01")
		change(req)
		return req
	}
	service := &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Service{
		Service: &netpoldv1.ServiceRef{Namespace: "shop", Name: "x"},
	}}
	for name, test := range map[string]struct {
		req  *netpoldv1.SimulateRequest
		code codes.Code
		want string
	}{
		"no overlay": {new(netpoldv1.SimulateRequest), codes.InvalidArgument, "overlay.changes: is required"},
		"prune alone": {&netpoldv1.SimulateRequest{Overlay: &netpoldv1.Overlay{Prune: true}},
			codes.InvalidArgument, "overlay.changes: is required"},
		"nothing set": {&netpoldv1.SimulateRequest{Overlay: &netpoldv1.Overlay{Changes: []*netpoldv1.OverlayChange{{}}}},
			codes.InvalidArgument, "overlay.changes[0]: set one of apply, delete and labels"},
		"services": {with(func(r *netpoldv1.SimulateRequest) {
			r.Include = []netpoldv1.Include{netpoldv1.Include_INCLUDE_NODES, netpoldv1.Include_INCLUDE_SERVICES}
		}), codes.InvalidArgument, "include[1]: INCLUDE_SERVICES has no place in a difference"},
		"exposure": {with(func(r *netpoldv1.SimulateRequest) {
			r.Include = []netpoldv1.Include{netpoldv1.Include_INCLUDE_EXPOSURE}
		}), codes.InvalidArgument, "include[0]: INCLUDE_EXPOSURE has no place in a difference"},
		"include": {with(func(r *netpoldv1.SimulateRequest) { r.Include = []netpoldv1.Include{9} }),
			codes.InvalidArgument, "include[0]: 9 is nothing that a difference includes"},
		"match": {with(func(r *netpoldv1.SimulateRequest) { r.Match = 9 }), codes.InvalidArgument, "match: 9 matches nothing"},
		"port": {with(func(r *netpoldv1.SimulateRequest) { r.Ports = []*netpoldv1.PortRange{{First: 90, Last: 80}} }),
			codes.InvalidArgument, "ports[0].last: 80 is before the first port, 90"},
		"service": {with(func(r *netpoldv1.SimulateRequest) {
			r.Dst = &netpoldv1.Ends{Endpoints: []*netpoldv1.Endpoint{service}}
		}), codes.InvalidArgument, "dst.endpoints[0].service: a Service stands for other ends; name the workload behind it"},
		"unknown Pod": {with(func(r *netpoldv1.SimulateRequest) {
			r.Src = &netpoldv1.Ends{Endpoints: []*netpoldv1.Endpoint{question("app-0l", "").GetSrc()}}
		}), codes.NotFound, `src.endpoints[0].pod: Pod "shop/app-0l" is not known: did you mean shop/app-0`},
		"selector of nothing": {with(func(r *netpoldv1.SimulateRequest) { r.Dst = &netpoldv1.Ends{PodSelector: "app=nobody"} }),
			codes.NotFound, "dst.pod_selector: "},
		"words": {with(func(r *netpoldv1.SimulateRequest) { r.Src = &netpoldv1.Ends{Namespaces: make([]string, 1001)} }),
			codes.ResourceExhausted, "src: 1001 words are more than the 1000"},
		"questions": {with(func(r *netpoldv1.SimulateRequest) { r.Questions = make([]*netpoldv1.AllowedRequest, 10_001) }),
			codes.ResourceExhausted, "questions: 10001 questions are more than the 10000"},
	} {
		_, err := simulate(t, s, test.req)
		if status.Code(err) != test.code || !strings.Contains(status.Convert(err).Message(), test.want) {
			t.Errorf("%s: %v\nwant in it\n%s", name, err, test.want)
		}
	}
}
