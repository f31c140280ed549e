package audits_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/servertest"
)

// A located is a source whose policies were read from a file.
type located struct{ *servertest.Source }

// Locate implements [mirror.Locator].
func (located) Locate(key engine.ObjectKey) mirror.Location {
	return mirror.Location{File: key.Name + ".yaml", Document: 1}
}

// A4: an overlay's policies are explained, and none is shown with the file of the policy that it replaces.
func TestA4ExplainOverlay(t *testing.T) {
	t.Parallel()
	from := shop()
	web := engine.Selector{{Key: "app", Values: []string{"web"}}}
	rules := []engine.Rule{{Peers: []engine.Peer{{Pods: &web}}}}
	from.Apply(engine.Change{Object: &engine.Policy{Namespace: "shop", Name: "kept", IsolatesIngress: true}})
	s := audits.New(located{from}, audits.Options{
		Overlay: func(*engine.Snapshot, *mirror.Overlay) ([]engine.Change, []mirror.OverlayProblem, error) {
			return []engine.Change{
				{Object: &engine.Policy{Namespace: "shop", Name: "db", IsolatesIngress: true, Ingress: rules}},
				{Object: &engine.Policy{Namespace: "shop", Name: "new", IsolatesIngress: true}},
			}, nil, nil
		},
	})
	req := explain("web-0", 5433)
	for _, c := range []struct {
		overlay *netpoldv1.Overlay
		allowed bool
		files   map[string]string
	}{
		{nil, false, map[string]string{"db": "db.yaml", "kept": "kept.yaml"}},
		{
			&netpoldv1.Overlay{Changes: []*netpoldv1.OverlayChange{{Change: &netpoldv1.OverlayChange_Apply{Apply: "{}"}}}}, true,
			map[string]string{"db": "", "kept": "kept.yaml", "new": ""},
		},
	} {
		req.Overlay = c.overlay
		got, err := s.Explain(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		for _, p := range got.GetIngress().GetTiers()[1].GetPolicies() {
			files[p.GetName()] = p.GetFile()
			if (p.GetDocument() == 0) != (p.GetFile() == "") {
				t.Errorf("%s has document %d of file %q", p.GetName(), p.GetDocument(), p.GetFile())
			}
		}
		if diff := cmp.Diff(c.files, files); diff != "" || got.GetAnswer().GetAllowed() != c.allowed {
			t.Errorf("allowed: %v, want %v; -want +got:\n%s", got.GetAnswer().GetAllowed(), c.allowed, diff)
		}
	}
}
