package manifests

import (
	"path/filepath"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// Each policy is found where it was read, in a list too; other objects, and policies that are not there, are
// nowhere.
func TestLocate(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n" +
			"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}\nspec: {}\n",
		"b.yaml": "apiVersion: v1\nkind: List\nitems:\n- apiVersion: policy.networking.k8s.io/v1alpha1\n" +
			"  kind: AdminNetworkPolicy\n  metadata: {name: all}\n  spec:\n    priority: 1\n" +
			"    subject: {namespaces: {}}\n    egress: [{action: Deny, to: [{namespaces: {}}]}]\n",
	})
	s, err := NewSource(SourceOptions{Options: Options{Paths: []string{dir}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[engine.ObjectKey]mirror.Location{
		{Kind: engine.KindPolicy, Namespace: "shop", Name: "web"}: {File: filepath.Join(dir, "a.yaml"), Document: 2, Line: 5},
		{Kind: engine.KindAdminNetworkPolicy, Name: "all"}:        {File: filepath.Join(dir, "b.yaml"), Document: 1, Line: 1},
		{Kind: engine.KindPolicy, Namespace: "shop", Name: "db"}:  {},
		{Kind: engine.KindNamespace, Name: "shop"}:                {},
	} {
		if got := s.Locate(key); got != want {
			t.Errorf("%v is at %v, want %v", key, got, want)
		}
	}
}
