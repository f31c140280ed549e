package agree

import (
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/words"
	"github.com/netpold/netpold/test/door"
)

// proxies ask as proxies do: Envoy's filters, and those of forward-auth.
type proxies struct {
	envoy       authv3.AuthorizationClient
	http        *http.Client
	forwardAuth string
}

func newProxies(t *testing.T, addr, forwardAuth string) *proxies {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	door.Close(t, conn)
	p := &proxies{authv3.NewAuthorizationClient(conn), &http.Client{Transport: &http.Transport{}}, forwardAuth}
	t.Cleanup(p.http.CloseIdleConnections)
	return p
}

// check asks a question in all ways of proxies, and expects the answer of Allowed (P1).
func (p *proxies) check(t *testing.T, q question, want *netpoldv1.AllowedResponse) {
	t.Helper()
	if refused(q.src.ip) || refused(q.dst.ip) {
		return
	}
	asked := q.proto()
	src, dst := words.FormatEndpoint(asked.GetSrc()), words.FormatEndpoint(asked.GetDst())
	port, protocol := strconv.Itoa(int(q.port.First)), strings.TrimPrefix(asked.GetProtocol().String(), "PROTOCOL_")
	for _, byHTTP := range []bool{true, false} {
		req := checkRequest(q)
		req.Attributes.ContextExtensions = map[string]string{"netpold.port": port, "netpold.protocol": protocol}
		if !q.src.ip.IsValid() {
			req.Attributes.ContextExtensions["netpold.src"] = src
		}
		if !q.dst.ip.IsValid() {
			req.Attributes.ContextExtensions["netpold.dst"] = dst
		}
		if byHTTP {
			req.Attributes.Request = &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{Path: "/"}}
		}
		p.checkEnvoy(t, q, req, want)
	}
	query := url.Values{"src": {src}, "dst": {dst}, "port": {port}, "protocol": {protocol}}
	p.checkForwardAuth(t, q, query, "", want)
	if q.src.ip.IsValid() {
		query.Del("src")
		p.checkForwardAuth(t, q, query, src, want)
	}
}

// refused reports whether no connection of a proxy has an address, so that its question is an error (P5).
func refused(ip netip.Addr) bool { return ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() }

// checkRequest returns a request of Envoy with the addresses of a question.
func checkRequest(q question) *authv3.CheckRequest {
	at := func(ip netip.Addr) *authv3.AttributeContext_Peer {
		return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
			SocketAddress: &corev3.SocketAddress{Address: ip.String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 1}},
		}}}
	}
	req := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{}}
	if q.src.ip.IsValid() {
		req.Attributes.Source = at(q.src.ip)
	}
	if q.dst.ip.IsValid() {
		req.Attributes.Destination = at(q.dst.ip)
	}
	return req
}

func (p *proxies) checkEnvoy(t *testing.T, q question, req *authv3.CheckRequest, want *netpoldv1.AllowedResponse) {
	t.Helper()
	got, err := p.envoy.Check(t.Context(), req)
	if err != nil {
		t.Fatalf("%v: %v", req, err)
	}
	text := func(key string) string { return got.GetDynamicMetadata().GetFields()[key].GetStringValue() }
	if (got.GetStatus().GetCode() == 0) != want.GetAllowed() ||
		"REASON_"+text("reason") != want.GetReason().String() ||
		text("egress_policy") != want.GetEgress().GetPolicy() || text("ingress_policy") != want.GetIngress().GetPolicy() {
		t.Errorf("P1: %v\nCheck   %v\nAllowed %v", q.oracle(), got, want)
	}
}

func (p *proxies) checkForwardAuth(t *testing.T, q question, query url.Values, client string, want *netpoldv1.AllowedResponse) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.forwardAuth+"/authz?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if client != "" {
		req.Header.Set("X-Forwarded-For", client)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.Body.Close() != nil {
		t.Fatal(err)
	}
	status := http.StatusForbidden
	if want.GetAllowed() {
		status = http.StatusOK
	}
	if resp.StatusCode != status {
		t.Errorf("P1: %v\nforward-auth %d %s, want %d", q.oracle(), resp.StatusCode, body, status)
	}
}
