package extauthz_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// objects is a cluster in which web may reach cart on 8080/TCP, and nothing else may.
func objects() []engine.Object {
	at := func(texts ...string) (ips []netip.Addr) {
		for _, text := range texts {
			ips = append(ips, netip.MustParseAddr(text))
		}
		return ips
	}
	app := func(name string) map[string]string { return map[string]string{"app": name} }
	selects := func(name string) *engine.Selector {
		return &engine.Selector{{Key: "app", Operator: engine.In, Values: []string{name}}}
	}
	deployment := func(name string) []engine.Workload { return []engine.Workload{{Kind: "Deployment", Name: name}} }
	service := func(name, ip string) *engine.Service {
		return &engine.Service{Namespace: "shop", Name: name, IPs: at(ip),
			Ports: []engine.ServicePort{{Port: 80, Protocol: engine.TCP}}}
	}
	return []engine.Object{
		&engine.Pod{Namespace: "shop", Name: "web-0", Labels: app("web"), IPs: at("10.0.0.1", "fd00::1"),
			ServiceAccount: "web", Workloads: deployment("web"), Node: "n1", HostIPs: at("192.168.0.1")},
		&engine.Pod{Namespace: "shop", Name: "cart-0", Labels: app("cart"), IPs: at("10.0.0.2", "fd00::2"),
			Workloads: deployment("cart"), Node: "n2", HostIPs: at("192.168.0.2")},
		&engine.Pod{Namespace: "shop", Name: "db-0", Labels: app("db"), IPs: at("10.0.0.3"), ServiceAccount: "db",
			Node: "n2"},
		&engine.Pod{Namespace: "shop", Name: "host", IPs: at("192.168.0.3"), HostNetwork: true, Node: "n3",
			ServiceAccount: "web"},
		&engine.Pod{Namespace: "shop", Name: "done", Finished: true},
		service("cart", "10.96.0.1"), service("empty", "10.96.0.2"),
		&engine.EndpointSlice{Namespace: "shop", Name: "cart-x", Service: "cart",
			Ports:     []engine.ServicePort{{Port: 8080, Protocol: engine.TCP}},
			Endpoints: []engine.SliceEndpoint{{Addr: at("10.0.0.2")[0], Ready: true, Serving: true}}},
		&engine.Policy{Namespace: "shop", Name: "cart", Subject: *selects("cart"), IsolatesIngress: true,
			Ingress: []engine.Rule{{
				Peers: []engine.Peer{{Pods: selects("web")}},
				Ports: []engine.Port{{First: 8080, Last: 8080, Protocol: engine.TCP}},
			}}},
		&engine.Policy{Namespace: "shop", Name: "nothing", Subject: *selects("cart"), IsolatesIngress: true},
	}
}

// A door is a server under test, and a client of its Authorization.
type door struct {
	authv3.AuthorizationClient
	*server.Server
	source *servertest.Source
	conn   *grpc.ClientConn
}

// open serves the cluster until the test ends. change changes the configuration; nil changes nothing.
func open(t testing.TB, change func(*server.Config)) *door {
	t.Helper()
	source := synced()
	return openOn(t, source, source, change)
}

// synced returns a source of the cluster.
func synced() *servertest.Source {
	source := servertest.NewSource()
	var changes []engine.Change
	for _, o := range objects() {
		changes = append(changes, engine.Change{Object: o})
	}
	source.Apply(changes...)
	return source
}

// openOn is open for a source of the test's own.
func openOn(t testing.TB, mirrored mirror.Source, source *servertest.Source, change func(*server.Config)) *door {
	t.Helper()
	config := server.Defaults()
	config.Source, config.Listen, config.AdminListen, config.DrainDelay = mirrored, "127.0.0.1:0", "127.0.0.1:0", 0
	if change != nil {
		change(&config)
	}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return &door{authv3.NewAuthorizationClient(conn), s, source, conn}
}

// soon returns a context that ends long after an answer is due, with gRPC metadata.
func soon(t testing.TB, md ...string) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, md...)
}

// An option changes a CheckRequest.
type option func(*authv3.CheckRequest)

// tcp returns the request of a network filter for a connection.
func tcp(src, dst string, port uint32, options ...option) *authv3.CheckRequest {
	req := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: peer(src, 40000), Destination: peer(dst, port),
	}}
	for _, change := range options {
		change(req)
	}
	return req
}

func peer(ip string, port uint32) *authv3.AttributeContext_Peer {
	return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
		SocketAddress: &corev3.SocketAddress{Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}},
	}}}
}

// http makes it the request of an HTTP filter, with headers by name and value.
func http(headers ...string) option {
	return func(req *authv3.CheckRequest) {
		h := &authv3.AttributeContext_HttpRequest{Method: "GET", Path: "/", Headers: map[string]string{}}
		for i := 0; i < len(headers); i += 2 {
			h.Headers[headers[i]] = headers[i+1]
		}
		req.Attributes.Request = &authv3.AttributeContext_Request{Http: h}
	}
}

// with sets context_extensions by name, without their prefix, and value.
func with(extensions ...string) option {
	return func(req *authv3.CheckRequest) {
		req.Attributes.ContextExtensions = map[string]string{}
		for i := 0; i < len(extensions); i += 2 {
			req.Attributes.ContextExtensions["netpold."+extensions[i]] = extensions[i+1]
		}
	}
}

func cloned(req *authv3.CheckRequest) *authv3.CheckRequest {
	return proto.Clone(req).(*authv3.CheckRequest)
}

func principal(name string) option {
	return func(req *authv3.CheckRequest) { req.Attributes.Source.Principal = name }
}

// answer returns the code of an answer and its metadata.
func (d *door) answer(t *testing.T, req *authv3.CheckRequest, md ...string) (codes.Code, map[string]any) {
	t.Helper()
	resp, err := d.Check(soon(t, md...), req)
	if err != nil {
		t.Fatalf("%v: %v", req, err)
	}
	return codes.Code(resp.GetStatus().GetCode()), resp.GetDynamicMetadata().AsMap()
}

// allowed reports the verdict.
func (d *door) allowed(t *testing.T, req *authv3.CheckRequest, md ...string) bool {
	t.Helper()
	code, _ := d.answer(t, req, md...)
	return code == codes.OK
}

// A failure is what an error says.
type failure struct {
	code   codes.Code
	reason string
	// fields are those of BadRequest, or else the one in the metadata of ErrorInfo.
	fields []string
	texts  map[string]string
	id     string
	retry  bool
}

// failed returns what the error of a call says; the call must fail.
func (d *door) failed(t *testing.T, req *authv3.CheckRequest, md ...string) failure {
	t.Helper()
	resp, err := d.Check(soon(t, md...), req)
	if err == nil {
		t.Fatalf("%v: answered %v", req, resp)
	}
	return detailsOf(err)
}

// detailsOf returns what an error says.
func detailsOf(err error) failure {
	f := failure{code: status.Code(err), texts: map[string]string{}}
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			f.reason = detail.GetReason()
			if field, ok := detail.GetMetadata()["field"]; ok {
				f.fields = append(f.fields, field)
			}
		case *errdetails.BadRequest:
			for _, v := range detail.GetFieldViolations() {
				f.fields = append(f.fields, v.GetField())
				f.texts[v.GetField()] = v.GetDescription()
			}
		case *errdetails.RequestInfo:
			f.id = detail.GetRequestId()
		case *errdetails.RetryInfo:
			f.retry = true
		}
	}
	return f
}
