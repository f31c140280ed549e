package extauthz_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

var idForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// TestAnswersP2P9 proves each row of the table of answers that has no configuration of its own: denied is an answer,
// no decision is an error, and neither is told as the other.
func TestAnswersP2P9(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	check := func(req *authv3.CheckRequest) *authv3.CheckResponse {
		t.Helper()
		resp, err := d.Check(soon(t), req)
		if err != nil {
			t.Fatal(err)
		}
		resp = proto.Clone(resp).(*authv3.CheckResponse)
		resp.DynamicMetadata = nil
		return resp
	}
	ok, denied := check(tcp("10.0.0.1", "10.0.0.2", 8080)), check(tcp("10.0.0.3", "10.0.0.2", 8080))
	if ok.Status.GetCode() != 0 || ok.HttpResponse != nil || denied.Status.GetCode() != 7 || denied.HttpResponse != nil {
		t.Errorf("the network filter gets %v and %v", ok, denied)
	}
	ok = check(tcp("10.0.0.1", "10.0.0.2", 8080, http()))
	if ok.Status.GetCode() != 0 || ok.GetOkResponse() == nil || !proto.Equal(ok.GetOkResponse(), &authv3.OkHttpResponse{}) {
		t.Errorf("the HTTP filter gets %v", ok)
	}
	denied = check(tcp("10.0.0.3", "10.0.0.2", 8080, http()))
	if denied.Status.GetCode() != 7 || denied.GetDeniedResponse().GetStatus().GetCode() != 403 {
		t.Errorf("the HTTP filter gets %v", denied)
	}
	for _, c := range []struct {
		what, dst string
		code      codes.Code
		reason    string
	}{
		{"an unknown Pod", "shop/nobody", codes.NotFound, "NOT_FOUND"},
		{"a finished Pod", "shop/done", codes.NotFound, "POD_FINISHED"},
		{"an unknown Service", "svc/shop/nobody", codes.NotFound, "NOT_FOUND"},
		{"an unknown workload", "deploy/shop/nobody", codes.NotFound, "NOT_FOUND"},
		{"a Service without endpoints", "svc/shop/empty", codes.FailedPrecondition, "NO_READY_ENDPOINT"},
		{"a Service without the port", "svc/shop/cart", codes.FailedPrecondition, "NO_SERVICE_PORT"},
	} {
		port := uint32(80)
		if c.reason == "NO_SERVICE_PORT" {
			port = 81
		}
		for _, kind := range []option{func(*authv3.CheckRequest) {}, http()} {
			req := tcp("10.0.0.1", "10.0.0.2", port, kind, with("dst", c.dst))
			f := d.failed(t, req)
			if f.code != c.code || f.reason != c.reason || len(f.fields) != 1 ||
				f.fields[0] != `context_extensions["netpold.dst"]` || !idForm.MatchString(f.id) {
				t.Errorf("%s: %+v", c.what, f)
			}
		}
	}
	if f := d.failed(t, tcp("10.0.0.1", "10.0.0.2", 80, with("src", "shop/nobody"))); f.code != codes.NotFound ||
		f.fields[0] != `context_extensions["netpold.src"]` {
		t.Errorf("%+v", f)
	}
}

// TestNotSyncedStaleAndLateP9 proves that before the first sync, while stale and refused, and after the deadline there
// is an error to retry, whatever is asked.
func TestNotSyncedStaleAndLateP9(t *testing.T) {
	t.Parallel()
	unsynced := servertest.NewSource()
	d := openOn(t, unsynced, unsynced, nil)
	for _, req := range []*authv3.CheckRequest{
		tcp("10.0.0.1", "10.0.0.2", 8080), {}, tcp("10.0.0.1", "10.0.0.2", 8080, http(), with("src", "@header:x")),
	} {
		if f := d.failed(t, req); f.code != codes.Unavailable || f.reason != "NOT_SYNCED" || !f.retry ||
			!idForm.MatchString(f.id) {
			t.Errorf("%+v", f)
		}
	}
	d = open(t, func(c *server.Config) { c.WhenStale = server.DenyWhenStale })
	d.source.SetStale(true)
	if f := d.failed(t, tcp("10.0.0.1", "10.0.0.2", 8080)); f.code != codes.Unavailable || f.reason != "STALE" || !f.retry {
		t.Errorf("%+v", f)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	if _, err := d.Check(late, tcp("10.0.0.1", "10.0.0.2", 8080)); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v", err)
	}
	d = open(t, nil)
	d.source.SetStale(true)
	if code, got := d.answer(t, tcp("10.0.0.1", "10.0.0.2", 8080)); code != codes.OK || got["stale"] != true {
		t.Errorf("%v, %v", code, got)
	}
}

