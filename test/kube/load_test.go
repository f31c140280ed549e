package kube_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/kube/kubetest"
)

// refuse has the API server answer 429 to everything that netpold asks, until the result is called: one request at a time may come
// through a level without any share, and that one never ends.
func (s *site) refuse(t *testing.T) (end func()) {
	t.Helper()
	s.allot(t)
	config := s.Admin()
	config.BearerToken = kubetest.AccountToken
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			for ctx.Err() == nil {
				occupy(ctx, client, config.Host)
			}
		})
	}
	return func() {
		t.Helper()
		cancel()
		callers.Wait()
		if err := s.Client().FlowcontrolV1().FlowSchemas().Delete(t.Context(), "nothing-for-netpold", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// occupy asks something, and leaves the API server waiting for the end of the question.
func occupy(ctx context.Context, client *http.Client, host string) {
	body, keep := io.Pipe()
	defer keep.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, host+"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	if resp, err := client.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}

// allot gives all that netpold asks to a priority level without any share.
func (s *site) allot(t *testing.T) {
	t.Helper()
	flow := s.Client().FlowcontrolV1()
	level := &flowcontrolv1.PriorityLevelConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "nothing"},
		Spec: flowcontrolv1.PriorityLevelConfigurationSpec{
			Type: flowcontrolv1.PriorityLevelEnablementLimited,
			Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{
				NominalConcurrencyShares: new(int32(0)), BorrowingLimitPercent: new(int32(0)), LendablePercent: new(int32(0)),
				LimitResponse: flowcontrolv1.LimitResponse{Type: flowcontrolv1.LimitResponseTypeReject},
			},
		},
	}
	schema := &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: "nothing-for-netpold"},
		Spec: flowcontrolv1.FlowSchemaSpec{
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: level.Name}, MatchingPrecedence: 2,
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects: []flowcontrolv1.Subject{{
					Kind: flowcontrolv1.SubjectKindServiceAccount, ServiceAccount: &flowcontrolv1.ServiceAccountSubject{Namespace: namespace, Name: "netpold"},
				}},
				ResourceRules: []flowcontrolv1.ResourcePolicyRule{{
					Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}, ClusterScope: true, Namespaces: []string{"*"},
				}},
			}},
		},
	}
	if _, err := flow.PriorityLevelConfigurations().Create(t.Context(), level, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := flow.FlowSchemas().Create(t.Context(), schema, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestAPIServerRefuses: while the API server answers 429, a new replica is not ready and says why, and one that is ready goes on;
// both take part again by themselves.
func TestAPIServerRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ready := s.serveReady(t, "--max-staleness="+limit.String())
	w := newWorld(t, s.Client(), 21)
	churn(t, w, 100, func(string) {})
	if err := w.ask(t.Context(), ready.Client(), 50); err != nil {
		t.Fatal(err)
	}
	end := s.refuse(t)
	late := s.serve(t)
	kubetest.Eventually(t, patience, func(ctx context.Context) error {
		_, err := late.Page(ctx, "/readyz")
		if err == nil {
			t.Fatal("a replica that could read nothing is ready")
		}
		return contains("/readyz", err.Error(), "not ready", "429")
	})
	if _, err := direct(t, late).Allowed(soon(t), &netpoldv1.AllowedRequest{Src: ip("203.0.113.9"), Dst: ip("203.0.113.10"), Port: 80}); reasonOf(err) != "NOT_SYNCED" {
		t.Errorf("a replica that could read nothing answers %v, want NOT_SYNCED", err)
	}
	// Watches that are open go on, until their time is over; then the state is stale.
	kubetest.Eventually(t, patience, func(ctx context.Context) error { return staleness(ctx, ready, ready.Client(), true) })
	if err := w.askDirectly(t, ready, 100); err != nil {
		t.Errorf("while the API server refuses: %v", err)
	}
	end()
	late.AwaitReady()
	recovers(t, late, late.Client(), w)
	recovers(t, ready, ready.Client(), w)
}

// TestReplicasComeAndGo: with two replicas and a client that goes round, one is killed, comes back, and is drained; not one question
// fails, and not one is answered wrongly.
func TestReplicasComeAndGo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorld(t, s.Client(), 22)
	churn(t, w, 150, func(string) {})
	replicas := []*kubetest.Netpold{s.serveReady(t, "--drain-delay=1s"), s.serveReady(t, "--drain-delay=1s")}
	client := kubetest.Dial(t, replicas...)
	questions, want := asked(t, w, client)

	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var answers atomic.Int64
	errs := make(chan error, 4)
	for i := range cap(errs) {
		callers.Go(func() {
			for at := i; ctx.Err() == nil; at++ {
				k := at % len(questions)
				if err := again(client, questions[k], want[k]); err != nil {
					errs <- err
					return
				}
				answers.Add(1)
			}
		})
	}
	for round := range 4 {
		n := replicas[round%2]
		asksOn(t, &answers, errs)
		if round < 2 {
			n.Kill()
		} else if err := n.Stop(30 * time.Second); err != nil {
			t.Errorf("a replica that is told to end: %v", err)
		}
		asksOn(t, &answers, errs)
		n.Start()
		n.AwaitReady()
		kubetest.Eventually(t, patience, func(ctx context.Context) error { return answering(ctx, n) })
	}
	stop()
	callers.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	t.Logf("%d answers", answers.Load())
}

