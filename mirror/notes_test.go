package mirror_test

import (
	"slices"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/proto/notes"
)

// snapshotOf returns the state of a cluster of objects.
func snapshotOf(objects ...engine.Object) *engine.Snapshot {
	changes := make([]engine.Change, len(objects))
	for i, object := range objects {
		changes[i].Object = object
	}
	return engine.NewCluster(engine.Options{}).Apply(changes...)
}

func shopPod() *engine.Pod { return &engine.Pod{Namespace: "shop", Name: "web-0"} }

func policy(namespace, name string, from ...engine.Peer) *engine.Policy {
	return &engine.Policy{
		Namespace: namespace, Name: name, IsolatesIngress: true, Ingress: []engine.Rule{{Peers: from}},
	}
}

// TestNotes proves that each note of the whole state comes when it holds, with names and counts, and only
// then.
func TestNotes(t *testing.T) {
	t.Parallel()
	shop := func(more ...engine.Object) *engine.Snapshot {
		return snapshotOf(append(more, shopPod(), policy("shop", "all"))...)
	}
	labelled := engine.Selector{{Key: "team", Operator: engine.Exists}}
	for name, c := range map[string]struct {
		status   mirror.Status
		snapshot *engine.Snapshot
		want     []notes.Note
	}{
		"nothing to tell": {snapshot: shop()},
		"no policy": {snapshot: snapshotOf(shopPod()), want: []notes.Note{
			{Code: notes.NoPolicies, Message: "no NetworkPolicy and no cluster-wide policy was read, so that every " +
				"connection is allowed"},
		}},
		"no policy, without tiers": {
			status: mirror.Status{Meaning: mirror.Meaning{
				Like: "kubernetes", Switches: map[string]string{"policy-tiers": "off"}}},
			snapshot: snapshotOf(shopPod()), want: []notes.Note{
				{Code: notes.NoPolicies, Message: "no NetworkPolicy was read, so that every connection is allowed"},
			},
		},
		"one namespace": {status: mirror.Status{OnlyNamespace: "shop"}, snapshot: shop(), want: []notes.Note{
			{Code: notes.PartialView, Message: "only namespace shop is seen: Pods and Nodes elsewhere count as " +
				"addresses outside the cluster, and policies elsewhere are unknown"},
		}},
		"unmodelled": {
			status: mirror.Status{Unmodelled: []mirror.UnmodelledKind{
				{Kind: "CiliumNetworkPolicy", Group: "cilium.io", Counted: true, Count: 3, Namespaces: []string{"shop"}},
				{Kind: "GlobalNetworkPolicy", Group: "crd.projectcalico.org"},
			}},
			snapshot: shop(), want: []notes.Note{{
				Code: notes.UnmodelledPolicies,
				Message: "these decide traffic too, and netpold does not model them: " +
					"CiliumNetworkPolicy.cilium.io (3), GlobalNetworkPolicy.crd.projectcalico.org (not counted: no right " +
					"to list it); answers may differ from what the cluster does",
			}},
		},
		"one policy selects nothing": {
			snapshot: shop(&engine.Namespace{Name: "empty"}, policy("empty", "a")), want: []notes.Note{
				{Code: notes.PolicySelectsNothing, Message: "1 policy selects no Pod: empty/a"},
			},
		},
		"a cluster-wide policy alone": {snapshot: snapshotOf(shopPod(),
			&engine.ClusterPolicy{Name: "a", Tier: engine.Admin})},
		"a cluster-wide policy selects nothing": {
			snapshot: shop(&engine.ClusterPolicy{Name: "a", Tier: engine.Admin,
				Subject: engine.ClusterSubject{Pods: labelled}}),
			want: []notes.Note{
				{Code: notes.PolicySelectsNothing, Message: "1 policy selects no Pod: ClusterNetworkPolicy a"},
			},
		},
		"policies without a namespace": {
			snapshot: shop(policy("default", "d"), policy("default", "c"), policy("default", "b"),
				policy("default", "a")),
			want: []notes.Note{{
				Code: notes.PolicySelectsNothing,
				Message: "4 policies select no Pod: default/a, default/b, default/c and 1 more; " +
					"no Namespace or Pod was read of default: is metadata.namespace right?",
			}},
		},
		"no Namespaces": {snapshot: shop(policy("shop", "by-team", engine.Peer{Namespaces: &labelled})),
			want: []notes.Note{
				{Code: notes.NoNamespaces, Message: "no Namespace was read, and policies ask for labels of " +
					"Namespaces: a namespaceSelector sees only kubernetes.io/metadata.name; add the Namespaces"},
			}},
		"a Namespace": {snapshot: shop(&engine.Namespace{Name: "shop"},
			policy("shop", "by-team", engine.Peer{Namespaces: &labelled}))},
		"left out": {
			status: mirror.Status{LeftOut: []mirror.LeftOutFiles{
				{Reason: "the name ends in .txt", Count: 1, Examples: []string{"a.txt"}},
				{Reason: "the name ends in .yaml.tmpl", Count: 5, Examples: []string{"a", "b", "c"}},
			}},
			snapshot: shop(), want: []notes.Note{{
				Code: notes.FilesLeftOut,
				Message: "6 files were left out: the name ends in .txt: a.txt; the name ends in .yaml.tmpl: a, b, c " +
					"and 2 more",
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := mirror.Notes(&c.status, c.snapshot); !slices.Equal(got, c.want) {
				t.Errorf("%q\nwant %q", got, c.want)
			}
		})
	}
}

// TestNotesAbout proves that a question gets only notes that may concern its Pods.
func TestNotesAbout(t *testing.T) {
	t.Parallel()
	cilium := mirror.UnmodelledKind{Kind: "CiliumNetworkPolicy", Counted: true, Count: 2,
		Namespaces: []string{"cart", "shop"}}
	everywhere := mirror.UnmodelledKind{Kind: "GlobalNetworkPolicy", Counted: true, Count: 1}
	uncounted := mirror.UnmodelledKind{Kind: "NetworkPolicy"}
	for _, c := range []struct {
		name       string
		kind       mirror.UnmodelledKind
		namespaces []string
		want       bool
	}{
		{"the source's namespace", cilium, []string{"shop", "web"}, true},
		{"the destination's namespace", cilium, []string{"web", "cart"}, true},
		{"another namespace", cilium, []string{"web", "data"}, false},
		{"no Pod", everywhere, []string{"", ""}, false},
		{"cluster-wide", everywhere, []string{"web", ""}, true},
		{"not counted", uncounted, []string{"web", ""}, true},
	} {
		status := mirror.Status{Unmodelled: []mirror.UnmodelledKind{c.kind}}
		snapshot := snapshotOf(shopPod(), policy("shop", "all"), policy("empty", "idle"))
		got := mirror.NotesAbout(&status, snapshot, mirror.SnapshotNotes{}, c.namespaces...)
		if told := len(got) == 1 && got[0].Code == notes.UnmodelledPolicies; told != c.want || len(got) > 1 {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	whole := mirror.NotesAbout(&mirror.Status{OnlyNamespace: "shop"}, snapshotOf(), mirror.SnapshotNotes{},
		"shop", "")
	if len(whole) != 2 || whole[0].Code != notes.PartialView || whole[1].Code != notes.NoPolicies {
		t.Errorf("%q", whole)
	}
	// Every question gets the other notes of the state, in the words of GetStatus.
	idle := snapshotOf(shopPod(), policy("empty", "idle"))
	status := mirror.Status{LeftOut: []mirror.LeftOutFiles{{Reason: "the name ends in .txt", Count: 1,
		Examples: []string{"a.txt"}}}}
	if got, want := mirror.NotesAbout(&status, idle, mirror.NotesOf(&status, idle), "shop", ""),
		mirror.Notes(&status, idle); !slices.Equal(got, want) || len(got) != 2 {
		t.Errorf("%q, want %q", got, want)
	}
}
