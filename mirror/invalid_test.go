package mirror_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

// TestCountsOfProblems proves that each policy counts once that has something closed (S46), and each rule once
// that has domain names (S40), whatever else is wrong.
func TestCountsOfProblems(t *testing.T) {
	rule := func(action, field string, peers ...any) map[string]any {
		return map[string]any{"action": action, field: peers}
	}
	names := func(name string) map[string]any { return map[string]any{"domainNames": []any{name}} }
	unknown := map[string]any{"services": map[string]any{}}
	block := func(cidr string) map[string]any { return map[string]any{"networks": []any{cidr}} }
	var problems []mirror.Problem
	read := func(kind engine.ClusterPolicyKind, name string, priority int64, egress ...any) {
		spec := map[string]any{"subject": map[string]any{"namespaces": map[string]any{}}, "priority": priority,
			"egress": egress}
		if kind == engine.ClusterNetworkPolicy {
			spec["tier"] = "Admin"
		}
		_, found := convert.ClusterPolicy(kind, &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": name}, "spec": spec,
		}})
		problems = append(problems, found...)
	}
	read(engine.ClusterNetworkPolicy, "a", 1, rule("Accept", "to", unknown), rule("Deny", "to", unknown))
	read(engine.ClusterNetworkPolicy, "b", 1, rule("Accept", "to", unknown, names("a.example")))
	read(engine.AdminNetworkPolicy, "a", 1, rule("Deny", "to", names("a.example")))
	read(engine.ClusterNetworkPolicy, "c", 2000, rule("Accept", "to", names("a.example"), names("b.example")),
		rule("Accept", "to", names("a.example")), rule("Accept", "to", block("10.1.2.3/8")))
	read(engine.AdminNetworkPolicy, "c", 1, rule("Allow", "to", names("a.example")))

	want := map[string]int{"ClusterNetworkPolicy": 2, "AdminNetworkPolicy": 1}
	if d := cmp.Diff(want, mirror.InvalidPolicies(problems)); d != "" {
		t.Errorf("S46 invalid policies: -want +got:\n%s", d)
	}
	want = map[string]int{"ClusterNetworkPolicy": 3, "AdminNetworkPolicy": 1}
	if d := cmp.Diff(want, mirror.DomainNameRules(problems)); d != "" {
		t.Errorf("S40 rules with domain names: -want +got:\n%s", d)
	}
}
