package audits_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/servertest"
)

// shops returns a source of n Pods. Each accepts its predecessor alone, on a port of its own.
func shops(n int) *servertest.Source {
	s := servertest.NewSource()
	changes := []engine.Change{{Object: &engine.Namespace{Name: "shop"}}}
	for i := range n {
		app := fmt.Sprintf("app-%02d", i)
		changes = append(changes, engine.Change{Object: &engine.Pod{
			Namespace: "shop", Name: app, Labels: map[string]string{"app": app},
			IPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})},
		}}, engine.Change{Object: &engine.Policy{
			Namespace: "shop", Name: app, IsolatesIngress: true,
			Subject: engine.Selector{{Key: "app", Operator: engine.In, Values: []string{app}}},
			Ingress: []engine.Rule{{
				Peers: []engine.Peer{{Pods: &engine.Selector{
					{Key: "app", Operator: engine.In, Values: []string{fmt.Sprintf("app-%02d", i-1)}},
				}}},
				Ports: []engine.Port{{Protocol: engine.TCP, First: uint16(1000 + i), Last: uint16(1000 + i)}},
			}},
		}})
	}
	s.Apply(changes...)
	return s
}

// A stream collects what a call sends, without a network.
type stream[M any] struct {
	grpc.ServerStream
	ctx      context.Context //nolint:containedctx // a stream has one
	messages []*M
	// sending is called before a message is taken; its error is that of the send. nil takes all.
	sending func(*M) error
}

func (s *stream[M]) Context() context.Context { return s.ctx }

func (s *stream[M]) Send(m *M) error {
	if s.sending != nil {
		if err := s.sending(m); err != nil {
			return err
		}
	}
	s.messages = append(s.messages, m)
	return nil
}

// list asks s, and returns the messages.
func list(t *testing.T, s *audits.Service, req *netpoldv1.ListConnectionsRequest) ([]*netpoldv1.ListConnectionsResponse, error) {
	t.Helper()
	out := &stream[netpoldv1.ListConnectionsResponse]{ctx: t.Context()}
	err := s.ListConnections(req, out)
	return out.messages, err
}

// results returns the messages without those that differ from call to call.
func results(messages []*netpoldv1.ListConnectionsResponse) []*netpoldv1.ListConnectionsResponse {
	var out []*netpoldv1.ListConnectionsResponse
	for _, m := range messages {
		if m.GetHeader() == nil && m.GetProgress() == nil && m.GetSummary() == nil {
			out = append(out, m)
		}
	}
	return out
}

func summaryOf(t *testing.T, messages []*netpoldv1.ListConnectionsResponse) *netpoldv1.ListSummary {
	t.Helper()
	if len(messages) == 0 || messages[len(messages)-1].GetSummary() == nil {
		t.Fatalf("the list does not end with a summary: %v", messages)
	}
	return messages[len(messages)-1].GetSummary()
}

func TestListIsHeaderGroupsConnectionsSummary(t *testing.T) {
	t.Parallel()
	messages, err := list(t, audits.New(shops(3), audits.Options{}), &netpoldv1.ListConnectionsRequest{
		Src:     &netpoldv1.Ends{Scope: netpoldv1.Scope_SCOPE_CLUSTER},
		Include: []netpoldv1.Include{netpoldv1.Include_INCLUDE_POLICIES},
	})
	if err != nil {
		t.Fatal(err)
	}
	if h := messages[0].GetHeader(); h.GetRevision() != 1 || h.GetToken() != "servertest:1" || h.GetObjects().GetPods() != 3 {
		t.Errorf("the header is %v", h)
	}
	for i, m := range messages[1:4] {
		if g := m.GetGroup(); g.GetId() != uint32(i+1) || g.GetMembers()[0].GetIps()[0] != fmt.Sprintf("10.0.0.%d", i) {
			t.Errorf("group %d is %v", i+1, g)
		}
	}
	want := &netpoldv1.Connection{
		SrcGroups: []uint32{1}, DstGroups: []uint32{2},
		Ports:    []*netpoldv1.PortRange{{Protocol: netpoldv1.Protocol_PROTOCOL_TCP, First: 1001, Last: 1001}},
		Families: []netpoldv1.IpFamily{netpoldv1.IpFamily_IP_FAMILY_IPV4},
		IngressBy: &netpoldv1.RuleRef{Kind: "NetworkPolicy", Namespace: "shop", Name: "app-01",
			Direction: netpoldv1.Direction_DIRECTION_INGRESS},
	}
	if diff := cmp.Diff(want, messages[4].GetConnection(), protocmp.Transform()); diff != "" {
		t.Errorf("the first connection: -want +got:\n%s", diff)
	}
	if s := summaryOf(t, messages); s.GetGroups() != 3 || s.GetPairsAllowed() != 2 || s.GetPairsTotal() != 6 || s.GetTruncated() {
		t.Errorf("the summary is %v", s)
	}
}

