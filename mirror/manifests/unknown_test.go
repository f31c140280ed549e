package manifests

import (
	"fmt"
	"strings"
	"testing"
)

// TestUnknownFields proves that an unknown field is a problem where it may decide, and a warning with its
// path elsewhere.
func TestUnknownFields(t *testing.T) {
	const pod, deployment = "apiVersion: v1\nkind: Pod\nmetadata: {name: a%s}\n%s", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a%s}\n%s"
	of := func(version, kind, rest string) string {
		return "apiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: a}\n" + rest
	}
	tests := map[string]struct {
		text string
		// want are the problems, warnings with "warning" before them; empty for none.
		want string
	}{
		"labels of a Pod": {fmt.Sprintf(pod, ", lables: {a: b}", ""),
			"metadata.lables: unknown field: did you mean labels?"},
		"anything in metadata": {fmt.Sprintf(pod, ", tomorrow: x", ""),
			"metadata.tomorrow: unknown field: it would be ignored"},
		"what old API servers gave": {fmt.Sprintf(pod, ", clusterName: x", ""), ""},
		"another case": {fmt.Sprintf(pod, "", "spec: {hostnetwork: true}"),
			"spec.hostnetwork: unknown field: did you mean hostNetwork?"},
		"in a list": {fmt.Sprintf(pod, "",
			"spec: {containers: [{name: c}, {name: d, port: []}]}"),
			"spec.containers[1].port: unknown field: did you mean ports?"},
		"two lists deep": {fmt.Sprintf(pod, "",
			"spec: {containers: [{name: c, ports: [{containerport: 1}]}]}"),
			"spec.containers[0].ports[0].containerport: unknown field: did you mean containerPort?"},
		"status of a Pod": {fmt.Sprintf(pod, "", "status: {podIp: 10.0.0.1}"),
			"status.podIp: unknown field: did you mean podIP?"},
		"status of a newer cluster": {fmt.Sprintf(pod, "", "status: {tomorrow: 1}"), ""},
		"of a newer Kubernetes": {fmt.Sprintf(pod, "", "spec: {tomorrow: {x: y}}"),
			"warning spec.tomorrow: unknown field: it is not read"},
		"labels of a template": {fmt.Sprintf(deployment, "",
			"spec: {template: {metadata: {label: {a: b}}}}"),
			"spec.template.metadata.label: unknown field: did you mean labels?"},
		"anything in its metadata": {fmt.Sprintf(deployment, "",
			"spec: {template: {metadata: {tomorrow: b}}}"),
			"spec.template.metadata.tomorrow: unknown field: it would be ignored"},
		"spec of a template": {fmt.Sprintf(deployment, "",
			"spec: {template: {spec: {hostNetWork: true}}}"),
			"spec.template.spec.hostNetWork: unknown field: did you mean hostNetwork?"},
		"misplaced in a workload": {fmt.Sprintf(deployment, "", "spec: {serviceName: x}"),
			"warning spec.serviceName: unknown field: it is not read"},
		"of a CronJob": {of("batch/v1", "CronJob", "spec: {jobTemplate: {spec: {completion: 1}}}"),
			"spec.jobTemplate.spec.completion: unknown field: did you mean completions?"},
		"of a Namespace": {"apiVersion: v1\nkind: Namespace\nmetadata: {name: a, label: {a: b}}",
			"metadata.label: unknown field: did you mean labels?"},
		"selector of a Service": {of("v1", "Service", "spec: {selectors: {a: b}}"),
			"spec.selectors: unknown field: did you mean selector?"},
		"of a Node": {of("v1", "Node", "status: {adresses: []}"),
			"status.adresses: unknown field: did you mean addresses?"},
		"of an EndpointSlice": {of("discovery.k8s.io/v1", "EndpointSlice",
			"addressType: IPv4\nendpoint: []"), "endpoint: unknown field: did you mean endpoints?"},
		"of a policy": {of("networking.k8s.io/v1", "NetworkPolicy", "spec: {podselector: {}}"),
			"spec.podselector: unknown field: did you mean podSelector?"},
		"anything in a policy": {of("networking.k8s.io/v1", "NetworkPolicy",
			"spec: {podSelector: {}, tomorrow: x}"), "spec.tomorrow: unknown field: it would be ignored"},
		"a no-break space": {of("v1", "Pod", "\u00a0\u00a0namespace: x"),
			`"\u00a0\u00a0namespace": unknown field: it would be ignored; check its spelling and its place; its name has a no-break space (U+00A0) in it`},
		"a no-break space in metadata": {"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  \u00a0labels: {a: b}",
			`metadata."\u00a0labels": unknown field: did you mean labels?; its name has a no-break space (U+00A0) in it`},
		"keys with dots are no unknown": {fmt.Sprintf(pod, ", labels: {a.b/c: d}, annotations: {x.y: z}", ""), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			result, err := readText(t, test.text)
			problems := result.Report.Problems
			if test.want == "" {
				if err != nil || len(problems) > 0 {
					t.Errorf("problems %v, error %v", problems, err)
				}
				return
			}
			if len(problems) != 1 {
				t.Fatalf("problems %v, error %v", problems, err)
			}
			want, warning := strings.CutPrefix(test.want, "warning ")
			p := problems[0]
			if got := p.Field + ": " + p.Message; !strings.HasPrefix(got, want) || p.Warning != warning ||
				(err == nil) != warning {
				t.Errorf("warning %t: %s\nerror %v", p.Warning, got, err)
			}
		})
	}
}

// TestValuesAreShownAsWritten proves that a value which YAML does not read as text is shown as written.
func TestValuesAreShownAsWritten(t *testing.T) {
	const label, where = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {x.io/a: %s}}", "metadata.labels.x.io/a"
	tests := map[string]struct{ text, field, want string }{
		"octal": {fmt.Sprintf(label, "00000"), where,
			`the number 0: put it in quotes if it is meant as text; it is written 00000: write "00000"`},
		"yes": {fmt.Sprintf(label, "yes"), where,
			`true: put it in quotes if it is meant as text; it is written yes: write "yes"`},
		"n": {"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  namespace: n", "metadata.namespace",
			`false: put it in quotes if it is meant as text; it is written n: write "n"`},
		"a version": {fmt.Sprintf(label, "1.10"), where,
			`the number 1.1: put it in quotes if it is meant as text; it is written 1.10: write "1.10"`},
		"as it is":     {fmt.Sprintf(label, "7"), where, "the number 7: put it in quotes if it is meant as text"},
		"in a list":    {"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {b: 0x10}}}]", "metadata.labels.b", `it is written 0x10: write "0x10"`},
		"by an anchor": {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {x: &v 010}, labels: {b: *v}}", "metadata.labels.b", `it is written 010: write "010"`},
		"JSON": {`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"b":1.10}}}`,
			"metadata.labels.b", "the number 1.10: put it in quotes if it is meant as text"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			result, _ := readText(t, test.text)
			for _, p := range result.Report.Problems {
				if p.Field == test.field && strings.HasSuffix(p.Message, test.want) {
					return
				}
			}
			t.Errorf("problems %v", result.Report.Problems)
		})
	}
}
