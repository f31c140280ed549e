package kube_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/kube/kubetest"
	"github.com/netpold/netpold/test/scenario"
)

// refuse has the API server answer 429 to everything that netpold asks, until the result is called: one request at a time may come
// through a level without any share, and that one never ends. The API server must grant requests more time than the test takes.
func (s *site) refuse(t *testing.T) (end func()) {
	t.Helper()
	level := s.allot(t)
	config := s.Admin()
	config.BearerToken = kubetest.AccountToken
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	// What is asked before the level is known to the API server would wait in another one, and hold nobody up.
	kubetest.Eventually(t, patience, func(ctx context.Context) error {
		code, of, err := levelOf(ctx, client, config.Host)
		if err == nil && of != level {
			err = fmt.Errorf("%d from priority level %s, want %s", code, of, level)
		}
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	var caller sync.WaitGroup
	caller.Go(func() {
		for ctx.Err() == nil {
			occupy(ctx, client, config.Host)
		}
	})
	kubetest.Eventually(t, patience, func(ctx context.Context) error {
		code, _, err := levelOf(ctx, client, config.Host)
		if err == nil && code != http.StatusTooManyRequests {
			err = fmt.Errorf("the API server answers %d, want 429", code)
		}
		return err
	})
	return func() {
		t.Helper()
		cancel()
		caller.Wait()
		if err := s.Client().FlowcontrolV1().FlowSchemas().Delete(t.Context(), "nothing-for-netpold", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// levelOf asks something small, and tells the answer's code and the UID of the priority level that it was given.
func levelOf(ctx context.Context, client *http.Client, host string) (code int, level string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, host+"/api/v1/namespaces?limit=1", nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	return resp.StatusCode, resp.Header.Get(flowcontrolv1.ResponseHeaderMatchedPriorityLevelConfigurationUID), resp.Body.Close()
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

// allot gives all that netpold asks to a priority level without any share, and tells its UID.
func (s *site) allot(t *testing.T) string {
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
				// Discovery, by which resources are known to be absent.
				NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}},
			}},
		},
	}
	level, err := flow.PriorityLevelConfigurations().Create(t.Context(), level, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flow.FlowSchemas().Create(t.Context(), schema, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return string(level.UID)
}

// TestAPIServerRefuses: while the API server answers 429, a new replica is not ready and says why, and one that is ready goes on;
// both take part again by themselves.
func TestAPIServerRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, "--request-timeout=1h")
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

// TestReplicasComeAndGo: with two replicas and a client that goes round, one is killed, comes back, and is drained, while the cluster
// goes on changing; not one question fails, and not one is answered otherwise than the oracle does. Only the client's own retry policy
// asks again.
func TestReplicasComeAndGo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := &exam{w: newWorld(t, s.Client(), 22)}
	churn(t, e.w, 150, func(string) {})
	replicas := []*kubetest.Netpold{s.serveReady(t, "--drain-delay=1s"), s.serveReady(t, "--drain-delay=1s")}
	client := kubetest.Dial(t, replicas...)
	e.set()

	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	errs := make(chan error, 4)
	for i := range cap(errs) {
		callers.Go(func() {
			for at := i; ctx.Err() == nil; at++ {
				if err := e.ask(client, at); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	defer func() {
		stop()
		callers.Wait()
	}()
	for round := range 4 {
		n := replicas[round%2]
		e.goesOn(t, errs)
		if round < 2 {
			n.Kill()
		} else if err := n.Stop(patience); err != nil {
			t.Errorf("a replica that is told to end: %v", err)
		}
		e.goesOn(t, errs)
		n.Start()
		n.AwaitReady()
		kubetest.Eventually(t, patience, func(ctx context.Context) error { return answering(ctx, n) })
	}
	e.goesOn(t, errs)
	stop()
	callers.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	t.Logf("%d answers, of them %d denials", e.answers.Load(), e.denials.Load())
	if e.denials.Load() == 0 || e.denials.Load() == e.answers.Load() {
		t.Error("all questions had the same answer")
	}
}

// exam asks questions whose answers the oracle knows, while the cluster changes from time to time.
type exam struct {
	w                *world
	answers, denials atomic.Int64

	// mu is held for reading while a question is open, and for writing while the cluster changes.
	mu        sync.RWMutex
	questions []*netpoldv1.AllowedRequest
	want      []scenario.Want
}

// change changes the cluster, and the questions with it.
func (e *exam) change(t *testing.T) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	churn(t, e.w, 3, func(string) {})
	e.setLocked()
}

func (e *exam) set() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.setLocked()
}

func (e *exam) setLocked() {
	services, oracle := e.w.serviceAddresses(), e.w.oracle()
	e.questions, e.want = nil, nil
	for len(e.questions) < 100 {
		q := e.w.r.Question(services)
		q.AtLeast = e.w.token
		question, ok := scenario.Question{Request: q}.Engine()
		if decision, err := oracle.Allowed(question); ok && err == nil {
			e.questions, e.want = append(e.questions, q), append(e.want, wanted(decision, nil))
		}
	}
}

// ask asks one question as callers do: with a deadline, and without trying again by itself.
func (e *exam) ask(client *netpold.Client, at int) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	q, want := e.questions[at%len(e.questions)], e.want[at%len(e.questions)]
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := client.Allowed(ctx, q)
	if err != nil {
		return fmt.Errorf("a question failed: %w", err)
	}
	got := &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: answer}}
	if differences := want.Compare(got); len(differences) > 0 {
		return fmt.Errorf("%v is answered %v: %s", q, answer, strings.Join(differences, "; "))
	}
	e.answers.Add(1)
	if !answer.GetAllowed() {
		e.denials.Add(1)
	}
	return nil
}

// goesOn changes the cluster and waits until many more questions are answered, again and again, or one is not.
func (e *exam) goesOn(t *testing.T, errs <-chan error) {
	t.Helper()
	for range 5 {
		e.change(t)
		asksOn(t, &e.answers, errs)
	}
}

// asksOn waits until many more questions are answered, or one is not.
func asksOn(t *testing.T, answers *atomic.Int64, errs <-chan error) {
	t.Helper()
	enough := answers.Load() + 200
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
