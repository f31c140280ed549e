package kube_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/kube/kubetest"
)

// callers is the namespace of the ServiceAccounts that ask.
const callers = "mesh"

// account makes a ServiceAccount that may do verbs on resources of netpold.io, and returns what makes its tokens.
func (s *site) account(t *testing.T, name string, resource string, verbs ...string) func(audience string) string {
	t.Helper()
	ctx := t.Context()
	accounts := s.Client().CoreV1().ServiceAccounts(callers)
	if _, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}},
		metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(verbs) > 0 {
		of := metav1.ObjectMeta{Name: "netpold-" + name}
		if _, err := s.Client().RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: of,
			Rules: []rbacv1.PolicyRule{{APIGroups: []string{"netpold.io"}, Resources: []string{resource}, Verbs: verbs}},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Client().RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: of,
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: of.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: callers}},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return func(audience string) string {
		t.Helper()
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{}}
		if audience != "" {
			request.Spec.Audiences = []string{audience}
		}
		made, err := accounts.CreateToken(ctx, name, request, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return made.Status.Token
	}
}

// currentContext returns a copy of a kubeconfig with another current context.
func currentContext(t *testing.T, kubeconfig, context string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.CurrentContext = context
	path := filepath.Join(t.TempDir(), "reviewer")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestP36ReviewsOfARealAPIServer: with the rights that the chart's kubeAuthz grants, and no more, a real API server says
// who callers are and what they may do: by audience, by right of each service, and after a right or an account is gone.
func TestP36ReviewsOfARealAPIServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	granted := only(t, charted(t, map[string]any{
		"kubeAuthz": true, "tls": map[string]any{"secretName": "cert"}}), "ClusterRole")
	if err := s.Applier().Apply(t.Context(), granted, false); err != nil {
		t.Fatal(err)
	}
	s.CreateNamespace(t.Context(), callers)
	proxy := s.account(t, "proxy", "decisions", "create")
	watcher := s.account(t, "watcher", "decisions", "watch")
	auditor := s.account(t, "auditor", "audits", "create")
	viewer := s.account(t, "viewer", "status", "get")
	nobody := s.account(t, "nobody", "")
	n := s.serveReady(t, "--kube-authz", "--kube-authz-ttl=1s",
		"--kube-authz-kubeconfig="+currentContext(t, s.kubeconfig, contextName))

	conn, err := grpc.NewClient(n.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	question := &netpoldv1.AllowedRequest{
		Src: &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: "192.0.2.1"}},
		Dst: &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: "192.0.2.2"}}, Port: 80,
	}
	calls := map[string]func(ctx context.Context) error{
		"Allowed": func(ctx context.Context) error {
			_, err := netpoldv1.NewDecisionServiceClient(conn).Allowed(ctx, question)
			return err
		},
		"WatchAllowed": func(ctx context.Context) error {
			watch, err := netpoldv1.NewDecisionServiceClient(conn).WatchAllowed(ctx)
			if err == nil {
				_ = watch.Send(&netpoldv1.WatchAllowedRequest{})
				_, err = watch.Recv()
			}
			return err
		},
		"Explain": func(ctx context.Context) error {
			_, err := netpoldv1.NewAuditServiceClient(conn).Explain(ctx, &netpoldv1.ExplainRequest{Question: question})
			return err
		},
		"GetStatus": func(ctx context.Context) error {
			_, err := netpoldv1.NewStatusServiceClient(conn).GetStatus(ctx, &netpoldv1.GetStatusRequest{})
			return err
		},
	}
	code := func(t *testing.T, call, token string) codes.Code {
		ctx, cancel := context.WithCancel(soon(t))
		defer cancel()
		if token != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
		}
		return status.Code(calls[call](ctx))
	}
	for name, test := range map[string]struct {
		token string
		may   []string
	}{
		"proxy": {proxy("netpold"), []string{"Allowed"}}, "watcher": {watcher("netpold"), []string{"WatchAllowed"}},
		"auditor": {auditor("netpold"), []string{"Explain"}}, "viewer": {viewer("netpold"), []string{"GetStatus"}},
		"nobody": {nobody("netpold"), nil},
	} {
		for call := range calls {
			want := codes.PermissionDenied
			if slices.Contains(test.may, call) {
				want = codes.OK
			}
			if got := code(t, call, test.token); got != want {
				t.Errorf("%s: %s is %v, want %v", name, call, got, want)
			}
		}
	}
	for name, token := range map[string]string{
		"no token": "", "a token for the API server": proxy(""), "a token for others": proxy("others"),
		"no token of this cluster": proxy("netpold") + "x", "a password": "s3cret",
	} {
		if got := code(t, "Allowed", token); got != codes.Unauthenticated {
			t.Errorf("%s: %v, want %v", name, got, codes.Unauthenticated)
		}
	}

	good := proxy("netpold")
	if got := code(t, "Allowed", good); got != codes.OK {
		t.Fatalf("before the right is taken: %v", got)
	}
	if err := s.Client().RbacV1().ClusterRoleBindings().Delete(t.Context(), "netpold-proxy", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.becomes(t, code, good, codes.PermissionDenied)
	if err := s.Client().CoreV1().ServiceAccounts(callers).Delete(t.Context(), "proxy", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.becomes(t, code, good, codes.Unauthenticated)

	viewing := viewer("netpold")
	s.KillAPIServer()
	if got := code(t, "GetStatus", viewing); got != codes.Unavailable {
		t.Errorf("a new caller while nobody can say: %v, want %v", got, codes.Unavailable)
	}
	s.StartAPIServer()
	kubetest.Eventually(t, patience, func(context.Context) error {
		return expectCode(code(t, "GetStatus", viewing), codes.OK)
	})
	if log := n.Output(); strings.Contains(log, good) || strings.Contains(log, viewing) || strings.Contains(log, "s3cret") {
		t.Error("the log has a token (P37)")
	}
}

// becomes waits until a call with a token gets a code.
func (s *site) becomes(t *testing.T, code func(*testing.T, string, string) codes.Code, token string, want codes.Code) {
	t.Helper()
	kubetest.Eventually(t, patience, func(context.Context) error { return expectCode(code(t, "Allowed", token), want) })
}

func expectCode(got, want codes.Code) error {
	if got != want {
		return fmt.Errorf("the call gets %v, want %v", got, want)
	}
	return nil
}
