package manifests

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert"
)

var sameObjects = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

// write creates a directory with files, and returns its path.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		put(t, filepath.Join(dir, name), text)
	}
	return dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// readText reads text as standard input.
func readText(t *testing.T, text string) (Result, error) {
	t.Helper()
	return Read(context.Background(), Options{Paths: []string{"-"}, Stdin: strings.NewReader(text)})
}

// names returns the objects as "resource namespace/name", in order.
func names(objects []engine.Object) []string {
	var list []string
	for _, o := range objects {
		key := engine.KeyOf(o)
		list = append(list, convert.KindOf(o).Resource+" "+key.Namespace+"/"+key.Name)
	}
	slices.Sort(list)
	return list
}

func mustRead(t *testing.T, text string) Result {
	t.Helper()
	result, err := readText(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func find[T engine.Object](t *testing.T, objects []engine.Object, name string) T {
	t.Helper()
	for _, o := range objects {
		if x, ok := o.(T); ok && engine.KeyOf(o).Name == name {
			return x
		}
	}
	t.Fatalf("no %T %s in %v", *new(T), name, names(objects))
	return *new(T)
}

func TestForms(t *testing.T) {
	const pod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}`
	const other = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"b","namespace":"shop"}}`
	both := []string{"pods default/a", "pods shop/b"}
	const yamlPods = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: b\n  namespace: shop\n"
	tests := map[string]struct {
		text string
		want []string
	}{
		"YAML, two documents": {yamlPods, both},
		"CRLF":                {strings.ReplaceAll(yamlPods, "\n", "\r\n"), both},
		"byte order mark":     {"\xef\xbb\xbf" + yamlPods, both},
		"UTF-16": {"\xff\xfe" + strings.Join(strings.Split(yamlPods, ""), "\x00") +
			"\x00", both},
		"leading marker": {"---\n" + yamlPods, both},
		"comments and empty documents": {"# a\n---\n# Source: chart/x.yaml\n---\n\n---\nnull\n---\n" + yamlPods +
			"---\n", both},
		"marker with a comment":     {"--- # one\n" + yamlPods, both},
		"marker with JSON after it": {"--- " + pod + "\n--- " + other + "\n", both},
		"directive and end markers": {"%YAML 1.1\n---\n" + strings.Replace(yamlPods, "---\n", "...\n", 1) +
			"...\n", both},
		"JSON":                       {pod, both[:1]},
		"JSON values in a row":       {pod + "\n" + other, both},
		"JSON behind space":          {strings.Repeat(" ", 40) + pod + "\n", both[:1]},
		"JSON documents between ---": {pod + "\n---\n" + other + "\n", both},
		"List in JSON": {`{"apiVersion":"v1","kind":"List","items":[` + pod + `,` + other +
			`],"metadata":{}}`, both},
		"List in YAML": {"apiVersion: v1\nitems:\n- " + pod + "\n- " + other +
			"\nkind: List\n", both},
		"List of Lists":                 {`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[` + pod + `,` + other + `]}]}`, both},
		"typed list of untyped items":   {`{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"a"}},` + other + `]}`, both},
		"empty list beside a Pod":       {`{"apiVersion":"v1","kind":"List","items":[]}` + pod, both[:1]},
		"flow mapping that is not JSON": {"{apiVersion: v1, kind: Pod, metadata: {name: a}}", both[:1]},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := mustRead(t, test.text)
			if diff := cmp.Diff(test.want, names(got.Objects)); diff != "" || len(got.Report.Problems) > 0 {
				t.Error(diff, got.Report.Problems)
			}
		})
	}
}

