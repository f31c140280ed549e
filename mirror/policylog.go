package mirror

import (
	"log/slog"
	"slices"

	"github.com/netpold/netpold/engine"
)

// maxPolicyRecords is how many policies of one update get a log record each. If there are more, they share
// one.
const maxPolicyRecords = 10

// LogPolicies logs at info the policies that an update adds, changes and removes, since they may change
// answers. before is the snapshot before the update.
func LogPolicies(log *slog.Logger, before *engine.Snapshot, changes []engine.Change) {
	type record struct{ event, policy, isolates string }
	var records []record
	for _, c := range changes {
		p, ok := c.Object.(*engine.Policy)
		if !ok {
			continue
		}
		old, known := before.Policy(p.Namespace, p.Name)
		r := record{"added", p.Namespace + "/" + p.Name, isolation(p)}
		switch {
		case c.Delete && !known:
			continue
		case c.Delete:
			r.event, r.isolates = "removed", isolation(old)
		case known:
			r.event = "changed"
		}
		records = append(records, r)
	}
	slices.SortStableFunc(records, func(a, b record) int {
		return compareKinds(a.event, a.policy, b.event, b.policy)
	})
	if len(records) <= maxPolicyRecords {
		for _, r := range records {
			log.Info("policy", "event", r.event, "policy", r.policy, "isolates", r.isolates)
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
