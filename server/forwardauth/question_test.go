package forwardauth_test

import (
	"strings"
	"testing"

	"github.com/netpold/netpold/server"
)

// TestQueryP14 proves that the question is in the query, and that what is wrong there is 400 and named.
func TestQueryP14(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	for path, want := range map[string]int{
		query("src", "shop/web-0", "dst", "svc/shop/cart", "port", "80"):                        200,
		query("src", "shop/web-0", "dst", "shop/cart-0", "port", "8080"):                        200,
		query("src", "deploy/shop/web", "dst", "10.0.0.2", "port", "8080"):                      200,
		query("src", "shop?app=web", "dst", "10.0.0.2", "port", "8080"):                         200,
		query("src", "shop?app=web#ip=10.0.0.9", "dst", "10.0.0.2", "port", "8080"):             200,
		query("src", "FD00:0::1", "dst", "fd00::2", "port", "8080", "protocol", "tcp"):          200,
		query("src", "[fd00::1]", "dst", "::ffff:10.0.0.2", "port", "8080"):                     200,
		query("src", "::ffff:10.0.0.1", "dst", "::ffff:a00:2", "port", "8080"):                  200,
		query("src", "shop/db-0", "dst", "svc/shop/cart", "port", "80"):                         403,
		query("src", "shop/web-0", "dst", "shop/cart-0", "port", "8080", "protocol", "UDP"):     403,
		query("src", "shop/web-0", "dst", "shop/cart-0", "port", "8080", "protocol", "Sctp"):    403,
		query("src", "8.8.8.8", "dst", "shop/db-0", "port", "1"):                                200,
		query("src", "10.0.0.1", "dst", "10.0.0.2", "port", "8080", "require_known", "src,dst"): 200,
		query("src", "8.8.8.8", "dst", "shop/db-0", "port", "1", "require_known", "src"):        503,
		query("src", "10.0.0.1", "dst", "8.8.8.8", "port", "1", "require_known", "dst"):         503,
		query("src", "shop/web-0", "dst", "svc/shop/cart", "port", "80") + "&":                  200,
		query("src", "shop/web-0", "dst", "svc/shop/cart", "port", "80", "shadow", "false"):     200,
		"/authz?%64st=svc%2Fshop%2fcart&port=80&src=shop/web-0":                                 200,
		"/authz/below/it?dst=svc/shop/cart&port=80&src=shop/web-0":                              200,
		"/authz/../x//?dst=svc/shop/cart&port=80&src=shop/db-0":                                 403,
		query("src", "shop/nobody", "dst", "svc/shop/cart", "port", "80"):                       503,
		query("src", "shop/web-0", "dst", "svc/shop/empty", "port", "80"):                       503,
	} {
		if got := d.ask(t, path); got.status != want {
			t.Errorf("%s: %d %s, want %d", path, got.status, got.body, want)
		}
	}
	for path, fields := range map[string]string{
		"/authz":                 "dst,port,src",
		"/authz?":                "dst,port,src",
		"/authz?dst=&port=&src=": "dst,port,src",
		query("dst", "svc/shop/cart", "port", "80"):                                              "src",
		query("dst", "svc/shop/cart", "src", "10.0.0.1"):                                         "port",
		query("port", "80", "src", "10.0.0.1"):                                                   "dst",
		query("dst", "shop/cart-0", "port", "80", "src", ""):                                     "src",
		query("dst", "shop/cart-0", "port", "80", "src", "svc/shop/cart"):                        "src",
		query("dst", "shop/cart-0", "port", "80", "src", "@peer"):                                "src",
		query("dst", "shop/cart-0", "port", "80", "src", "fe80::1%eth0"):                         "src",
		query("dst", "shop/cart-0", "port", "80", "src", "10.0.0.1:80"):                          "src",
		query("dst", "shop/cart-0", "port", "80", "src", "127.0.0.1"):                            "src",
		query("dst", "shop/cart-0", "port", "80", "src", "::ffff:127.0.0.1"):                     "src",
		query("dst", "0.0.0.0", "port", "80", "src", "10.0.0.1"):                                 "dst",
		query("dst", "ff02::1", "port", "80", "src", "10.0.0.1"):                                 "dst",
		query("dst", "cart", "port", "80", "src", "10.0.0.1"):                                    "dst",
		query("dst", "a/b", "dst", "a/b", "port", "80", "src", "10.0.0.1"):                       "dst",
		query("dst", "a/b", "port", "80", "port", "80", "port", "81", "src", "10.0.0.1"):         "port",
		query("dst", "a/b", "port", "0", "src", "10.0.0.1"):                                      "port",
		query("dst", "a/b", "port", "65536", "src", "10.0.0.1"):                                  "port",
		query("dst", "a/b", "port", "http", "src", "10.0.0.1"):                                   "port",
		query("dst", "a/b", "port", "80", "src", "10.0.0.1", "protocol", "icmp"):                 "protocol",
		query("dst", "a/b", "port", "80", "src", "10.0.0.1", "protocol", ""):                     "protocol",
		query("dst", "a/b", "port", "80", "src", "10.0.0.1", "require_known", "all"):             "require_known",
		query("dst", "a/b", "port", "80", "src", "10.0.0.1", "shadow", "yes"):                    "shadow",
		query("dst", "a/b", "port", "80", "src", "10.0.0.1", "shadow", "true", "shadow", "true"): "shadow",
		query("dst", "a/b", "port", "80", "src", "10.0.0.1", "DST", "a/b"):                       "query",
		query("dst", "a/b", "port", "80", "src", "10.0.0.1", "x", "1"):                           "query",
		query("dst", "a/b", "port", "80", "src", "10.0.0.1") + "&=1":                             "query",
		query("dst", "a/b", "port", "80", "src", "10.0.0.1") + "&%zz=1":                          "query",
		"/authz?dst=a/b;port=80&src=10.0.0.1":                                                    "port",
		"/authz?dst=%zz&port=80&src=10.0.0.1":                                                    "dst",
		query("dst", strings.Repeat("x", 5000), "port", "80", "src", "10.0.0.1"):                 "dst",
		query("dst", "a/b\x00", "port", "80", "src", "10.0.0.1"):                                 "dst",
		query("dst", "a/b", "port", "80", "src", "10.0.0.1", "client_ip_header", "X-Real-IP"):    "query",
	} {
		got := d.ask(t, path)
		if got.status != 400 || got.header.Get("X-Netpold-Verdict") != "error" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		} else if named := fieldsOf(t, got.body); named != fields {
			t.Errorf("%s names %s, want %s: %s", path, named, fields, got.body)
		}
	}
	// What a client can send beside the query is never read.
	for _, header := range []string{"X-Netpold-Src", "X-Netpold-Dst", "X-Netpold-Shadow", "Netpold-Shadow", "X-Netpold-Port",
		"X-Original-Url", "X-Forwarded-Uri", "Forwarded", "X-Real-Ip"} {
		for value, chain := range map[string]string{"true": "10.0.0.3", "10.0.0.1": "10.0.0.3", "shop/web-0": "10.0.0.3"} {
			if got := d.ask(t, toCart, header, value, "X-Forwarded-For", chain); got.status != 403 {
				t.Errorf("%s: %s is heard: %d", header, value, got.status)
			}
		}
	}
}