func TestEveryProblemIsTold(t *testing.T) {
	tests := map[string]struct{ text, want string }{ // want: "document field: part of the message" by line
		"unknown field in a policy": {
			"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelecter: {}, ingress: [{form: []}]}",
			"1 spec.ingress[0].form: unknown field\n1 spec.podSelecter: unknown field",
		},
		"case of a field in a policy": {`{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"p"},"spec":{"podselector":{}}}`, "1 spec.podselector: unknown field"},
		"kind in lower case":          {"apiVersion: networking.k8s.io/v1\nkind: Networkpolicy\nmetadata: {name: p}", `1 kind: write NetworkPolicy of networking.k8s.io/v1`},
		"kind in the plural":          {"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicies\nmetadata: {name: p}", `1 kind: write NetworkPolicy of networking.k8s.io/v1`},
		"kind as kubectl says it": {"apiVersion: v1\nkind: pods\nmetadata: {name: p}",
			`1 kind: write Pod of v1`},
		"kind with a space": {"apiVersion: v1\nkind: 'Pod '\nmetadata: {name: p}",
			`1 kind: write Pod of v1`},
		"plural of a workload": {"apiVersion: apps/v1\nkind: Deployments\nmetadata: {name: p}",
			`1 kind: write Deployment of apps/v1`},
		"list in lower case": {`{"apiVersion":"v1","kind":"list","items":[]}`,
			`1 kind: write List of v1`},
		"list of the plural": {`{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPoliciesList","items":[]}`,
			`1 kind: write NetworkPolicyList of networking.k8s.io/v1`},
		"group in another case": {"apiVersion: Networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}",
			`1 apiVersion: is read as networking.k8s.io/v1`},
		"group of slices in capitals": {"apiVersion: DISCOVERY.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: p}",
			`1 apiVersion: is read as discovery.k8s.io/v1`},
		"items given twice": {`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod"}],"items":[]}`, "1 items: given twice"},
		"items given twice in YAML": {"apiVersion: v1\nkind: List\nitems: [{}]\nitems: []",
			`1 : key "items" already set`},
		"kind given twice":              {`{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"p"},"kind":"Ingress"}`, "1 kind: given twice"},
		"kind given twice in YAML":      {"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nkind: Ingress", `1 : key "kind" already set`},
		"kind of a part given twice":    {`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"p"},"kind":"Pod"}`, "1 kind: given twice"},
		"kind given twice in a list":    {`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"p"},"kind":"Ingress"}]}`, "1 kind: given twice"},
		"negative ordinals":             {"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec: {ordinals: {start: -1}}", "1 spec.ordinals.start: greater than or equal to 0"},
		"misplaced namespace":           {"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namspace: x}", "1 metadata.namspace: unknown field"},
		"key given twice in YAML":       {"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n  podSelector: {}\n  podSelector: {}", `1 : line 6: key "podSelector" already set`},
		"key given twice, line of file": {"---\n# a\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  name: b", `2 : line 8: key "name" already set`},
		"key given twice in JSON": {`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","name":"b"}}`,
			"1 metadata.name: duplicate field"},
		"wrong types, all of them": {
			"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, labels: {v: 1.0}}\nspec: {podSelector: [], ingress: [{}, {ports: [{port: {}}, {endPort: x}, {protocol: 6}]}], policyTypes: Ingress}",
			"1 metadata.labels.v: text, not the number 1\n1 spec.ingress[1].ports[0].port: Invalid value\n1 spec.ingress[1].ports[1].endPort: a number\n" +
				"1 spec.ingress[1].ports[2].protocol: text\n1 spec.podSelector: a mapping, not a list\n1 spec.policyTypes: a list",
		},
		"boolean label": {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {x: yes}}",
			"1 metadata.labels.x: put it in quotes"},
		"number too large": {"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 99999999999}]}", "1 spec.ports[0].port: whole number of 32 bits"},
		"metadata of another type": {"apiVersion: v1\nkind: Pod\nmetadata: x",
			"1 metadata: a mapping, not the text"},
		"S47 metadata of a cluster-wide policy": {
			"apiVersion: policy.networking.k8s.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {name: a, labels: 7}\n" +
				"spec: {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: []}\nstatus: {conditions: []}",
			"1 metadata.labels: a mapping, not the number 7",
		},
		"S47 metadata and spec of a cluster-wide policy": {
			"apiVersion: policy.networking.k8s.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {name: 7}\n" +
				"spec: {tier: Middle, priority: 1, subject: {namespaces: {}}}",
			"1 metadata.name: text, not the number 7\n1 spec.tier: \"Middle\"",
		},
		"old NetworkPolicy": {"apiVersion: extensions/v1beta1\nkind: NetworkPolicy\nmetadata: {name: p}",
			"1 apiVersion: is read as networking.k8s.io/v1"},
		"NetworkPolicy of the core": {"apiVersion: v1\nkind: NetworkPolicy\nmetadata: {name: p}",
			"1 apiVersion: is read as networking.k8s.io/v1"},
		"old EndpointSlice": {"apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\nmetadata: {name: p}",
			"1 apiVersion: is read as discovery.k8s.io/v1"},
		"old CronJob": {"apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: p}",
			"1 apiVersion: is read as batch/v1"},
		"old Deployment in an old List": {"apiVersion: extensions/v1beta1\nkind: DeploymentList\nitems: []",
			"1 apiVersion: Deployment is read as apps/v1"},
		"no kind":                {"image: {repository: x}", "1 kind: Required value"},
		"no apiVersion":          {"kind: Pod", "1 apiVersion: Required value"},
		"a list of objects":      {"- kind: Pod", "1 : no Kubernetes object"},
		"a text":                 {"hello", "1 : no Kubernetes object"},
		"items that are no list": {"apiVersion: v1\nkind: List\nitems: {a: b}", "1 items: must be a list"},
		"an item without a name": {`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}},{"apiVersion":"v1","kind":"Pod"}]}`, "1 items[1].metadata.name: Required value"},
		"an item that is no object": {`{"apiVersion":"v1","kind":"PodList","items":[5]}`,
			"1 items[0]: no Kubernetes object"},
		"not YAML": {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\na: b: c\n---\n\t- x",
			"2 : line 5: mapping values\n3 : is not YAML"},
		"a template": {"apiVersion: v1\nkind: Pod\nmetadata:\n  {{- include \"x\" . }}\n",
			"1 : helm template"},
		"a template that begins so": {"{{- if .Values.x }}\napiVersion: v1\n{{- end }}\n", "1 : helm template"},
		"bad names":                 {"apiVersion: v1\nkind: Pod\nmetadata: {name: A_b, namespace: c/d, labels: {'': x}}", "1 metadata.name: RFC 1123\n1 metadata.namespace: RFC 1123\n1 metadata.labels: must be non-empty\n1 metadata.labels: name part must consist"},
		"met twice":                 {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: default}", "2 metadata.name: also in stdin, document 1"},
		"a bad address": {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {podIP: x}",
			"1 status.podIP: must be an IP address"},
		"S23 a policy that is refused": {"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {ingress: [{from: [{}], ports: [{port: 0}]}]}", "1 spec.ingress[0].ports[0].port: between\n1 spec.ingress[0].from[0]: must specify a peer"},
		"S23 a policy without a name": {"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy",
			"1 metadata.name: name or generateName is required"},
		"ports of a template":        {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: c, ports: [{name: x, containerPort: 0}]}]}}}", "1 spec.template.spec.containers[0].ports[0].containerPort: between"},
		"too many replicas":          {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 1000000}", "1 spec.replicas: between 0 and 10000"},
		"negative replicas":          {"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec: {replicas: -1}", "1 spec.replicas: between 0 and 10000"},
		"too much parallelism":       {"apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {parallelism: 20000}", "1 spec.parallelism: between 0 and 10000"},
		"a StatefulSet's name taken": {"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a-0}", "1 spec.replicas: is there too"},
		"UTF-16 cut off":             {"\xff\xfea", "0 : UTF-16"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := readText(t, test.text)
			invalid, ok := errors.AsType[*ProblemsError](err)
			if !ok || got.Objects != nil {
				t.Fatalf("error %v, objects %v", err, got.Objects)
			}
			want := strings.Split(test.want, "\n")
			if len(want) != len(invalid.Problems) {
				t.Fatalf("%d problems, want %d:\n%v", len(invalid.Problems), len(want), err)
			}
			for i, p := range invalid.Problems {
				number, rest, _ := strings.Cut(want[i], " ")
				field, part, _ := strings.Cut(rest, ": ")
				if field == "" {
					part = strings.TrimPrefix(rest, ": ")
				}
				if string(rune('0'+p.Document)) != number || p.Field != field || !strings.Contains(p.Message, part) ||
					p.File != "stdin" {
					t.Errorf("problem %d: %v\nwant %s", i, p, want[i])
				}
			}
		})
	}
}

