package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
)

// A guardedServer requires client certificates of ca, and has a policy file.
type guardedServer struct {
	*running
	ca     *authority
	policy string
	log    *logBuffer
	ticks  chan time.Time
}

// startGuarded serves with a policy.
func startGuarded(t *testing.T, policy string, change func(*server.Config)) *guardedServer {
	t.Helper()
	g := &guardedServer{
		ca: newAuthority(t, "all"), policy: filepath.Join(t.TempDir(), "policy.json"), log: &logBuffer{},
		ticks: make(chan time.Time),
	}
	files := tlsFiles(t)
	cert, key := g.ca.issue(1, time.Now().Add(time.Hour))
	write(t, map[string][]byte{files.Cert: cert, files.Key: key, files.ClientCA: g.ca.pem, g.policy: []byte(policy)})
	g.running = startWith(t, synced(shop()...), func(c *server.Config) {
		c.TLS, c.AuthzPolicy, c.Logger = files, g.policy, g.log.logger()
		if change != nil {
			change(c)
		}
	}, func(s *server.Server) { server.SetPolicyTicks(s, g.ticks) })
	return g
}

// rewrite changes the policy file, and waits until the server has looked at it.
func (g *guardedServer) rewrite(t *testing.T, policy string) {
	t.Helper()
	write(t, map[string][]byte{g.policy: []byte(policy)})
	g.look(t)
}

func (g *guardedServer) look(t *testing.T) {
	t.Helper()
	for range 2 { // the second is taken when the first is done with
		select {
		case g.ticks <- time.Time{}:
		case <-time.After(patience):
			t.Fatal("the server does not look at its policy")
		}
	}
}

// names are those in a client's certificate.
type names struct {
	uri, dns, subject string
}

// as returns a connection of a client with the names.
func (g *guardedServer) as(t *testing.T, n names) *grpc.ClientConn {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: n.subject}}
	if n.uri != "" {
		uri, err := url.Parse(n.uri)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = []*url.URL{uri}
	}
	if n.dns != "" {
		template.DNSNames = []string{n.dns}
	}
	config := g.ca.client(nil)
	config.Certificates = []tls.Certificate{g.ca.certify(template)}
	return g.dial(t, grpc.WithTransportCredentials(credentials.NewTLS(config)))
}

// refusedAs returns the code and ErrorInfo reason of an error.
func refusedAs(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return "OK"
	}
	d := detailsOf(t, status.Convert(err))
	return d.Code.String() + " " + d.Reason
}

func allowed(t *testing.T, conn *grpc.ClientConn) string {
	t.Helper()
	_, err := netpoldv1.NewDecisionServiceClient(conn).Allowed(soon(t), ask())
	return refusedAs(t, err)
}

func statusOf(t *testing.T, conn *grpc.ClientConn) string {
	t.Helper()
	_, err := netpoldv1.NewStatusServiceClient(conn).GetStatus(soon(t), &netpoldv1.GetStatusRequest{})
	return refusedAs(t, err)
}

const (
	proxies = `{"name": "callers", "allow_rules": [{"name": "proxies", "source": {"principals": [
		"spiffe://td/ns/mesh/sa/*", "proxy.example", "CN=old proxy"]},
		"request": {"paths": ["/netpold.v1.DecisionService/*"]}}]}`
	nobody  = `{"name": "callers", "allow_rules": [{"name": "nobody", "source": {"principals": ["x"]}}]}`
	refused = "PermissionDenied CALLER_NOT_ALLOWED"
)

