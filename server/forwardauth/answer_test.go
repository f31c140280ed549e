package forwardauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"

	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/forwardauth"
	"github.com/netpold/netpold/server/internal/decisionid"
	"github.com/netpold/netpold/server/internal/proxied"
	"github.com/netpold/netpold/server/servertest"
)

var idForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// fieldsOf returns the fields that a google.rpc.Status names, sorted.
func fieldsOf(t testing.TB, body string) string {
	t.Helper()
	var status struct {
		Code    int
		Message string
		Details []struct {
			Type            string `json:"@type"`
			Reason          string
			RequestID       string `json:"requestId"`
			FieldViolations []struct{ Field, Description string }
		}
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil || status.Code != 3 {
		t.Fatalf("%v: %s", err, body)
	}
	var fields []string
	id := ""
	for _, d := range status.Details {
		for _, v := range d.FieldViolations {
			if v.Description == "" {
				t.Errorf("%s has no description", v.Field)
			}
			fields = append(fields, v.Field)
		}
		id += d.RequestID
	}
	if !idForm.MatchString(id) {
		t.Errorf("no decision_id: %s", body)
	}
	slices.Sort(fields)
	return strings.Join(fields, ",")
}

// TestAnswersP2P16 proves what each outcome is answered with, to the last header.
func TestAnswersP2P16(t *testing.T) {
	t.Parallel()
	unsynced := servertest.NewSource()
	before := openOn(t, unsynced, unsynced, nil)
	stale := open(t, func(c *server.Config) { c.WhenStale = server.DenyWhenStale })
	stale.source.SetStale(true)
	d := open(t, nil)
	seen := map[string]bool{}
	for _, c := range []struct {
		what     string
		d        *door
		path     string
		status   int
		verdict  string
		revision string
		code     string
	}{
		{"allowed", d, toCart + "&src=shop/web-0", 200, "allowed", "1", ""},
		{"denied", d, toCart + "&src=shop/db-0", 403, "denied", "1", ""},
		{"wrong", d, toCart + "&src=nobody", 400, "error", "1", ""},
		{"unknown", d, toCart + "&src=shop/nobody", 503, "error", "1", "NOT_FOUND"},
		{"stands for nothing", d, "/authz?dst=svc/shop/empty&port=80&src=shop/web-0", 503, "error", "1", "FAILED_PRECONDITION"},
		{"stale", stale, toCart + "&src=shop/web-0", 503, "error", "", "UNAVAILABLE"},
		{"not synced", before, toCart + "&src=shop/web-0", 503, "error", "", "UNAVAILABLE"},
		{"not synced, wrong", before, "/authz", 503, "error", "", "UNAVAILABLE"},
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PROPFIND"} {
			got := c.d.send(t, method, c.path, nil)
			id := got.header.Get("X-Netpold-Decision-Id")
			if got.status != c.status || got.header.Get("X-Netpold-Verdict") != c.verdict ||
				got.header.Get("X-Netpold-Revision") != c.revision || got.header.Get("Cache-Control") != "no-store" ||
				!idForm.MatchString(id) || seen[id] || got.header.Get("X-Netpold-Shadow") != "" ||
				(got.header.Get("Retry-After") == "1") != (c.status == 503) {
				t.Errorf("%s, %s: %+v", c.what, method, got)
			}
			seen[id] = true
			switch {
			case method == "HEAD" || c.status == 200 || c.status == 403:
				if got.body != "" {
					t.Errorf("%s: body %q", c.what, got.body)
				}
			case c.status == 503:
				if want := fmt.Sprintf(`{"code":%q,"decision_id":%q}`+"\n", c.code, id); got.body != want {
					t.Errorf("%s: body %q, want %q", c.what, got.body, want)
				}
			}
		}
	}
	if text := d.log.String(); !strings.Contains(text, "nobody") || strings.Count(text, "reason=NOT_FOUND") != 1 {
		t.Errorf("the log has not the rest, once:\n%s", text)
	}
	d.source.SetStale(true)
	if got := d.ask(t, toCart+"&src=shop/web-0"); got.status != 200 {
		t.Errorf("stale and answered: %+v", got)
	}
}

