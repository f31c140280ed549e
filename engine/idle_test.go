package engine_test

import (
	"slices"
	"testing"

	"github.com/netpold/netpold/engine"
)

func clusterPolicy(name string, namespaces, pods engine.Selector) *engine.ClusterPolicy {
	return &engine.ClusterPolicy{
		Kind: engine.AdminNetworkPolicy, Name: name, Tier: engine.Admin,
		Subject: engine.ClusterSubject{Namespaces: namespaces, Pods: pods},
	}
}

func named(namespace string) engine.Selector {
	return engine.Selector{
		{Key: "kubernetes.io/metadata.name", Operator: engine.In, Values: []string{namespace}},
	}
}

// A policy is idle until a Pod comes that it selects (S10, S36), and again when the Pod is gone.
func TestIdlePolicies(t *testing.T) {
	t.Parallel()
	label := func(value string) engine.Selector {
		return engine.Selector{{Key: "app", Operator: engine.In, Values: []string{value}}}
	}
	web := &engine.Pod{Namespace: "shop", Name: "web-0", Labels: map[string]string{"app": "web"}}
	cluster := engine.NewCluster(engine.Options{})
	snapshot := cluster.Apply(
		engine.Change{Object: web},
		engine.Change{Object: &engine.Policy{Namespace: "shop", Name: "web", Subject: label("web")}},
		engine.Change{Object: &engine.Policy{Namespace: "shop", Name: "all"}},
		engine.Change{Object: &engine.Policy{Namespace: "shop", Name: "cart", Subject: label("cart")}},
		engine.Change{Object: &engine.Policy{Namespace: "empty", Name: "web", Subject: label("web")}},
		engine.Change{Object: &engine.Policy{Namespace: "default", Name: "all"}},
		engine.Change{Object: &engine.Namespace{Name: "empty"}},
		engine.Change{Object: clusterPolicy("all", nil, nil)},
		engine.Change{Object: clusterPolicy("web", nil, label("web"))},
		engine.Change{Object: clusterPolicy("shop", named("shop"), nil)},
		engine.Change{
			Object: clusterPolicy(
				"not-shop",
				engine.Selector{
					{Key: "kubernetes.io/metadata.name", Operator: engine.NotIn, Values: []string{"shop"}},
				},
				nil,
			),
		},
		engine.Change{Object: clusterPolicy("empty", named("empty"), nil)},
		engine.Change{Object: clusterPolicy("cart", nil, label("cart"))},
	)
	want := []engine.IdlePolicy{
		{Kind: "AdminNetworkPolicy", Name: "cart"}, {Kind: "AdminNetworkPolicy", Name: "empty"},
		{Kind: "AdminNetworkPolicy", Name: "not-shop"},
		{Kind: "NetworkPolicy", Namespace: "default", Name: "all", NamespaceUnknown: true},
		{Kind: "NetworkPolicy", Namespace: "empty", Name: "web"},
		{Kind: "NetworkPolicy", Namespace: "shop", Name: "cart"},
	}
	if got := snapshot.IdlePolicies(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	without := cluster.Apply(engine.Change{Object: web, Delete: true})
	if got := without.IdlePolicies(); len(got) != 11 {
		t.Errorf("without Pods: %v", got)
	}
}

// Only a selector of namespaces needs labels of Namespaces, unless it asks for the name that every one has
// (S18).
func TestAsksNamespaceLabels(t *testing.T) {
	t.Parallel()
	named := engine.Selector{
		{Key: "kubernetes.io/metadata.name", Operator: engine.In, Values: []string{"a", "b"}},
	}
	labelled := engine.Selector{{Key: "team", Operator: engine.Exists}}
	for _, c := range []struct {
		name string
		peer engine.Peer
		want bool
	}{
		{"pods", engine.Peer{Pods: &labelled}, false},
		{"every namespace", engine.Peer{Namespaces: &engine.Selector{}}, false},
		{"named", engine.Peer{Namespaces: &named}, false},
		{"labelled", engine.Peer{Namespaces: &labelled}, true},
	} {
		policy := &engine.Policy{
			Namespace: "shop", Name: "web", IsolatesIngress: true,
			Ingress: []engine.Rule{{Peers: []engine.Peer{c.peer}}},
		}
		clusterWide := &engine.ClusterPolicy{
			Name: "web", Tier: engine.Admin, Ingress: []engine.ClusterRule{{Rule: policy.Ingress[0]}},
		}
		for _, o := range []engine.Object{policy, clusterWide} {
			snapshot := engine.NewCluster(engine.Options{}).Apply(engine.Change{Object: o})
			if got := snapshot.AsksNamespaceLabels(); got != c.want {
				t.Errorf("%s, %T: %v, want %v", c.name, o, got, c.want)
			}
		}
	}
	for name, subject := range map[string]engine.Selector{"labelled": labelled, "named": named, "all": nil} {
		snapshot := engine.NewCluster(engine.Options{}).Apply(
			engine.Change{Object: clusterPolicy("web", subject, nil)},
		)
		if got := snapshot.AsksNamespaceLabels(); got != (name == "labelled") {
			t.Errorf("subject %s: %v", name, got)
		}
	}
}