// asked are questions with the oracle's answers, as a client got them.
func asked(t *testing.T, w *world, client *netpold.Client) ([]*netpoldv1.AllowedRequest, []*netpoldv1.AllowedResponse) {
	t.Helper()
	if err := w.ask(t.Context(), client, 200); err != nil {
		t.Fatal(err)
	}
	var questions []*netpoldv1.AllowedRequest
	var want []*netpoldv1.AllowedResponse
	services := w.serviceAddresses()
	for len(questions) < 100 {
		q := w.r.Question(services)
		q.AtLeast = w.token
		if answer, err := client.Allowed(soon(t), q); err == nil {
			questions, want = append(questions, q), append(want, stripped(answer))
		}
	}
	return questions, want
}

// stripped is an answer without what differs between replicas.
func stripped(r *netpoldv1.AllowedResponse) *netpoldv1.AllowedResponse {
	r = proto.Clone(r).(*netpoldv1.AllowedResponse)
	r.Revision, r.Token = 0, ""
	return r
}

// again asks once more, as callers do: with a deadline, and without trying again by itself.
func again(client *netpold.Client, q *netpoldv1.AllowedRequest, want *netpoldv1.AllowedResponse) error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	answer, err := client.Allowed(ctx, q)
	if err != nil {
		return fmt.Errorf("a question failed: %w", err)
	}
	if !proto.Equal(stripped(answer), want) {
		return fmt.Errorf("%v is answered %v, want %v", q, answer, want)
	}
	return nil
}

// asksOn waits until many more questions are answered, or one is not.
func asksOn(t *testing.T, answers *atomic.Int64, errs <-chan error) {
	t.Helper()
	enough := answers.Load() + 500
	kubetest.Eventually(t, patience, func(context.Context) error {
		select {
		case err := <-errs:
			t.Fatal(err)
		default:
		}
		if n := answers.Load(); n < enough {
			return fmt.Errorf("only %d of %d answers", n, enough)
		}
		return nil
	})
}

// answering gives an error unless a replica has answered a question since its start.
func answering(ctx context.Context, n *kubetest.Netpold) error {
	page, err := n.Page(ctx, "/metrics")
	if err != nil {
		return err
	}
	for _, line := range lines(page, "netpold_decision_duration_seconds_count{method=\"Allowed\"}") {
		if line != "netpold_decision_duration_seconds_count{method=\"Allowed\"} 0" {
			return nil
		}
	}
	return errors.New("the replica that came back is asked nothing")
}