// A list in pages is the list.
func TestListInPages(t *testing.T) {
	t.Parallel()
	s := audits.New(shops(9), audits.Options{MaxConnections: 1000})
	whole, err := list(t, s, new(netpoldv1.ListConnectionsRequest))
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []uint32{1, 2, 5, uint32(summaryOf(t, whole).GetConnections()), 5000} {
		var pages []*netpoldv1.ListConnectionsResponse
		request := &netpoldv1.ListConnectionsRequest{MaxConnections: limit}
		for {
			page, err := list(t, s, request)
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, results(page)...)
			summary := summaryOf(t, page)
			if summary.GetTruncated() != (summary.GetCursor() != "") {
				t.Fatalf("the summary is %v", summary)
			}
			if request.Cursor = summary.GetCursor(); request.Cursor == "" {
				if diff := cmp.Diff(summaryOf(t, whole), summary, protocmp.Transform(),
					protocmp.IgnoreFields(&netpoldv1.ListSummary{}, "took")); diff != "" {
					t.Errorf("the last summary of pages of %d: -want +got:\n%s", limit, diff)
				}
				break
			}
		}
		if diff := cmp.Diff(results(whole), pages, protocmp.Transform()); diff != "" {
			t.Errorf("pages of %d: -want +got:\n%s", limit, diff)
		}
	}
}

// A caller that broke off goes on with the cursor of any progress, from the snapshot of then, wherever the
// list was when it broke off.
func TestListGoesOnAfterProgress(t *testing.T) {
	t.Parallel()
	for cut := 1; ; cut++ {
		done := false
		synctest.Test(t, func(t *testing.T) {
			source := shops(5)
			s := audits.New(source, audits.Options{})
			whole, err := list(t, s, new(netpoldv1.ListConnectionsRequest))
			if err != nil {
				t.Fatal(err)
			}
			if done = cut >= len(whole)-1; done {
				return
			}
			out := &stream[netpoldv1.ListConnectionsResponse]{ctx: t.Context()}
			out.sending = func(*netpoldv1.ListConnectionsResponse) error {
				if len(results(out.messages)) == cut {
					return status.Error(codes.Unavailable, "the connection broke")
				}
				time.Sleep(time.Second) //nolint:forbidigo // the clock is synctest's
				return nil
			}
			request := new(netpoldv1.ListConnectionsRequest)
			if err := s.ListConnections(request, out); status.Code(err) != codes.Unavailable {
				t.Fatalf("the broken list ends with %v", err)
			}
			source.Apply(engine.Change{Object: &engine.Pod{Namespace: "shop", Name: "new"}})
			cursors := 0
			for i, m := range out.messages {
				if m.GetProgress() == nil {
					continue
				}
				cursors++
				again := &netpoldv1.ListConnectionsRequest{Cursor: m.GetProgress().GetCursor()}
				rest, err := list(t, s, again)
				if err != nil {
					t.Fatal(err)
				}
				if rest[0].GetHeader().GetRevision() != 1 {
					t.Errorf("it goes on with revision %d", rest[0].GetHeader().GetRevision())
				}
				all := append(results(out.messages[:i]), results(rest)...)
				if diff := cmp.Diff(results(whole), all, protocmp.Transform()); diff != "" {
					t.Errorf("cut after %d, from message %d: -want +got:\n%s", cut, i, diff)
				}
				if got := summaryOf(t, rest).GetConnections(); got != summaryOf(t, whole).GetConnections() {
					t.Errorf("the summary counts %d connections, want %d", got, summaryOf(t, whole).GetConnections())
				}
				break // the list is complete now, and is not kept
			}
			if cursors == 0 {
				t.Error("there was no progress")
			}
		})
		if done {
			return
		}
	}
}

