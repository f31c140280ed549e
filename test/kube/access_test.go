package kube_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/mirror/convert"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/kube/kubetest"
	"github.com/netpold/netpold/test/kube/random"
)

func contains(what, text string, words ...string) error {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return fmt.Errorf("%s says %q, want %q in it", what, text, word)
		}
	}
	return nil
}

// says gives an error unless GetStatus has the words in each resource's error.
func says(ctx context.Context, client *netpold.Client, words ...string) error {
	st, err := client.Status(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range st.GetResources() {
		errs = append(errs, contains(r.GetResource(), r.GetError(), words...))
	}
	return errors.Join(errs...)
}

// TestMissingRightIsNamed: with a right less than what is shipped, netpold stays not ready and says which verbs on which resource
// are missing; when they are granted it goes on by itself.
func TestMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	full := only(t, kustomized(t, "base"), "ClusterRole")
	less := full.DeepCopy()
	rules, _, err := unstructured.NestedSlice(less.Object, "rules")
	if err != nil {
		t.Fatal(err)
	}
	rules = slices.DeleteFunc(rules, func(rule any) bool {
		return slices.Contains(rule.(map[string]any)["resources"].([]any), any("endpointslices"))
	})
	if err := unstructured.SetNestedSlice(less.Object, rules, "rules"); err != nil {
		t.Fatal(err)
	}
	if err := s.Applier().Apply(t.Context(), less, false); err != nil {
		t.Fatal(err)
	}
	n := s.serve(t)
	kubetest.Eventually(t, patience, func(ctx context.Context) error {
		_, err := n.Page(ctx, "/readyz")
		if err == nil {
			t.Fatal("ready without a right")
		}
		return contains("/readyz", err.Error(), "list", "watch", "endpointslices.discovery.k8s.io")
	})
	if err := s.Applier().Apply(t.Context(), full, false); err != nil {
		t.Fatal(err)
	}
	n.AwaitReady()
}

// TestTokenIsRenewedOnDisk: a ServiceAccount's token expires, is renewed in its file as a kubelet does, and the mirror goes on.
func TestTokenIsRenewedOnDisk(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	short := s.Token(t.Context(), namespace, "netpold", 0) // good for another 60 s
	kubetest.WriteToken(t, s.tokenFile, short)
	n := s.serveReady(t)
	s.expires(t, n, func(ctx context.Context) error {
		review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: short}}
		review, err := s.Client().AuthenticationV1().TokenReviews().Create(ctx, review, metav1.CreateOptions{})
		if err == nil && review.Status.Authenticated {
			err = errors.New("the token has not expired")
		}
		return err
	}, func() {
		kubetest.WriteToken(t, s.tokenFile, s.Token(t.Context(), namespace, "netpold", time.Hour))
	})
}

