package server_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// silent returns the status of a source with two stale resources.
func silent() mirror.Status {
	return mirror.Status{Resources: []mirror.Resource{
		{Name: "pods", Synced: true, Age: 312 * time.Second, Stale: true},
		{Name: "namespaces", Synced: true, Age: time.Second},
		{Name: "nodes", Synced: true, Age: 5 * time.Minute, Stale: true},
	}}
}

// goStale makes a source stale, and waits until watchers of the health of DecisionService get it.
func goStale(t *testing.T, r *running, source *servertest.Source,
	want healthv1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	watch, err := healthv1.NewHealthClient(r.conn).
		Watch(soon(t), &healthv1.HealthCheckRequest{Service: decisionService})
	if err != nil {
		t.Fatal(err)
	}
	if want == notServing {
		awaitHealth(t, watch, serving)
	} else {
		awaitHealth(t, watch, notServing)
	}
	source.SetStale(want == notServing)
	nextHealth(t, watch, want)
}

func staleIn(t *testing.T, r *running) (alone, batch, inBatch bool) {
	t.Helper()
	answer, err := r.decisions().Allowed(soon(t), ask())
	if err != nil || !answer.GetAllowed() {
		t.Fatalf("%v, %v", answer, err)
	}
	answers, err := r.decisions().BatchAllowed(soon(t),
		&netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{ask()}})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetStale(), answers.GetStale(), answers.GetAnswers()[0].GetResponse().GetStale()
}

// A stale state is answered from, and each answer says so; so does health, overall and of each service. All
// of it clears.
func TestAnswerWhenStale(t *testing.T) {
	t.Parallel()
	for name, choice := range map[string]server.WhenStale{"by default": "",
		"by choice": server.AnswerWhenStale} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := synced(shop()...)
			source.SetStatus(silent())
			r := start(t, source, func(c *server.Config) { c.WhenStale = choice })
			expect := func(stale bool, readyz string) {
				t.Helper()
				if alone, batch, inBatch := staleIn(t, r); alone != stale || batch != stale || inBatch != stale {
					t.Errorf("stale is %v, of a batch %v, in it %v; want %v", alone, batch, inBatch, stale)
				}
				if code, body := get(t, r, "/readyz"); code != http.StatusOK || body != readyz {
					t.Errorf("/readyz: %d %q, want %q", code, body, readyz)
				}
			}
			expect(false, "ready: revision 1\n")
			goStale(t, r, source, notServing)
			expect(true, "ready: revision 1, which is stale: pods (5m12s), nodes (5m0s)\n")
			expectHealth(t, r, map[string]healthv1.HealthCheckResponse_ServingStatus{
				"": notServing, decisionService: notServing, statusService: notServing, "readiness": serving,
			})
			goStale(t, r, source, serving)
			expect(false, "ready: revision 1\n")
		})
	}
}

// With --when-stale=deny a stale state is not answered from: the error is UNAVAILABLE, says what is stale,
// and clears.
func TestDenyWhenStale(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	source.SetStatus(silent())
	r := start(t, source, func(c *server.Config) { c.WhenStale = server.DenyWhenStale })
	staleIn(t, r)
	goStale(t, r, source, notServing)
	want := details{
		Code: codes.Unavailable, Reason: "STALE", Retry: time.Second,
		Metadata: map[string]string{"resources": "pods,nodes"},
		Message: "the cluster's state is stale, and the server refuses to answer from it (--when-stale=deny): " +
			"nothing was heard of pods (5m12s), nodes (5m0s); retry, or see netpold.v1.StatusService/GetStatus",
	}
	for name, question := range map[string]*netpoldv1.AllowedRequest{
		"good": ask(), "wrong": {}, "with the present token": atLeast("servertest:1"),
		"with a token to come": atLeast("servertest:2"),
	} {
		_, err := r.decisions().Allowed(soon(t), question)
		if diff := cmp.Diff(want, detailsOf(t, status.Convert(err))); diff != "" {
			t.Errorf("Allowed, %s question: -want +got:\n%s", name, diff)
		}
		_, err = r.decisions().BatchAllowed(soon(t),
			&netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{question}})
		if diff := cmp.Diff(want, detailsOf(t, status.Convert(err))); diff != "" {
			t.Errorf("BatchAllowed, %s question: -want +got:\n%s", name, diff)
		}
	}
	expectHealth(t, r, map[string]healthv1.HealthCheckResponse_ServingStatus{
		"": notServing, decisionService: notServing, statusService: notServing, "readiness": notServing,
	})
	const why = "not ready: the state is stale, and nothing is answered from it (--when-stale=deny): pods (5m12s), nodes (5m0s)\n"
	if code, body := get(t, r, "/readyz"); code != http.StatusServiceUnavailable || body != why {
		t.Errorf("/readyz: %d %q", code, body)
	}
	expectMetrics(t, metricsOf(t, r), map[string]string{
		`netpold_decision_errors_total{code="Unavailable",reason="STALE"}`: "8",
		`netpold_resource_stale{resource="pods"}`:                          "1",
		`netpold_resource_stale{resource="namespaces"}`:                    "0",
		"netpold_ready": "1",
	})
	goStale(t, r, source, serving)
	staleIn(t, r)
}

// If the state becomes stale while a question waits for its token, the answer says so.
func TestStaleAfterWaiting(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	waiting := &waitingSource{Source: source, waits: make(chan context.Context, 1)}
	for _, test := range []struct { // in this order: each waits for the next token
		choice server.WhenStale
		token  string
		want   codes.Code
	}{
		{server.AnswerWhenStale, "servertest:2", codes.OK},
		{server.DenyWhenStale, "servertest:3", codes.Unavailable},
	} {
		source.SetStale(false)
		r := start(t, waiting, func(c *server.Config) { c.WhenStale = test.choice })
		answered := allowedLater(t, r, atLeast(test.token))
		within(t, waiting.waits, "the call to wait for its token")
		source.SetStale(true)
		source.Apply(isolate())
		if got := within(t, answered, "the answer"); status.Code(got.err) != test.want ||
			test.want == codes.OK && !got.response.GetStale() {
			t.Errorf("%s: %v, %v", test.choice, got.response, got.err)
		}
	}
}

// A state that has just become current again has no stale resource to name.
func TestDenyOfNothingInParticular(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	source.SetStale(true)
	r := start(t, source, func(c *server.Config) { c.WhenStale = server.DenyWhenStale })
	_, err := r.decisions().Allowed(soon(t), ask())
	if got := detailsOf(t, status.Convert(err)); got.Reason != "STALE" || got.Metadata != nil {
		t.Errorf("%+v", got)
	}
}

// S26: before the first full sync that is the reason, whatever else is wrong, and health turns when both are
// over.
func TestS26StaleBeforeTheFirstSync(t *testing.T) {
	t.Parallel()
	source := servertest.NewSource()
	source.SetStale(true)
	r := start(t, source, func(c *server.Config) { c.WhenStale = server.DenyWhenStale })
	_, err := r.decisions().Allowed(soon(t), ask())
	if got := detailsOf(t, status.Convert(err)); got.Reason != "NOT_SYNCED" {
		t.Errorf("%+v", got)
	}
	watch, err := healthv1.NewHealthClient(r.conn).Watch(soon(t), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	nextHealth(t, watch, notServing)
	source.Apply(upserts(shop())...)
	expectHealth(t, r, map[string]healthv1.HealthCheckResponse_ServingStatus{"": notServing,
		decisionService: notServing})
	goStale(t, r, source, serving)
	nextHealth(t, watch, serving)
	staleIn(t, r)
}
