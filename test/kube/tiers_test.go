package kube_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/netpold/netpold/mirror/live"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/kube/kubetest"
)

const (
	tierGroup = "policy.networking.k8s.io"
	// cnpResource is the resource of ClusterNetworkPolicies.
	cnpResource = "clusternetworkpolicies"
)

// tierDefinition reads the CRD of a resource as a release of network-policy-api has it.
func (s *site) tierDefinition(t *testing.T, release, channel, resource string) *unstructured.Unstructured {
	t.Helper()
	dir := s.ModuleDir(t.Context(), "sigs.k8s.io/network-policy-api@"+release)
	text, err := os.ReadFile(filepath.Join(dir, "config", "crd", channel, tierGroup+"_"+resource+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(text, &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

// putTier creates or replaces a cluster-wide policy, and returns its resource version.
func (s *site) putTier(t *testing.T, version, resource, kind, text string) string {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	o.SetAPIVersion(tierGroup + "/" + version)
	o.SetKind(kind)
	client := s.Dynamic().Resource(schema.GroupVersionResource{Group: tierGroup, Version: version, Resource: resource})
	if old, err := client.Get(t.Context(), o.GetName(), metav1.GetOptions{}); err == nil {
		o.SetResourceVersion(old.GetResourceVersion())
		updated, err := client.Update(t.Context(), o, metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return updated.GetResourceVersion()
	}
	created, err := client.Create(t.Context(), o, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return created.GetResourceVersion()
}

// denyWeb is the spec of a ClusterNetworkPolicy that denies what shop/db admits.
const denyWeb = `
metadata: {name: deny-web}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {}}
  ingress: [{name: all, action: Deny, from: [{namespaces: {}}]}]
`

// tierState gives an error unless web to db is answered as wanted, by the policy named, and the resource has the state.
func tierState(n *kubetest.Netpold, allowed bool, policy, resource, state, version string) func(context.Context) error {
	client := n.Client()
	return func(ctx context.Context) error {
		answer, err := client.Allowed(ctx, &netpoldv1.AllowedRequest{Src: ip(web), Dst: ip(db), Port: 80})
		if err != nil {
			return err
		}
		var errs []error
		if answer.GetAllowed() != allowed || answer.GetIngress().GetPolicy() != policy {
			errs = append(errs, fmt.Errorf("allowed %v by %q, want %v by %q", answer.GetAllowed(), answer.GetIngress().GetPolicy(), allowed, policy))
		}
		status, err := client.Status(ctx)
		if err != nil {
			return err
		}
		for _, r := range status.GetResources() {
			if r.GetResource() == resource && (r.GetState() != state || r.GetVersion() != version || r.GetError() != "") {
				errs = append(errs, fmt.Errorf("%v, want state %q and version %q", r, state, version))
			}
		}
		return errors.Join(errs...)
	}
}

// openShop is [site.shop] in a namespace of its own.
func (s *site) openShop(t *testing.T) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: shop}}
	if _, err := s.Client().CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.shop(t)
}

// TestTiers: S31 on a real API server, with the CRDs of releases old and new, of both channels. The resource is absent, appears,
// is served in another version, and goes.
func TestTiers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.openShop(t)
	n := s.serveReady(t)
	await := func(want func(context.Context) error) { t.Helper(); kubetest.Eventually(t, patience, want) }
	await(tierState(n, true, "shop/db", cnpResource, "absent", ""))

	s.ApplyDefinition(t.Context(), s.tierDefinition(t, "v0.2.0", "standard", cnpResource))
	s.putTier(t, "v1alpha2", cnpResource, "ClusterNetworkPolicy", denyWeb)
	await(tierState(n, false, "deny-web", cnpResource, "synced", "v1alpha2"))
	s.ApplyDefinition(t.Context(), s.tierDefinition(t, "v0.3.0", "experimental", cnpResource))
	await(tierState(n, false, "deny-web", cnpResource, "synced", "v1beta1"))
	s.putTier(t, "v1beta1", cnpResource, "ClusterNetworkPolicy", strings.ReplaceAll(denyWeb, "Deny", "Accept"))
	await(tierState(n, true, "deny-web", cnpResource, "synced", "v1beta1"))

	for _, channel := range []string{"standard", "experimental"} {
		for _, resource := range []string{"adminnetworkpolicies", "baselineadminnetworkpolicies"} {
			s.ApplyDefinition(t.Context(), s.tierDefinition(t, "v0.1.7", channel, resource))
		}
	}
	s.putTier(t, "v1alpha1", "adminnetworkpolicies", "AdminNetworkPolicy", `
metadata: {name: first}
spec: {priority: 0, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}
`)
	await(tierState(n, false, "first", "adminnetworkpolicies", "synced", "v1alpha1"))
	s.Undefine(t.Context(), schema.GroupResource{Group: tierGroup, Resource: "adminnetworkpolicies"})
	await(tierState(n, true, "deny-web", "adminnetworkpolicies", "absent", ""))
	s.Undefine(t.Context(), schema.GroupResource{Group: tierGroup, Resource: cnpResource})
	await(tierState(n, true, "shop/db", cnpResource, "absent", ""))
}

// TestTiersUnderLoad: while questions are asked without a pause, a policy changes and its resource goes. Each change counts as
// soon as its token is asked for, and no question fails.
func TestTiersUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.openShop(t)
	s.ApplyDefinition(t.Context(), s.tierDefinition(t, "v0.3.0", "standard", cnpResource))
	n := s.serveReady(t)
	kubetest.Eventually(t, patience, tierState(n, true, "shop/db", cnpResource, "synced", "v1beta1"))

	client := n.Client()
	over := make(chan struct{})
	asked := make(chan error, 4)
	for range cap(asked) {
		go func() {
			for {
				select {
				case <-over:
					asked <- nil
					return
				default:
				}
				if _, err := client.Allowed(t.Context(), &netpoldv1.AllowedRequest{Src: ip(web), Dst: ip(db), Port: 80}); err != nil {
					asked <- err
					return
				}
			}
		}()
	}
	for i := range 40 {
		action := []string{"Deny", "Accept"}[i%2]
		version := s.putTier(t, "v1beta1", cnpResource, "ClusterNetworkPolicy", strings.ReplaceAll(denyWeb, "Deny", action))
		token, err := live.TokenFor(cnpResource, version)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Allowed(soon(t), &netpoldv1.AllowedRequest{Src: ip(web), Dst: ip(db), Port: 80, AtLeast: token})
		if err != nil || answer.GetAllowed() != (action == "Accept") || answer.GetIngress().GetPolicy() != "deny-web" {
			t.Fatalf("change %d to %s: %v (%v)", i, action, answer, err)
		}
	}
	s.Undefine(t.Context(), schema.GroupResource{Group: tierGroup, Resource: cnpResource})
	kubetest.Eventually(t, patience, tierState(n, true, "shop/db", cnpResource, "absent", ""))
	close(over)
	for range cap(asked) {
		if err := <-asked; err != nil {
			t.Error(err)
		}
	}
}

// TestTiersBroken: an aggregated API server that does not answer for a version is no absence of its resources (S31).
func TestTiersBroken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.openShop(t)
	n := s.serveReady(t)
	kubetest.Eventually(t, patience, tierState(n, true, "shop/db", "adminnetworkpolicies", "absent", ""))
	services := s.Dynamic().Resource(schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"})
	broken := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": "v1alpha1." + tierGroup},
		"spec": map[string]any{
			"group": tierGroup, "version": "v1alpha1", "groupPriorityMinimum": int64(100), "versionPriority": int64(10),
			"service": map[string]any{"namespace": shop, "name": "nobody"}, "insecureSkipTLSVerify": true,
		},
	}}
	if _, err := services.Create(t.Context(), broken, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	client := n.Client()
	kubetest.Eventually(t, patience, func(ctx context.Context) error {
		status, err := client.Status(ctx)
		if err != nil {
			return err
		}
		for _, r := range status.GetResources() {
			if r.GetResource() == "adminnetworkpolicies" {
				return contains("the resource's error", r.GetError(), "cannot tell whether the API server has resource", "/apis/"+tierGroup+"/v1alpha1")
			}
		}
		return errors.New("no such resource")
	})
	if err := services.Delete(t.Context(), broken.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	kubetest.Eventually(t, patience, tierState(n, true, "shop/db", "adminnetworkpolicies", "absent", ""))
}

// TestTiersTomorrow: an object that only the CRD of tomorrow takes is closed, told and listed (S45, S46).
func TestTiersTomorrow(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.openShop(t)
	s.Define(t.Context(), schema.GroupVersionResource{Group: tierGroup, Version: "v1beta1", Resource: cnpResource}, "ClusterNetworkPolicy", false)
	s.putTier(t, "v1beta1", cnpResource, "ClusterNetworkPolicy", `
metadata: {name: tomorrow}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {}}
  ingress: [{action: Deny, from: [{identities: [web]}], protocols: [{tcp: {destinationPort: {number: 1}}}]}]
`)
	n := s.serveReady(t)
	kubetest.Eventually(t, patience, tierState(n, false, "tomorrow", cnpResource, "synced", "v1beta1"))
	status, err := n.Client().Status(soon(t))
	if err != nil || len(status.GetProblems()) == 0 {
		t.Fatalf("%v (%v), want problems", status, err)
	}
	if p := status.GetProblems()[0]; p.GetKind() != "ClusterNetworkPolicy" || p.GetName() != "tomorrow" || !strings.HasPrefix(p.GetField(), "spec.ingress[0].from[0]") {
		t.Errorf("%v", p)
	}
}

// TestTiersForbidden: with the role of an older netpold nothing is answered where the resource is served, and the error has the
// rule to add. With it, questions are answered.
func TestTiersForbidden(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.openShop(t)
	client := s.Client().RbacV1().ClusterRoles()
	role := only(t, kustomized(t, "base"), "ClusterRole").GetName()
	older, err := client.Get(t.Context(), role, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	older.Rules = slices.DeleteFunc(older.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.APIGroups, tierGroup) })
	if _, err := client.Update(t.Context(), older, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.ApplyDefinition(t.Context(), s.tierDefinition(t, "v0.3.0", "standard", cnpResource))
	n := s.serve(t)
	kubetest.Eventually(t, patience, func(ctx context.Context) error {
		_, err := n.Page(ctx, "/readyz")
		if err == nil {
			t.Fatal("ready without the right to read policies")
		}
		return contains("/readyz", err.Error(), "cannot list", cnpResource, "{apiGroups: ["+tierGroup+"], resources: [clusternetworkpolicies, ")
	})
	r, err := client.Get(t.Context(), role, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.Rules = append(r.Rules, rbacv1.PolicyRule{
		APIGroups: []string{tierGroup}, Verbs: []string{"get", "list", "watch"},
		Resources: []string{cnpResource, "adminnetworkpolicies", "baselineadminnetworkpolicies"},
	})
	if _, err := client.Update(t.Context(), r, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	kubetest.Eventually(t, patience, tierState(n, true, "shop/db", cnpResource, "synced", "v1beta1"))
}
