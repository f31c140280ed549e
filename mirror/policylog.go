package mirror

import (
	"log/slog"
	"slices"

	"github.com/netpold/netpold/engine"
)

// maxPolicyRecords is how many policies of one update get a log record each. If there are more, they share
// one.
const maxPolicyRecords = 10

// LogPolicies logs at info the policies of every kind that an update adds, changes and removes, since they
// may change answers. before is the snapshot before the update.
func LogPolicies(log *slog.Logger, before *engine.Snapshot, changes []engine.Change) {
	var records []policyRecord
	for _, c := range changes {
		r, known := recordOf(before, c.Object, c.Delete)
		switch {
		case r.policy == "", c.Delete && !known:
			continue
		case c.Delete:
			r.event = "removed"
		case known:
			r.event = "changed"
		default:
			r.event = "added"
		}
		records = append(records, r)
	}
	slices.SortStableFunc(records, func(a, b policyRecord) int {
		return compareKinds(a.event, a.policy, b.event, b.policy)
	})
	if len(records) <= maxPolicyRecords {
		for _, r := range records {
			log.Info("policy", "event", r.event, "policy", r.policy, r.effect, r.value)
		}
		return
	}
	counts := map[string]int{}
	var names []string
	for _, r := range records {
		counts[r.event]++
		if len(names) < maxPolicyRecords {
			names = append(names, r.policy)
		}
	}
	log.Info("many policies changed", "added", counts["added"], "changed", counts["changed"],
		"removed", counts["removed"], "first", names)
}

// policyRecord is what the log says of one policy.
type policyRecord struct {
	event, policy string
	// effect is "isolates" for a NetworkPolicy and "tier" for a cluster-wide policy, and value says which.
	effect, value string
}

// PolicyName returns the name of a policy of any kind for people: "namespace/name" of a NetworkPolicy, the kind
// and name of a cluster-wide policy. It is empty for other objects.
func PolicyName(o engine.Object) string {
	switch p := o.(type) {
	case *engine.Policy:
		return p.Namespace + "/" + p.Name
	case *engine.ClusterPolicy:
		return p.Kind.String() + " " + p.Name
	}
	return ""
}

// recordOf returns the record of a policy without its event, and whether before has the policy. For a
// deletion the record is that of the policy in before. It is empty for other objects.
func recordOf(before *engine.Snapshot, o engine.Object, gone bool) (policyRecord, bool) {
	switch p := o.(type) {
	case *engine.Policy:
		old, known := before.Policy(p.Namespace, p.Name)
		if gone && known {
			p = old
		}
		return policyRecord{policy: PolicyName(p), effect: "isolates", value: isolation(p)}, known
	case *engine.ClusterPolicy:
		old, known := before.ClusterPolicy(p.Kind, p.Name)
		if gone && known {
			p = old
		}
		return policyRecord{policy: PolicyName(p), effect: "tier", value: p.Tier.String()}, known
	}
	return policyRecord{}, false
}

// isolation returns the directions that a policy isolates, in words.
func isolation(p *engine.Policy) string {
	switch {
	case p.IsolatesIngress && p.IsolatesEgress:
		return "ingress and egress"
	case p.IsolatesIngress:
		return "ingress"
	case p.IsolatesEgress:
		return "egress"
	}
	return "nothing"
}
