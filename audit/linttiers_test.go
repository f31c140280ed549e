package audit_test

import (
	"slices"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// In a cluster of many Pods a rule of a cluster-wide policy is redundant exactly when the difference between the
// cluster with and without it is empty, if it matches anything.
func TestLintFindsRulesThatDifferencesAreEmptyWithout(t *testing.T) {
	if testing.Short() || enginetest.UnderRace {
		t.Skip("takes long")
	}
	t.Parallel()
	s := halfOpen(synthetic.Size{Pods: 2000, Policies: 200})
	var changes []engine.Change
	policies := synthetic.ClusterPolicies(20, 8)
	for _, p := range policies {
		changes = append(changes, engine.Change{Object: p})
	}
	s = s.With(changes)
	idle := map[engine.ObjectKey]bool{} // policies that select nothing
	redundant, dead := map[ruleName]bool{}, map[ruleName]bool{}
	for _, f := range lint(t, s) {
		name := ruleName{f.Policy, f.Direction, f.Rule}
		redundant[name] = redundant[name] || f.Code == audit.RuleRedundant
		idle[f.Policy] = idle[f.Policy] || f.Code == audit.SelectsNothing
		dead[name] = dead[name] || f.Code == audit.RuleMatchesNothing || f.Code == audit.RuleCovered
	}
	found := 0
	for _, p := range policies {
		for _, d := range []audit.Direction{audit.Egress, audit.Ingress} {
			rules := p.Egress
			if d == audit.Ingress {
				rules = p.Ingress
			}
			for i := range rules {
				name := ruleName{engine.KeyOf(p), d, i}
				if dead[name] || idle[name.policy] {
					continue
				}
				less := *p
				if d == audit.Egress {
					less.Egress = slices.Delete(slices.Clone(rules), i, i+1)
				} else {
					less.Ingress = slices.Delete(slices.Clone(rules), i, i+1)
				}
				after := s.With([]engine.Change{{Object: &less}})
				want := diff(t, s, after, &audit.DiffRequest{Nodes: true}) == 0
				if redundant[name] != want {
					t.Errorf("%v: found redundant: %t, the difference is empty: %t", name, redundant[name], want)
				}
				if want {
					found++
				}
			}
		}
	}
	if found == 0 {
		t.Error("no rule is redundant")
	}
}
