package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// GetStatus returns the whole status of the source, before the first sync too.
func TestGetStatus(t *testing.T) {
	t.Parallel()
	source := servertest.NewSource()
	source.SetStatus(mirror.Status{
		Source: "manifests examples/shop",
		Resources: []mirror.Resource{
			{Name: "pods", Objects: 3, Age: time.Minute, Stale: true, Error: "forbidden: grant list on pods"},
			{Name: "nodes", Synced: true},
		},
		Problems: []mirror.Problem{{
			File: "a.yaml", Document: 2, Kind: "NetworkPolicy", Namespace: "shop", Name: "cart",
			Field: "spec.ingress[0].from[0].ipBlock.cidr", Message: "10.0.0.1/8 has host bits", Warning: true,
		}},
		IgnoredKinds: map[string]int{"ConfigMap": 3},
	})
	before := time.Now()
	r := start(t, source, func(c *server.Config) { c.Version = "v1.2.3" })
	client := netpoldv1.NewStatusServiceClient(r.conn)

	got, err := client.GetStatus(soon(t), &netpoldv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if started := got.GetStarted().AsTime(); started.Before(before) || started.After(time.Now()) {
		t.Errorf("started at %v", started)
	}
	want := &netpoldv1.GetStatusResponse{
		Version: "v1.2.3", Source: "manifests examples/shop", Started: got.GetStarted(),
		Resources: []*netpoldv1.ResourceStatus{
			{Resource: "pods", Objects: 3, Age: durationpb.New(time.Minute), Stale: true,
				Error: "forbidden: grant list on pods"},
			{Resource: "nodes", Synced: true, Age: durationpb.New(0)},
		},
		Problems: []*netpoldv1.Problem{{
			File: "a.yaml", Document: 2, Kind: "NetworkPolicy", Namespace: "shop", Name: "cart",
			Field: "spec.ingress[0].from[0].ipBlock.cidr", Message: "10.0.0.1/8 has host bits", Warning: true,
		}},
		IgnoredKinds: map[string]uint32{"ConfigMap": 3},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("before the sync: -want +got:\n%s", diff)
	}

	published := source.Apply(upserts(shop())...).Published
	if got, err = client.GetStatus(soon(t), &netpoldv1.GetStatusRequest{}); err != nil {
		t.Fatal(err)
	}
	if !got.GetPublished().AsTime().Equal(published) {
		t.Errorf("published at %v, want %v", got.GetPublished().AsTime(), published)
	}
	want.Ready, want.Revision, want.Token, want.Published = true, 1, "servertest:1", got.GetPublished()
	want.Objects = &netpoldv1.ObjectCounts{
		Pods: 3, Namespaces: 1, NetworkPolicies: 2, Services: 3, EndpointSlices: 1,
		Classes: got.GetObjects().GetClasses(), Selectors: got.GetObjects().GetSelectors(),
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("after the sync: -want +got:\n%s", diff)
	}
}

// GetStatus has all notes of the state. An answer has those that concern its Pods.
func TestNotesOfTheState(t *testing.T) {
	t.Parallel()
	source := servertest.NewSource()
	source.SetStatus(mirror.Status{
		OnlyNamespace: "shop",
		Unmodelled: []mirror.UnmodelledKind{
			{Kind: "CiliumNetworkPolicy", Group: "cilium.io", Counted: true, Count: 2, Namespaces: []string{"data"}},
			{Kind: "AuthorizationPolicy", Group: "security.istio.io", Counted: true, Count: 1,
				Namespaces: []string{"shop"}},
		},
	})
	r := start(t, source, nil)
	client := netpoldv1.NewStatusServiceClient(r.conn)
	codes := func(of []*netpoldv1.Note) string {
		var all []string
		for _, note := range of {
			all = append(all, note.GetCode())
			if note.GetMessage() == "" {
				t.Errorf("%s has no message", note.GetCode())
			}
		}
		return strings.Join(all, " ")
	}
	got, err := client.GetStatus(soon(t), &netpoldv1.GetStatusRequest{})
	if err != nil || len(got.GetNotes()) > 0 {
		t.Errorf("before the sync: %v, %v", got.GetNotes(), err)
	}
	source.Apply(upserts(append(shop(), &engine.Policy{Namespace: "data", Name: "idle"}))...)
	if got, err = client.GetStatus(soon(t), &netpoldv1.GetStatusRequest{}); err != nil {
		t.Fatal(err)
	}
	if all := codes(got.GetNotes()); all != "PARTIAL_VIEW UNMODELLED_POLICIES POLICY_SELECTS_NOTHING" {
		t.Errorf("of the state: %s", all)
	}
	question := ask()
	for _, details := range []bool{false, true} {
		question.Details = details
		answer, err := r.decisions().Allowed(soon(t), question)
		if err != nil {
			t.Fatal(err)
		}
		if !details {
			if len(answer.GetNotes()) > 0 {
				t.Errorf("without details: %v", answer.GetNotes())
			}
			continue
		}
		if all := codes(answer.GetNotes()); all != "PARTIAL_VIEW UNMODELLED_POLICIES POLICY_SELECTS_NOTHING" {
			t.Errorf("of a question: %s", all)
		}
		for _, note := range answer.GetNotes() {
			if strings.Contains(note.GetMessage(), "Cilium") {
				t.Errorf("of another namespace: %s", note.GetMessage())
			}
		}
	}
}
