package audits_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
)

// shop returns a source in which shop/db takes app=web on TCP 5432 and app=api on TCP 5433.
func shop() *servertest.Source {
	s := servertest.NewSource()
	pod := func(name, app, ip string) engine.Change {
		return engine.Change{Object: &engine.Pod{
			Namespace: "shop", Name: name, Labels: map[string]string{"app": app},
			IPs: []netip.Addr{netip.MustParseAddr(ip)},
		}}
	}
	is := func(app string) engine.Selector { return engine.Selector{{Key: "app", Values: []string{app}}} }
	rule := func(app string, port uint16) engine.Rule {
		return engine.Rule{
			Peers: []engine.Peer{{Pods: new(is(app))}}, Ports: []engine.Port{{First: port, Last: port}},
		}
	}
	s.Apply(
		pod("web-0", "web", "10.0.0.1"), pod("apl-0", "apl", "10.0.0.2"), pod("db-0", "db", "10.0.0.3"),
		engine.Change{Object: &engine.Policy{
			Namespace: "shop", Name: "db", Subject: is("db"), IsolatesIngress: true,
			Ingress: []engine.Rule{rule("web", 5432), rule("api", 5433)},
		}},
	)
	return s
}

func explain(src string, port uint32) *netpoldv1.ExplainRequest {
	return &netpoldv1.ExplainRequest{Question: &netpoldv1.AllowedRequest{
		Src: netpold.Pod("shop", src), Dst: netpold.Pod("shop", "db-0"), Port: port, Details: true,
	}}
}

// X1, X3: the answer is that of Allowed, field by field; the text says the verdict first, then the side that
// denies and what comes closest.
func TestExplainText(t *testing.T) {
	t.Parallel()
	from := shop()
	s, allowed := audits.New(from, audits.Options{}), decisions.New(from, decisions.Options{})
	for _, c := range []struct {
		src  string
		port uint32
		want string
	}{
		{"web-0", 5433, "denied shop/web-0 -> shop/db-0 5433/TCP\n" +
			"ingress: isolated by shop/db; no rule matches\n" +
			"  rule 0 of shop/db: peer 0 matches (app=web), port TCP 5432 does not: 5433 was asked\n" +
			"  rule 1 of shop/db: peer 0 does not: app=web, wanted app in (api); port 0 matches (TCP 5433)\n" +
			"closest: rule 0 of shop/db lacks port TCP 5433\n" +
			"closest: rule 1 of shop/db would match shop/web-0 with app=api\n" +
			"egress: allows: no policy isolates shop/web-0\n"},
		{"web-0", 5432, "allowed shop/web-0 -> shop/db-0 5432/TCP\n" +
			"egress: allows: no policy isolates shop/web-0\n" +
			"ingress: allowed by rule 0 of shop/db\n" +
			"  rule 0 of shop/db: peer 0 matches (app=web), port 0 matches (TCP 5432)\n" +
			"other rules of ingress:\n" +
			"  rule 1 of shop/db: peer 0 does not: app=web, wanted app in (api); port TCP 5433 does not: 5432 was asked\n"},
	} {
		got, err := s.Explain(t.Context(), explain(c.src, c.port))
		if err != nil {
			t.Fatal(err)
		}
		want, err := allowed.Allowed(t.Context(), explain(c.src, c.port).GetQuestion())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.GetAnswer(), protocmp.Transform()); diff != "" {
			t.Errorf("%s %d: -Allowed +Explain:\n%s", c.src, c.port, diff)
		}
		if diff := cmp.Diff(c.want, got.GetText()); diff != "" {
			t.Errorf("%s %d: -want +got:\n%s", c.src, c.port, diff)
		}
	}
}

// Errors name the fields within the question, and are otherwise those of Allowed.
func TestExplainErrors(t *testing.T) {
	t.Parallel()
	s := audits.New(shop(), audits.Options{})
	for message, want := range map[string]codes.Code{
		"question.src: is required": codes.InvalidArgument,
		"question.dst: ":            codes.NotFound,
	} {
		req := proto.Clone(explain("web-0", 1)).(*netpoldv1.ExplainRequest)
		if want == codes.NotFound {
			req.Question.Dst = netpold.Pod("shop", "nobody")
		} else {
			req.Question.Src = nil
		}
		_, err := s.Explain(t.Context(), req)
		if code, _, _ := reasonOf(err); code != want || !contains(err, message) {
			t.Errorf("%v, want %v: %q", err, want, message)
		}
	}
}
