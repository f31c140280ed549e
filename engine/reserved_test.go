package engine_test

import (
	"errors"
	"testing"

	"github.com/netpold/netpold/engine"
)

// S38: nothing that a question says makes a LabelledPod a Node, the word under which the engine files Nodes
// least of all.
func TestLabelledPodIsNoNode(t *testing.T) {
	t.Parallel()
	all := engine.Selector{}
	snapshot := engine.NewCluster(engine.Options{}).Apply(
		engine.Change{Object: &engine.Node{Name: "n1"}},
		engine.Change{Object: &engine.ClusterPolicy{
			Name: "x", Tier: engine.Admin,
			Egress: []engine.ClusterRule{
				{Action: engine.Allow, Rule: engine.Rule{Peers: []engine.Peer{{Nodes: &all}}}},
				{Action: engine.Deny},
			},
		}},
	)
	src := engine.ByLabels(&engine.LabelledPod{Namespace: "shop"})
	for _, namespace := range []string{"shop", "nodes", "\x00nodes", ""} {
		dst := engine.ByLabels(&engine.LabelledPod{Namespace: namespace})
		d, err := snapshot.Allowed(engine.Query{Src: src, Dst: dst, Port: 80})
		var wrong *engine.QueryError
		if d.Allowed || err != nil &&
			(!errors.As(err, &wrong) || wrong.Code != engine.InvalidQuestion || !wrong.Dst) {
			t.Errorf("%q: %+v, %v", namespace, d, err)
		}
	}
}
