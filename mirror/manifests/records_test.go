package manifests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func policyNamed(name string) string {
	return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: " + name +
		", namespace: shop}, spec: {podSelector: {}}}"
}

// records returns the log records with a message, without what differs from run to run.
func records(t *testing.T, log *bytes.Buffer, message string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(log.String()) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r["msg"] == message {
			for _, k := range []string{"time", "msg", "path"} {
				delete(r, k)
			}
			list = append(list, r)
		}
	}
	return list
}

// TestRemovedPoliciesAreLogged proves that an edit that removes policies is logged, because it may allow what
// they denied.
func TestRemovedPoliciesAreLogged(t *testing.T) {
	const message = "the edit removes policies: what they denied may be allowed now"
	var log bytes.Buffer
	var seven []string
	for i := range 7 {
		seven = append(seven, policyNamed(fmt.Sprint("p", i)))
	}
	dir := write(t, map[string]string{"a.yaml": podNamed("a"), "p.yaml": docs(seven...),
		"q.yaml": docs(policyNamed("q"), policyNamed("r"))})
	s := loaded(t, SourceOptions{Options: Options{Paths: []string{dir}},
		Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	for _, step := range []struct {
		file, text string
		want       map[string]any
	}{
		{"q.yaml", docs(policyNamed("q"), policyNamed("s"), policyNamed("r")), nil},
		{"q.yaml", docs(policyNamed("q"),
			"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: r, namespace: shop}, spec: {podSelector: {}, policyTypes: [Egress]}}"),
			map[string]any{"level": "WARN", "removed": 1., "remaining": 9., "policies": []any{"shop/s"}}},
		{"p.yaml", "# none\n", map[string]any{"level": "WARN", "removed": 7., "remaining": 2.,
			"policies": []any{"shop/p0", "shop/p1", "shop/p2", "shop/p3", "shop/p4"}}},
		{"q.yaml", "# none\n", map[string]any{"level": "WARN", "removed": 2., "remaining": 0.,
			"policies": []any{"shop/q", "shop/r"}}},
	} {
		log.Reset()
		put(t, filepath.Join(dir, step.file), step.text)
		if err := s.Load(context.Background()); err != nil {
			t.Fatal(err)
		}
		var want []map[string]any
		if step.want != nil {
			want = append(want, step.want)
		}
		if diff := cmp.Diff(want, records(t, &log, message)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.text, diff)
		}
	}
}

// TestProblemsInLogsAreWhole proves that records have every known part of a problem, and no unknown one.
func TestProblemsInLogsAreWhole(t *testing.T) {
	var log bytes.Buffer
	dir := write(t, map[string]string{"a.yaml": podNamed("a")})
	s := loaded(t, SourceOptions{Options: Options{Paths: []string{dir}},
		Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	put(t, filepath.Join(dir, "a.yaml"),
		docs(podNamed("A"), "spec: 1", "{apiVersion: v1, kind: Node, metadata: {name: Node-A}}",
			"{apiVersion: v1, kind: Pod}"))
	put(t, filepath.Join(dir, "b.json"), "{")
	if err := s.Load(context.Background()); err == nil {
		t.Fatal("no error")
	}
	var got []string
	for _, r := range records(t, &log, "manifests rejected; still serving the last good state") {
		got = append(got, fmt.Sprint(r["document"], " ", r["object"], " ", r["field"]))
	}
	want := []string{"1 Pod default/A metadata.name", "2 <nil> kind", "3 Node Node-A metadata.name",
		"4 Pod metadata.name", "1 <nil> <nil>"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