// TestMetadataP4P11 proves what the metadata for the access log have, and what they leave out.
func TestMetadataP4P11(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	seen := map[string]bool{}
	for _, c := range []struct {
		what string
		req  *authv3.CheckRequest
		want map[string]any
	}{
		{"allowed by a rule", tcp("10.0.0.1", "10.0.0.2", 8080), map[string]any{
			"verdict": "allowed", "reason": "ALLOWED_BY_RULE", "ingress_policy": "shop/cart", "principal": "absent"}},
		{"allowed without one", tcp("10.0.0.1", "10.0.0.3", 8080), map[string]any{
			"verdict": "allowed", "reason": "NOT_ISOLATED", "principal": "absent"}},
		{"denied", tcp("10.0.0.3", "10.0.0.2", 8080, http(), principal("CN=x")), map[string]any{
			"verdict": "denied", "reason": "DENIED_AT_INGRESS", "principal": "other"}},
	} {
		_, got := d.answer(t, c.req)
		id, _ := got["decision_id"].(string)
		if !idForm.MatchString(id) || seen[id] {
			t.Errorf("%s: the id is %q", c.what, id)
		}
		seen[id] = true
		c.want["decision_id"], c.want["revision"] = id, "1"
		if diff := gocmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.what, diff)
		}
	}
	// A cluster-wide policy that denies is the one that decides.
	d.source.Apply(engine.Change{Object: &engine.ClusterPolicy{
		Kind: engine.AdminNetworkPolicy, Name: "stop", Tier: engine.Admin,
		Egress: []engine.ClusterRule{{Action: engine.Deny, Rule: engine.Rule{Peers: []engine.Peer{{
			Namespaces: &engine.Selector{}}}}}},
	}})
	if _, got := d.answer(t, tcp("10.0.0.1", "10.0.0.2", 8080)); got["egress_policy"] != "stop" ||
		got["reason"] != "DENIED_AT_EGRESS" || got["revision"] != "2" {
		t.Errorf("%v", got)
	}
}

// TestDenyDetailP11 proves what a denial tells the client, for each value of --deny-detail.
func TestDenyDetailP11(t *testing.T) {
	t.Parallel()
	for detail, want := range map[server.DenyDetail]struct {
		headers map[string]string
		body    string
	}{
		"":                {map[string]string{}, ""},
		server.DenyNone:   {map[string]string{}, ""},
		server.DenyReason: {map[string]string{"x-netpold-reason": "DENIED_AT_INGRESS"}, ""},
		server.DenyPolicy: {map[string]string{"x-netpold-reason": "DENIED_AT_INGRESS",
			"x-netpold-policy": "shop/cart,shop/nothing"}, "denied: DENIED_AT_INGRESS by shop/cart,shop/nothing (decision ID)\n"},
	} {
		d := open(t, func(c *server.Config) { c.DenyDetail = detail })
		resp, err := d.Check(soon(t), tcp("10.0.0.3", "10.0.0.2", 8080, http()))
		if err != nil {
			t.Fatal(err)
		}
		headers := map[string]string{}
		for _, h := range resp.GetDeniedResponse().GetHeaders() {
			headers[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
		}
		id := resp.GetDynamicMetadata().GetFields()["decision_id"].GetStringValue()
		expected := maps.Clone(want.headers)
		expected["x-netpold-decision-id"] = id
		body := regexp.MustCompile(id).ReplaceAllString(resp.GetDeniedResponse().GetBody(), "ID")
		if diff := gocmp.Diff(expected, headers); diff != "" || body != want.body {
			t.Errorf("%s: body %q, headers -want +got:\n%s", detail, body, diff)
		}
		resp, err = d.Check(soon(t), tcp("10.0.0.3", "10.0.0.2", 8080, http(), with("require_principal", "present")))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range resp.GetDeniedResponse().GetHeaders() {
			if h.GetHeader().GetKey() == "x-netpold-policy" {
				t.Errorf("%s: a denial that is no policy's names %v", detail, h)
			}
		}
	}
}

// TestAtMostSixteenPoliciesP11 proves that a denial names at most 16 policies, however many isolate, in the header and in
// the line of text alike.
func TestAtMostSixteenPoliciesP11(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *server.Config) { c.DenyDetail = server.DenyPolicy })
	for i := range 30 {
		d.source.Apply(engine.Change{Object: &engine.Policy{Namespace: "shop", Name: fmt.Sprintf("more-%02d", i), IsolatesIngress: true,
			Subject: engine.Selector{{Key: "app", Operator: engine.In, Values: []string{"cart"}}}}})
	}
	resp, err := d.Check(soon(t), tcp("10.0.0.3", "10.0.0.2", 8080, http()))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range resp.GetDeniedResponse().GetHeaders() {
		if h.GetHeader().GetKey() != "x-netpold-policy" {
			continue
		}
		named := h.GetHeader().GetValue()
		if n := len(strings.Split(named, ",")); n != 16 || !strings.Contains(resp.GetDeniedResponse().GetBody(), " by "+named+" (") {
			t.Errorf("%d policies: %s\n%s", n, named, resp.GetDeniedResponse().GetBody())
		}
		return
	}
	t.Errorf("no policy is named: %v", resp)
}

