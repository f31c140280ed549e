package manifests

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// cluster is what the overlays of these tests are laid over.
const overlaidCluster = `
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db-0, namespace: shop, uid: u1, creationTimestamp: "2026-01-02T00:00:00Z",
 labels: {app: db, statefulset.kubernetes.io/pod-name: db-0},
 ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: u, controller: true}]},
 spec: {nodeName: n1, containers: [{name: c, ports: [{name: sql, containerPort: 5432}]}]},
 status: {phase: Running, podIPs: [{ip: 10.0.0.1}], hostIPs: [{ip: 192.0.2.1}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop, labels: {app: web}},
 spec: {containers: [{name: c}]}, status: {podIPs: [{ip: 10.0.0.2}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop},
 spec: {clusterIP: 10.9.0.1, selector: {app: db}, ports: [{port: 5432, targetPort: sql}]}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: deny, namespace: shop}, spec: {podSelector: {}}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: old, namespace: other}, spec: {podSelector: {}}}
`

// baseOf returns the snapshot of a text.
func baseOf(t testing.TB, text string) *engine.Snapshot {
	t.Helper()
	read, err := Read(context.Background(), Options{Paths: []string{"-"}, Stdin: strings.NewReader(text)})
	if err != nil {
		t.Fatal(err)
	}
	changes, _ := changesTo(nil, read.Objects)
	return engine.NewCluster(engine.Options{}).Apply(changes...)
}

func applied(texts ...string) []mirror.OverlayChange {
	var list []mirror.OverlayChange
	for _, text := range texts {
		list = append(list, mirror.OverlayChange{Apply: text})
	}
	return list
}

func deleted(kind, namespace, name string) mirror.OverlayChange {
	return mirror.OverlayChange{Delete: &mirror.OverlayTarget{Kind: kind, Namespace: namespace, Name: name}}
}

func labelled(kind, namespace, name string, set map[string]string, remove ...string) mirror.OverlayChange {
	return mirror.OverlayChange{Labels: &mirror.LabelChange{
		OverlayTarget: mirror.OverlayTarget{Kind: kind, Namespace: namespace, Name: name}, Set: set, Remove: remove,
	}}
}

// brief returns a change as the tests compare it.
func brief(c engine.Change) string {
	key := engine.KeyOf(c.Object)
	name := strings.TrimPrefix(key.Namespace+"/"+key.Name, "/")
	if c.Delete {
		return "-" + name
	}
	switch o := c.Object.(type) {
	case *engine.Pod:
		return fmt.Sprintf("%s %v %v %v", name, o.Labels, o.IPs, o.Workloads)
	case *engine.Namespace:
		return fmt.Sprintf("%s %v", name, o.Labels)
	case *engine.Service:
		return fmt.Sprintf("%s %v", name, o.IPs)
	case *engine.EndpointSlice:
		return fmt.Sprintf("%s %v %v", name, o.Endpoints, o.Ports)
	}
	return name
}

