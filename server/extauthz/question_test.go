package extauthz_test

import (
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"
)

// TestAddressesP5P8 proves that the addresses of the connection are the question, in any spelling.
func TestAddressesP5P8(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	for _, c := range []struct {
		what, src, dst string
		port           uint32
		want           bool
	}{
		{"a Pod that the policy allows", "10.0.0.1", "10.0.0.2", 8080, true},
		{"another port", "10.0.0.1", "10.0.0.2", 8081, false},
		{"another Pod", "10.0.0.3", "10.0.0.2", 8080, false},
		{"an external address", "8.8.8.8", "10.0.0.2", 8080, false},
		{"an address to which nothing is denied", "8.8.8.8", "10.0.0.3", 1, true},
		{"IPv4-mapped", "::ffff:10.0.0.1", "::FFFF:10.0.0.2", 8080, true},
		{"IPv6 in full", "fd00:0:0:0:0:0:0:1", "FD00::2", 8080, true},
		{"IPv6, denied", "fd00::9", "fd00::2", 8080, false},
		{"a Service's address stands for its endpoints (S24)", "10.0.0.1", "10.96.0.1", 80, true},
		{"a Service's address, denied", "10.0.0.3", "10.96.0.1", 80, false},
		{"the Node of the destination (S3)", "192.168.0.2", "10.0.0.2", 8081, true},
		{"a Node's address", "10.0.0.1", "192.168.0.2", 30080, true},
	} {
		for _, kind := range []option{func(*authv3.CheckRequest) {}, http()} {
			if got := d.allowed(t, tcp(c.src, c.dst, c.port, kind)); got != c.want {
				t.Errorf("%s: %v", c.what, got)
			}
		}
	}
}

// TestRefusedAddressesP5 proves that addresses which no connection of a cluster has are errors that name them, at
// either end and in overrides.
func TestRefusedAddressesP5(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	for ip, kind := range map[string]string{
		"127.0.0.1": "loopback", "127.8.9.1": "loopback", "::1": "loopback", "::ffff:127.0.0.1": "loopback",
		"0.0.0.0": "unspecified", "::": "unspecified", "224.0.0.1": "multicast", "ff02::1": "multicast",
		"fe80::1%eth0": "zone",
	} {
		for field, req := range map[string]*authv3.CheckRequest{
			"attributes.source.address":         tcp(ip, "10.0.0.2", 8080),
			"attributes.destination.address":    tcp("10.0.0.1", ip, 8080, http()),
			`context_extensions["netpold.src"]`: tcp("10.0.0.1", "10.0.0.2", 8080, with("src", ip)),
			`context_extensions["netpold.dst"]`: tcp("10.0.0.1", "10.0.0.2", 8080, with("dst", ip)),
		} {
			f := d.failed(t, req)
			if f.code != codes.InvalidArgument || !slices.Equal(f.fields, []string{field}) ||
				!strings.Contains(f.texts[field], kind) {
				t.Errorf("%s at %s: %+v", ip, field, f)
			}
		}
	}
}

// TestNothingElseCountsP6 proves that nothing that a client can write changes the question.
func TestNothingElseCountsP6(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	forged := func(req *authv3.CheckRequest) {
		http("x-forwarded-for", "10.0.0.1", "netpold-src", "10.0.0.1", "x-netpold-src", "10.0.0.1", ":path",
			"/?src=10.0.0.1", "netpold.src", "10.0.0.1", "forwarded", "for=10.0.0.1")(req)
		h := req.Attributes.Request.Http
		h.Host, h.Path, h.Method = "cart.shop", "/netpold.src", "netpold-src"
		req.Attributes.Source.Service = "web"
		req.Attributes.Source.Labels = map[string]string{"app": "web", "netpold.src": "10.0.0.1"}
		req.Attributes.Source.Certificate = "x"
		req.Attributes.Source.Principal = "spiffe://cluster.local/ns/shop/sa/web"
		req.Attributes.TlsSession = &authv3.AttributeContext_TLSSession{Sni: "web"}
		req.Attributes.Source.GetAddress().GetSocketAddress().PortSpecifier =
			&corev3.SocketAddress_PortValue{PortValue: 8080}
		req.Attributes.ContextExtensions = map[string]string{"src": "10.0.0.1", "team": "netpold."}
		req.Attributes.RouteMetadataContext = filterMetadata(t, "netpold", map[string]any{"src": "10.0.0.1"})
		req.Attributes.MetadataContext = filterMetadata(t, "other", map[string]any{"src": "10.0.0.1"})
	}
	if d.allowed(t, tcp("10.0.0.3", "10.0.0.2", 8080, forged), "src", "10.0.0.1", "x-netpold-src", "10.0.0.1") {
		t.Error("db is taken for web")
	}
}

func filterMetadata(t *testing.T, namespace string, fields map[string]any) *corev3.Metadata {
	t.Helper()
	s, err := structpb.NewStruct(fields)
	if err != nil {
		t.Fatal(err)
	}
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{namespace: s}}
}

