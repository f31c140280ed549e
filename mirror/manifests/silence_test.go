package manifests

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

const onePod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop, labels: {app: a}}\n"

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestUnmodelledKindsAreCounted proves that kinds that decide traffic and are not modelled are counted
// separately, with their namespaces.
func TestUnmodelledKindsAreCounted(t *testing.T) {
	got := mustRead(t, onePod+`---
{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: a, namespace: shop}}
---
{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicyList, items: [{metadata: {name: b}}, {metadata: {name: c, namespace: shop}}]}
---
{apiVersion: crd.projectcalico.org/v1, kind: GlobalNetworkPolicy, metadata: {name: a}}
---
{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: a, namespace: shop}}`)
	want := []mirror.UnmodelledKind{
		{Group: "cilium.io", Kind: "CiliumNetworkPolicy", Counted: true, Count: 3,
			Namespaces: []string{"default", "shop"}},
		{Group: "crd.projectcalico.org", Kind: "GlobalNetworkPolicy", Counted: true, Count: 1},
		{Group: "projectcalico.org", Kind: "NetworkPolicy", Counted: true, Count: 1, Namespaces: []string{"shop"}},
	}
	if d := cmp.Diff(want, got.Report.Unmodelled); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if len(got.Report.Ignored) > 0 || len(got.Report.Problems) > 0 {
		t.Errorf("ignored %v, problems %v", got.Report.Ignored, got.Report.Problems)
	}
}

