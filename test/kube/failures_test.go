package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/kube/kubetest"
)

// limit is the staleness limit of these tests, and patience how long anything may take to show on a busy machine.
const (
	limit    = 6 * time.Second
	patience = time.Minute
)

// staleness gives an error unless GetStatus, the metric, and the health of the service say what is wanted.
func staleness(ctx context.Context, n *kubetest.Netpold, client *netpold.Client, want bool) error {
	st, err := client.Status(ctx)
	if err != nil {
		return err
	}
	stale := 0
	for _, r := range st.GetResources() {
		if r.GetStale() {
			stale++
		}
	}
	page, err := n.Page(ctx, "/metrics")
	if err != nil {
		return err
	}
	measured := strings.Count(page, "\nnetpold_resource_stale{resource=\"") - strings.Count(strings.Join(lines(page, "netpold_resource_stale{"), "\n")+"\n", "} 0\n")
	health := healthOf(ctx, n, netpoldv1.DecisionService_ServiceDesc.ServiceName)
	wanted, all := healthv1.HealthCheckResponse_SERVING, 0
	if want {
		wanted, all = healthv1.HealthCheckResponse_NOT_SERVING, len(st.GetResources())
	}
	if stale != all || measured != all || health != wanted {
		return fmt.Errorf("%d resources are stale in GetStatus and %d in metrics, want %d; DecisionService is %v, want %v",
			stale, measured, all, health, wanted)
	}
	return nil
}

func lines(page, prefix string) []string {
	var list []string
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, prefix) {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}

// healthOf is the health of a service; unknown where it cannot be asked.
func healthOf(ctx context.Context, n *kubetest.Netpold, service string) healthv1.HealthCheckResponse_ServingStatus {
	conn, err := grpc.NewClient(n.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return healthv1.HealthCheckResponse_UNKNOWN
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: service})
	if err != nil {
		return healthv1.HealthCheckResponse_UNKNOWN
	}
	return answer.GetStatus()
}

// direct asks one replica whatever its health says.
func direct(t *testing.T, n *kubetest.Netpold) netpoldv1.DecisionServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(n.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return netpoldv1.NewDecisionServiceClient(conn)
}

// becomesStale waits until the mirror is stale, and shows that health says so and that answers go on.
func becomesStale(t *testing.T, n *kubetest.Netpold, client *netpold.Client) {
	t.Helper()
	kubetest.Eventually(t, patience, func(ctx context.Context) error { return staleness(ctx, n, client, true) })
	if health := healthOf(t.Context(), n, ""); health != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("the server as a whole is %v while its state is stale, want NOT_SERVING", health)
	}
	if page, err := n.Page(t.Context(), "/readyz"); err != nil {
		t.Errorf("not ready while stale: %s %v", page, err)
	}
	answer, err := direct(t, n).Allowed(soon(t), &netpoldv1.AllowedRequest{Src: ip("203.0.113.9"), Dst: ip("203.0.113.10"), Port: 80})
	if err != nil || !answer.GetStale() {
		t.Errorf("an answer from a stale state is %v (%v), want one that says so", answer, err)
	}
}

func ip(addr string) *netpoldv1.Endpoint {
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: addr}}
}

// recovers waits until nothing is stale, and changes made since are decided on.
func recovers(t *testing.T, n *kubetest.Netpold, client *netpold.Client, w *world) {
	t.Helper()
	kubetest.Eventually(t, patience, func(ctx context.Context) error { return staleness(ctx, n, client, false) })
	churn(t, w, 30, func(what string) {
		if err := w.ask(t.Context(), client, 12); err != nil {
			t.Fatalf("after it came back, after %s: %v", what, err)
		}
	})
}

// TestAPIServerStopsAndComesBack: decisions go on, staleness shows and clears.
func TestAPIServerStopsAndComesBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.serveReady(t, "--max-staleness="+limit.String())
	client := n.Client()
	w := newWorld(t, s.Client(), 11)
	churn(t, w, 100, func(string) {})
	if err := w.ask(t.Context(), client, 50); err != nil {
		t.Fatal(err)
	}
	s.StopAPIServer()
	becomesStale(t, n, client)
	if err := w.askDirectly(t, n, 100); err != nil {
		t.Errorf("while the API server is away: %v", err)
	}
	s.StartAPIServer()
	recovers(t, n, client, w)
}

// TestAPIServerHangs: a watch that hangs without an error is noticed, and so is that it goes on.
func TestAPIServerHangs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.serveReady(t, "--max-staleness="+limit.String())
	// Late news on a busy machine is no hang, and this one does not answer then.
	refusing := s.serveReady(t, "--max-staleness=20s", "--when-stale=deny")
	client := n.Client()
	w := newWorld(t, s.Client(), 12)
	churn(t, w, 100, func(string) {})
	if err := errors.Join(w.ask(t.Context(), client, 50), w.ask(t.Context(), refusing.Client(), 50)); err != nil {
		t.Fatal(err)
	}
	s.APIServer().Suspend()
	becomesStale(t, n, client)
	if err := w.askDirectly(t, n, 100); err != nil {
		t.Errorf("while the API server hangs: %v", err)
	}
	kubetest.Eventually(t, patience, func(ctx context.Context) error { return staleness(ctx, refusing, refusing.Client(), true) })
	_, err := direct(t, refusing).Allowed(soon(t), &netpoldv1.AllowedRequest{Src: ip("203.0.113.9"), Dst: ip("203.0.113.10"), Port: 80})
	if status.Code(err) != codes.Unavailable || reasonOf(err) != "STALE" {
		t.Errorf("--when-stale=deny answers %v from a stale state, want UNAVAILABLE because of STALE", err)
	}
	s.APIServer().Resume()
	recovers(t, n, client, w)
	recovers(t, refusing, refusing.Client(), w)
}