// P35, P38: a policy looks at the URI of a certificate, else at its DNS names, else at its subject.
func TestP35PolicyOfCertificates(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, proxies, nil)
	for name, test := range map[string]struct {
		names     names
		decisions string
	}{
		"URI":                         {names{uri: "spiffe://td/ns/mesh/sa/gateway"}, "OK"},
		"another URI":                 {names{uri: "spiffe://td/ns/shop/sa/web"}, refused},
		"URI before the DNS name":     {names{uri: "spiffe://td/ns/shop/sa/web", dns: "proxy.example"}, refused},
		"DNS name":                    {names{dns: "proxy.example"}, "OK"},
		"DNS name before subject":     {names{dns: "web.example", subject: "old proxy"}, refused},
		"subject":                     {names{subject: "old proxy"}, "OK"},
		"another subject":             {names{subject: "web"}, refused},
		"a subject like a URI":        {names{subject: "spiffe://td/ns/mesh/sa/gateway"}, refused},
		"a prefix of what is allowed": {names{uri: "spiffe://td/ns/mesh/s"}, refused},
	} {
		conn := g.as(t, test.names)
		if got := allowed(t, conn); got != test.decisions {
			t.Errorf("%s: %s, want %s", name, got, test.decisions)
		}
		if got := statusOf(t, conn); got != refused {
			t.Errorf("%s: the status is %s", name, got)
		}
		// P34: health is open.
		_, err := healthv1.NewHealthClient(conn).Check(soon(t), &healthv1.HealthCheckRequest{})
		if err != nil {
			t.Errorf("%s: health: %v", name, err)
		}
	}
	expectMetrics(t, metricsOf(t, g.running), map[string]string{
		`netpold_callers_refused_total{reason="CALLER_NOT_ALLOWED",service="netpold.v1.StatusService"}`:   "9",
		`netpold_callers_refused_total{reason="CALLER_NOT_ALLOWED",service="netpold.v1.DecisionService"}`: "6",
	})
}

// P34: without a policy and tokens everybody who can connect may ask everything. Health is open whatever is set, to
// those whose certificate the server takes, and to others not at all.
func TestP34WhoMayAskWithoutFlags(t *testing.T) {
	t.Parallel()
	healthy := func(conn *grpc.ClientConn) string {
		_, err := healthv1.NewHealthClient(conn).Check(soon(t), &healthv1.HealthCheckRequest{})
		return refusedAs(t, err)
	}
	open := start(t, synced(shop()...), nil)
	conn := open.dial(t)
	_, explained := netpoldv1.NewAuditServiceClient(conn).Explain(soon(t), &netpoldv1.ExplainRequest{Question: ask()})
	for what, got := range map[string]string{"a decision": allowed(t, conn), "the status": statusOf(t, conn),
		"an audit": refusedAs(t, explained), "health": healthy(conn)} {
		if got != "OK" {
			t.Errorf("without flags: %s: %s", what, got)
		}
	}
	tokens := startReviewed(t, newReviewer(), &logBuffer{}, nil).dial(t)
	if got := allowed(t, tokens); got != unknown {
		t.Errorf("with tokens, without one: a decision: %s", got)
	}
	if got := healthy(tokens); got != "OK" {
		t.Errorf("with tokens, without one: health: %s", got)
	}
	guarded := startGuarded(t, nobody, nil)
	known := guarded.as(t, names{subject: "web"})
	if got := allowed(t, known); got != refused {
		t.Errorf("with a policy: a decision: %s", got)
	}
	if got := healthy(known); got != "OK" {
		t.Errorf("with a policy: health: %s", got)
	}
	without := guarded.dial(t, grpc.WithTransportCredentials(credentials.NewTLS(guarded.ca.client(nil))))
	if got := healthy(without); got == "OK" {
		t.Error("health answers a client without a certificate")
	}
}

// P38: a refusal is logged once in a while for each principal and service.
func TestP38RefusalsAreLoggedNowAndThen(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nobody, nil)
	one, two := g.as(t, names{dns: "one"}), g.as(t, names{dns: "two"})
	for range 5 {
		allowed(t, one)
		allowed(t, two)
		statusOf(t, one)
	}
	if n := strings.Count(g.log.String(), `level=WARN msg="caller refused"`); n != 3 {
		t.Errorf("%d refusals are logged, want 3:\n%s", n, g.log.String())
	}
}

