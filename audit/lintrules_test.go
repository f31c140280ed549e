package audit_test

import (
	"slices"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// N1: a rule is redundant exactly when it matches something, no other covers it, and the policy verdicts of
// all ends are the same without it. A rule that is never reached, or matches nothing, changes nothing either.
func TestN1Redundant(t *testing.T) {
	t.Parallel()
	seeds := uint64(150)
	if testing.Short() {
		seeds = 30
	}
	told := map[audit.Code]int{}
	for seed := range seeds {
		objects, options := random(seed)
		s := snapshotOf(objects, options)
		found := map[audit.Code]map[ruleName]bool{}
		dead := map[engine.ObjectKey]bool{}
		for _, f := range lint(t, s) {
			if found[f.Code] == nil {
				found[f.Code] = map[ruleName]bool{}
			}
			found[f.Code][ruleName{f.Policy, f.Direction, f.Rule}] = true
			told[f.Code]++
			dead[f.Policy] = dead[f.Policy] || f.Code == audit.SelectsNothing
		}
		inside, addresses, outside := ways(objects, options)
		before := verdicts(t, s, inside, addresses, outside)
		unchanged := func(rules map[ruleName]bool) bool {
			return slices.Equal(before, verdicts(t, snapshotOf(without(objects, rules), options), inside, addresses, outside))
		}
		eachRule(objects, func(name ruleName, r *engine.Rule) {
			same := unchanged(map[ruleName]bool{name: true})
			for _, c := range []audit.Code{
				audit.RuleRedundant, audit.RuleCovered, audit.RuleMatchesNothing, audit.RuleNeverReached,
			} {
				if found[c][name] && !same {
					t.Errorf("seed %d: %s of %v, but verdicts change without it: %s", seed, c, name,
						enginetest.Text(r))
				}
			}
			if same && !dead[name.policy] && !found[audit.RuleRedundant][name] && !found[audit.RuleCovered][name] &&
				!found[audit.RuleMatchesNothing][name] && matchesSomething(objects, options, name) {
				t.Errorf("seed %d: %v changes nothing, and nothing says so: %s", seed, name, enginetest.Text(r))
			}
		})
		if !unchanged(found[audit.RuleCovered]) {
			t.Errorf("seed %d: verdicts change without all covered rules", seed)
		}
	}
	for _, c := range []audit.Code{
		audit.RuleRedundant, audit.RuleCovered, audit.RuleMatchesNothing, audit.RuleNeverReached,
	} {
		if told[c] == 0 {
			t.Errorf("%s was never found", c)
		}
	}
	t.Log(told)
}

// matchesSomething reports whether a rule matches any connection of a Pod that its policy selects: whether,
// alone in place of all policies and with the opposite default, it changes any verdict.
func matchesSomething(objects []engine.Object, options engine.Options, name ruleName) bool {
	var kept []engine.Object
	for _, o := range objects {
		switch x := enginetest.Clone(o).(type) {
		case *engine.Policy:
			if engine.KeyOf(o) != name.policy {
				continue
			}
			if name.direction == audit.Egress && x.IsolatesEgress {
				x.Ingress, x.Egress, x.IsolatesIngress = nil, x.Egress[name.index:name.index+1], false
			} else if name.direction == audit.Ingress && x.IsolatesIngress {
				x.Egress, x.Ingress, x.IsolatesEgress = nil, x.Ingress[name.index:name.index+1], false
			} else {
				return false // S12
			}
			kept = append(kept, x)
		case *engine.ClusterPolicy:
			if engine.KeyOf(o) != name.policy {
				continue
			}
			if name.direction == audit.Egress {
				x.Ingress, x.Egress = nil, x.Egress[name.index:name.index+1]
				x.Egress[0].Action = engine.Deny
			} else {
				x.Egress, x.Ingress = nil, x.Ingress[name.index:name.index+1]
				x.Ingress[0].Action = engine.Deny
			}
			kept = append(kept, x)
		default:
			kept = append(kept, x)
		}
	}
	inside, addresses, outside := ways(objects, options)
	t := &testing.T{}
	return !slices.Equal(
		verdicts(t, snapshotOf(kept, options), inside, addresses, outside),
		verdicts(t, snapshotOf(without(kept, map[ruleName]bool{{name.policy, name.direction, 0}: true}), options),
			inside, addresses, outside),
	)
}