// A2 of cursors: another request, another server, too late, too many, nonsense.
func TestCursorsThatDoNotGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := audits.New(shops(9), audits.Options{})
		page := func(req *netpoldv1.ListConnectionsRequest) string {
			req.MaxConnections = 2
			messages, err := list(t, s, req)
			if err != nil {
				t.Fatal(err)
			}
			return summaryOf(t, messages).GetCursor()
		}
		want := func(name string, s *audits.Service, req *netpoldv1.ListConnectionsRequest, code codes.Code, reason string) {
			t.Helper()
			_, err := list(t, s, req)
			if gotCode, gotReason, _ := reasonOf(err); gotCode != code || gotReason != reason {
				t.Errorf("%s: %v", name, err)
			}
		}
		own := page(new(netpoldv1.ListConnectionsRequest))
		want("another request", s, &netpoldv1.ListConnectionsRequest{Cursor: own, Only: netpoldv1.Only_ONLY_OPEN},
			codes.InvalidArgument, "INVALID_QUESTION")
		want("another server", audits.New(shops(9), audits.Options{}), &netpoldv1.ListConnectionsRequest{Cursor: own},
			codes.FailedPrecondition, "CURSOR_EXPIRED")
		changed := []byte(own)
		changed[30] = 'A'
		if own[30] == 'A' {
			changed[30] = 'B'
		}
		want("a guess", s, &netpoldv1.ListConnectionsRequest{Cursor: string(changed)}, codes.FailedPrecondition, "CURSOR_EXPIRED")
		for _, nonsense := range []string{"x", "next", own + "=", own[:len(own)-1], "\u202e", strings.Repeat("A", 1<<16)} {
			want("nonsense", s, &netpoldv1.ListConnectionsRequest{Cursor: nonsense}, codes.InvalidArgument, "INVALID_QUESTION")
		}
		want("not too late", s, &netpoldv1.ListConnectionsRequest{Cursor: own, MaxConnections: 1}, codes.OK, "")
		time.Sleep(time.Minute + time.Second) //nolint:forbidigo // the clock is synctest's
		want("too late", s, &netpoldv1.ListConnectionsRequest{Cursor: own}, codes.FailedPrecondition, "CURSOR_EXPIRED")

		first := page(new(netpoldv1.ListConnectionsRequest))
		for range 4 {
			page(new(netpoldv1.ListConnectionsRequest))
		}
		want("too many", s, &netpoldv1.ListConnectionsRequest{Cursor: first}, codes.FailedPrecondition, "CURSOR_EXPIRED")
	})
}

// A5: a caller that does not read cannot hold a list beyond its deadline, and others go on meanwhile.
func TestA5CallerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := audits.New(shops(3), audits.Options{MaxDeadline: time.Minute, MaxAudits: 2})
		audits.SetProcessors(s, 1)
		gone := make(chan struct{})
		out := &stream[netpoldv1.ListConnectionsResponse]{ctx: t.Context(), sending: func(m *netpoldv1.ListConnectionsResponse) error {
			if m.GetGroup() != nil {
				<-gone // as a send does until the handler returns
				return errors.New("the stream is done")
			}
			return nil
		}}
		began := time.Now()
		ended := make(chan error)
		go func() { ended <- s.ListConnections(new(netpoldv1.ListConnectionsRequest), out) }()
		synctest.Wait()
		if _, err := list(t, s, new(netpoldv1.ListConnectionsRequest)); err != nil {
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
		// Its place is free again.
		if _, err := list(t, s, new(netpoldv1.ListConnectionsRequest)); err != nil {
			t.Error(err)
		}
	})
}