// TestFilesLeftOut proves that files that are left out are reported, except those meant for people.
func TestFilesLeftOut(t *testing.T) {
	dir := write(t, map[string]string{
		"a.yaml": onePod, "b.yaml.tmpl": "x", "sub/c.YAML.tmpl": "x", "notes.txt": "x", "Makefile": "x",
		"README.md": "x", "LICENSE": "x", "a.tgz": "x", "b.tar.gz": "x", "c.ZIP": "x",
		".hidden": "x", ".p.yaml": onePod, "docker-compose.yml": "services: {web: {image: x}}",
		"package.json": `{"name": "x"}`,
		"playbook.yml": "- hosts: all\n- hosts: none\n",
	})
	got, err := readPath(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range got.Report.LeftOut {
		names := slices.Clone(f.Examples)
		for i := range names {
			names[i], _ = filepath.Rel(dir, names[i])
		}
		lines = append(lines, fmt.Sprintf("%s: %d %v", f.Reason, f.Count, names))
	}
	const unpack = ", so that it may be an archive or compressed: unpack it beside the others"
	want := []string{
		"it holds no Kubernetes object: 3 [docker-compose.yml package.json playbook.yml]",
		"the name begins with a dot: 1 [.p.yaml]",
		"the name ends in .YAML.tmpl: 1 [sub/c.YAML.tmpl]",
		"the name ends in .ZIP" + unpack + ": 1 [c.ZIP]",
		"the name ends in .tar.gz" + unpack + ": 1 [b.tar.gz]",
		"the name ends in .tgz" + unpack + ": 1 [a.tgz]",
		"the name ends in .txt: 1 [notes.txt]",
		"the name ends in .yaml.tmpl: 1 [b.yaml.tmpl]",
		"the name has no ending: 1 [Makefile]",
	}
	if d := cmp.Diff(want, lines); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	// A file that was named is read or rejected.
	if _, err := readPath(t, filepath.Join(dir, "package.json")); err == nil ||
		!strings.Contains(err.Error(), "kind: Required value") {
		t.Errorf("error %v", err)
	}
}

// TestCompressedFiles proves that files are unpacked by their content, not by their name.
func TestCompressedFiles(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml.gz": packed(t, onePod),
		"b.json.gz": packed(t, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`)})
	got, err := readPath(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"namespaces /shop", "pods shop/a"}, names(got.Objects)); d != "" {
		t.Error(d)
	}
	stdin, err := Read(context.Background(),
		Options{Paths: []string{"-"}, Stdin: strings.NewReader(packed(t, onePod))})
	if err != nil || len(stdin.Objects) != 1 {
		t.Errorf("%v, %v", stdin.Objects, err)
	}
	archive := make([]byte, 1024)
	copy(archive[257:], "ustar")
	for name, test := range map[string]struct{ text, want string }{
		"cut off": {packed(t, onePod)[:20],
			"is compressed by gzip, and damaged or cut off: unexpected EOF"},
		"an archive":       {string(archive), `is an archive: unpack it ("tar xf FILE -C DIR")`},
		"a packed archive": {packed(t, string(archive)), "is an archive"},
		"zip":              {"PK\x03\x04rest", "is a zip archive"},
		"xz":               {"\xfd7zXZ\x00rest", "is compressed by xz"},
		"zstd":             {"\x28\xb5\x2f\xfdrest", "is compressed by zstd"},
		"bzip2":            {"BZh9rest", "is compressed by bzip2"},
	} {
		path := filepath.Join(t.TempDir(), "a.yaml")
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readPath(t, path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
	}
}

// problemsOf returns the problems of files in a directory, without the path of the directory.
func problemsOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := write(t, files)
	got, _ := readPath(t, dir)
	var b strings.Builder
	for _, p := range got.Report.Problems {
		b.WriteString(strings.ReplaceAll(p.String(), dir, "DIR") + "\n")
	}
	return b.String()
}

// TestKustomizations proves that a kustomization that changes the files beside it is rejected, and that one
// that only lists them is read.
func TestKustomizations(t *testing.T) {
	const kinds = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
	for name, test := range map[string]struct {
		file, text, want string
	}{
		"a list of all files": {"kustomization.yaml", kinds + "resources: [a.yaml, sub]", ""},
		"without head":        {"kustomization.yml", "resources: [a.yaml, sub/]", ""},
		"a list of few files": {"kustomization.yaml", kinds + "resources: [sub/b.yaml]",
			"warning: Kustomization: resources: does not list a.yaml: read all the same"},
		"a list of one file": {"kustomization.yaml", kinds + "resources: [a.yaml]",
			"resources: does not list sub/b.yaml: read all the same"},
		"a namespace": {"kustomization.yaml", kinds + "namespace: prod\nresources: [a.yaml]",
			"does more than list resources (namespace): what lies beside it is not what kustomize renders: run 'kubectl kustomize DIR | netpold ... --manifests -'"},
		"patches and labels": {"Kustomization", "commonLabels: {a: b}\npatches: [{path: x}]",
			"does more than list resources (commonLabels, patches)"},
		"empty fields": {"kustomization.yaml",
			"patches: []\nnamespace: \"\"\nresources: [a.yaml, sub]", ""},
		"a list without files": {"kustomization.yaml", kinds,
			"resources: does not list a.yaml, sub/b.yaml: read all the same"},
		"a file elsewhere": {"kustomization.yaml", "resources: [../base, a.yaml]",
			`lists "../base", which is not among the files that were read`},
		"a component": {"kustomization.yaml",
			"apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [a.yaml]",
			"does more than list resources"},
		"resources of no files": {"kustomization.yaml", "resources: a.yaml",
			"has resources that are no list of files"},
	} {
		t.Run(name, func(t *testing.T) {
			got := problemsOf(t, map[string]string{
				"a.yaml": onePod, "sub/b.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}",
				test.file: test.text,
			})
			if !strings.Contains(got, test.want) || test.want == "" && got != "" {
				t.Errorf("problems\n%swant in them %q", got, test.want)
			}
		})
	}
}

// TestFilesThatAreNotLeftOut proves that a list without the head of a List, and a chart, are rejected with a
// remedy.
func TestFilesThatAreNotLeftOut(t *testing.T) {
	for name, test := range map[string]struct{ file, text, want string }{
		"a list of objects": {"b.yaml", "- {apiVersion: v1, kind: Pod, metadata: {name: b}}",
			"is no Kubernetes object: it has to be a mapping"},
		"a list of specs": {"b.yaml", "- x\n- {spec: {podSelector: {}}}", "is no Kubernetes object"},
		"a text":          {"b.yaml", "text", "is no Kubernetes object"},
		"a chart": {"chart/Chart.yaml", "apiVersion: v2\nname: x\nversion: 1.0.0",
			"is a Helm chart: run 'helm template DIR/chart | netpold ... --manifests -'"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := problemsOf(t, map[string]string{"a.yaml": onePod, test.file: test.text}); !strings.Contains(got,
				test.want) {
				t.Errorf("problems\n%swant in them %q", got, test.want)
			}
		})
	}
}

// TestCarriedPolicies proves that policies inside other objects get a warning with their path.
func TestCarriedPolicies(t *testing.T) {
	const policy = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}, spec: {podSelector: {}}}"
	for name, test := range map[string]struct{ text, want string }{
		"in an object": {
			"apiVersion: work.open-cluster-management.io/v1\nkind: ManifestWork\nmetadata: {name: w}\nspec: {workload: {manifests: [{}, " + policy + "]}}",
			`warning: ManifestWork "w": spec.workload.manifests[1]: is a NetworkPolicy`,
		},
		"in text": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\ndata:\n  deny.yaml: |\n    apiVersion: networking.k8s.io/v1\n    kind: NetworkPolicy\n    metadata: {name: p}",
			`warning: ConfigMap "c": data.deny.yaml: holds the text of a NetworkPolicy`,
		},
		"in JSON as text": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\ndata:\n  deny: '{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\"}'",
			`warning: ConfigMap "c": data.deny: holds the text of a NetworkPolicy`,
		},
		"in a list as text": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  all: |\n    - apiVersion: networking.k8s.io/v1 # all\n      kind: NetworkPolicy\n",
			`data.all: holds the text of a NetworkPolicy`,
		},
		"in values of a chart": {"image: x\nextra: [" + policy + "]",
			"b.yaml, document 1: warning: extra[0]: is a NetworkPolicy"},
		"in the copy that kubectl keeps": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n" +
				"      {\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\"}\n", "",
		},
		"another version": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  deny: '{\"apiVersion\":\"networking.k8s.io/v1beta1\",\"kind\":\"NetworkPolicy\"}'", "",
		},
		"spoken of": {
			"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: [{apiGroups: [networking.k8s.io], resources: [networkpolicies], note: NetworkPolicy}]", "",
		},
		"a template of OpenShift": {
			"apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {name: t}\nobjects: [" + policy +
				", {apiVersion: v1, kind: Secret}]",
			`Template "t": objects: holds 1 NetworkPolicy, not read before the template is processed: run 'oc process -f DIR/b.yaml | netpold ... --manifests -'`,
		},
		"a template of nothing": {"apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {name: t}\nobjects: [{apiVersion: v1, kind: Secret}]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := problemsOf(t, map[string]string{"a.yaml": onePod, "b.yaml": test.text})
			if !strings.Contains(got, test.want) || test.want == "" && got != "" {
				t.Errorf("problems\n%swant in them %q", got, test.want)
			}
		})
	}
}

// TestTemplates proves that unrendered templates are reported as templates.
func TestTemplates(t *testing.T) {
	policy := func(spec string) string {
		return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: " + spec
	}
	for name, test := range map[string]struct{ text, want string }{
		"Helm in quotes": {policy(`{podSelector: {matchLabels: {app: "{{ .Values.app }}"}}}`),
			`Invalid value: "{{ .Values.app }}": it looks like a template: render it first`},
		"envsubst": {strings.Replace(policy("{podSelector: {}}"), "shop", `"${NAMESPACE}"`, 1),
			`metadata.namespace: Invalid value: "${NAMESPACE}": it looks like a template`},
		"OpenShift": {policy(`{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: "$(CIDR)"}}]}]}`),
			`Invalid value: "$(CIDR)": it looks like a template`},
		"a variable": {strings.Replace(policy("{podSelector: {}}"), "name: p", "name: $NAME", 1),
			`metadata.name: Invalid value: "$NAME": it looks like a template`},
		"for a number": {policy(`{podSelector: {}, ingress: [{ports: [{port: 1, endPort: "${END}"}]}]}`),
			`endPort: Invalid type: must be a number, not the text "${END}": it looks like a template`},
		"for a mapping": {policy(`{podSelector: {matchLabels: "{{ .Values.labels }}"}}`),
			`matchLabels: Invalid type: must be a mapping, not the text "{{ .Values.labels }}": it looks like a template`},
		"Helm in YAML":  {policy("{{ .Values.spec }}"), "is not YAML: "},
		"Jinja in YAML": {policy("\n{% if x %}\n  podSelector: {}\n{% endif %}"), "it looks like a template"},
		"ytt": {policy(
			"\n  podSelector: {}\n  ingress:\n  - ports:\n    - port: #@ data.values.port"),
			`line 8 has "#@": to YAML that is a comment, so that a value is missing; it looks like a template`},
		"ytt on its own line": {"#@ if True:\n" + policy("{podSelector: {}}"), `line 1 has "#@"`},
		"a comment":           {policy("{podSelector: {}} # @todo, see #@"), `has "#@"`},
		"another comment":     {policy("{podSelector: {}} # an address: a#@b"), ""},
		"ytt in a ConfigMap":  {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |\n    x: #@ y\n", ""},
		"four dashes": {onePod + "----\n" + onePod,
			`is not YAML: line 5: could not find expected ':'; line 4 is "----", which is no marker between documents: write ---`},
		"joined by cat": {policy("{podSelector: {}}") + "\n" + policy("{podSelector: {}}"),
			"holds two objects with no --- between them: the second begins near line "},
		"joined in the middle of a line": {policy("{podSelector: {}}") + policy("{podSelector: {}}"),
			"has apiVersion behind other text, as where cat joins a file without a line end to the next"},
		"a kind given twice": {"kind: Pod\n" + onePod, "is ambiguous YAML: "},
	} {
		t.Run(name, func(t *testing.T) {
			got := problemsOf(t, map[string]string{"a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}",
				"b.yaml": test.text})
			if !strings.Contains(got, test.want) || test.want == "" && got != "" {
				t.Errorf("problems\n%swant in them %q", got, test.want)
			}
		})
	}
}

// TestMergeKeys proves that an explicit key overrides a merged one, before or after it, and that a repeated
// key is still a problem.
func TestMergeKeys(t *testing.T) {
	const labels = "apiVersion: v1\nkind: Pod\nmetadata:\n  namespace: shop\n  name: b\n  annotations: &l {app: web, tier: front}\n"
	for name, test := range map[string]struct {
		text string
		want map[string]string
	}{
		"before": {labels + "  labels: {<<: *l, app: db}", map[string]string{"app": "db", "tier": "front"}},
		"behind": {labels + "  labels: {app: db, <<: *l}", map[string]string{"app": "db", "tier": "front"}},
		"of several": {labels + "  labels: {<<: [{tier: back}, *l], app: db}",
			map[string]string{"app": "db", "tier": "back"}},
		"as words": {labels + "  labels: {<<: *l, y: 'on', x: \"1\"}",
			map[string]string{"app": "web", "tier": "front", "true": "on", "x": "1"}},
		"in text":      {labels + "  labels: {app: '<<'}", nil},
		"twice":        {labels + "  labels: {<<: *l, app: db, app: dc}", nil},
		"of no labels": {labels + "  labels: {<<: 5, app: db}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(context.Background(), Options{Paths: []string{"-"}, Stdin: strings.NewReader(test.text)})
			if test.want == nil {
				if err == nil {
					t.Error("it is read")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, find[*engine.Pod](t, got.Objects, "b").Labels); d != "" {
				t.Error(d)
			}
		})
	}
	bomb := "a: &a {k: v}\n"
	for i := range 20 {
		bomb += fmt.Sprintf("b%d: &b%d {<<: [*a], x%d: y}\n", i, i, i)
	}
	if got := merged([]byte(bomb)); len(got) > 100*len(bomb) {
		t.Errorf("%d bytes become %d", len(bomb), len(got))
	}
}

// TestPodsOfUnknownKinds proves that an object of an unknown kind that creates Pods gets a warning, and so
// does the Service that selects them.
func TestPodsOfUnknownKinds(t *testing.T) {
	got := problemsOf(t, map[string]string{"a.yaml": onePod + `---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, namespace: shop}
spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {selector: {app: a}, ports: [{port: 80}]}
`})
	for _, want := range []string{
		`warning: Rollout.argoproj.io "shop/web": spec.template: makes Pods in a way that netpold does not model`,
		`warning: Service "shop/web": spec.selector: selects the Pods of Rollout.argoproj.io shop/web, which are not known, and no other Pod`,
	} {
		if !strings.Contains(got, want) || strings.Count(got, "\n") != 2 {
			t.Errorf("problems\n%swant in them %q", got, want)
		}
	}
	knative := problemsOf(t, map[string]string{"a.yaml": onePod + `---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {template: {spec: {containers: [{name: c}]}}}
`})
	if !strings.Contains(knative, `warning: Service.serving.knative.dev "shop/web": spec.template: makes Pods`) ||
		!strings.Contains(knative, "netpold does not model for a Service.serving.knative.dev") {
		t.Errorf("problems\n%s", knative)
	}
}