// TestDeadlineP9 proves that the server gives a question up whose deadline passes while it is decided: there is no
// decision, and the error is the deadline's. The deadline is the server's own longest, so that the client waits to hear it.
func TestDeadlineP9(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *server.Config) { c.MaxDeadline = 300 * time.Millisecond })
	crowd := make([]engine.Change, 4000)
	for i := range crowd {
		crowd[i].Object = &engine.Pod{Namespace: "shop", Name: fmt.Sprint("crowd-", i),
			IPs:       []netip.Addr{netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})},
			Workloads: []engine.Workload{{Kind: "Deployment", Name: "crowd"}}}
	}
	d.source.Apply(crowd...)
	f := d.failed(t, tcp("10.0.0.1", "10.0.0.2", 8080, with("src", "deploy/shop/crowd", "dst", "deploy/shop/crowd")))
	if f.code != codes.DeadlineExceeded || !idForm.MatchString(f.id) {
		t.Errorf("%+v", f)
	}
	if line := `netpold_decision_errors_total{code="DeadlineExceeded",reason=""} 1`; !strings.Contains(d.metrics(t), "\n"+line+"\n") {
		t.Errorf("not counted: %s", line)
	}
}

// TestPrincipalsP10 proves how a principal stands to the source, and what each demand denies.
func TestPrincipalsP10(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	const web = "spiffe://cluster.local/ns/shop/sa/web"
	demands := []string{"none", "present", "match"}
	for _, c := range []struct {
		what, src, principal, trustDomain string
		standing                          string
		denied                            map[string]string
	}{
		{"match", "10.0.0.1", web, "", "match", nil},
		{"match, of the trust domain", "10.0.0.1", web, "cluster.local", "match", nil},
		{"match, IPv6", "fd00::1", web, "", "match", nil},
		{"match, by workload", "deploy/shop/web", web, "", "match", nil},
		{"match, the default", "10.0.0.2", "spiffe://x/ns/shop/sa/default", "", "match", nil},
		{"another account", "10.0.0.3", web, "", "mismatch", map[string]string{"match": "PRINCIPAL_MISMATCH"}},
		{"another namespace", "10.0.0.1", "spiffe://x/ns/web/sa/web", "", "mismatch",
			map[string]string{"match": "PRINCIPAL_MISMATCH"}},
		{"a host-network Pod", "192.168.0.3", web, "", "mismatch", map[string]string{"match": "PRINCIPAL_MISMATCH"}},
		{"an external address", "8.8.8.8", web, "", "mismatch", map[string]string{"match": "PRINCIPAL_MISMATCH"}},
		{"labels", "shop?app=web", web, "", "mismatch", map[string]string{"match": "PRINCIPAL_MISMATCH"}},
		{"none", "10.0.0.1", "", "", "absent",
			map[string]string{"present": "PRINCIPAL_MISSING", "match": "PRINCIPAL_MISSING"}},
		{"a foreign trust domain", "10.0.0.1", web, "other.example", "other",
			map[string]string{"present": "PRINCIPAL_MISSING", "match": "PRINCIPAL_MISSING"}},
		{"a DNS name", "10.0.0.1", "web.shop", "", "other",
			map[string]string{"present": "PRINCIPAL_MISSING", "match": "PRINCIPAL_MISSING"}},
	} {
		for _, demand := range demands {
			sets := []string{"src", c.src, "require_principal", demand}
			if c.trustDomain != "" {
				sets = append(sets, "trust_domain", c.trustDomain)
			}
			req := tcp("10.0.0.9", "10.0.0.3", 5432, http(), principal(c.principal), with(sets...))
			code, got := d.answer(t, req)
			reason := c.denied[demand]
			if got["principal"] != c.standing || (code != codes.OK) != (reason != "") ||
				reason != "" && (got["reason"] != reason || got["verdict"] != "denied") {
				t.Errorf("%s, %s: %v, %v", c.what, demand, code, got)
			}
		}
	}
	for _, other := range []string{
		"spiffe://cluster.local", "spiffe:///ns/shop/sa/web", "spiffe://cluster.local/ns/shop/sa/",
		"spiffe://cluster.local/ns//sa/web", "spiffe://cluster.local/ns/shop/sa/web/", "spiffe://cluster.local/ns/shop/sa/web/x",
		"spiffe://cluster.local/sa/web/ns/shop", "spiffe://cluster.local/NS/shop/sa/web", "http://cluster.local/ns/shop/sa/web",
		"SPIFFE://cluster.local/ns/shop/sa/web", "spiffe://cluster.local/ns/shop/sa/web?x", "spiffe://cluster.local/ns/sh%6fp/sa/web",
		"spiffe://user@cluster.local/ns/shop/sa/web", " spiffe://cluster.local/ns/shop/sa/web", "spiffe://Cluster.local/ns/shop/sa/web",
	} {
		if _, got := d.answer(t, tcp("10.0.0.1", "10.0.0.3", 5432, principal(other))); got["principal"] != "other" {
			t.Errorf("%q: %v", other, got)
		}
	}
	// It never replaces the address, and the policies are asked too; its denial wins.
	if d.allowed(t, tcp("10.0.0.3", "10.0.0.2", 8080, principal(web))) {
		t.Error("the principal counts in place of the address")
	}
	_, got := d.answer(t, tcp("10.0.0.1", "10.0.0.2", 8080, with("require_principal", "match"),
		principal("spiffe://x/ns/shop/sa/db")))
	if got["reason"] != "PRINCIPAL_MISMATCH" || got["ingress_policy"] != "shop/cart" {
		t.Errorf("%v", got)
	}
	// What the client leaves out is never an error, but what the cluster does not know yet is.
	_, got = d.answer(t, tcp("10.0.0.1", "10.0.0.2", 8080, with("require_principal", "present", "dst", "svc/shop/empty")))
	if got["reason"] != "PRINCIPAL_MISSING" {
		t.Errorf("%v", got)
	}
	f := d.failed(t, tcp("10.9.9.9", "10.0.0.2", 8080, principal(web), with("require_principal", "match",
		"require_known", "src")))
	if f.reason != "UNKNOWN_ADDRESS" {
		t.Errorf("%+v", f)
	}
	f = d.failed(t, tcp("10.0.0.1", "10.0.0.2", 8080, principal(web), with("require_principal", "match", "src", "shop/no")))
	if f.reason != "NOT_FOUND" {
		t.Errorf("%+v", f)
	}
}