// TestClientP15 proves which hop is the source.
func TestClientP15(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *server.Config) {
		c.TrustedProxies = "127.0.0.0/8, ::1, 192.168.0.0/16, ::ffff:172.16.0.0/108, fd77::/16"
	})
	for _, c := range []struct {
		what  string
		chain []string
		want  int
	}{
		{"one", []string{"10.0.0.1"}, 200},
		{"denied", []string{"10.0.0.3"}, 403},
		{"a port", []string{"10.0.0.1:4711"}, 200},
		{"spaces and tabs", []string{" \t10.0.0.1\t "}, 200},
		{"forged to the left", []string{"10.0.0.1, 10.0.0.3"}, 403},
		{"forged to the left, garbage", []string{"evil, <>, 10.0.0.1"}, 200},
		{"forged by another header line", []string{"10.0.0.1", "10.0.0.3"}, 403},
		{"two lines", []string{"10.0.0.3", "10.0.0.1"}, 200},
		{"trusted hops", []string{"10.0.0.1, 192.168.1.1", "127.0.0.9,172.16.1.1"}, 200},
		{"a trusted hop, mapped", []string{"10.0.0.1, ::ffff:192.168.1.1"}, 200},
		{"a trusted hop with a port", []string{"10.0.0.1, 192.168.1.1:80, [fd77::9]:443"}, 200},
		{"forged behind trusted hops", []string{"10.0.0.1, 10.0.0.3, 192.168.1.1"}, 403},
		{"mapped", []string{"::ffff:10.0.0.1"}, 200},
		{"mapped, in hex, with a port", []string{"[::ffff:a00:1]:1"}, 200},
		{"IPv6 to an IPv4 Service", []string{"fd00::1"}, 200},
		{"all trusted: the leftmost, external", []string{"192.168.7.7, 192.168.1.1"}, 403},
		{"empty", []string{""}, 403},
		{"an empty hop", []string{"10.0.0.1,"}, 403},
		{"an empty line", []string{"10.0.0.1", ""}, 403},
		{"no address", []string{"unknown"}, 403},
		{"a zone", []string{"fe80::1%eth0"}, 403},
		{"a zone with a port", []string{"[fe80::1%eth0]:80"}, 403},
		{"a trusted address with a zone", []string{"10.0.0.1, fd77::1%eth0"}, 403},
		{"brackets", []string{"[fd00::1]"}, 200},
		{"brackets around IPv4", []string{"[10.0.0.1]"}, 403},
		{"octal", []string{"10.0.0.01"}, 403},
		{"a number", []string{"167772161"}, 403},
		{"a range", []string{"10.0.0.1/32"}, 403},
		{"quotes", []string{`"10.0.0.1"`}, 403},
		{"a port that is none", []string{"10.0.0.1:x"}, 403},
		{"a loopback", []string{"127.0.0.1"}, 400},
		{"an unspecified address", []string{"0.0.0.0"}, 400},
		{"a multicast address", []string{"::ffff:224.0.0.1"}, 400},
		{"10,000 trusted hops", []string{"10.0.0.1" + strings.Repeat(",::1", 10_000)}, 200},
		{"10,000 forged hops", []string{strings.Repeat("1::,", 10_000) + "10.0.0.3"}, 403},
		{"5,000 lines", append(slicesOf("10.0.0.1", 1000), "10.0.0.3"), 403},
	} {
		got := d.from(t, c.chain...)
		if got.status != c.want {
			t.Errorf("%s: %d %s, want %d", c.what, got.status, got.body, c.want)
		}
		if c.want == 400 && fieldsOf(t, got.body) != "src" {
			t.Errorf("%s: %s", c.what, got.body)
		}
	}
	if got := d.ask(t, toCart); got.status != 400 || fieldsOf(t, got.body) != "src" ||
		!strings.Contains(got.body, "X-Forwarded-For") {
		t.Errorf("without the header: %d %s", got.status, got.body)
	}
	other := open(t, func(c *server.Config) { c.ClientIPHeader = "x-real-ip" })
	if got := other.ask(t, toCart, "X-Real-IP", "10.0.0.1", "X-Forwarded-For", "10.0.0.3"); got.status != 200 {
		t.Errorf("another header: %d %s", got.status, got.body)
	}
}

