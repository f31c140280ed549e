package audit_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// rule-never-reached is found exactly when the rule matches something, and earlier rules of its tier match it
// too: when the rule, as the only one of the tier that denies, denies nothing, although it would alone.
func TestLintFindsRulesThatAreNeverReached(t *testing.T) {
	t.Parallel()
	found := 0
	for seed := range uint64(80) {
		r := enginetest.NewRandom(seed + 30_000).WithTiers()
		objects := append(r.Cluster(), r.Cluster()...)
		state := enginetest.State{}
		for _, o := range objects {
			state[engine.KeyOf(o)] = o
		}
		objects = state.Objects()
		options := engine.Options{}
		got := map[ruleName]bool{}
		for _, f := range lint(t, snapshotOf(objects, options)) {
			if f.Code == audit.RuleNeverReached {
				got[ruleName{f.Policy, f.Direction, f.Rule}] = true
				found++
			}
		}
		inside, addresses, outside := ways(objects, options)
		eachRule(objects, func(name ruleName, u *engine.Rule) {
			if name.policy.Kind == engine.KindPolicy {
				return
			}
			denies := func(rest []engine.Object) bool {
				all := verdicts(t, snapshotOf(rest, options), inside, addresses, outside)
				return slices.ContainsFunc(all, func(ports string) bool {
					return ports != fmt.Sprint(engine.EveryPort())
				})
			}
			want := denies(alone(objects, name, true)) && !denies(alone(objects, name, false))
			if got[name] != want {
				t.Errorf("seed %d: %v is never reached: %t, found: %t: %s", seed, name, want, got[name], enginetest.Text(u))
			}
		})
	}
	if found == 0 {
		t.Error("it was never found")
	}
}

// alone returns the objects with a rule that denies and, unless it is to be the only one, the other rules of its
// tier and direction as ones that allow. There are no other rules.
func alone(objects []engine.Object, name ruleName, only bool) []engine.Object {
	tier := engine.NoTier
	for _, o := range objects {
		if p, ok := o.(*engine.ClusterPolicy); ok && engine.KeyOf(o) == name.policy {
			tier = p.Tier
		}
	}
	var list []engine.Object
	for _, o := range objects {
		switch p := enginetest.Clone(o).(type) {
		case *engine.Policy:
		case *engine.ClusterPolicy:
			mine := engine.KeyOf(o) == name.policy
			if p.Tier != tier || only && !mine {
				continue
			}
			rules := &p.Egress
			if name.direction == audit.Egress {
				p.Ingress = nil
			} else {
				p.Egress, rules = nil, &p.Ingress
			}
			for i := range *rules {
				(*rules)[i].Action = engine.Allow
				if mine && i == name.index {
					(*rules)[i].Action = engine.Deny
				}
			}
			if only {
				*rules = (*rules)[name.index : name.index+1]
			}
			list = append(list, p)
		default:
			list = append(list, p)
		}
	}
	return list
}
