package server_test

import (
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

// metricsOf returns the lines of /metrics: values by series.
func metricsOf(t *testing.T, r *running) map[string]string {
	t.Helper()
	code, body := get(t, r, "/metrics")
	if code != http.StatusOK {
		t.Fatalf("/metrics: %d %s", code, body)
	}
	series := map[string]string{}
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if value != "" {
			name += "}"
		} else {
			name, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		}
		series[name] = value
	}
	return series
}

func expectMetrics(t *testing.T, got, want map[string]string) {
	t.Helper()
	for series, value := range want {
		if got[series] != value {
			t.Errorf("%s is %q, want %q", series, got[series], value)
		}
	}
}

// After known calls, the metrics say what was asked and how it was answered.
func TestMetricsOfDecisions(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	denied := ask()
	denied.Port = 9090
	self := &netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.7"), Dst: netpold.IP("10.0.3.7"), Port: 1}
	unknown := &netpoldv1.AllowedRequest{Src: netpold.Pod("shop", "nobody"), Dst: netpold.IP("10.0.3.7"),
		Port: 1}
	ctx := soon(t)
	for _, question := range []*netpoldv1.AllowedRequest{ask(), ask(), denied, self, unknown, {}} {
		// The answers are tested elsewhere.
		_, _ = r.decisions().Allowed(ctx, question)
	}
	batch := &netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{ask(), denied, denied,
		unknown, {}}}
	if _, err := r.decisions().BatchAllowed(ctx, batch); err != nil {
		t.Fatal(err)
	}
	const service = `grpc_service="netpold.v1.DecisionService",grpc_type="unary"}`
	expectMetrics(t, metricsOf(t, r), map[string]string{
		`netpold_decisions_total{allowed="true",reason="allowed_by_rule"}`:                       "3",
		`netpold_decisions_total{allowed="true",reason="self"}`:                                  "1",
		`netpold_decisions_total{allowed="true",reason="not_isolated"}`:                          "0",
		`netpold_decisions_total{allowed="true",reason="local_node"}`:                            "0",
		`netpold_decisions_total{allowed="false",reason="denied_at_ingress"}`:                    "3",
		`netpold_decisions_total{allowed="false",reason="denied_at_egress"}`:                     "0",
		`netpold_decision_errors_total{code="NotFound",reason="NOT_FOUND"}`:                      "2",
		`netpold_decision_errors_total{code="InvalidArgument",reason="INVALID_QUESTION"}`:        "2",
		`netpold_decision_duration_seconds_count{method="Allowed"}`:                              "4",
		`netpold_decision_duration_seconds_count{method="BatchAllowed"}`:                         "1",
		`netpold_batch_size_count{method="BatchAllowed"}`:                                        "1",
		`netpold_batch_size_sum{method="BatchAllowed"}`:                                          "5",
		`grpc_server_handled_total{grpc_code="OK",grpc_method="Allowed",` + service:              "4",
		`grpc_server_handled_total{grpc_code="NotFound",grpc_method="Allowed",` + service:        "1",
		`grpc_server_handled_total{grpc_code="InvalidArgument",grpc_method="Allowed",` + service: "1",
		`grpc_server_handling_seconds_count{grpc_method="BatchAllowed",` + service:               "1",
		`netpold_build_info{goversion="` + runtime.Version() + `",version="` + "dev" + `"}`:      "1",
		`netpold_panics_total`: "0",
	})
}

// The status of the source is read at the scrape.
func TestMetricsOfTheState(t *testing.T) {
	t.Parallel()
	source := servertest.NewSource()
	r := start(t, source, nil)
	before := metricsOf(t, r)
	expectMetrics(t, before, map[string]string{"netpold_ready": "0"})
	for _, series := range []string{"netpold_snapshot_revision", "netpold_snapshot_age_seconds"} {
		if value, ok := before[series]; ok {
			t.Errorf("before the first snapshot, %s is %s", series, value)
		}
	}
	source.Apply(upserts(shop())...)
	source.SetStatus(mirror.Status{
		Resources: []mirror.Resource{
			{Name: "pods", Synced: true, Objects: 4, Age: 1500 * time.Millisecond},
			{Name: "nodes", Stale: true},
		},
		Problems: []mirror.Problem{
			{Message: "a"},
			{Kind: "ClusterNetworkPolicy", Name: "x", Message: "b", Closed: true},
			{Kind: "AdminNetworkPolicy", Name: "x", Field: "spec.egress[0].to[0].domainNames", Warning: true},
		},
		IgnoredKinds: map[string]int{"ConfigMap": 3},
		Unmodelled: []mirror.UnmodelledKind{
			{Kind: "CiliumNetworkPolicy", Group: "cilium.io", Counted: true, Count: 2, Namespaces: []string{"shop"}},
			{Kind: "NetworkPolicy", Group: "crd.projectcalico.org"},
		},
	})
	after := metricsOf(t, r)
	expectMetrics(t, after, map[string]string{
		"netpold_ready":                                 "1",
		"netpold_snapshot_revision":                     "1",
		`netpold_objects{kind="Pod"}`:                   "3",
		`netpold_objects{kind="Namespace"}`:             "1",
		`netpold_objects{kind="NetworkPolicy"}`:         "2",
		`netpold_objects{kind="Node"}`:                  "0",
		`netpold_objects{kind="Service"}`:               "3",
		`netpold_objects{kind="EndpointSlice"}`:         "1",
		`netpold_resource_synced{resource="pods"}`:      "1",
		`netpold_resource_synced{resource="nodes"}`:     "0",
		`netpold_resource_stale{resource="nodes"}`:      "1",
		`netpold_resource_objects{resource="pods"}`:     "4",
		`netpold_resource_age_seconds{resource="pods"}`: "1.5",
		`netpold_problems{severity="error"}`:            "2",
		`netpold_problems{severity="warning"}`:          "1",
		`netpold_ignored_objects{kind="ConfigMap"}`:     "3",

		`netpold_invalid_policies{kind="ClusterNetworkPolicy"}`:             "1",
		`netpold_invalid_policies{kind="AdminNetworkPolicy"}`:               "0",
		`netpold_invalid_policies{kind="BaselineAdminNetworkPolicy"}`:       "0",
		`netpold_tier_domain_name_rules{kind="ClusterNetworkPolicy"}`:       "0",
		`netpold_tier_domain_name_rules{kind="AdminNetworkPolicy"}`:         "1",
		`netpold_tier_domain_name_rules{kind="BaselineAdminNetworkPolicy"}`: "0",

		`netpold_unmodelled_policies{kind="CiliumNetworkPolicy.cilium.io"}`:       "2",
		`netpold_unmodelled_policies{kind="NetworkPolicy.crd.projectcalico.org"}`: "NaN",
	})
	age, err := strconv.ParseFloat(after["netpold_snapshot_age_seconds"], 64)
	if err != nil || age < 0 || age > patience.Seconds() {
		t.Errorf("the snapshot's age is %v, %v", age, err)
	}
	for _, series := range []string{"netpold_classes", "netpold_selectors", "go_goroutines",
		"process_start_time_seconds"} {
		if after[series] == "" || after[series] == "0" {
			t.Errorf("%s is %q", series, after[series])
		}
	}
}
