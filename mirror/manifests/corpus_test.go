package manifests

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/engine"
)

// TestOnlineBoutique reads the manifests of a real application.
func TestOnlineBoutique(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "corpus", "online-boutique")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the corpus is not beside the repository")
	}
	got, err := readPath(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"pods": 12, "namespaces": 0, "networkpolicies": 13, "nodes": 0, "services": 12,
		"endpointslices": 12}
	if diff := cmp.Diff(want, got.Report.Counts); diff != "" || len(got.Report.Problems) > 0 {
		t.Error(diff, got.Report.Problems)
	}
	cart := find[*engine.Policy](t, got.Objects, "cartservice")
	if !cart.IsolatesIngress || len(cart.Ingress[0].Ports) != 1 ||
		cart.Ingress[0].Ports[0] != (engine.Port{First: 7070, Last: 7070}) {
		t.Errorf("cartservice: %+v", cart)
	}
}
