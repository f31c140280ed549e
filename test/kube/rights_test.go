package kube_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/notes"
	"github.com/netpold/netpold/test/kube/kubetest"
)

// TestFewRights: what a user may do who has rights in one namespace, and what is told of kinds of other projects, with the right
// to count them and without.
func TestFewRights(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	narrow := s.narrow(t)
	s.shop(t)
	t.Run("one namespace", func(t *testing.T) { oneNamespace(t, narrow) })
	t.Run("kinds of others", func(t *testing.T) { kindsOfOthers(t, s, narrow) })
}

const (
	shop    = "shop"
	web, db = "10.0.0.1", "10.0.0.2"
)

// shop puts two Pods and a policy in a namespace: web reaches db, and nobody else does.
func (s *site) shop(t *testing.T) {
	t.Helper()
	ctx, client := t.Context(), s.Client()
	for name, ip := range map[string]string{"web": web, "db": db} {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
			Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "main", Image: "main"}}},
		}
		pod, err := client.CoreV1().Pods(shop).Create(ctx, pod, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}}
		if _, err := client.CoreV1().Pods(shop).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	policy := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "db"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{
				{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
			}}},
		},
	}
	if _, err := client.NetworkingV1().NetworkPolicies(shop).Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// narrow makes a user who may read what decisions depend on in the namespace shop, and nothing elsewhere. It returns the same
// site as that user sees it.
func (s *site) narrow(t *testing.T) *site {
	t.Helper()
	ctx, client := t.Context(), s.Client()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: shop}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "reader"}}
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods", "services"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"get", "list", "watch"}},
	}}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "reader", Namespace: shop}},
	}
	var errs [4]error
	_, errs[0] = client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	_, errs[1] = client.CoreV1().ServiceAccounts(shop).Create(ctx, account, metav1.CreateOptions{})
	_, errs[2] = client.RbacV1().Roles(shop).Create(ctx, role, metav1.CreateOptions{})
	_, errs[3] = client.RbacV1().RoleBindings(shop).Create(ctx, binding, metav1.CreateOptions{})
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	n := &site{Cluster: s.Cluster, tokenFile: filepath.Join(t.TempDir(), "token")}
	kubetest.WriteToken(t, n.tokenFile, s.Token(ctx, shop, "reader", time.Hour))
	n.kubeconfig = s.Kubeconfig(contextName, kubetest.Credentials{TokenFile: n.tokenFile})
	return n
}

// check runs netpold check of web to db.
func check(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return kubetest.Run(t, append([]string{"check", web, db, "-p", "80"}, args...)...)
}

// oneNamespace: without the rights for the whole cluster a question ends at once, with what works; and that works.
func oneNamespace(t *testing.T, narrow *site) {
	scope := "--kubeconfig " + narrow.kubeconfig + " --context " + contextName
	rights := strings.Fields(scope)
	output, err := check(t, append(rights, "--timeout=1h")...) // longer than kubetest.Run waits
	if err == nil {
		t.Errorf("a question about the whole cluster was answered: %s", output)
	}
	if err := contains("netpold check", output, "cannot list", `"pods"`, `"networkpolicies.networking.k8s.io"`, "netpold check "+scope+" -n NAMESPACE ...",
		"kubectl "+scope+" get -n NAMESPACE pods,networkpolicies,services,endpointslices -o yaml | netpold check --manifests - ..."); err != nil {
		t.Error(err)
	}

	output, err = check(t, append(rights, "-n", shop)...)
	if err = errors.Join(err, contains("netpold check -n", output, "allowed", "only namespace shop is seen", "shop/db")); err != nil {
		t.Error(err)
	}
	output, err = check(t, "--manifests", narrow.gotten(t))
	if err = errors.Join(err, contains("netpold check --manifests", output, "allowed", "shop/db")); err != nil {
		t.Error(err)
	}

	n := narrow.serve(t)
	kubetest.Eventually(t, patience, func(ctx context.Context) error {
		_, err := n.Page(ctx, "/readyz")
		if err == nil {
			t.Fatal("ready without rights")
		}
		return contains("/readyz", err.Error(), "cannot list", "pods")
	})
	n = narrow.serveReady(t, "-n", shop)
	answer, err := n.Client().Allowed(soon(t), &netpoldv1.AllowedRequest{Src: ip(web), Dst: ip(db), Port: 80, Details: true})
	if err != nil || !answer.GetAllowed() || noteOf(answer.GetNotes(), notes.PartialView) == "" {
		t.Errorf("%v (%v), want allowed with %s", answer, err, notes.PartialView)
	}
	status, err := n.Client().Status(soon(t))
	if err != nil || noteOf(status.GetNotes(), notes.PartialView) == "" {
		t.Errorf("%v (%v), want %s", status, err, notes.PartialView)
	}
}