// TestShadowP12 proves that in shadow, by the flag or by an override, every client passes, and the metadata say what
// the answer would have been.
func TestShadowP12(t *testing.T) {
	t.Parallel()
	all, none := open(t, func(c *server.Config) { c.Shadow = true }), open(t, nil)
	unsynced := servertest.NewSource()
	before := openOn(t, unsynced, unsynced, func(c *server.Config) { c.Shadow = true })
	for _, c := range []struct {
		what    string
		d       *door
		req     *authv3.CheckRequest
		sets    []string
		verdict string
		more    map[string]any
	}{
		{"allowed", none, tcp("10.0.0.1", "10.0.0.2", 8080, http()), nil, "allowed", map[string]any{
			"reason": "ALLOWED_BY_RULE", "ingress_policy": "shop/cart", "revision": "1"}},
		{"denied", none, tcp("10.0.0.3", "10.0.0.2", 8080, http()), nil, "denied", map[string]any{
			"reason": "DENIED_AT_INGRESS", "revision": "1"}},
		{"denied for the network filter", none, tcp("10.0.0.3", "10.0.0.2", 8080), nil, "denied", map[string]any{
			"reason": "DENIED_AT_INGRESS", "revision": "1"}},
		{"a missing principal", none, tcp("10.0.0.3", "10.0.0.3", 8080), []string{"require_principal", "present"}, "denied",
			map[string]any{"reason": "PRINCIPAL_MISSING", "revision": "1"}},
		{"a wrong address", none, tcp("127.0.0.1", "10.0.0.2", 8080), nil, "error", map[string]any{
			"code": "INVALID_ARGUMENT", "revision": "1"}},
		{"a wrong override", none, tcp("10.0.0.1", "10.0.0.2", 8080), []string{"port", "x"}, "error", map[string]any{
			"code": "INVALID_ARGUMENT", "revision": "1"}},
		{"an unknown name", none, tcp("10.0.0.1", "10.0.0.2", 8080), []string{"dst", "shop/no"}, "error", map[string]any{
			"code": "NOT_FOUND", "revision": "1"}},
		{"not synced", before, tcp("10.0.0.1", "10.0.0.2", 8080, http()), nil, "error", map[string]any{
			"code": "UNAVAILABLE"}},
	} {
		ds := []*door{c.d, all}
		if c.d == before {
			ds = ds[:1]
		}
		for i, d := range ds {
			req := cloned(c.req)
			if len(c.sets) > 0 {
				with(c.sets...)(req)
			}
			md := []string{"netpold-shadow", "true"}
			if i == 1 {
				md = nil
			}
			resp, err := d.Check(soon(t, md...), req)
			if err != nil {
				t.Errorf("%s: %v", c.what, err)
				continue
			}
			got := resp.GetDynamicMetadata().AsMap()
			want := maps.Clone(c.more)
			want["verdict"], want["shadow"], want["principal"], want["decision_id"] = c.verdict, true, "absent", got["decision_id"]
			isHTTP := req.GetAttributes().GetRequest().GetHttp() != nil
			if diff := gocmp.Diff(want, got); diff != "" || resp.GetStatus().GetCode() != 0 ||
				(resp.GetOkResponse() != nil) != isHTTP || resp.GetDeniedResponse() != nil {
				t.Errorf("%s: %v, -want +got:\n%s", c.what, resp.GetStatus(), diff)
			}
		}
	}
	if code, got := none.answer(t, tcp("10.0.0.3", "10.0.0.2", 8080, with("shadow", "false"))); code == codes.OK ||
		got["shadow"] != nil {
		t.Errorf("%v, %v", code, got)
	}
	// A switch that is wrong switches nothing.
	if f := none.failed(t, tcp("10.0.0.3", "10.0.0.2", 8080, with("shadow", "1"))); f.code != codes.InvalidArgument {
		t.Errorf("%+v", f)
	}
}

// TestForeignMessages proves that a CheckRequest passes the server's codec whole, unknown fields too.
func TestForeignMessages(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	req := tcp("10.0.0.1", "10.0.0.2", 8080, http())
	req.ProtoReflect().SetUnknown([]byte{0xfa, 0x3f, 1, 'x'}) // field 1023, of a newer Envoy
	if !d.allowed(t, req) {
		t.Error("denied")
	}
}

// TestReflectionAndHealth proves that the service is found by reflection, and has a health name of its own.
func TestReflectionAndHealth(t *testing.T) {
	t.Parallel()
	const name = "envoy.service.auth.v3.Authorization"
	d := open(t, nil)
	health, err := healthv1.NewHealthClient(d.conn).Check(soon(t), &healthv1.HealthCheckRequest{Service: name})
	want := &healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_SERVING}
	if diff := gocmp.Diff(want, health, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	stream, err := reflectionv1.NewServerReflectionClient(d.conn).ServerReflectionInfo(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name},
	})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil || len(resp.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("%v, %v", resp, err)
	}
	_ = stream.CloseSend()
	if _, err := stream.Recv(); err == nil {
		t.Error("reflection goes on")
	}
}
