package kube_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/kube/kubetest"
)

// series are what a running service exports: of each name its labels, and of each label its values.
type series map[string]map[string][]string

// TestExpressionsNameWhatIsExported: each alert's and each panel's expression is PromQL, names metrics that the running service
// exports, with labels that they have, and selects by values that occur.
func TestExpressionsNameWhatIsExported(t *testing.T) {
	exported := scrape(t)
	expressions := slices.Concat(alerts(t), panels(t))
	if len(expressions) < 20 {
		t.Fatalf("only %d expressions found", len(expressions))
	}
	for _, e := range expressions {
		t.Run(e.name, func(t *testing.T) {
			tree, err := parser.NewParser(parser.Options{}).ParseExpr(e.text)
			if err != nil {
				t.Fatalf("%s: %v", e.text, err)
			}
			parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
				switch node := node.(type) {
				case *parser.VectorSelector:
					exported.check(t, node)
				case *parser.AggregateExpr:
					exported.checkGrouping(t, node)
				}
				return nil
			})
		})
	}
}

// TestOperationsTellOfAll: docs/operations.md has each of netpold's own metrics in its table, and a section for each alert, to which the
// alert leads.
func TestOperationsTellOfAll(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(kubetest.Deploy(), "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := string(text)
	for name := range scrape(t) {
		name = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if strings.HasPrefix(name, "netpold_") && !regexp.MustCompile("(?m)^\\|.*`"+name+"[`{]").MatchString(told) {
			t.Errorf("%s is not in a table", name)
		}
	}
	for _, alert := range alerts(t) {
		if !strings.Contains(told, "\n### "+alert.name+"\n") || !strings.HasSuffix(alert.runbook, "/docs/operations.md#"+strings.ToLower(alert.name)) {
			t.Errorf("%s has no section of its own, or does not lead to it but to %s", alert.name, alert.runbook)
		}
	}
	for _, section := range regexp.MustCompile(`(?m)^### (Netpold\w+)$`).FindAllStringSubmatch(told, -1) {
		if !slices.ContainsFunc(alerts(t), func(e expression) bool { return e.name == section[1] }) {
			t.Errorf("%s is told of, and is no alert", section[1])
		}
	}
}

// byScrape are labels that Prometheus itself gives to all that it scrapes.
var byScrape = []string{"namespace", "pod", "job", "instance"}

func (s series) check(t *testing.T, selector *parser.VectorSelector) {
	t.Helper()
	known, ok := s[selector.Name]
	if !ok {
		t.Errorf("%s is not exported", selector.Name)
		return
	}
	for _, m := range selector.LabelMatchers {
		if m.Name == model.MetricNameLabel || slices.Contains(byScrape, m.Name) {
			continue
		}
		values, ok := known[m.Name]
		if !ok {
			t.Errorf("%s has no label %s", selector.Name, m.Name)
		} else if !slices.ContainsFunc(values, m.Matches) {
			t.Errorf("%s: no value of %s is matched, of %q", selector, m.Name, values)
		}
	}
}

// checkGrouping looks at labels by which is summed up: a label that nothing has sums up everything.
func (s series) checkGrouping(t *testing.T, sum *parser.AggregateExpr) {
	t.Helper()
	var known []string
	parser.Inspect(sum.Expr, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			for label := range s[selector.Name] {
				known = append(known, label)
			}
		}
		return nil
	})
	for _, label := range sum.Grouping {
		if !slices.Contains(known, label) && !slices.Contains(byScrape, label) {
			t.Errorf("%s: nothing has the label %s", sum, label)
		}
	}
}