// TestEtcdIsEmptied: an API server that comes back with nothing, and with resource versions that begin anew, is followed.
func TestEtcdIsEmptied(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.serveReady(t, "--max-staleness="+limit.String())
	client := n.Client()
	w := newWorld(t, s.Client(), 13)
	churn(t, w, 200, func(string) {})
	if err := w.ask(t.Context(), client, 50); err != nil {
		t.Fatal(err)
	}
	s.EmptyEtcd()
	s.grant(t, unedited)
	fresh := newWorld(t, s.Client(), 14)
	churn(t, fresh, 60, func(string) {})
	// Tokens do not reach over the end of a cluster: the answers are compared until they are right.
	kubetest.Eventually(t, patience, func(ctx context.Context) error { return fresh.askAt(ctx, client, 60, "") })
	recovers(t, n, client, fresh)
}

// listed tells how often netpold has listed Pods after its first list, and how often because the API server did not know any more
// what had happened since (410).
func listed(n *kubetest.Netpold) (again, lost int) {
	for line := range strings.Lines(n.Output()) {
		var told struct {
			Msg, Resource string
			First         bool
		}
		if json.Unmarshal([]byte(line), &told) != nil || told.Resource != "pods" {
			continue
		}
		switch {
		case strings.HasPrefix(told.Msg, "listing the cluster again"):
			lost++
		case told.Msg == "cluster listed" && !told.First:
			again++
		}
	}
	return again, lost
}

// TestHistoryIsCompacted: a watch goes on over a compaction; one that was away for longer than the history finds it gone (410), and
// the list that follows is taken as a difference.
func TestHistoryIsCompacted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.serveReady(t)
	client := n.Client()
	w := newWorld(t, s.Client(), 15)
	for range 3 {
		churn(t, w, 40, func(string) {})
		s.Compact(t.Context())
		churn(t, w, 10, func(string) {})
		if err := w.ask(t.Context(), client, 50); err != nil {
			t.Fatalf("after a compaction under an open watch: %v", err)
		}
	}
	if again, _ := listed(n); again != 0 {
		t.Errorf("Pods were listed again %d times, though the watch was never behind", again)
	}
	n.Suspend()
	churn(t, w, 200, func(string) {})
	s.KillAPIServer()
	s.Compact(t.Context())
	s.StartAPIServer()
	churn(t, w, 20, func(string) {})
	n.Resume()
	if err := w.ask(t.Context(), client, 200); err != nil {
		t.Fatalf("after a watch came back to a compacted history: %v", err)
	}
	if again, lost := listed(n); again == 0 || lost == 0 {
		t.Errorf("Pods were listed again %d times, %d for a lost history: the watch did not find it compacted", again, lost)
	}
	recovers(t, n, client, w)
}

// TestHistoryIsCompactedUnderTheAPIServer: etcd forgets what the API server itself has not read, so that its open watches end and
// cannot go on (410). Deletions that nobody was told of are found by the list that follows.
func TestHistoryIsCompactedUnderTheAPIServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.serveReady(t)
	client := n.Client()
	w := newWorld(t, s.Client(), 16)
	churn(t, w, 150, func(string) {})
	if err := w.ask(t.Context(), client, 50); err != nil {
		t.Fatal(err)
	}
	s.APIServer().Suspend()
	s.RestartEtcd()
	gone := s.Unstore(t.Context(), "/registry/pods/a/") + s.Unstore(t.Context(), "/registry/networkpolicies/b/")
	if gone < 2 {
		t.Fatalf("only %d objects were there to be deleted", gone)
	}
	s.Compact(t.Context())
	s.APIServer().Resume()
	kubetest.Eventually(t, patience, func(context.Context) error {
		if again, lost := listed(n); again == 0 || lost == 0 {
			return fmt.Errorf("Pods were listed again %d times, %d for a lost history", again, lost)
		}
		return nil
	})
	w.relist()
	// The first questions come while other resources may still be behind: their token has them wait.
	if err := w.ask(t.Context(), client, 200); err != nil {
		t.Fatalf("after etcd was compacted under open watches: %v", err)
	}
	recovers(t, n, client, w)
}

// askDirectly asks as ask does, of one replica whatever its health says, about the present state.
func (w *world) askDirectly(t *testing.T, n *kubetest.Netpold, questions int) error {
	t.Helper()
	return w.askOf(t.Context(), func(ctx context.Context, batch *netpoldv1.BatchAllowedRequest) (*netpoldv1.BatchAllowedResponse, error) {
		return direct(t, n).BatchAllowed(ctx, batch)
	}, questions, w.token)
}
