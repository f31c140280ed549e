package cli_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	client "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// TestD3OverTheWire: a server answers questions before and after changes as Allowed does of servers that have
// the state before, and the state after.
func TestD3OverTheWire(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dial := func(args ...string) *client.Client {
		c, err := client.Dial(serve(t, args...).addr, client.WithInsecure())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() }) //nolint:errcheck // nothing is lost
		return c
	}
	// Labels of other-0 are those of web-0, whom cart admits.
	const relabelled = `
apiVersion: v1
kind: Pod
metadata: {name: other-0, namespace: shop, labels: {app: web}}
spec: {nodeName: node-1, containers: [{name: c}]}
status: {phase: Running, podIPs: [{ip: 10.0.0.3}], hostIPs: [{ip: 192.0.2.1}]}
`
	const other = "{name: other-0, namespace: shop, labels: {app: other}}"
	before := dial("--manifests=" + writeFile(t, "before.yaml", cluster))
	after := dial("--manifests=" + writeFile(t, "after.yaml", strings.Replace(cluster, other,
		"{name: other-0, namespace: shop, labels: {app: web}}", 1)))

	request := &netpoldv1.SimulateRequest{Overlay: &netpoldv1.Overlay{Changes: []*netpoldv1.OverlayChange{
		{Change: &netpoldv1.OverlayChange_Apply{Apply: relabelled}},
	}}}
	ends := []*netpoldv1.Endpoint{
		client.Pod("shop", "web-0"), client.Pod("shop", "cart-0"), client.Pod("shop", "other-0"), client.IP("10.0.0.3"),
		client.IP("192.0.2.1"), client.IP("203.0.113.7"), client.Pod("shop", "done-0"), client.IP("x"), nil,
	}
	for _, src := range ends {
		for _, dst := range append(ends, client.Service("shop", "cart")) {
			for _, port := range []uint32{80, 8080, 0} {
				request.Questions = append(request.Questions, &netpoldv1.AllowedRequest{Src: src, Dst: dst, Port: port, Details: port == 80})
			}
		}
	}
	batch := &netpoldv1.BatchAllowedRequest{Questions: request.GetQuestions()}
	want := make([]*netpoldv1.BatchAllowedResponse, 2)
	for i, c := range []*client.Client{before, after} {
		var err error
		if want[i], err = c.BatchAllowed(ctx, batch); err != nil {
			t.Fatal(err)
		}
	}
	differ, changes, answers := 0, 0, 0
	for m, err := range before.Simulate(ctx, request) {
		switch {
		case err != nil:
			t.Fatal(err)
		case m.GetChange() != nil:
			changes++
		case m.GetAnswer() != nil:
			a := m.GetAnswer()
			if int(a.GetIndex()) != answers {
				t.Errorf("answer %d follows %d", a.GetIndex(), answers-1)
			}
			differ += compareAnswers(t, want, answers, a)
			answers++
		}
	}
	if changes == 0 || answers != len(batch.GetQuestions()) || differ == 0 {
		t.Errorf("%d changes, and %d answers to %d questions, of which %d differ", changes, answers, len(batch.GetQuestions()), differ)
	}
}

// compareAnswers checks the answers to a question, and returns 1 if their verdicts differ.
func compareAnswers(t *testing.T, want []*netpoldv1.BatchAllowedResponse, i int, got *netpoldv1.SimulatedAnswer) int {
	t.Helper()
	for j, answer := range []*netpoldv1.BatchAnswer{got.GetBefore(), got.GetAfter()} {
		if diff := cmp.Diff(want[j].GetAnswers()[i], answer, protocmp.Transform(),
			protocmp.IgnoreFields(&netpoldv1.AllowedResponse{}, "token", "revision")); diff != "" {
			t.Errorf("question %d, state %d: -want +got:\n%s", i, j, diff)
		}
	}
	if got.GetBefore().GetResponse().GetAllowed() != got.GetAfter().GetResponse().GetAllowed() {
		return 1
	}
	return 0
}
