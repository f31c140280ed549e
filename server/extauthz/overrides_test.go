package extauthz_test

import (
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
)

// fieldOf has the field of a key, in the three places.
var fieldOf = map[string]func(key string) string{
	"extensions":      func(key string) string { return `context_extensions["netpold.` + key + `"]` },
	"filter metadata": func(key string) string { return `metadata_context["netpold"].` + key },
	"gRPC metadata": func(key string) string {
		return `metadata "netpold-` + strings.ReplaceAll(key, "_", "-") + `"`
	},
}

// TestFirstPlaceWinsP7 proves that the first of the three places which has a key counts, key by key.
func TestFirstPlaceWinsP7(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	req := tcp("10.0.0.3", "10.0.0.2", 8080, with("src", "shop/web-0"))
	req.Attributes.MetadataContext = filterMetadata(t, "netpold", map[string]any{"src": 7, "port": "8080"})
	md := []string{"netpold-src", "shop/db-0", "netpold-port", "1", "netpold-protocol", "TCP"}
	if !d.allowed(t, req, md...) {
		t.Error("context_extensions do not go first")
	}
	req.Attributes.ContextExtensions = nil
	if f := d.failed(t, req, md...); !slices.Equal(f.fields, []string{`metadata_context["netpold"].src`}) {
		t.Errorf("%+v", f)
	}
	req.Attributes.MetadataContext = filterMetadata(t, "netpold", map[string]any{"src": "shop/web-0", "port": "8080"})
	if !d.allowed(t, req, md...) {
		t.Error("filter metadata do not go before gRPC metadata")
	}
	req.Attributes.MetadataContext = nil
	if d.allowed(t, req, md...) {
		t.Error("gRPC metadata do not count")
	}
}

// TestUnknownKeysP7 proves that a key which is no override is an error naming it, also behind one that wins, and
// that the keys of others are not looked at.
func TestUnknownKeysP7(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	for key, remedy := range map[string]string{
		"srcs": "did you mean", "SRC": "the keys are src, dst", "": "the keys are", "headers": "the keys are",
	} {
		for place, ask := range places(t, tcp("10.0.0.1", "10.0.0.2", 8080), []string{key, "x"}) {
			field := fieldOf[place](key)
			if place == "gRPC metadata" {
				field = strings.ToLower(field)
				if key == "SRC" { // the names of gRPC metadata have no upper case
					continue
				}
			}
			f := d.failed(t, ask.req, ask.md...)
			if f.code != codes.InvalidArgument || !slices.Equal(f.fields, []string{field}) ||
				!strings.Contains(f.texts[field], remedy) {
				t.Errorf("%q in %s: %+v", key, place, f)
			}
		}
	}
	req := tcp("10.0.0.1", "10.0.0.2", 8080, with("src", "shop/web-0"))
	if f := d.failed(t, req, "netpold-require_known", "src"); !slices.Equal(f.fields,
		[]string{`metadata "netpold-require_known"`}) {
		t.Errorf("%+v", f)
	}
	if f := d.failed(t, req, "netpold-dst", "shop/cart-0", "netpold-dst", "shop/db-0"); !slices.Equal(f.fields,
		[]string{`metadata "netpold-dst"`}) {
		t.Errorf("%+v", f)
	}
	req.Attributes.ContextExtensions["netpoldsrc"] = "x"
	req.Attributes.ContextExtensions["team.netpold.src"] = "x"
	if !d.allowed(t, req, "x-netpold", "x", "netpold", "x") {
		t.Error("keys of others count")
	}
}

// TestWrongOverridesP7 proves that a wrong value is an error that names the field, in each place, and has a
// remedy.
func TestWrongOverridesP7(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	for _, c := range []struct{ key, value, remedy string }{
		{"src", "", "write shop/frontend-0"},
		{"src", "web", "write shop/frontend-0"},
		{"src", "svc/shop/cart", "a Service cannot be a source"},
		{"src", "@local", "@peer, @self or @header:NAME"},
		{"src", "@header:", "is not the name of a header"},
		{"src", "@header:x y", "is not the name of a header"},
		{"src", "10.0.0.0/8", "give one address"},
		{"src", "shop/" + strings.Repeat("x", 300), "a name has at most 253"},
		{"src", strings.Repeat("x", 5000), "an endpoint has at most 4096"},
		{"dst", "", "write shop/frontend-0"},
		{"dst", "@peer", "give @local or an endpoint"},
		{"dst", "10.0.0.2:8080", "the port does not belong to the address"},
		{"dst", "vm/shop/web", "is no kind of endpoint"},
		{"port", "", "give 1 to 65535"},
		{"port", "0", "give 1 to 65535"},
		{"port", "65536", "give 1 to 65535"},
		{"port", "-1", "give 1 to 65535"},
		{"port", "http", "give 1 to 65535"},
		{"protocol", "", "give TCP, UDP or SCTP"},
		{"protocol", "ICMP", "give TCP, UDP or SCTP"},
		{"require_known", "", "src; dst; src,dst"},
		{"require_known", "source", "src; dst; src,dst"},
		{"require_known", "src, dst", "src; dst; src,dst"},
		{"require_principal", "", "none, present, match"},
		{"require_principal", "always", "none, present, match"},
		{"trust_domain", "", "cluster.local"},
		{"trust_domain", "spiffe://cluster.local", "cluster.local"},
		{"shadow", "", "give true"},
		{"shadow", "yes", "give true"},
	} {
		req := tcp("10.0.0.1", "10.0.0.2", 8080, http())
		for place, ask := range places(t, req, []string{c.key, c.value}) {
			field := fieldOf[place](c.key)
			f := d.failed(t, ask.req, ask.md...)
			if f.code != codes.InvalidArgument || f.reason != "INVALID_QUESTION" ||
				!slices.Equal(f.fields, []string{field}) || !strings.Contains(f.texts[field], c.remedy) {
				t.Errorf("%s %.20q in %s: %+v", c.key, c.value, place, f)
			}
		}
	}
	f := d.failed(t, tcp("10.0.0.1", "10.0.0.2", 8080), "netpold-src", "@header:x-client")
	if !strings.Contains(f.texts[`metadata "netpold-src"`], "only the HTTP filter has headers") {
		t.Errorf("a header for the network filter: %+v", f)
	}
	// Every violation is told, each once.
	f = d.failed(t, tcp("x", "y", 0), "netpold-protocol", "z", "netpold-shadow", "maybe", "netpold-other", "1")
	slices.Sort(f.fields)
	if !slices.Equal(slices.Compact(f.fields), []string{
		"attributes.destination.address", "attributes.source.address", `metadata "netpold-other"`,
		`metadata "netpold-protocol"`, `metadata "netpold-shadow"`,
	}) {
		t.Errorf("%+v", f)
	}
}

