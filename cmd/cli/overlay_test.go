package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	client "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// overlaidServer is a server of the small cluster, asked over the wire.
type overlaidServer struct {
	audits    netpoldv1.AuditServiceClient
	decisions netpoldv1.DecisionServiceClient
}

func serveOverlaid(t *testing.T, text string) overlaidServer {
	t.Helper()
	server := serve(t, "--manifests="+writeFile(t, "cluster.yaml", text))
	conn, err := grpc.NewClient(server.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(16<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return overlaidServer{netpoldv1.NewAuditServiceClient(conn), netpoldv1.NewDecisionServiceClient(conn)}
}

// received returns every message of a stream, and the error that ends it.
func received[M any](stream grpc.ServerStreamingClient[M], err error) ([]*M, error) {
	var all []*M
	for err == nil {
		var m *M
		if m, err = stream.Recv(); err == nil {
			all = append(all, m)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, err
}

func overlayOf(changes ...*netpoldv1.OverlayChange) *netpoldv1.Overlay {
	return &netpoldv1.Overlay{Changes: changes}
}

func apply(text string) *netpoldv1.OverlayChange {
	return &netpoldv1.OverlayChange{Change: &netpoldv1.OverlayChange_Apply{Apply: text}}
}

func deletion(kind, namespace, name string) *netpoldv1.OverlayChange {
	return &netpoldv1.OverlayChange{Change: &netpoldv1.OverlayChange_Delete{
		Delete: &netpoldv1.ObjectRef{Kind: kind, Namespace: namespace, Name: name}}}
}

func labelling(kind, namespace, name string, set map[string]string, remove ...string) *netpoldv1.OverlayChange {
	return &netpoldv1.OverlayChange{Change: &netpoldv1.OverlayChange_Labels{Labels: &netpoldv1.LabelChange{
		Kind: kind, Namespace: namespace, Name: name, Set: set, Remove: remove}}}
}

// question is a question by the words of check.
func question(t *testing.T, src, dst string, port uint32) *netpoldv1.AllowedRequest {
	t.Helper()
	from, err := client.ParseEndpoint(src)
	to, err2 := client.ParseEndpoint(dst)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return &netpoldv1.AllowedRequest{Src: from, Dst: to, Port: port, Details: true}
}

// denyAll isolates all Pods of shop for ingress.
const denyAll = `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: all, namespace: shop}, spec: {podSelector: {}}}`

// TestA4Overlay proves each kind of change over the wire: Explain answers, and ListConnections and Lint say, what
// Allowed, they and nobody else would of a cluster in which the change was made.
func TestA4Overlay(t *testing.T) {
	base := serveOverlaid(t, cluster)
	template := `
apiVersion: apps/v1
kind: %s
metadata: {name: %s, namespace: shop}
spec: {replicas: 2, template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 81}]}]}}}
`
	owned := strings.Replace(cluster, "metadata: {name: other-0, namespace: shop, labels: {app: other}}",
		"metadata: {name: other-0, namespace: shop, labels: {app: other}, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: other, uid: u, controller: true}]}", 1)
	for name, test := range map[string]struct {
		cluster  string
		changes  []*netpoldv1.OverlayChange
		src, dst string
		port     uint32
		// allowed is the verdict with the changes. Without them it is the opposite.
		allowed bool
		reason  netpoldv1.Reason
	}{
		"apply a policy":       {"", []*netpoldv1.OverlayChange{apply(denyAll)}, "shop/cart-0", "shop/web-0", 80, false, netpoldv1.Reason_REASON_DENIED_AT_INGRESS},
		"apply a List":         {"", []*netpoldv1.OverlayChange{apply(`{"apiVersion":"v1","kind":"List","items":[` + `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"all","namespace":"shop"},"spec":{"podSelector":{}}}]}`)}, "shop/cart-0", "shop/web-0", 80, false, netpoldv1.Reason_REASON_DENIED_AT_INGRESS},
		"replace a policy":     {"", []*netpoldv1.OverlayChange{apply("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: web, namespace: shop}, spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{}]}}")}, "shop/web-0", "shop/other-0", 80, true, netpoldv1.Reason_REASON_ALLOWED_BY_RULE},
		"delete a policy":      {"", []*netpoldv1.OverlayChange{deletion("NetworkPolicy", "shop", "web")}, "shop/web-0", "shop/other-0", 80, true, 0},
		"delete a Namespace":   {"", []*netpoldv1.OverlayChange{deletion("Namespace", "", "shop")}, "203.0.113.1", "10.0.0.2", 80, true, 0},
		"label a Pod":          {"", []*netpoldv1.OverlayChange{labelling("Pod", "shop", "other-0", map[string]string{"app": "web"})}, "shop/other-0", "shop/cart-0", 8080, true, netpoldv1.Reason_REASON_ALLOWED_BY_RULE},
		"unlabel a Pod":        {"", []*netpoldv1.OverlayChange{labelling("Pod", "shop", "web-0", nil, "app")}, "shop/web-0", "shop/other-0", 80, true, 0},
		"in order":             {"", []*netpoldv1.OverlayChange{apply(denyAll), deletion("NetworkPolicy", "shop", "all"), deletion("NetworkPolicy", "shop", "web")}, "shop/web-0", "shop/other-0", 80, true, 0},
		"label a workload":     {owned, []*netpoldv1.OverlayChange{labelling("StatefulSet", "shop", "other", map[string]string{"app": "web"})}, "sts/shop/other", "shop/cart-0", 8080, true, netpoldv1.Reason_REASON_ALLOWED_BY_RULE},
		"a template of Pods":   {owned, []*netpoldv1.OverlayChange{apply(fmt.Sprintf(template, "StatefulSet", "other"))}, "shop/web-0", "sts/shop/other", 81, true, netpoldv1.Reason_REASON_ALLOWED_BY_RULE},
		"a template of none":   {"", []*netpoldv1.OverlayChange{apply(fmt.Sprintf(template, "DaemonSet", "more"))}, "shop/web-0", "ds/shop/more", 81, true, netpoldv1.Reason_REASON_ALLOWED_BY_RULE},
		"S30 a tier":           {"", []*netpoldv1.OverlayChange{apply("{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: none}, spec: {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}}")}, "shop/web-0", "shop/cart-0", 8080, false, 0},
		"S7 a younger Pod":     {"", []*netpoldv1.OverlayChange{apply("{apiVersion: v1, kind: Pod, metadata: {name: thief, namespace: shop, labels: {app: other}, creationTimestamp: \"2026-02-02T00:00:00Z\"}, spec: {containers: [{name: c}]}, status: {podIPs: [{ip: 10.0.0.2}]}}")}, "shop/other-0", "10.0.0.2", 80, true, 0},
		"S24 a Service's Pods": {"", []*netpoldv1.OverlayChange{labelling("Pod", "shop", "other-0", map[string]string{"app": "cart"}), labelling("Pod", "shop", "cart-0", nil, "app"), deletion("NetworkPolicy", "shop", "default-deny"), deletion("NetworkPolicy", "shop", "cart")}, "shop/other-0", "shop/cart-0", 80, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := base
			if test.cluster != "" {
				server = serveOverlaid(t, test.cluster)
			}
			q := question(t, test.src, test.dst, test.port)
			before, err := server.decisions.Allowed(t.Context(), proto.CloneOf(q))
			existed := err == nil
			if existed && before.GetAllowed() == test.allowed {
				t.Fatalf("without the changes: %v", before)
			}
			got, err := server.audits.Explain(t.Context(), &netpoldv1.ExplainRequest{Question: q, Overlay: overlayOf(test.changes...)})
			if err != nil || got.GetAnswer().GetAllowed() != test.allowed ||
				test.reason != 0 && got.GetAnswer().GetReason() != test.reason {
				t.Errorf("%v, error %v", got.GetAnswer(), err)
			}
			after, err := server.decisions.Allowed(t.Context(), q)
			if existed != (err == nil) || !cmp.Equal(before.GetAllowed(), after.GetAllowed()) {
				t.Errorf("after: %v, error %v", after, err)
			}
		})
	}
}

// TestA4OverlayOfLists proves that a list and a lint with an overlay are those of a cluster with the changes made.
func TestA4OverlayOfLists(t *testing.T) {
	server, made := serveOverlaid(t, cluster), serveOverlaid(t, cluster+"\n---\n"+denyAll)
	overlay := overlayOf(apply(denyAll))
	list := func(s overlaidServer, o *netpoldv1.Overlay) []*netpoldv1.ListConnectionsResponse {
		all, err := received(s.audits.ListConnections(t.Context(), &netpoldv1.ListConnectionsRequest{Overlay: o,
			Include: []netpoldv1.Include{netpoldv1.Include_INCLUDE_POLICIES, netpoldv1.Include_INCLUDE_EXPOSURE}}))
		if err != nil {
			t.Fatal(err)
		}
		if o != nil && (!all[0].GetHeader().GetOverlaid() || all[0].GetHeader().GetRevision() != 1) {
			t.Errorf("header %v", all[0])
		}
		all[len(all)-1].GetSummary().Took = nil
		return slices.DeleteFunc(all[1:], func(m *netpoldv1.ListConnectionsResponse) bool { return m.GetProgress() != nil })
	}
	lint := func(s overlaidServer, o *netpoldv1.Overlay) []*netpoldv1.LintResponse {
		all, err := received(s.audits.Lint(t.Context(), &netpoldv1.LintRequest{Overlay: o}))
		if err != nil {
			t.Fatal(err)
		}
		all[len(all)-1].GetSummary().Took = nil
		for _, m := range all {
			if p := m.GetFinding().GetPolicy(); p != nil {
				if (p.GetFile() == "") != (p.GetName() == "all" && o != nil || p.GetName() == "") {
					t.Errorf("the file of %v", p)
				}
				p.File, p.Document = "", 0
			}
		}
		return all[1:]
	}
	same := func(what string, got, want any, equal bool) {
		if !equal {
			t.Errorf("%s: got %v\nwant %v", what, got, want)
		}
	}
	gotList, wantList := list(server, overlay), list(made, nil)
	same("list", gotList, wantList, slices.EqualFunc(gotList, wantList, func(a, b *netpoldv1.ListConnectionsResponse) bool { return proto.Equal(a, b) }))
	gotLint, wantLint := lint(server, overlay), lint(made, nil)
	same("lint", gotLint, wantLint, slices.EqualFunc(gotLint, wantLint, func(a, b *netpoldv1.LintResponse) bool { return proto.Equal(a, b) }))
	same("a list beside it", list(server, nil), gotList, !cmp.Equal(len(list(server, nil)), len(gotList)))
	// A list with an overlay goes on where it was cut, in the state with the changes.
	var paged []*netpoldv1.ListConnectionsResponse
	request := &netpoldv1.ListConnectionsRequest{Overlay: overlay, MaxConnections: 1, Include: []netpoldv1.Include{
		netpoldv1.Include_INCLUDE_POLICIES, netpoldv1.Include_INCLUDE_EXPOSURE}}
	for {
		all, err := received(server.audits.ListConnections(t.Context(), request))
		if err != nil {
			t.Fatal(err)
		}
		end := all[len(all)-1].GetSummary()
		for _, m := range all {
			if m.GetConnection() != nil || m.GetGroup() != nil || m.GetExposure() != nil {
				paged = append(paged, m)
			}
		}
		if request.Cursor = end.GetCursor(); !end.GetTruncated() {
			break
		}
	}
	whole := slices.DeleteFunc(slices.Clone(gotList), func(m *netpoldv1.ListConnectionsResponse) bool { return m.GetSummary() != nil })
	same("pages", paged, whole, slices.EqualFunc(paged, whole, func(a, b *netpoldv1.ListConnectionsResponse) bool { return proto.Equal(a, b) }))
}

// TestA4OverlayTouchesNobody proves that what others ask at the same time, and the notes of their answers, are of
// the cluster alone.
func TestA4OverlayTouchesNobody(t *testing.T) {
	server := serveOverlaid(t, cluster)
	q := question(t, "shop/cart-0", "shop/web-0", 80)
	want, err := server.decisions.Allowed(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	idle := strings.Replace(denyAll, "podSelector: {}", "podSelector: {matchLabels: {no: body}}", 1)
	overlay := overlayOf(apply(denyAll), apply(strings.Replace(idle, "name: all", "name: idle", 1)))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			got, err := server.audits.Explain(t.Context(), &netpoldv1.ExplainRequest{Question: q, Overlay: overlay})
			if err != nil || got.GetAnswer().GetAllowed() ||
				!strings.Contains(fmt.Sprint(got.GetAnswer().GetNotes()), "POLICY_SELECTS_NOTHING") {
				done <- fmt.Errorf("with the overlay: %v, %w", got.GetAnswer(), err)
				return
			}
		}
		done <- nil
	}()
	for range 200 {
		plain, err := server.audits.Explain(t.Context(), &netpoldv1.ExplainRequest{Question: q})
		if err != nil || !proto.Equal(plain.GetAnswer(), want) {
			t.Errorf("Explain without it: %v, error %v", plain.GetAnswer(), err)
			break
		}
		got, err := server.decisions.Allowed(t.Context(), q)
		if err != nil || !proto.Equal(got, want) {
			t.Errorf("Allowed: %v, error %v", got, err)
			break
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestA5OverlayErrors proves that every problem of an overlay is listed with its field, document, object and path,
// whatever the method, and that names of nothing and limits have errors of their own.
func TestA5OverlayErrors(t *testing.T) {
	server := serveOverlaid(t, cluster)
	crowd := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"n%d\"}}\n", i)
		}
		return b.String()
	}
	broken := denyAll + "\n---\n" + denyAll + "\n---\n" + strings.NewReplacer("name: all", "name: wrong", "podSelector: {}",
		"podSelector: {}, ingress: [{ports: [{port: 0}, {port: 70000}]}]").Replace(denyAll)
	for name, test := range map[string]struct {
		overlay *netpoldv1.Overlay
		code    codes.Code
		reason  string
		fields  []string
		want    []string
	}{
		"all problems": {overlayOf(apply(denyAll), apply(broken), apply("kind: ["), deletion("Pod", "shop", "gone"), labelling("Pod", "shop", "web-0", map[string]string{"a": "b c"}), &netpoldv1.OverlayChange{}),
			codes.InvalidArgument, "INVALID_QUESTION", []string{"overlay.changes[5]"}, []string{"set one of apply, delete and labels"}},
		"all problems of what is set": {overlayOf(apply(denyAll), apply(broken), apply("kind: ["), deletion("Pod", "shop", "gone"), labelling("Pod", "shop", "web-0", map[string]string{"a": "b c"})),
			codes.InvalidArgument, "INVALID_QUESTION",
			[]string{"overlay.changes[1].apply", "overlay.changes[1].apply", "overlay.changes[1].apply", "overlay.changes[2].apply", "overlay.changes[3].delete", "overlay.changes[4].labels.set"},
			[]string{`document 2: NetworkPolicy "shop/all": metadata.name: Duplicate value`, `document 3: NetworkPolicy "shop/wrong": spec.ingress[0].ports[0].port: Invalid value: 0`, "70000", "is not YAML", `Pod "shop/gone": is not there`, `"b c"`}},
		"labels of a Pod that is not there": {overlayOf(labelling("Pod", "shop", "gone", map[string]string{"a": "b"})),
			codes.NotFound, "NOT_FOUND", []string{"overlay.changes[0].labels"}, []string{`Pod "shop/gone": is not there`}},
		"prune alone": {&netpoldv1.Overlay{Prune: true}, codes.InvalidArgument, "INVALID_QUESTION", []string{"overlay.changes"}, []string{"Required value"}},
		"10,001 objects": {overlayOf(apply(crowd(6000)), apply(strings.ReplaceAll(crowd(4001), `: "n`, `: "m`))), codes.ResourceExhausted,
			"AUDIT_TOO_LARGE", nil, []string{"overlay: 10001 objects are more than the 10000 that one audit looks at"}},
		"too many bytes": {overlayOf(apply("# " + strings.Repeat("x", 4<<20))), codes.ResourceExhausted, "AUDIT_TOO_LARGE", nil, []string{"overlay: 4194316 bytes are more than the 4194304"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, explained := server.audits.Explain(t.Context(), &netpoldv1.ExplainRequest{Question: question(t, "shop/web-0", "shop/cart-0", 80), Overlay: test.overlay})
			items, listed := received(server.audits.ListConnections(t.Context(), &netpoldv1.ListConnectionsRequest{Overlay: test.overlay}))
			findings, linted := received(server.audits.Lint(t.Context(), &netpoldv1.LintRequest{Overlay: test.overlay}))
			if len(items)+len(findings) > 0 {
				t.Errorf("%d messages before the errors", len(items)+len(findings))
			}
			for method, err := range map[string]error{"Explain": explained, "ListConnections": listed, "Lint": linted} {
				st := status.Convert(err)
				if st.Code() != test.code {
					t.Errorf("%s: %v", method, err)
				}
				var fields []string
				reason := ""
				for _, detail := range st.Details() {
					switch detail := detail.(type) {
					case *errdetails.ErrorInfo:
						reason = detail.GetReason()
					case *errdetails.BadRequest:
						for _, v := range detail.GetFieldViolations() {
							fields = append(fields, v.GetField())
						}
					}
				}
				if diff := cmp.Diff(test.fields, fields); diff != "" || reason != test.reason {
					t.Errorf("%s: reason %q, fields -want +got:\n%s", method, reason, diff)
				}
				for _, want := range test.want {
					if !strings.Contains(st.Message(), want) {
						t.Errorf("%s: %s\nwant in it %s", method, st.Message(), want)
					}
				}
			}
		})
	}
	// As many as there may be are laid over.
	if _, err := received(server.audits.Lint(t.Context(), &netpoldv1.LintRequest{
		Overlay: overlayOf(apply(crowd(5000)), apply(strings.ReplaceAll(crowd(5000), `: "n`, `: "m`))),
		Codes:   []string{"allows-all"}})); err != nil {
		t.Errorf("10,000 objects: %v", err)
	}
}

// TestA4OverlayWarnings proves that warnings come with every method, once for what many objects have.
func TestA4OverlayWarnings(t *testing.T) {
	server := serveOverlaid(t, cluster)
	odd := "{apiVersion: v1, kind: Node, metadata: {name: node-%d, namespace: shop}}\n---\n"
	overlay := overlayOf(apply(denyAll), apply(denyAll+"\n---\n"+fmt.Sprintf(odd, 1)+fmt.Sprintf(odd, 2)))
	want := []*netpoldv1.OverlayWarning{{Field: "overlay.changes[1].apply", Description: `document 2: warning: Node "node-1": metadata.namespace: "shop" plays no part: ` +
		"a Node has no namespace, and an API server drops the field; remove it (and 1 more: Node \"node-2\": metadata.namespace)"}}
	explained, err1 := server.audits.Explain(t.Context(), &netpoldv1.ExplainRequest{Question: question(t, "shop/web-0", "shop/cart-0", 80), Overlay: overlay})
	items, err2 := received(server.audits.ListConnections(t.Context(), &netpoldv1.ListConnectionsRequest{Overlay: overlay}))
	findings, err3 := received(server.audits.Lint(t.Context(), &netpoldv1.LintRequest{Overlay: overlay}))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for method, got := range map[string][]*netpoldv1.OverlayWarning{
		"Explain": explained.GetOverlayWarnings(), "ListConnections": items[0].GetHeader().GetOverlayWarnings(),
		"Lint": findings[0].GetHeader().GetOverlayWarnings(),
	} {
		if !slices.EqualFunc(got, want, func(a, b *netpoldv1.OverlayWarning) bool { return proto.Equal(a, b) }) {
			t.Errorf("%s: %v\nwant %v", method, got, want)
		}
	}
}