// scrape runs the service, asks it what every counter counts, and reads its metrics.
func scrape(t *testing.T) series {
	t.Helper()
	unmodelled := filepath.Join(t.TempDir(), "unmodelled.yaml")
	text := "{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: a, namespace: shop}}"
	if err := os.WriteFile(unmodelled, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	forwardAuth := kubetest.FreeAddrs(t, 1)[0]
	n := kubetest.StartNetpold(t, "--manifests="+filepath.Join(kubetest.Deploy(), "..", "examples", "shop"),
		"--manifests="+unmodelled, "--decision-log="+filepath.Join(t.TempDir(), "decisions.jsonl"),
		"--forward-auth-listen="+forwardAuth, "--trusted-proxies=192.0.2.1")
	n.AwaitReady()
	refuseCaller(t, forwardAuth)
	client := n.Client()
	pod := func(name string) *netpoldv1.Endpoint {
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Pod{Pod: &netpoldv1.PodRef{Namespace: "shop", Name: name}}}
	}
	if _, err := client.Allowed(t.Context(), &netpoldv1.AllowedRequest{Src: pod("nobody"), Dst: pod("nobody"), Port: 80}); err == nil {
		t.Fatal("a question about nobody is answered")
	}
	// Of the codes that alerts select, this is the one that can be had at once.
	batch := &netpoldv1.BatchAllowedRequest{}
	for range 10_001 {
		batch.Questions = append(batch.Questions, &netpoldv1.AllowedRequest{})
	}
	if _, err := client.BatchAllowed(t.Context(), batch); err == nil {
		t.Fatal("a batch that is too large is answered")
	}
	page, err := n.Page(t.Context(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	parsed := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parsed.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	exported := series{}
	for name, family := range families {
		names := []string{name}
		if family.GetType().String() == "HISTOGRAM" {
			names = []string{name + "_bucket", name + "_sum", name + "_count"}
		}
		for _, n := range names {
			exported[n] = map[string][]string{}
			if strings.HasSuffix(n, "_bucket") {
				exported[n]["le"] = []string{"+Inf"}
			}
			for _, m := range family.GetMetric() {
				for _, label := range m.GetLabel() {
					exported[n][label.GetName()] = append(exported[n][label.GetName()], label.GetValue())
				}
			}
		}
	}
	return exported
}

// refuseCaller asks as one who is no trusted proxy, so that a refused caller is counted.
func refuseCaller(t *testing.T, addr string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/authz", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Fatalf("one who is no trusted proxy gets %s", response.Status)
	}
}

// expression is one, with where it stands; of an alert also where help is.
type expression struct{ name, text, runbook string }

func alerts(t *testing.T) []expression {
	t.Helper()
	groups, _, err := unstructured.NestedSlice(only(t, kustomized(t, "monitoring"), "PrometheusRule").Object, "spec", "groups")
	if err != nil {
		t.Fatal(err)
	}
	var list []expression
	for _, group := range groups {
		for _, rule := range group.(map[string]any)["rules"].([]any) {
			rule := rule.(map[string]any)
			annotations := rule["annotations"].(map[string]any)
			list = append(list, expression{rule["alert"].(string), rule["expr"].(string), annotations["runbook_url"].(string)})
		}
	}
	return list
}

// variable is one of Grafana's, as it stands in the dashboard.
var variable = strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*", "$pod", ".*")

func panels(t *testing.T) []expression {
	t.Helper()
	content, _, err := unstructured.NestedString(only(t, kustomized(t, "monitoring"), "ConfigMap").Object, "data", "netpold.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
			GridPos struct{ X, Y, W, H int }
		}
		Templating struct {
			List []struct{ Type, Definition string }
		}
	}
	if err := json.Unmarshal([]byte(content), &dashboard); err != nil {
		t.Fatal(err)
	}
	var list []expression
	ids := map[int]bool{}
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] || len(panel.Targets) == 0 || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("panel %q: its id is used twice, or it shows nothing, or it is out of the grid", panel.Title)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			list = append(list, expression{name: panel.Title, text: variable.Replace(target.Expr)})
		}
	}
	labelValues := regexp.MustCompile(`^label_values\((.*), *\w+\)$`)
	for _, v := range dashboard.Templating.List {
		if found := labelValues.FindStringSubmatch(v.Definition); found != nil {
			list = append(list, expression{name: v.Definition, text: variable.Replace(found[1])})
		} else if v.Type == "query" {
			t.Errorf("variable %q is not understood", v.Definition)
		}
	}
	return list
}