func TestWhatIsNoProblem(t *testing.T) {
	const pod = "\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}"
	tests := map[string]string{
		"status of an old policy":        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: b}\nspec: {podSelector: {}}\nstatus: {}",
		"ConfigMap with a key twice":     "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {a: b, a: c}",
		"Service of another group":       "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: b}\nspec: {template: 5}",
		"template in a text":             "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {a: '{{ $x }}'}",
		"an object met in two kinds":     "apiVersion: v1\nkind: Service\nmetadata: {name: a}",
		"a kind of an extension":         "apiVersion: example.com/v1\nkind: Pods\nmetadata: {name: a}",
		"labels twice in what is none":   `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"},"metadata":{"name":"b"}}`,
		"nothing of old kinds is needed": "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: a}",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if got := mustRead(t, text+pod); len(got.Report.Problems) != 0 {
				t.Error(got.Report.Problems)
			}
		})
	}
}

func TestIgnoredKindsAreCounted(t *testing.T) {
	got := mustRead(t, `
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
---
{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret, metadata: {name: a}}, {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}]}
---
{apiVersion: v1, kind: ConfigMapList, items: [{metadata: {name: c}}]}
---
{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}}
---
{apiVersion: example.com/v1, kind: NetworkPolicy, metadata: {name: a, namespace: shop}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}`)
	want := map[string]int{"ConfigMap": 3, "Secret": 1, "Service.serving.knative.dev": 1,
		"NetworkPolicy.example.com": 1}
	if diff := cmp.Diff(want, got.Report.Ignored); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"namespaces /shop"}, names(got.Objects)); diff != "" {
		t.Error(diff)
	}
	if p := got.Report.Problems; len(p) != 1 || !p[0].Warning || p[0].Name != "a" || p[0].Namespace != "shop" {
		t.Errorf("problems %v, want a warning about the NetworkPolicy", p)
	}
	if got := got.Report.Counts["namespaces"]; got != 1 {
		t.Errorf("%d namespaces counted", got)
	}
}

