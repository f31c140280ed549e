package extauthz_test

import (
	"fmt"
	"io"
	nethttp "net/http"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// TestHeaderG1 proves that each answer and each error has its decision_id in the metadata of the response, with a
// decision log and without one.
func TestHeaderG1(t *testing.T) {
	t.Parallel()
	for _, log := range []string{"", "-"} {
		d := open(t, func(c *server.Config) { c.DecisionLog, c.Stdout = log, io.Discard })
		for _, src := range []string{"10.0.0.1", "10.0.0.3", "127.0.0.1"} {
			var header metadata.MD
			resp, err := d.Check(soon(t), tcp(src, "10.0.0.2", 8080), grpc.Header(&header))
			want := resp.GetDynamicMetadata().GetFields()["decision_id"].GetStringValue()
			if err != nil {
				want = detailsOf(err).id
			}
			if got := header.Get("netpold-decision-id"); len(got) != 1 || got[0] != want || !idForm.MatchString(want) {
				t.Errorf("%s: %q, want %q", src, got, want)
			}
		}
	}
}

// TestMetricsP47 proves what is counted of each outcome, by its values.
func TestMetricsP47(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	shadow := []string{"netpold-shadow", "true"}
	for _, c := range []struct {
		times int
		req   *authv3.CheckRequest
		md    []string
	}{
		{1, tcp("10.0.0.1", "10.0.0.2", 8080), nil},
		{2, tcp("10.0.0.1", "10.0.0.2", 8080, http()), nil},
		{3, tcp("10.0.0.3", "10.0.0.2", 8080, http()), nil},
		{4, tcp("10.0.0.3", "10.0.0.2", 8080), shadow},
		{5, tcp("127.0.0.1", "10.0.0.2", 8080), nil},
		{6, tcp("127.0.0.1", "10.0.0.2", 8080, http()), shadow},
		{7, tcp("10.0.0.1", "10.0.0.2", 8080, http("x", "nobody"), with("src", "@header:x")), nil},
		{8, tcp("10.0.0.1", "10.0.0.2", 8080, with("require_principal", "present")), nil},
	} {
		for range c.times {
			_, _ = d.Check(soon(t, c.md...), c.req) // the answers are tested elsewhere
		}
	}
	metrics := d.metrics(t)
	for series, want := range map[string]int{
		`netpold_ext_authz_checks_total{filter="network",shadow="false",verdict="allowed"}`: 1,
		`netpold_ext_authz_checks_total{filter="http",shadow="false",verdict="allowed"}`:    2,
		`netpold_ext_authz_checks_total{filter="http",shadow="false",verdict="denied"}`:     3 + 7,
		`netpold_ext_authz_checks_total{filter="network",shadow="false",verdict="denied"}`:  8,
		`netpold_ext_authz_checks_total{filter="network",shadow="true",verdict="denied"}`:   4,
		`netpold_ext_authz_checks_total{filter="network",shadow="false",verdict="error"}`:   5,
		`netpold_ext_authz_checks_total{filter="http",shadow="false",verdict="error"}`:      0,
		`netpold_ext_authz_checks_total{filter="http",shadow="true",verdict="error"}`:       6,
		`netpold_decisions_total{allowed="true",reason="allowed_by_rule"}`:                  1 + 2,
		`netpold_decisions_total{allowed="false",reason="denied_at_ingress"}`:               3 + 4,
		`netpold_decisions_total{allowed="false",reason="bad_source"}`:                      7,
		`netpold_decisions_total{allowed="false",reason="principal_missing"}`:               8,
		`netpold_decision_errors_total{code="InvalidArgument",reason="INVALID_QUESTION"}`:   5 + 6,
		`netpold_decision_duration_seconds_count{method="Check"}`:                           1 + 2 + 3 + 4 + 6 + 7 + 8,
		`netpold_panics_total`: 0,
	} {
		if line := fmt.Sprintf("\n%s %d\n", series, want); !strings.Contains(metrics, line) {
			t.Errorf("not counted: %s", line)
		}
	}
}

// metrics returns the page of metrics.
func (d *door) metrics(t *testing.T) string {
	t.Helper()
	resp, err := nethttp.Get("http://" + d.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	nethttp.DefaultClient.CloseIdleConnections()
	return string(page)
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

// TestPanicP43 proves that a panic fails its call alone, and is counted.
func TestPanicP43(t *testing.T) {
	t.Parallel()
	source := &panicking{Source: synced(), now: make(chan struct{}, 1)}
	d := openOn(t, source, source.Source, nil)
	source.now <- struct{}{}
	if _, err := d.Check(soon(t), tcp("10.0.0.1", "10.0.0.2", 8080)); status.Code(err) != codes.Internal ||
		strings.Contains(err.Error(), "impossible") {
		t.Errorf("%v", err)
	}
	if !d.allowed(t, tcp("10.0.0.1", "10.0.0.2", 8080)) {
		t.Error("the next call is not answered")
	}
	if !strings.Contains(d.metrics(t), "\nnetpold_panics_total 1\n") {
		t.Error("the panic is not counted")
	}
}