// TestNoSocketAddressP8 proves that an address of another kind is an error, unless it is overridden.
func TestNoSocketAddressP8(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	named := peer("10.0.0.2", 0)
	named.Address.GetSocketAddress().PortSpecifier = &corev3.SocketAddress_NamedPort{NamedPort: "http"}
	for what, p := range map[string]*authv3.AttributeContext_Peer{
		"none":       nil,
		"no address": {},
		"a pipe":     {Address: &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: "/x"}}}},
		"an internal address": {Address: &corev3.Address{Address: &corev3.Address_EnvoyInternalAddress{
			EnvoyInternalAddress: &corev3.EnvoyInternalAddress{}}}},
		"a named port": named,
	} {
		src := tcp("10.0.0.1", "10.0.0.2", 8080)
		src.Attributes.Source = p
		dst := tcp("10.0.0.1", "10.0.0.2", 8080)
		dst.Attributes.Destination = p
		for field, req := range map[string]*authv3.CheckRequest{
			"attributes.source.address": src, "attributes.destination.address": dst,
		} {
			if f := d.failed(t, req); f.code != codes.InvalidArgument || !slices.Equal(f.fields, []string{field}) {
				t.Errorf("%s: %+v", what, f)
			}
		}
		with("src", "deploy/shop/web")(src)
		with("dst", "deploy/shop/cart", "port", "8080")(dst)
		if !d.allowed(t, src) || !d.allowed(t, dst) {
			t.Errorf("%s, overridden, is denied", what)
		}
		with("dst", "deploy/shop/cart")(dst)
		if f := d.failed(t, dst); !slices.Equal(f.fields, []string{"attributes.destination.address"}) {
			t.Errorf("%s, without a port: %+v", what, f)
		}
		with("src", "@self")(dst)
		if f := d.failed(t, dst); !slices.Equal(f.fields, []string{"attributes.destination.address"}) {
			t.Errorf("%s as @self: %+v", what, f)
		}
	}
	if f := d.failed(t, &authv3.CheckRequest{}); !slices.Equal(f.fields,
		[]string{"attributes.source.address", "attributes.destination.address"}) {
		t.Errorf("an empty request: %+v", f)
	}
}

// TestOverridesP7 proves what each key overrides, in each of the three places.
func TestOverridesP7(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	udp := func(req *authv3.CheckRequest) {
		req.Attributes.Destination.Address.GetSocketAddress().Protocol = corev3.SocketAddress_UDP
	}
	for _, c := range []struct {
		what string
		req  *authv3.CheckRequest
		sets []string
		want bool
	}{
		{"src by Pod", tcp("10.0.0.3", "10.0.0.2", 8080), []string{"src", "shop/web-0"}, true},
		{"src by workload", tcp("10.0.0.3", "10.0.0.2", 8080), []string{"src", "deploy/shop/web"}, true},
		{"src by address", tcp("10.0.0.3", "10.0.0.2", 8080), []string{"src", "10.0.0.1"}, true},
		{"src by labels", tcp("10.0.0.3", "10.0.0.2", 8080), []string{"src", "shop?app=web"}, true},
		{"src that is denied", tcp("10.0.0.1", "10.0.0.2", 8080), []string{"src", "shop/db-0"}, false},
		{"@peer", tcp("10.0.0.1", "10.0.0.2", 8080), []string{"src", "@peer"}, true},
		{"@self", tcp("10.0.0.3", "10.0.0.1", 9), []string{"src", "@self", "dst", "shop/cart-0", "port", "8080"}, true},
		{"@self, denied", tcp("10.0.0.1", "10.0.0.3", 8080), []string{"src", "@self", "dst", "shop/cart-0"}, false},
		{"dst by Service", tcp("10.0.0.1", "10.0.0.3", 1), []string{"dst", "svc/shop/cart", "port", "80"}, true},
		{"dst by Pod, with the port of the connection", tcp("10.0.0.1", "10.0.0.3", 8080),
			[]string{"dst", "shop/cart-0"}, true},
		{"dst by Pod, with another port", tcp("10.0.0.1", "10.0.0.3", 8081), []string{"dst", "shop/cart-0"}, false},
		{"@local", tcp("10.0.0.1", "10.0.0.2", 8080), []string{"dst", "@local"}, true},
		{"port", tcp("10.0.0.1", "10.0.0.2", 1), []string{"port", "8080"}, true},
		{"port out of range, overridden", tcp("10.0.0.1", "10.0.0.2", 70000), []string{"port", "8080"}, true},
		{"protocol", tcp("10.0.0.1", "10.0.0.2", 8080), []string{"protocol", "udp"}, false},
		{"protocol SCTP", tcp("10.0.0.1", "10.0.0.2", 8080), []string{"protocol", "Sctp"}, false},
		{"protocol of the socket", tcp("10.0.0.1", "10.0.0.2", 8080, udp), nil, false},
		{"protocol of the socket, overridden", tcp("10.0.0.1", "10.0.0.2", 8080, udp), []string{"protocol", "TCP"}, true},
	} {
		for place, ask := range places(t, c.req, c.sets) {
			if got := d.allowed(t, ask.req, ask.md...); got != c.want {
				t.Errorf("%s, in %s: %v", c.what, place, got)
			}
		}
	}
}

// An asked is a request and the gRPC metadata of its call.
type asked struct {
	req *authv3.CheckRequest
	md  []string
}

// places returns a request with overrides, by key and value, in each of the three places (P7). The first place is
// the HTTP filter's.
func places(t *testing.T, of *authv3.CheckRequest, sets []string) map[string]asked {
	t.Helper()
	clone := func() *authv3.CheckRequest { return cloned(of) }
	extensions, fields, md := clone(), clone(), asked{req: clone()}
	with(sets...)(extensions)
	values := map[string]any{}
	for i := 0; i < len(sets); i += 2 {
		values[sets[i]] = sets[i+1]
		md.md = append(md.md, "netpold-"+strings.ReplaceAll(sets[i], "_", "-"), sets[i+1])
	}
	fields.Attributes.MetadataContext = filterMetadata(t, "netpold", values)
	return map[string]asked{"extensions": {req: extensions}, "filter metadata": {req: fields}, "gRPC metadata": md}
}