// TestDenyDetailP11 proves what a denial tells the client, for each value of --deny-detail.
func TestDenyDetailP11(t *testing.T) {
	t.Parallel()
	for detail, want := range map[server.DenyDetail][3]string{
		server.DenyNone:   {"", "", ""},
		server.DenyReason: {"DENIED_AT_INGRESS", "", ""},
		server.DenyPolicy: {"DENIED_AT_INGRESS", "shop/cart,shop/nothing",
			"denied: DENIED_AT_INGRESS by shop/cart,shop/nothing (decision ID)\n"},
	} {
		d := open(t, func(c *server.Config) { c.DenyDetail = detail })
		got := d.from(t, "10.0.0.3")
		body := strings.ReplaceAll(got.body, got.header.Get("X-Netpold-Decision-Id"), "ID")
		if found := [3]string{got.header.Get("X-Netpold-Reason"), got.header.Get("X-Netpold-Policy"), body}; found != want {
			t.Errorf("%s: %q", detail, found)
		}
		bad := d.from(t, "nobody")
		if reason := bad.header.Get("X-Netpold-Reason"); bad.status != 403 || bad.header.Get("X-Netpold-Policy") != "" ||
			(reason == "BAD_SOURCE") != (detail != server.DenyNone) {
			t.Errorf("%s: %+v", detail, bad)
		}
		allowed := d.from(t, "10.0.0.1")
		if allowed.body != "" || allowed.header.Get("X-Netpold-Reason") != "" {
			t.Errorf("%s: %+v", detail, allowed)
		}
	}
}