// TestClientCertificateIsRenewedOnDisk: the same of a client certificate, of the very user that the role is granted to.
func TestClientCertificateIsRenewedOnDisk(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir := t.TempDir()
	files := kubetest.Credentials{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	const user, lifetime = "system:serviceaccount:" + namespace + ":netpold", 70 * time.Second
	s.kubeconfig = s.Kubeconfig(contextName, files)
	s.WriteCertificate(files, user, lifetime)
	end := time.Now().Add(lifetime)
	n := s.serveReady(t)
	s.expires(t, n, func(context.Context) error {
		if left := time.Until(end); left > -time.Second {
			return fmt.Errorf("the certificate is good for another %v", left)
		}
		return nil
	}, func() { s.WriteCertificate(files, user, time.Hour) })
}

// expires shows a ready replica whose credentials expire: it says so, goes on answering from what it has, and follows the cluster
// again once they are renewed.
func (s *site) expires(t *testing.T, n *kubetest.Netpold, expired func(context.Context) error, renew func()) {
	t.Helper()
	client := n.Client()
	w := newWorld(t, s.Client(), 31)
	churn(t, w, 50, func(string) {})
	if err := w.ask(t.Context(), client, 50); err != nil {
		t.Fatal(err)
	}
	kubetest.Eventually(t, 3*patience, expired)
	// Watches that are open are not asked for credentials again.
	s.KillAPIServer()
	s.StartAPIServer()
	kubetest.Eventually(t, patience, func(ctx context.Context) error { return says(ctx, client, "credentials") })
	if err := w.askAt(t.Context(), client, 50, ""); err != nil {
		t.Errorf("without credentials: %v", err)
	}
	renew()
	kubetest.Eventually(t, 2*patience, func(ctx context.Context) error {
		st, err := client.Status(ctx)
		if err != nil {
			return err
		}
		var errs []error
		for _, r := range st.GetResources() {
			if r.GetError() != "" {
				errs = append(errs, errors.New(r.GetError()))
			}
		}
		return errors.Join(errs...)
	})
	recovers(t, n, client, w)
}

// TestS7AddressIsReusedBeforeDelete: a new Pod has an address already while the old one's deletion is still to come.
func TestS7AddressIsReusedBeforeDelete(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.serveReady(t)
	client := n.Client()
	w := newWorld(t, s.Client(), 32)
	pod := func(name, app string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Labels: map[string]string{"app": app}},
			Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "main", Image: "main"}}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.9", PodIPs: []corev1.PodIP{{IP: "10.0.0.9"}}},
		}
	}
	run := func(p *corev1.Pod) {
		t.Helper()
		created, err := s.Client().CoreV1().Pods("a").Create(t.Context(), p, metav1.CreateOptions{})
		w.put(created, err)
		created.Status = p.Status
		w.put(s.Client().CoreV1().Pods("a").UpdateStatus(t.Context(), created, metav1.UpdateOptions{}))
	}
	closed := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "closed"},
		Spec:       networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "old"}}},
	}
	w.put(s.Client().NetworkingV1().NetworkPolicies("a").Create(t.Context(), closed, metav1.CreateOptions{}))
	expect := func(when string, allowed bool) {
		t.Helper()
		q := &netpoldv1.AllowedRequest{Src: ip("203.0.113.9"), Dst: ip("10.0.0.9"), Port: 80, AtLeast: w.token}
		answer, err := client.Allowed(soon(t), q)
		if err != nil || answer.GetAllowed() != allowed {
			t.Errorf("%s: %v (%v), want allowed %t", when, answer, err, allowed)
		}
		if err := w.ask(t.Context(), client, 100); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	old := time.Now().Unix()
	run(pod("old", "old"))
	expect("the old Pod alone", false)
	// Kubernetes tells the time of creation in seconds.
	kubetest.Eventually(t, patience, func(context.Context) error {
		if time.Now().Unix() < old+2 {
			return errors.New("still the same second")
		}
		return nil
	})
	run(pod("new", "new"))
	expect("the new Pod has the address, the old one is not deleted yet", true)
	w.gone(t.Context(), "pods", "a", "old", s.Client().CoreV1().Pods("a").Delete(t.Context(), "old", zero()))
	expect("the old Pod is deleted", true)
	w.gone(t.Context(), "pods", "a", "new", s.Client().CoreV1().Pods("a").Delete(t.Context(), "new", zero()))
	expect("nobody has the address", true)
	run(pod("old", "old"))
	expect("an old Pod came back under its name", false)
}

// TestS23APIServerRefusesTheSame: a running API server refuses policies for the reasons that netpold tells.
func TestS23APIServerRefusesTheSame(t *testing.T) {
	t.Parallel()
	cluster := kubetest.Start(t)
	for _, name := range []string{"a", "b", "c"} {
		cluster.CreateNamespace(t.Context(), name)
	}
	refused := 0
	for seed := range uint64(400) {
		r := random.New(1_000_000 + seed)
		r.Wrong = 6
		policy := r.Policy()
		// What the way there refuses before it is looked at: an object without a name, or in no namespace that there can be.
		policy.Name, policy.GenerateName, policy.Namespace, policy.OwnerReferences = "p", "", r.Namespace(), nil
		_, err := cluster.Client().NetworkingV1().NetworkPolicies(policy.Namespace).
			Create(t.Context(), policy, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		var want []finding
		if status, ok := errors.AsType[*apierrors.StatusError](err); ok && status.ErrStatus.Details != nil {
			for _, cause := range status.ErrStatus.Details.Causes {
				want = append(want, found(cause.Field, cause.Message))
			}
			refused++
		} else if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		_, problems := convert.Policy(policy)
		if diff := cmp.Diff(sorted(want), ours(problems)); diff != "" {
			t.Fatalf("seed %d: (-API server +netpold)\n%s\n%s", seed, diff, text(policy))
		}
	}
	if refused < 100 || refused > 390 {
		t.Errorf("%d of 400 policies were refused: too few or too many to tell much", refused)
	}
}