// S28: each field that is wrong is named, with its value and what to give.
func TestS28ListFields(t *testing.T) {
	t.Parallel()
	s := audits.New(shops(2), audits.Options{})
	pod := func(name string) *netpoldv1.Endpoint {
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Pod{Pod: &netpoldv1.PodRef{Namespace: "shop", Name: name}}}
	}
	service := &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Service{Service: &netpoldv1.ServiceRef{Namespace: "shop", Name: "x"}}}
	for name, test := range map[string]struct {
		req  *netpoldv1.ListConnectionsRequest
		code codes.Code
		want string
	}{
		"endpoint": {&netpoldv1.ListConnectionsRequest{Src: &netpoldv1.Ends{Endpoints: []*netpoldv1.Endpoint{pod("app-00"), {}}}},
			codes.InvalidArgument, "src.endpoints[1]: is required: set one of ip, pod, workload, labels"},
		"service as source": {&netpoldv1.ListConnectionsRequest{Src: &netpoldv1.Ends{Endpoints: []*netpoldv1.Endpoint{service}}},
			codes.InvalidArgument, "src.endpoints[0].service: a Service cannot be a source"},
		"service": {&netpoldv1.ListConnectionsRequest{Dst: &netpoldv1.Ends{Endpoints: []*netpoldv1.Endpoint{service}}},
			codes.InvalidArgument, "dst.endpoints[0].service: a Service stands for other ends; add INCLUDE_SERVICES"},
		"selector": {&netpoldv1.ListConnectionsRequest{Dst: &netpoldv1.Ends{PodSelector: "app in (web"}},
			codes.InvalidArgument, `dst.pod_selector: "app in (web" is no selector: the brackets after "app" are not closed`},
		"namespace selector": {&netpoldv1.ListConnectionsRequest{Src: &netpoldv1.Ends{NamespaceSelector: "<script>"}},
			codes.InvalidArgument, `src.namespace_selector: "<script>" is no selector`},
		"port 0":     {ports(0, 0), codes.InvalidArgument, "ports[0].first: 0 is not a port; give 1 to 65535"},
		"port 70000": {ports(70000, 70000), codes.InvalidArgument, "ports[0].first: 70000 is not a port"},
		"last":       {ports(80, 70000), codes.InvalidArgument, "ports[0].last: 70000 is not a port"},
		"no last":    {ports(80, 0), codes.InvalidArgument, "ports[0].last: is required"},
		"backwards":  {ports(90, 80), codes.InvalidArgument, "ports[0].last: 80 is before the first port, 90"},
		"protocol": {&netpoldv1.ListConnectionsRequest{Protocol: 9}, codes.InvalidArgument,
			"protocol: 9 is not a protocol"},
		"contradiction": {&netpoldv1.ListConnectionsRequest{Protocol: netpoldv1.Protocol_PROTOCOL_TCP,
			Ports: []*netpoldv1.PortRange{{Protocol: netpoldv1.Protocol_PROTOCOL_UDP, First: 1, Last: 2}}},
			codes.InvalidArgument, "ports[0].protocol: PROTOCOL_UDP is not the protocol that the field protocol asks for"},
		"include": {&netpoldv1.ListConnectionsRequest{Include: []netpoldv1.Include{9}}, codes.InvalidArgument, "include[0]: 9"},
		"only":    {&netpoldv1.ListConnectionsRequest{Only: 9}, codes.InvalidArgument, "only: 9 is no condition"},
		"scope":   {&netpoldv1.ListConnectionsRequest{Src: &netpoldv1.Ends{Scope: 9}}, codes.InvalidArgument, "src.scope: 9 is no scope"},
		"unknown Pod": {&netpoldv1.ListConnectionsRequest{Src: &netpoldv1.Ends{Endpoints: []*netpoldv1.Endpoint{pod("app-00"), pod("app-0l")}}},
			codes.NotFound, `src.endpoints[1].pod: Pod "shop/app-0l" is not known: did you mean shop/app-0`},
		"unknown namespace": {&netpoldv1.ListConnectionsRequest{Dst: &netpoldv1.Ends{Namespaces: []string{"shop", "shpo"}}},
			codes.NotFound, `dst.namespaces[1]: namespace "shpo" is not known: did you mean shop?`},
		"selector of nothing": {&netpoldv1.ListConnectionsRequest{Dst: &netpoldv1.Ends{PodSelector: "app=nobody"}},
			codes.NotFound, `dst.pod_selector: `},
		"too many words": {&netpoldv1.ListConnectionsRequest{Dst: &netpoldv1.Ends{Namespaces: make([]string, 1001)}},
			codes.ResourceExhausted, "dst: 1001 words are more than the 1000"},
	} {
		_, err := list(t, s, test.req)
		if status.Code(err) != test.code || !strings.Contains(status.Convert(err).Message(), test.want) {
			t.Errorf("%s: %v\nwant in it\n%s", name, err, test.want)
		}
	}
}

func ports(first, last uint32) *netpoldv1.ListConnectionsRequest {
	return &netpoldv1.ListConnectionsRequest{Ports: []*netpoldv1.PortRange{{First: first, Last: last}}}
}

// FuzzCursor: whatever a cursor is, it is a list's own or an error, and only a cursor that was given goes on.
func FuzzCursor(f *testing.F) {
	s := audits.New(shops(4), audits.Options{})
	out := &stream[netpoldv1.ListConnectionsResponse]{ctx: f.Context()}
	if err := s.ListConnections(&netpoldv1.ListConnectionsRequest{MaxConnections: 1}, out); err != nil {
		f.Fatal(err)
	}
	own := out.messages[len(out.messages)-1].GetSummary().GetCursor()
	for _, text := range []string{"", own, own[1:], own + "A", strings.Repeat("A", len(own)), "\x00", "%"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out := &stream[netpoldv1.ListConnectionsResponse]{ctx: t.Context()}
		err := s.ListConnections(&netpoldv1.ListConnectionsRequest{Cursor: text, MaxConnections: 1}, out)
		if code := status.Code(err); (text == own || text == "") != (code == codes.OK) ||
			code != codes.OK && code != codes.InvalidArgument && code != codes.FailedPrecondition {
			t.Errorf("%q: %v", text, err)
		}
	})
}
