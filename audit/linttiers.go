package audit

import (
	"slices"

	"github.com/netpold/netpold/engine"
)

// lintTies finds cluster-wide policies of one tier and priority with a Pod in common. The later one, as
// netpold asks them, names all before it.
func (l *linter) lintTies() {
	if !l.wants(PriorityTie) {
		return
	}
	ties := map[*lintPolicy][]*lintPolicy{}
	for _, c := range l.classes {
		for j, b := range c.ClusterPolicies {
			for _, a := range c.ClusterPolicies[:j] {
				later, earlier := l.byObject[b], l.byObject[a]
				if later.tiesWith(earlier) && !slices.Contains(ties[later], earlier) {
					ties[later] = append(ties[later], earlier)
				}
			}
		}
	}
	for _, p := range l.policies {
		with := ties[p]
		if len(with) == 0 {
			continue
		}
		slices.SortFunc(with, func(a, b *lintPolicy) int { return a.number - b.number })
		by := Rule{ClusterPolicy: with[0].cluster}
		f := p.finding(PriorityTie, "has priority %d of the %s tier, and so has %s; both select a Pod",
			p.cluster.Priority, p.cluster.Tier, by.ruleWords())
		if len(with) > 1 {
			f = p.finding(PriorityTie, "has priority %d of the %s tier, and so have %s and %d more that select a Pod "+
				"with it", p.cluster.Priority, p.cluster.Tier, by.ruleWords(), len(with)-1)
		}
		for _, o := range with {
			f.By = append(f.By, Rule{ClusterPolicy: o.cluster})
		}
		l.add(f, p.subjectContent())
	}
}

// tiesWith reports whether two policies have no order but by name and kind (S34). A BaselineAdminNetworkPolicy
// has no priority, and is after all others.
func (p *lintPolicy) tiesWith(o *lintPolicy) bool {
	a, b := *p.cluster, *o.cluster
	a.Name, b.Name = "", ""
	if a.Kind != b.Kind {
		isLast := func(q *lintPolicy) bool { return q.key.Kind == engine.KindBaselineAdminNetworkPolicy }
		if isLast(p) || isLast(o) {
			return false
		}
		a.Kind = b.Kind
	}
	return a.Tier == b.Tier && a.Compare(&b) == 0
}
