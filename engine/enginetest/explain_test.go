package enginetest_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// TestExplainNeverContradicts asks random clusters to decide and to explain: the explanation has the
// decision's sides, and each of its flags is what the rules say, read one by one.
func TestExplainNeverContradicts(t *testing.T) {
	t.Parallel()
	seeds := uint64(300)
	if testing.Short() || enginetest.UnderRace {
		seeds = 40
	}
	met := map[engine.Miss]int{}
	exempt := map[engine.Exemption]int{}
	for seed := range seeds {
		r := enginetest.NewRandom(seed)
		if seed%3 != 0 {
			r.WithTiers()
		}
		options := engine.Options{
			IPBlockIgnoresPods: seed%4 == 3, LocalAboveTiers: seed%8 == 5,
			DecideOwnNode: seed%5 == 2, DecideOwnService: seed%5 == 3, IgnorePolicies: seed%31 == 30,
			JoinDirections: seed%3 == 1,
		}
		cluster, state := engine.NewCluster(options), enginetest.State{}
		batch := r.Churn(state)
		for _, o := range r.Cluster() {
			batch = append(batch, engine.Change{Object: o})
		}
		for range 5 {
			state.Apply(batch)
			s := apply(cluster, batch)
			oracle := &enginetest.Oracle{Objects: state.Objects(), Options: options}
			for range 40 {
				q := r.Question(oracle.Objects)
				e, failure := explained(s, oracle, q)
				if failure != "" {
					t.Fatalf("seed %d: %s: %s\n%s", seed, q, failure, enginetest.ObjectsText(oracle.Objects))
				}
				countMisses(&e, met)
				exempt[e.Egress.Exempt]++
				exempt[e.Ingress.Exempt]++
			}
			batch = r.Churn(state)
		}
	}
	for miss := engine.MissNone; miss <= engine.MissNameIsOther; miss++ {
		if met[miss] == 0 && !testing.Short() && !enginetest.UnderRace {
			t.Errorf("no entry met the miss %d", miss)
		}
	}
	for x := engine.NotExempt; x <= engine.ExemptHairpin; x++ {
		if exempt[x] == 0 && !testing.Short() && !enginetest.UnderRace {
			t.Errorf("no side met the exemption %d", x)
		}
	}
}

// explained returns the explanation of q, and how it contradicts the decision or the rules.
func explained(
	s *engine.Snapshot, oracle *enginetest.Oracle, q enginetest.Question,
) (engine.Explanation, string) {
	d, err := s.Allowed(q.Query())
	e, explainErr := s.Explain(nil, q.Query(), math.MaxInt)
	if err != nil || explainErr != nil {
		if fmt.Sprint(err) != fmt.Sprint(explainErr) {
			return e, fmt.Sprintf("Allowed: %v; Explain: %v", err, explainErr)
		}
		return e, ""
	}
	pair := e.Decision
	pair.Families, d.Families, pair.BackendsAllowed, pair.BackendsTotal = 0, 0, 0, 0
	d.BackendsAllowed, d.BackendsTotal = 0, 0
	if diff := enginetest.Diff(pair, nil, d, nil); diff != "" {
		return e, "the pair's decision: " + diff
	}
	for _, side := range []*engine.SideExplanation{&e.Egress, &e.Ingress} {
		if failure := walked(side); failure != "" {
			return e, failure
		}
	}
	return e, oracle.DiffExplanation(q, &e)
}

// walked returns how the tiers of a side, taken in their order, contradict its verdict (S32).
func walked(side *engine.SideExplanation) string {
	decided, tiers := 0, 0
	allowed := true
	for _, t := range side.Tiers {
		if t.Decided {
			decided++
		}
		if len(t.Policies) == 0 || t.Verdict == engine.Pass || tiers > 0 {
			continue
		}
		tiers, allowed = tiers+1, t.Verdict == engine.Allow
		if side.Exempt == engine.NotExempt && !t.Decided {
			return fmt.Sprintf("tier %v speaks first and did not decide", t.Tier)
		}
	}
	switch {
	case decided > 1:
		return fmt.Sprintf("%d tiers decided", decided)
	case side.Exempt == engine.NotExempt && (decided != tiers || side.Allowed != allowed):
		return fmt.Sprintf("%d tiers decided, want %d; allowed %v, want %v", decided, tiers, side.Allowed, allowed)
	}
	return ""
}

// countMisses counts the misses of an explanation.
func countMisses(e *engine.Explanation, met map[engine.Miss]int) {
	for _, side := range []*engine.SideExplanation{&e.Egress, &e.Ingress} {
		for _, t := range side.Tiers {
			for _, p := range t.Policies {
				for _, r := range p.Rules {
					for _, x := range r.Peers {
						met[x.Why]++
					}
					for _, x := range r.Ports {
						met[x.Why]++
					}
				}
			}
		}
	}
}