// TestShadowP12 proves that in shadow every client passes, and the headers say what the answer would have been.
func TestShadowP12(t *testing.T) {
	t.Parallel()
	unsynced := servertest.NewSource()
	panicked := &panicking{Source: synced(), now: make(chan struct{}, 4)}
	all := func(c *server.Config) { c.Shadow = true }
	for _, c := range []struct {
		d             *door
		path, verdict string
	}{
		{open(t, all), toCart + "&src=shop/web-0", "allowed"},
		{open(t, all), toCart + "&src=shop/db-0", "denied"},
		{open(t, all), toCart + "&src=shop/nobody", "error"},
		{open(t, all), "/authz", "error"},
		{open(t, all), "/authz?shadow=false", "error"},
		{openOn(t, unsynced, unsynced, all), toCart, "error"},
		{openOn(t, panicked, panicked.Source, all), toCart + "&src=shop/web-0", "error"},
		{open(t, nil), toCart + "&src=shop/db-0&shadow=true", "denied"},
		{open(t, nil), "/authz?shadow=true", "error"},
	} {
		if c.d.source == panicked.Source {
			panicked.now <- struct{}{}
		}
		if got := c.d.ask(t, c.path); got.status != 200 || got.header.Get("X-Netpold-Verdict") != c.verdict ||
			got.header.Get("X-Netpold-Shadow") != "true" || got.body != "" {
			t.Errorf("%s: %+v", c.path, got)
		}
	}
	d := open(t, nil)
	for _, path := range []string{"&shadow=1", "&shadow=true&shadow=true", "&shadow=TRUE", "&Shadow=true", "&shadow=false"} {
		if got := d.ask(t, toCart+"&src=shop/db-0"+path); got.status == 200 {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

// A panicking is a source that panics when it is asked for its state.
type panicking struct {
	*servertest.Source
	now chan struct{}
}

// Ready never closes, so that only calls read the state.
func (*panicking) Ready() <-chan struct{} { return nil }

func (p *panicking) State() (mirror.State, bool) {
	select {
	case <-p.now:
		panic("the engine met the impossible")
	default:
		return p.Source.State()
	}
}

// TestPanicP43 proves that a panic fails its request alone, and tells nothing internal.
func TestPanicP43(t *testing.T) {
	t.Parallel()
	source := &panicking{Source: synced(), now: make(chan struct{}, 1)}
	d := openOn(t, source, source.Source, nil)
	source.now <- struct{}{}
	if got := d.from(t, "10.0.0.1"); got.status != 503 || !strings.HasPrefix(got.body, `{"code":"INTERNAL"`) ||
		strings.Contains(got.body, "impossible") {
		t.Errorf("%+v", got)
	}
	if got := d.from(t, "10.0.0.1"); got.status != 200 {
		t.Errorf("the next: %+v", got)
	}
	if !strings.Contains(d.metrics(t), "\nnetpold_panics_total 1\n") || !strings.Contains(d.log.String(), "panicking).State") {
		t.Errorf("not counted, or not logged:\n%s", d.log)
	}
}

// TestPanicElsewhereP43 proves that a panic outside of deciding is an error of its request too, and never lets it pass:
// neither by what was decided before, nor by a connection that breaks.
func TestPanicElsewhereP43(t *testing.T) {
	t.Parallel()
	for shadow, want := range map[bool]int{false: http.StatusServiceUnavailable, true: http.StatusOK} {
		service := forwardauth.New(synced(), forwardauth.Options{
			Options: proxied.Options{
				Shadow: shadow,
				Record: func(context.Context, decisionid.ID, string, time.Time, *netpoldv1.AllowedRequest,
					*netpoldv1.AllowedResponse, *spb.Status, bool) {
					panic("the log met the impossible")
				},
			},
			Ready: func() (bool, string) { return true, "" }, Draining: func() bool { return false },
			Proxies: forwardauth.Proxies{netip.MustParsePrefix("192.0.2.0/24")},
		})
		got := httptest.NewRecorder()
		service.ServeHTTP(got, httptest.NewRequest(http.MethodGet, toCart+"&src=shop/web-0", nil))
		if got.Code != want || got.Header().Get("X-Netpold-Verdict") != "error" ||
			!idForm.MatchString(got.Header().Get("X-Netpold-Decision-Id")) || strings.Contains(got.Body.String(), "impossible") {
			t.Errorf("shadow %v: %d %v %s", shadow, got.Code, got.Header(), got.Body)
		}
	}
}

// TestMetricsP47 proves what is counted of each outcome, by its values.
func TestMetricsP47(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	for path, times := range map[string]int{
		toCart + "&src=shop/web-0": 1, toCart + "&src=shop/db-0": 2, toCart + "&src=nobody": 3,
		toCart + "&src=shop/nobody": 4, toCart + "&src=shop/db-0&shadow=true": 5, "/nothing": 6, "/healthz": 7,
	} {
		for range times {
			d.ask(t, path)
		}
	}
	for range 8 {
		d.from(t, "nobody")
	}
	metrics := d.metrics(t)
	for series, want := range map[string]int{
		`netpold_forward_auth_requests_total{code="200"}`:                                 1 + 5,
		`netpold_forward_auth_requests_total{code="403"}`:                                 2 + 8,
		`netpold_forward_auth_requests_total{code="400"}`:                                 3,
		`netpold_forward_auth_requests_total{code="503"}`:                                 4,
		`netpold_forward_auth_requests_total{code="404"}`:                                 6,
		`netpold_decisions_total{allowed="true",reason="allowed_by_rule"}`:                1,
		`netpold_decisions_total{allowed="false",reason="denied_at_ingress"}`:             2 + 5,
		`netpold_decisions_total{allowed="false",reason="bad_source"}`:                    8,
		`netpold_decision_errors_total{code="InvalidArgument",reason="INVALID_QUESTION"}`: 3,
		`netpold_decision_errors_total{code="NotFound",reason="NOT_FOUND"}`:               4,
		`netpold_decision_duration_seconds_count{method="ForwardAuth"}`:                   1 + 2 + 5 + 8,
	} {
		if line := fmt.Sprintf("\n%s %d\n", series, want); !strings.Contains(metrics, line) {
			t.Errorf("not counted: %s", line)
		}
	}
}

// TestDecisionLogG1 proves that each answer has a record with its id.
func TestDecisionLogG1(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	want := map[string]bool{}
	t.Run("serve", func(t *testing.T) {
		d := open(t, func(c *server.Config) { c.DecisionLog = path })
		for _, chain := range []string{"10.0.0.1", "10.0.0.3", "nobody", "127.0.0.1"} {
			want[d.from(t, chain).header.Get("X-Netpold-Decision-Id")] = true
		}
		d.ask(t, "/healthz")
	})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		var record struct {
			ID     string `json:"decision_id"`
			Method string
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil || !want[record.ID] || record.Method != "forward_auth" ||
			strings.Contains(line, `"shadow"`) {
			t.Errorf("%s: %v", line, err)
		}
		delete(want, record.ID)
	}
	if len(want) > 0 {
		t.Errorf("no record of %v in:\n%s", want, text)
	}
}

// TestPathsP13 proves which requests are questions, and how large they may be.
func TestPathsP13(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	long := func(n int) string { return toCart + "&src=" + strings.Repeat("x", n-len(toCart)-len("&src=")) }
	for _, c := range []struct {
		method, path string
		headers      []string
		want         int
	}{
		{"GET", "/", nil, 404},
		{"GET", "/authzx", nil, 404},
		{"GET", "/x/authz", nil, 404},
		{"GET", "//authz", nil, 404},
		{"GET", "/AUTHZ", nil, 404},
		{"GET", "/authz/", nil, 400},
		{"TRACE", toCart, nil, 405},
		{"TRACE", "/healthz", nil, 405},
		{"GET", "/healthz", nil, 200},
		{"HEAD", "/healthz", nil, 200},
		{"GET", long(8 << 10), nil, 400},
		{"GET", long(8<<10 + 1), nil, 414},
		{"GET", "/" + strings.Repeat("x", 9000), nil, 414},
		{"GET", toCart, []string{"X-Forwarded-For", "10.0.0.1", "X-Large", strings.Repeat("x", 60<<10)}, 200},
		{"GET", toCart, []string{"X-Forwarded-For", "10.0.0.1", "X-Large", strings.Repeat("x", 65<<10)}, 431},
		{"GET", toCart, []string{"X-Forwarded-For", "10.0.0.1", "X-Large", strings.Repeat("x", 200<<10)}, 431},
	} {
		if got := d.send(t, c.method, c.path, nil, c.headers...); got.status != c.want {
			t.Errorf("%s %.40s: %d, want %d", c.method, c.path, got.status, c.want)
		}
	}
	// A body is not read, however it is sent.
	body := struct{ io.Reader }{strings.NewReader(strings.Repeat("dst=shop/db-0&", 100))}
	if got := d.send(t, "POST", toCart, body, "X-Forwarded-For", "10.0.0.3", "Content-Type",
		"application/x-www-form-urlencoded"); got.status != 403 {
		t.Errorf("with a body: %+v", got)
	}
	unsynced := servertest.NewSource()
	before := openOn(t, unsynced, unsynced, nil)
	if got := before.ask(t, "/healthz"); got.status != 503 || !strings.Contains(got.body, "not ready") {
		t.Errorf("before the first sync: %+v", got)
	}
	for _, raw := range []string{
		"CONNECT cart:80 HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT /authz HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		if line := d.raw(t, raw); line != "HTTP/1.1 405 Method Not Allowed" {
			t.Errorf("%q: %s", raw, line)
		}
	}
	if line := d.raw(t, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"); line != "HTTP/1.1 404 Not Found" {
		t.Errorf("OPTIONS *: %s", line)
	}
	if line := d.raw(t, "GET http://x"+toCart+" HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"); line != "HTTP/1.1 200 OK" {
		t.Errorf("absolute form: %s", line)
	}
}