// gotten writes what "kubectl get -o yaml" would print under the site's rights in the namespace shop.
func (s *site) gotten(t *testing.T) (path string) {
	t.Helper()
	config := rest.CopyConfig(s.Admin())
	config.BearerToken, config.BearerTokenFile = "", s.tokenFile
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	all := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "List"}}
	for _, r := range []schema.GroupVersionResource{
		{Version: "v1", Resource: "pods"}, {Version: "v1", Resource: "services"},
		{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
		{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"},
	} {
		list, err := client.Resource(r).Namespace(shop).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all.Items = append(all.Items, list.Items...)
	}
	text, err := yaml.Marshal(all.UnstructuredContent())
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "shop.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// noteOf returns the message of the note with a code; empty if there is none.
func noteOf(list []*netpoldv1.Note, code string) string {
	for _, note := range list {
		if note.GetCode() == code {
			return note.GetMessage()
		}
	}
	return ""
}

// kindsOfOthers: a kind that decides and is not modelled comes, gets objects and goes. It is told with its count, and without the
// right to list it by name alone.
func kindsOfOthers(t *testing.T, s, narrow *site) {
	full, partial := s.serveReady(t), narrow.serveReady(t, "-n", shop)
	const kind = "CiliumNetworkPolicy.cilium.io"
	told := func(n *kubetest.Netpold, word, metric string) func(context.Context) error {
		client := n.Client()
		return func(ctx context.Context) error { return unmodelled(ctx, n, client, word, metric) }
	}
	metric := "netpold_unmodelled_policies{kind=\"" + kind + "\"} "
	for _, n := range []*kubetest.Netpold{full, partial} {
		kubetest.Eventually(t, patience, told(n, "", ""))
	}
	policies := schema.GroupVersionResource{Group: "cilium.io", Version: "v2", Resource: "ciliumnetworkpolicies"}
	s.Define(t.Context(), policies, "CiliumNetworkPolicy", true)
	for i := range 3 {
		object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
		object.SetAPIVersion(policies.GroupVersion().String())
		object.SetKind("CiliumNetworkPolicy")
		object.SetName(fmt.Sprint("p", i))
		if _, err := s.Dynamic().Resource(policies).Namespace(shop).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	kubetest.Eventually(t, unmodelledPatience, told(full, kind+" (3)", metric+"3"))
	kubetest.Eventually(t, unmodelledPatience, told(partial, kind+" (not counted: no right to list it)", metric+"NaN"))
	s.Undefine(t.Context(), policies.GroupResource())
	for _, n := range []*kubetest.Netpold{full, partial} {
		kubetest.Eventually(t, unmodelledPatience, told(n, "", ""))
	}
}

// unmodelledPatience is how long it may take until what others' kinds have is counted again.
const unmodelledPatience = 3 * time.Minute

// unmodelled gives an error unless an answer, GetStatus and the metrics tell of an unmodelled kind as wanted; empty for none.
func unmodelled(ctx context.Context, n *kubetest.Netpold, client *netpold.Client, word, metric string) error {
	answer, err := client.Allowed(ctx, &netpoldv1.AllowedRequest{Src: ip(web), Dst: ip(db), Port: 80, Details: true})
	if err != nil {
		return err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	page, err := n.Page(ctx, "/metrics")
	if err != nil {
		return err
	}
	var errs []error
	for what, list := range map[string][]*netpoldv1.Note{"an answer": answer.GetNotes(), "GetStatus": status.GetNotes()} {
		note := noteOf(list, notes.UnmodelledPolicies)
		if (note != "") != (word != "") {
			errs = append(errs, fmt.Errorf("%s says %q, want %q", what, note, word))
			continue
		}
		errs = append(errs, contains(what, note, word))
	}
	if got := strings.Join(lines(page, "netpold_unmodelled_policies{"), "\n"); got != metric {
		errs = append(errs, fmt.Errorf("the metrics say %q, want %q", got, metric))
	}
	return errors.Join(errs...)
}