// P35: a policy that does not load stops the start, and the error names what is wrong and what to give.
func TestP35PolicyMustLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ path, content, want string }{
		"no file":           {filepath.Join(dir, "none"), "", "no such file or directory: give a JSON file"},
		"a directory":       {dir, "", "it is no regular file: give a JSON file"},
		"a pipe":            {fifo, "", "it is no regular file: give a JSON file"},
		"empty":             {"", "\n", "it is not one whole document of JSON: unexpected end of JSON input"},
		"half":              {"", proxies[:60], "it is not one whole document of JSON"},
		"and more":          {"", proxies + "{", "it is not one whole document of JSON"},
		"twice":             {"", proxies + proxies, "it is not one whole document of JSON"},
		"of another kind":   {"", `{"allow": []}`, `it is no gRPC authorization policy: failed to unmarshal policy`},
		"no name":           {"", `{"allow_rules": [{"name": "x"}]}`, `"name" is not present`},
		"nobody is allowed": {"", `{"name": "x"}`, `"allow_rules" is not present`},
		"YAML":              {"", "name: callers\n", "it is not one whole document of JSON"},
		"too large":         {"", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, "it has more than 1048576 bytes"},
	} {
		path := test.path
		if path == "" {
			path = filepath.Join(dir, "policy.json")
			write(t, map[string][]byte{path: []byte(test.content)})
		}
		config := server.Defaults()
		config.Source, config.AdminListen, config.Listen = synced(), "", "127.0.0.1:0"
		config.TLS, config.AuthzPolicy = tlsFiles(t), path
		ca := newAuthority(t, "all")
		cert, key := ca.issue(1, time.Now().Add(time.Hour))
		write(t, map[string][]byte{config.TLS.Cert: cert, config.TLS.Key: key, config.TLS.ClientCA: ca.pem})
		s, err := server.New(config)
		if err == nil {
			s.Stop()
		}
		wrong, _ := errors.AsType[*server.FieldError](err)
		if wrong == nil || wrong.Fields[0] != (server.Field{Name: "AuthzPolicy", Value: path}) ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

// P35: a changed file counts from the next look on. One that does not load is refused, counted and logged once, and
// the last good one stays.
func TestP35PolicyReload(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nobody, nil)
	conn := g.as(t, names{dns: "proxy.example"})
	want := func(when, want string) {
		t.Helper()
		if got := allowed(t, conn); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	want("at the start", refused)
	g.rewrite(t, proxies)
	want("allowed", "OK")
	g.rewrite(t, proxies[:len(proxies)-2])
	want("half a file", "OK")
	g.look(t)
	g.rewrite(t, "")
	want("an empty file", "OK")
	if err := os.Remove(g.policy); err != nil {
		t.Fatal(err)
	}
	g.look(t)
	want("no file", "OK")
	g.rewrite(t, nobody)
	want("refused again", refused)
	expectMetrics(t, metricsOf(t, g.running), map[string]string{
		`netpold_authz_reloads_total{result="taken"}`: "2", `netpold_authz_reloads_total{result="refused"}`: "3",
	})
	if n := strings.Count(g.log.String(), "changed policy of callers refused; the last good one stays in use"); n != 3 {
		t.Errorf("%d refusals are logged, want 3:\n%s", n, g.log.String())
	}
	// SIGHUP looks too.
	write(t, map[string][]byte{g.policy: []byte(proxies)})
	if !g.ReloadAuthzPolicy() {
		t.Error("there is no policy to load")
	}
	want("loaded at once", "OK")
}

// P39: an open stream ends when the policy no longer allows it, and the caller is told; others go on.
func TestP39PolicyEndsStreams(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, proxies, nil)
	ctx := soon(t)
	mesh, old := g.as(t, names{uri: "spiffe://td/ns/mesh/sa/gateway"}), g.as(t, names{subject: "old proxy"})
	watch, stream := openStreams(ctx, t, old)
	kept, _ := openStreams(ctx, t, mesh)
	g.rewrite(t, strings.Replace(proxies, ", \"CN=old proxy\"", "", 1))
	for {
		if _, err := watch.Recv(); err != nil {
			if got := refusedAs(t, err); got != refused {
				t.Errorf("the watch ended with %s", got)
			}
			break
		}
	}
	if _, err := stream.Recv(); refusedAs(t, err) != refused {
		t.Errorf("the stream ended with %v", err)
	}
	if err := kept.Send(&netpoldv1.WatchAllowedRequest{}); err != nil {
		t.Fatal(err)
	}
	for applied := uint64(0); applied < 2; {
		response, err := kept.Recv()
		if err != nil {
			t.Fatalf("the watch of another: %v", err)
		}
		applied = response.GetApplied()
	}
}