// TestSourceByHeaderP3P7 proves which header names a source. What the client makes wrong is denied, never an
// error.
func TestSourceByHeaderP3P7(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	raw := func(values ...string) option {
		return func(req *authv3.CheckRequest) {
			h := &corev3.HeaderMap{}
			for _, value := range values {
				h.Headers = append(h.Headers, &corev3.HeaderValue{Key: "X-Client", RawValue: []byte(value)})
			}
			req.Attributes.Request = &authv3.AttributeContext_Request{
				Http: &authv3.AttributeContext_HttpRequest{HeaderMap: h},
			}
		}
	}
	for _, value := range []string{
		"10.0.0.1", "10.0.0.1:1234", " 10.0.0.1\t", "::ffff:10.0.0.1", "[fd00::1]", "[fd00::1]:80", "fd00::1",
	} {
		for i, header := range []option{http("x-client", value), raw(value)} {
			req := tcp("127.0.0.1", "10.0.0.2", 8080, header, with("src", "@header:X-Client", "dst", "deploy/shop/cart"))
			if !d.allowed(t, req) {
				t.Errorf("%q, form %d: denied", value, i)
			}
		}
	}
	for what, header := range map[string]option{
		"absent": http("x-clients", "10.0.0.1"), "empty": http("x-client", ""), "no IP": http("x-client", "web"),
		"several": http("x-client", "10.0.0.1,10.0.0.1"), "a range": http("x-client", "10.0.0.1/32"),
		"a zone": http("x-client", "fe80::1%eth0"), "loopback": http("x-client", "127.0.0.1"),
		"unspecified": http("x-client", "::"), "multicast": http("x-client", "224.0.0.1"),
		"a wrong port": http("x-client", "10.0.0.1:x"), "two raw ones": raw("10.0.0.1", "10.0.0.1"),
		"not UTF-8": raw("\xff"), "no raw one": raw(), "long": http("x-client", strings.Repeat("1", 50_000)),
	} {
		req := tcp("10.0.0.1", "10.0.0.2", 8080, header, with("src", "@header:x-client"))
		if code, got := d.answer(t, req); code != codes.PermissionDenied || got["reason"] != "BAD_SOURCE" ||
			got["verdict"] != "denied" || got["revision"] == nil {
			t.Errorf("%s: %v, %v", what, code, got)
		}
	}
	// A client cannot write an address that is unknown either, to choose the failure mode.
	req := tcp("10.0.0.1", "10.0.0.3", 8080, http("x-client", "8.8.8.8"),
		with("src", "@header:x-client", "require_known", "src"))
	if _, got := d.answer(t, req); got["reason"] != "BAD_SOURCE" {
		t.Errorf("%v", got)
	}
	// What the configuration makes wrong is told, whatever the client sends.
	req = tcp("10.0.0.1", "10.0.0.2", 8080, http(), with("src", "@header:x-client", "port", "x"))
	if f := d.failed(t, req); !slices.Equal(f.fields, []string{`context_extensions["netpold.port"]`}) {
		t.Errorf("%+v", f)
	}
}

// TestRequireKnownP7 proves that an address which must be known is an error as long as it is not.
func TestRequireKnownP7(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	for _, c := range []struct {
		known, src, dst, field string
	}{
		{"src", "10.9.9.9", "10.0.0.3", "attributes.source.address"},
		{"dst", "10.0.0.1", "10.9.9.9", "attributes.destination.address"},
		{"src,dst", "10.9.9.8", "10.9.9.9", "attributes.source.address"},
		{"src,dst", "10.0.0.1", "10.9.9.9", "attributes.destination.address"},
		{"src", "10.0.0.1", "10.9.9.9", ""},
		{"dst", "10.9.9.9", "10.0.0.3", ""},
		{"src,dst", "192.168.0.1", "10.96.0.1", ""},
		{"src,dst", "::ffff:10.0.0.1", "fd00::2", ""},
	} {
		req := tcp(c.src, c.dst, 80)
		for place, ask := range places(t, req, []string{"require_known", c.known}) {
			if c.field == "" {
				d.answer(t, ask.req, ask.md...)
				continue
			}
			f := d.failed(t, ask.req, ask.md...)
			if f.code != codes.NotFound || f.reason != "UNKNOWN_ADDRESS" || !slices.Equal(f.fields, []string{c.field}) {
				t.Errorf("%s, %s to %s, in %s: %+v", c.known, c.src, c.dst, place, f)
			}
		}
	}
	if !d.allowed(t, tcp("10.9.9.9", "10.0.0.3", 80)) {
		t.Error("an unknown address is not external without it (S5)")
	}
}