// TestReadOverlay proves what each kind of change does (audit contract, section 6).
func TestReadOverlay(t *testing.T) {
	const pod = "{apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop, labels: {app: x}}, spec: {containers: [{name: c}]}}"
	template := func(kind, name, more string) string {
		return "{apiVersion: apps/v1, kind: " + kind + ", metadata: {name: " + name + ", namespace: shop}, spec: {" + more +
			"template: {metadata: {labels: {app: new}}, spec: {containers: [{name: c, ports: [{name: sql, containerPort: 5432}]}]}}}}"
	}
	policy := func(name string) string {
		return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: " + name +
			", namespace: shop}, spec: {podSelector: {}, policyTypes: [Egress]}}"
	}
	tests := map[string]struct {
		changes []mirror.OverlayChange
		prune   bool
		want    []string
	}{
		"a policy":               {applied(policy("new")), false, []string{"shop/new"}},
		"the same again":         {applied("{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}"), false, nil},
		"prune":                  {applied(policy("new")), true, []string{"-shop/deny", "shop/new"}},
		"prune what is applied":  {applied(policy("deny")), true, []string{"shop/deny"}},
		"a later change wins":    {applied(policy("a"), policy("a")), false, []string{"shop/a"}},
		"there and gone":         {append(applied(policy("a")), deleted("NetworkPolicy", "shop", "a")), false, nil},
		"status stays":           {applied(pod), false, []string{"shop/web-0 map[app:x] [10.0.0.2] []"}},
		"a Pod's labels":         {[]mirror.OverlayChange{labelled("Pod", "shop", "web-0", map[string]string{"a": "b"}, "app")}, false, []string{"shop/web-0 map[a:b] [10.0.0.2] []"}},
		"a Namespace's labels":   {[]mirror.OverlayChange{labelled("Namespace", "", "shop", map[string]string{"a": "b"}, "team")}, false, []string{"shop map[a:b]"}},
		"labels of the applied":  {append(applied(policy("new"), pod), labelled("Pod", "shop", "web-0", map[string]string{"a": "b"})), false, []string{"shop/new", "shop/web-0 map[a:b app:x] [10.0.0.2] []"}},
		"applied labels go":      {append([]mirror.OverlayChange{labelled("Pod", "shop", "web-0", map[string]string{"a": "b"})}, applied(pod)...), false, []string{"shop/web-0 map[app:x] [10.0.0.2] []"}},
		"a policy deleted":       {[]mirror.OverlayChange{deleted("NetworkPolicy", "shop", "deny")}, false, []string{"-shop/deny"}},
		"a Namespace with all":   {[]mirror.OverlayChange{deleted("Namespace", "", "shop")}, false, []string{"-shop", "-shop/db", "-shop/db-0", "-shop/db:0", "-shop/deny", "-shop/web-0"}},
		"a workload's Pods":      {[]mirror.OverlayChange{deleted("StatefulSet", "shop", "db")}, false, []string{"-shop/db-0", "-shop/db:0"}},
		"a workload's labels":    {[]mirror.OverlayChange{labelled("StatefulSet", "shop", "db", map[string]string{"a": "b"})}, false, []string{"shop/db-0 map[a:b app:db statefulset.kubernetes.io/pod-name:db-0] [10.0.0.1] [{StatefulSet db}]"}},
		"S24 endpoints follow":   {[]mirror.OverlayChange{labelled("Pod", "shop", "db-0", nil, "app")}, false, []string{"-shop/db:0", "shop/db-0 map[statefulset.kubernetes.io/pod-name:db-0] [10.0.0.1] [{StatefulSet db}]"}},
		"a workload with Pods":   {applied(template("StatefulSet", "db", "replicas: 1, ")), false, []string{"-shop/db:0", "shop/db-0 map[app:new controller-revision-hash:? statefulset.kubernetes.io/pod-name:db-0] [10.0.0.1] [{StatefulSet db}]"}},
		"a workload without any": {applied(template("DaemonSet", "fresh", "")), false, []string{"shop/fresh-0 map[app:new controller-revision-hash:? pod-template-generation:?] [] [{DaemonSet fresh}]"}},
		"a Service": {applied("{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop}, spec: {selector: {app: web}, ports: [{port: 5432, targetPort: 1}]}}"), false,
			[]string{"shop/db [10.9.0.1]", "shop/db:0 [{10.0.0.2  true true false}] [{ 1 TCP}]"}},
		"a Service and its Pods later": {applied("{apiVersion: v1, kind: Service, metadata: {name: nn, namespace: shop}, spec: {selector: {app: new}, ports: [{port: 1, targetPort: sql}]}}", template("DaemonSet", "fresh", "")), false,
			[]string{"shop/fresh-0 map[app:new controller-revision-hash:? pod-template-generation:?] [] [{DaemonSet fresh}]", "shop/nn []", "shop/nn:0 [{invalid IP fresh-0 true true false}] [{ 5432 TCP}]"}},
	}
	base := baseOf(t, overlaidCluster)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			changes, warnings, err := ReadOverlay(base, &mirror.Overlay{Changes: test.changes, Prune: test.prune}, Options{})
			if err != nil || len(warnings) > 0 {
				t.Fatal(err, warnings)
			}
			var got []string
			for _, c := range changes {
				got = append(got, brief(c))
			}
			slices.Sort(got)
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// TestReadOverlayRefuses proves that every problem of every change is told, with its place, and that nothing
// is read then.
func TestReadOverlayRefuses(t *testing.T) {
	broken := "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: good}, spec: {podSelector: {}}}\n---\n" +
		"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: shop}, spec: {podSelector: {}, ingress: [{ports: [{port: 70000}]}]}}"
	tests := map[string]struct {
		changes []mirror.OverlayChange
		want    []string
	}{
		"nothing": {nil, []string{"changes: Required value"}},
		"a broken policy among good ones": {append(applied("{apiVersion: v1, kind: Pod, metadata: {name: a}}", broken, "kind: ["), deleted("Pod", "shop", "gone")), []string{
			"changes[1].apply: document 2: NetworkPolicy shop/p: spec.ingress[0].ports[0].port: Invalid value: 70000",
			"changes[2].apply: document 1: is not YAML",
			"changes[3].delete: Pod shop/gone: missing: is not there",
		}},
		"S23 twice in one change": {applied("{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: a}}"),
			[]string{"changes[0].apply: document 2: Pod default/a: metadata.name: Duplicate value"}},
		"kinds that play no part":   {applied("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"), []string{"changes: Invalid value: it has no object that plays a part in decisions, but 1 of other kinds"}},
		"an empty change":           {applied(""), []string{"changes: Invalid value: it has no object"}},
		"an unknown kind":           {[]mirror.OverlayChange{deleted("ConfigMap", "shop", "a")}, []string{"changes[0].delete.kind: Unsupported value: \"ConfigMap\""}},
		"no name":                   {[]mirror.OverlayChange{deleted("Pod", "shop", "")}, []string{"changes[0].delete.name: Required value"}},
		"no namespace":              {[]mirror.OverlayChange{deleted("Pod", "", "a")}, []string{"changes[0].delete.namespace: Required value"}},
		"a namespace too many":      {[]mirror.OverlayChange{deleted("Node", "shop", "a")}, []string{"changes[0].delete.namespace: Invalid value"}},
		"a workload without Pods":   {[]mirror.OverlayChange{deleted("Deployment", "shop", "a")}, []string{"changes[0].delete: Deployment shop/a: missing: is not there"}},
		"labels of nothing":         {[]mirror.OverlayChange{labelled("Pod", "shop", "gone", map[string]string{"a": "b"})}, []string{"changes[0].labels: Pod shop/gone: missing: is not there"}},
		"labels of no Namespace":    {[]mirror.OverlayChange{labelled("Namespace", "", "gone", map[string]string{"a": "b"})}, []string{"changes[0].labels: Namespace gone: missing: is not there"}},
		"labels of a Service":       {[]mirror.OverlayChange{labelled("Service", "shop", "db", map[string]string{"a": "b"})}, []string{"changes[0].labels.kind: Unsupported value: \"Service\""}},
		"no labels":                 {[]mirror.OverlayChange{labelled("Pod", "shop", "web-0", nil)}, []string{"changes[0].labels: Required value"}},
		"wrong labels":              {[]mirror.OverlayChange{labelled("Pod", "shop", "web-0", map[string]string{"a": "b c"}, "x y", "a")}, []string{"changes[0].labels.set: Invalid value: \"b c\"", "changes[0].labels.remove[0]: Invalid value: \"x y\"", "changes[0].labels.remove[1]: Invalid value: \"a\": it is also set"}},
		"too many Pods of workload": {applied("{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 20000, template: {}}}"), []string{"changes[0].apply: document 1: Deployment default/a: spec.replicas: Invalid value: 20000"}},
	}
	base := baseOf(t, overlaidCluster)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			changes, _, err := ReadOverlay(base, &mirror.Overlay{Changes: test.changes}, Options{})
			refused, ok := errors.AsType[*mirror.OverlayError](err)
			if !ok || changes != nil || len(refused.Problems) != len(test.want) {
				t.Fatalf("%d changes, error %v", len(changes), err)
			}
			for i, p := range refused.Problems {
				text := p.Path + ": "
				if p.Document > 0 {
					text += fmt.Sprintf("document %d: ", p.Document)
				}
				for _, part := range []string{p.Object(), p.Field} {
					if part != "" {
						text += part + ": "
					}
				}
				if p.Missing {
					text += "missing: "
				}
				if text += p.Message; !strings.HasPrefix(text, test.want[i]) {
					t.Errorf("problem %d: got %s, want %s", i, text, test.want[i])
				}
			}
		})
	}
}