func TestS23WarningsDoNotStop(t *testing.T) {
	got := mustRead(t, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.1/8}}]}]}")
	if p := got.Report.Problems; len(p) != 1 || !p[0].Warning || p[0].File != "stdin" ||
		p[0].Field != "spec.ingress[0].from[0].ipBlock.cidr" {
		t.Errorf("problems %v", p)
	}
	if got := find[*engine.Policy](t, got.Objects, "p").Ingress[0].Peers[0].Block.CIDR.String(); got !=
		"10.0.0.0/8" {
		t.Errorf("read as %s", got)
	}
}

// TestNamespaceOfClusterWideKinds proves that a namespace on a kind that has none is a warning: an API server
// takes the object and drops the namespace (S30).
func TestNamespaceOfClusterWideKinds(t *testing.T) {
	for _, object := range []string{
		"apiVersion: policy.networking.k8s.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {name: default, namespace: shop}\n" +
			"spec: {tier: Admin, priority: 1, subject: {namespaces: {}}}",
		"apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\n" +
			"metadata: {name: default, namespace: shop}\nspec: {priority: 1, subject: {namespaces: {}}}",
		"apiVersion: policy.networking.k8s.io/v1alpha1\nkind: BaselineAdminNetworkPolicy\n" +
			"metadata: {name: default, namespace: shop}\nspec: {subject: {namespaces: {}}}",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: default, namespace: shop}",
		"apiVersion: v1\nkind: Node\nmetadata: {name: default, namespace: shop}",
	} {
		got := mustRead(t, object)
		if p := got.Report.Problems; len(p) != 1 || !p[0].Warning || p[0].Field != "metadata.namespace" ||
			!strings.Contains(p[0].Message, `"shop" plays no part`) || len(got.Objects) != 1 {
			t.Errorf("%s\nproblems %v, objects %v", object, p, got.Objects)
		}
	}
}

func TestNamespaceOfObjectsWithoutOne(t *testing.T) {
	const text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: n1, namespace: odd}"
	got, err := Read(context.Background(),
		Options{Paths: []string{"-"}, Stdin: strings.NewReader(text), Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"nodes /n1", "pods shop/a"}, names(got.Objects)); diff != "" {
		t.Error(diff)
	}
}