// openStreams opens a watch and a stream, and waits for an answer of the watch.
func openStreams(ctx context.Context, t *testing.T, conn *grpc.ClientConn) (
	grpc.BidiStreamingClient[netpoldv1.WatchAllowedRequest, netpoldv1.WatchAllowedResponse],
	grpc.BidiStreamingClient[netpoldv1.StreamAllowedRequest, netpoldv1.StreamAllowedResponse]) {
	t.Helper()
	client := netpoldv1.NewDecisionServiceClient(conn)
	watch, err := client.WatchAllowed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Send(&netpoldv1.WatchAllowedRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	stream, err := client.StreamAllowed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&netpoldv1.StreamAllowedRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	return watch, stream
}

// P35, P36: settings that contradict each other are errors that name the remedy.
func TestP36CombinationsOfSettings(t *testing.T) {
	t.Parallel()
	reviewer := newReviewer()
	for name, test := range map[string]struct {
		change func(*server.Config)
		want   string
	}{
		"a policy without certificates": {func(c *server.Config) { c.AuthzPolicy = "p" },
			"Config.AuthzPolicy p: it is about client certificates: give --tls-client-ca too"},
		"two that say who may ask": {func(c *server.Config) {
			c.AuthzPolicy, c.KubeAuthz, c.TLS = "p", true, server.TLSFiles{Cert: "c", Key: "k", ClientCA: "a"}
		}, "Config.AuthzPolicy p: it excludes --kube-authz"},
		"tokens in plaintext": {func(c *server.Config) { c.KubeAuthz, c.Listen, c.Insecure = true, ":0", true },
			"Config.KubeAuthz true: tokens would cross the network in plaintext"},
		"no audience": {func(c *server.Config) { c.KubeAuthz, c.KubeAuthzAudience = true, "" },
			`Config.KubeAuthzAudience "": give a name`},
		"no time": {func(c *server.Config) { c.KubeAuthz, c.KubeAuthzTTL = true, 0 },
			"Config.KubeAuthzTTL 0s: give a positive duration"},
		"nobody to ask": {func(c *server.Config) { c.KubeAuthz, c.Reviewer = true, nil }, "Config.Reviewer: give what"},
	} {
		config := server.Defaults()
		config.Source, config.Reviewer = synced(), reviewer
		test.change(&config)
		if err := config.Validate(); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	config := server.Defaults()
	config.Source, config.Reviewer, config.KubeAuthz = synced(), reviewer, true
	for _, listen := range []string{"127.0.0.1:0", "unix:///run/x"} {
		config.Listen = listen
		if err := config.Validate(); err != nil {
			t.Errorf("%s: %v", listen, err)
		}
	}
	config.Listen, config.TLS = ":0", server.TLSFiles{Cert: "c", Key: "k"}
	if err := config.Validate(); err != nil {
		t.Errorf("TLS: %v", err)
	}
}

// P32, P35: a policy works over a Unix socket as well.
func TestP35PolicyOnAUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	g := startGuarded(t, proxies, func(c *server.Config) { c.Listen = "unix://" + path })
	config := g.ca.client(nil)
	config.ServerName = "127.0.0.1"
	config.Certificates = []tls.Certificate{g.ca.certify(&x509.Certificate{DNSNames: []string{"proxy.example"}})}
	conn := g.dial(t, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if got := allowed(t, conn); got != codes.OK.String() {
		t.Error(got)
	}
	if got := statusOf(t, conn); got != refused {
		t.Error(got)
	}
}

// P35: what a policy allowed once is remembered for a certificate and a method, but not if the policy looks at
// headers, however they are spelt, nor past a change of the policy.
func TestP35NothingIsRememberedTooLong(t *testing.T) {
	t.Parallel()
	withHeader := func(key string) string {
		return `{"name": "callers", "allow_rules": [{"name": "a", "request": {"` + key +
			`": [{"key": "tenant", "values": ["red"]}]}}]}`
	}
	for _, policy := range []string{withHeader("headers"), withHeader("he\\u0061ders")} {
		g := startGuarded(t, policy, nil)
		conn := g.as(t, names{uri: "spiffe://td/ns/mesh/sa/proxy"})
		for range 2 {
			for tenant, want := range map[string]string{"red": "OK", "blue": refused} {
				ctx := metadata.AppendToOutgoingContext(soon(t), "tenant", tenant)
				_, err := netpoldv1.NewDecisionServiceClient(conn).Allowed(ctx, ask())
				if got := refusedAs(t, err); got != want {
					t.Errorf("%s: tenant %s: %s, want %s", policy, tenant, got, want)
				}
			}
		}
	}
	g := startGuarded(t, proxies, nil)
	conn := g.as(t, names{uri: "spiffe://td/ns/mesh/sa/proxy"})
	for range 2 {
		if got := allowed(t, conn); got != "OK" {
			t.Errorf("a caller that the policy allows: %s", got)
		}
		if got := statusOf(t, conn); got != refused {
			t.Errorf("another method: %s", got)
		}
	}
	g.rewrite(t, nobody)
	if got := allowed(t, conn); got != refused {
		t.Errorf("after a change, on the same connection: %s", got)
	}
}
