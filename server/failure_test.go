package server_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
)

// S6, S24, S27: a question that the engine cannot answer has a code, a reason and the field over the wire.
func TestS6S24S27UnansweredQuestions(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	for name, test := range map[string]struct {
		question *netpoldv1.AllowedRequest
		code     codes.Code
		reason   string
		field    string
	}{
		"unknown Pod (S27)": {
			&netpoldv1.AllowedRequest{Src: netpold.Pod("shop", "nobody"), Dst: netpold.IP("10.0.3.7"), Port: 1},
			codes.NotFound, "NOT_FOUND", "src.pod",
		},
		"unknown workload (S27)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.7"), Dst: netpold.Workload("shop", "Job", "cart"),
				Port: 1},
			codes.NotFound, "NOT_FOUND", "dst.workload",
		},
		"unknown Service (S27)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.7"), Dst: netpold.Service("shop", "nobody"), Port: 1},
			codes.NotFound, "NOT_FOUND", "dst.service",
		},
		"the source's is told first (S27)": {
			&netpoldv1.AllowedRequest{Src: netpold.Pod("shop", "batch-0"), Dst: netpold.Pod("shop", "nobody"),
				Port: 1},
			codes.NotFound, "POD_FINISHED", "src.pod",
		},
		"finished Pod (S6)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.7"), Dst: netpold.Pod("shop", "batch-0"), Port: 1},
			codes.NotFound, "POD_FINISHED", "dst.pod",
		},
		"finished workload (S24)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.7"),
				Dst: netpold.Workload("shop", "Deployment", "batch"), Port: 1},
			codes.FailedPrecondition, "WORKLOAD_FINISHED", "dst.workload",
		},
		"no such port (S24)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.7"), Dst: netpold.Service("shop", "cart"), Port: 81},
			codes.FailedPrecondition, "NO_SERVICE_PORT", "dst.service",
		},
		"no such port, by IP (S24)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.7"), Dst: netpold.IP("10.96.0.10"), Port: 81},
			codes.FailedPrecondition, "NO_SERVICE_PORT", "dst.ip",
		},
		"no endpoint (S24)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.7"), Dst: netpold.Service("shop", "idle"), Port: 80},
			codes.FailedPrecondition, "NO_READY_ENDPOINT", "dst.service",
		},
		"ExternalName (S24)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.7"), Dst: netpold.Service("shop", "elsewhere"),
				Port: 80},
			codes.FailedPrecondition, "EXTERNAL_NAME", "dst.service",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := r.decisions().Allowed(soon(t), test.question)
			got := detailsOf(t, status.Convert(err))
			if got.Message == "" || len(got.Violations) > 0 || got.Retry != 0 {
				t.Errorf("%+v", got)
			}
			got.Message = ""
			want := details{Code: test.code, Reason: test.reason, Metadata: map[string]string{"field": test.field}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// S26: before the first full sync nothing is answered, whatever the question; and everything after it.
func TestS26UnavailableBeforeTheFirstSync(t *testing.T) {
	t.Parallel()
	source := servertest.NewSource()
	r := start(t, source, nil)
	want := details{
		Code: codes.Unavailable, Reason: "NOT_SYNCED", Retry: time.Second,
		Message: "the first full sync of the cluster's state is not complete; retry, or see netpold.v1.StatusService/GetStatus",
	}
	token := ask()
	token.AtLeast = "servertest:1"
	for name, question := range map[string]*netpoldv1.AllowedRequest{"good": ask(), "wrong": {},
		"with a token": token} {
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
	source.Apply(upserts(shop())...)
	if _, err := r.decisions().Allowed(soon(t), ask()); err != nil {
		t.Errorf("after the sync: %v", err)
	}
}

// A Decisions without limits has the defaults.
func TestNewDecisionsDefaults(t *testing.T) {
	t.Parallel()
	service := decisions.New(synced(shop()...), decisions.Options{})
	batch := &netpoldv1.BatchAllowedRequest{Questions: make([]*netpoldv1.AllowedRequest,
		decisions.DefaultMaxBatch)}
	if _, err := service.BatchAllowed(t.Context(), batch); err != nil {
		t.Error(err)
	}
	batch.Questions = append(batch.Questions, nil)
	if _, err := service.BatchAllowed(t.Context(), batch); status.Code(err) != codes.ResourceExhausted {
		t.Error(err)
	}
}
