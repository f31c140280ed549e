package engine_test

import (
	"slices"
	"testing"

	"github.com/netpold/netpold/engine"
)

// A policy is idle until a Pod comes that it selects (S10), and again when the Pod is gone.
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
	)
	want := []engine.IdlePolicy{
		{Namespace: "default", Name: "all", NamespaceUnknown: true}, {Namespace: "empty", Name: "web"}, {Namespace: "shop", Name: "cart"},
	}
	if got := snapshot.IdlePolicies(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	without := cluster.Apply(engine.Change{Object: web, Delete: true})
	if got := without.IdlePolicies(); len(got) != 5 {
		t.Errorf("without Pods: %v", got)
	}
}

// Only a namespaceSelector needs labels of Namespaces, unless it asks for the name that every one has (S18).
func TestAsksNamespaceLabels(t *testing.T) {
	t.Parallel()
	named := engine.Selector{{Key: "kubernetes.io/metadata.name", Operator: engine.In, Values: []string{"a", "b"}}}
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
			Namespace: "shop", Name: "web", IsolatesIngress: true, Ingress: []engine.Rule{{Peers: []engine.Peer{c.peer}}},
		}
		snapshot := engine.NewCluster(engine.Options{}).Apply(engine.Change{Object: policy})
		if got := snapshot.AsksNamespaceLabels(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
