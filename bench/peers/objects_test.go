package peers

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

// small has Namespaces of more than a dozen policies, so that every shape of bench/synthetic is among them.
var small = synthetic.Size{Pods: 400, Policies: 100}

func newObjects(t testing.TB, c *synthetic.Cluster) *Objects {
	t.Helper()
	o, err := NewObjects(c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestObjects: what is written as Kubernetes objects is read by netpold's own conversion as what it was.
func TestObjects(t *testing.T) {
	c := synthetic.New(small)
	o := newObjects(t, c)
	right := func(problems []mirror.Problem) {
		t.Helper()
		if len(problems) > 0 {
			t.Errorf("problems: %v", problems)
		}
	}
	var others []engine.Object
	for _, n := range o.Namespaces {
		ns, _ := convert.Namespace(n)
		if ns.Labels[corev1.LabelMetadataName] != ns.Name {
			t.Errorf("Namespace %s lacks the label that the API server sets", ns.Name)
		}
		delete(ns.Labels, corev1.LabelMetadataName)
		others = append(others, ns)
	}
	for _, n := range o.Nodes {
		node, problems := convert.Node(n)
		right(problems)
		others = append(others, node)
	}
	var policies []*engine.Policy
	for _, np := range o.Policies {
		p, problems := convert.Policy(np)
		right(problems)
		policies = append(policies, p)
	}
	var pods []*engine.Pod
	for _, p := range o.Pods {
		pod, problems := convert.Pod(p)
		right(problems)
		pods = append(pods, pod)
	}
	same := cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}
	if d := cmp.Diff(slices.Clone(c.Others), others, same); d != "" {
		t.Errorf("Namespaces and Nodes (-told +read):\n%s", d)
	}
	if d := cmp.Diff(c.Policies, policies, same); d != "" {
		t.Errorf("policies (-told +read):\n%s", d)
	}
	if d := cmp.Diff(c.Pods, pods, same); d != "" {
		t.Errorf("Pods (-told +read):\n%s", d)
	}
}