// TestRequireKnownP3P7P14 proves that a client whose address must be known and is not is an error, as for Envoy: a
// trusted proxy has written it. If all hops are trusted, the client may have written the leftmost: then it is denied.
func TestRequireKnownP3P7P14(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *server.Config) { c.TrustedProxies = "127.0.0.0/8,192.168.0.0/16" })
	for chain, want := range map[string]struct {
		status int
		says   string
	}{
		"10.0.0.1":                 {200, "allowed"},
		"10.0.0.3":                 {403, "denied"},
		"10.9.9.9":                 {503, "error"},
		"10.0.0.1, 10.9.9.9":       {503, "error"},
		"10.9.9.9, 192.168.1.1":    {503, "error"},
		"192.168.7.7":              {403, "denied"},
		"192.168.7.7, 192.168.1.1": {403, "denied"},
	} {
		got := d.ask(t, toCart+"&require_known=src", "X-Forwarded-For", chain)
		if got.status != want.status || got.header.Get("X-Netpold-Verdict") != want.says ||
			got.status == 503 && !strings.HasPrefix(got.body, `{"code":"NOT_FOUND"`) {
			t.Errorf("%s: %d %s, want %d", chain, got.status, got.body, want.status)
		}
	}
	if text := d.log.String(); !strings.Contains(text, "reason=UNKNOWN_ADDRESS") {
		t.Errorf("the log has not the rest:\n%s", text)
	}
	line := `netpold_decision_errors_total{code="NotFound",reason="UNKNOWN_ADDRESS"} 3`
	if !strings.Contains(d.metrics(t), "\n"+line+"\n") {
		t.Errorf("not counted: %s", line)
	}
}

func slicesOf(value string, n int) (list []string) {
	for range n {
		list = append(list, value)
	}
	return list
}

// TestCallerP15 proves that a caller that is no proxy is refused whatever it says, counted and logged, and that this
// is no decision.
func TestCallerP15(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *server.Config) { c.TrustedProxies, c.Shadow = "192.168.0.0/16", true })
	for range 3 {
		for _, path := range []string{toCart, toCart + "&shadow=true&src=10.0.0.1", "/authz", "/authz/x?" + strings.Repeat("&", 9),
			"/authz?" + strings.Repeat("&", 9<<10)} {
			if got := d.ask(t, path, "X-Forwarded-For", "10.0.0.1"); got.status != 403 || got.body != "" ||
				got.header.Get("X-Netpold-Decision-Id") != "" {
				t.Errorf("%s: %+v", path, got)
			}
		}
	}
	if got := d.ask(t, "/healthz"); got.status != 200 {
		t.Errorf("%+v", got)
	}
	if n := strings.Count(d.log.String(), "CALLER_NOT_ALLOWED"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, d.log)
	}
	for _, line := range []string{
		`netpold_callers_refused_total{reason="CALLER_NOT_ALLOWED",service="forward_auth"} 15`,
		`netpold_forward_auth_requests_total{code="403"} 15`,
		`netpold_decision_duration_seconds_count{method="ForwardAuth"} 0`,
	} {
		if !strings.Contains(d.metrics(t), "\n"+line+"\n") {
			t.Errorf("not counted: %s", line)
		}
	}
}