// TestReadOverlayHasALimit proves the limit of objects (A8), of documents and of Pods of templates.
func TestReadOverlayHasALimit(t *testing.T) {
	var many strings.Builder
	for i := range mirror.MaxOverlayObjects + 1 {
		fmt.Fprintf(&many, "{apiVersion: v1, kind: Pod, metadata: {name: p%d}}\n---\n", i)
	}
	two := "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a%d}, spec: {replicas: 9000, template: {}}}\n---\n"
	base := baseOf(t, overlaidCluster)
	for name, text := range map[string]string{
		"documents": many.String(), "empty documents": strings.Repeat("---\n{}\n", mirror.MaxOverlayObjects+1),
		"documents of JSON": strings.Repeat("{}\n", mirror.MaxOverlayObjects+1), "templates": fmt.Sprintf(two+two, 1, 2),
	} {
		_, _, err := ReadOverlay(base, &mirror.Overlay{Changes: applied(text)}, Options{})
		if large, ok := errors.AsType[*mirror.OverlayTooLargeError](err); !ok || large.Actual <= mirror.MaxOverlayObjects {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestReadOverlayKeepsS7 proves that a Pod of an overlay owns an address of another only if it is newer.
func TestReadOverlayKeepsS7(t *testing.T) {
	base := baseOf(t, overlaidCluster)
	tests := map[string]struct {
		changes []mirror.OverlayChange
		owner   string
	}{
		"younger":                {applied(claiming("thief", `, creationTimestamp: "2026-02-02T00:00:00Z"`)), "thief"},
		"older":                  {applied(claiming("thief", `, creationTimestamp: "2026-01-01T00:00:00Z"`)), "db-0"},
		"new, a later name":      {applied(claiming("thief", "")), "thief"},
		"new, an earlier name":   {applied(claiming("a", "")), "a"},
		"new, twice":             {applied(claiming("a", ""), claiming("a", "")), "a"},
		"there, with its age":    {applied(claiming("web-0", "")), "db-0"},
		"there, and made again":  {append([]mirror.OverlayChange{deleted("Pod", "shop", "web-0")}, applied(claiming("web-0", ""))...), "web-0"},
		"the owner itself again": {applied(claiming("db-0", ""), claiming("web-0", "")), "db-0"},
	}
	for name, test := range tests {
		changes, _, err := ReadOverlay(base, &mirror.Overlay{Changes: test.changes}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := base.With(changes).Details(nil, engine.Query{Src: engine.ByIP(netip.MustParseAddr("192.0.2.77")), Port: 1,
			Dst: engine.ByIP(netip.MustParseAddr("10.0.0.1"))})
		if err != nil || d.Dst.Name != test.owner {
			t.Errorf("%s: the address is of %q, error %v; want %s", name, d.Dst.Name, err, test.owner)
		}
	}
}

// claiming returns a Pod with the address of db-0.
func claiming(name, metadata string) string {
	return "{apiVersion: v1, kind: Pod, metadata: {name: " + name + ", namespace: shop" + metadata +
		"}, status: {podIPs: [{ip: 10.0.0.1}]}}"
}

// FuzzReadOverlay proves that reading never panics, that problems come without changes, and that changes can
// be laid over and taken back.
func FuzzReadOverlay(f *testing.F) {
	f.Add(overlaidCluster, "Pod", "shop", "web-0", "app", "x")
	f.Add("{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 2, template: {}}}", "Namespace", "", "shop", "a", "")
	f.Add("{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop}, spec: {selector: {app: web}, ports: [{port: 1}]}}", "StatefulSet", "shop", "db", "app", "web")
	f.Add("kind: [\n---\n{{ x }}", "", "", "", "", "")
	base := baseOf(f, overlaidCluster)
	before := fmt.Sprint(base.Counts())
	f.Fuzz(func(t *testing.T, text, kind, namespace, name, key, value string) {
		changes, _, err := ReadOverlay(base, &mirror.Overlay{Prune: len(text)%2 == 0, Changes: []mirror.OverlayChange{
			{Apply: text}, labelled(kind, namespace, name, map[string]string{key: value}), deleted(kind, namespace, name),
		}}, Options{})
		_, tooLarge := errors.AsType[*mirror.OverlayTooLargeError](err)
		refused, isRefused := errors.AsType[*mirror.OverlayError](err)
		if err != nil && !tooLarge && (!isRefused || len(refused.Problems) == 0 || refused.Error() == "") || err != nil && changes != nil {
			t.Fatalf("%d changes, error %v", len(changes), err)
		}
		over := base.With(changes)
		var back []engine.Change
		for _, c := range changes {
			if was, ok := base.Object(engine.KeyOf(c.Object)); ok {
				back = append(back, engine.Change{Object: was})
			} else {
				back = append(back, engine.Change{Object: c.Object, Delete: true})
			}
		}
		again := over.With(back).Counts()
		if again.Pods != base.Counts().Pods || again.Policies != base.Counts().Policies ||
			again.Classes != base.Counts().Classes || fmt.Sprint(base.Counts()) != before {
			t.Fatalf("%+v, and back %+v", base.Counts(), again)
		}
	})
}
