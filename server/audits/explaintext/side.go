package explaintext

import (
	"slices"
	"strconv"

	"github.com/netpold/netpold/audit"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A side is one side of an explanation, and the rules of it that were not said yet.
type side struct {
	*netpoldv1.SideExplanation
	direction netpoldv1.Direction
	name      string
	end       *netpoldv1.ExplainedEnd
	rest      []rule
}

// A rule is a rule with its policy.
type rule struct {
	tier   *netpoldv1.TierExplanation
	policy *netpoldv1.PolicyExplanation
	// idle is why it had no effect; empty if it may have had.
	idle string
	*netpoldv1.RuleExplanation
}

func (w *writer) sideOf(d netpoldv1.Direction) *side {
	if d == netpoldv1.Direction_DIRECTION_EGRESS {
		return &side{SideExplanation: w.r.GetEgress(), direction: d, name: "egress", end: w.r.GetSrc()}
	}
	return &side{SideExplanation: w.r.GetIngress(), direction: d, name: "ingress", end: w.r.GetDst()}
}

// side says why a side allows or denies, with the rules that decided or are closest. The other rules are left
// for more.
func (w *writer) side(s *side) {
	w.add(s.name, ": ")
	w.why(s)
	w.end()
	for _, t := range s.GetTiers() {
		for _, p := range t.GetPolicies() {
			for _, r := range p.GetRules() {
				one := rule{t, p, s.idle(t, r), r}
				if r.GetDecided() || w.isClosest(s, p, r) || passes(&one) {
					w.rule(one)
				} else if r.GetReached() {
					s.rest = append(s.rest, one)
				} else if w.wide {
					s.rest = append(s.rest, one)
				}
			}
		}
	}
}

// passes reports whether a rule is the one that led to the next tier.
func passes(r *rule) bool {
	return r.GetMatched() && r.idle == "" && r.tier.GetTier() != netpoldv1.Tier_TIER_NETWORK_POLICY
}

// idle returns why what a rule says had no effect, as it begins a text; empty if it may have had.
func (s *side) idle(t *netpoldv1.TierExplanation, r *netpoldv1.RuleExplanation) string {
	decided := s.decided()
	counts := s.GetExempt() == netpoldv1.Exemption_EXEMPTION_UNSPECIFIED || decided != nil ||
		t.GetTier() == netpoldv1.Tier_TIER_NETWORK_POLICY
	if r.GetAction() == netpoldv1.Action_ACTION_PASS && !s.isExemptFromAll() {
		counts = true // it led to the tier that has the exemption
	}
	switch {
	case decided != nil && slices.Index(s.GetTiers(), decided) < slices.Index(s.GetTiers(), t):
		return "not asked; "
	case !r.GetReached():
		return "not reached; "
	case r.GetMatched() && !counts:
		return "did not count; "
	}
	return ""
}

// isExemptFromAll reports whether the exemption is before all tiers whatever the options are (S44).
func (s *side) isExemptFromAll() bool {
	return s.GetExempt() == netpoldv1.Exemption_EXEMPTION_SELF ||
		s.GetExempt() == netpoldv1.Exemption_EXEMPTION_LOCAL_NODE && s.name == "ingress"
}

// decided returns the tier that decided, or nil.
func (s *side) decided() *netpoldv1.TierExplanation {
	for _, t := range s.GetTiers() {
		if t.GetDecided() {
			return t
		}
	}
	return nil
}

func (w *writer) isClosest(s *side, p *netpoldv1.PolicyExplanation, r *netpoldv1.RuleExplanation) bool {
	for _, c := range w.r.GetClosest() {
		ref := c.GetPolicy()
		if c.GetSide() == s.direction && ref.GetKind() == p.GetKind() && ref.GetNamespace() == p.GetNamespace() &&
			ref.GetName() == p.GetName() && ref.GetRuleIndex() == r.GetIndex() {
			return true
		}
	}
	return false
}

// more says the rules of a side that were not said yet, and what is left out.
func (w *writer) more(s *side) {
	rest := s.rest
	if !w.wide && len(rest) > maxRules {
		rest = rest[:maxRules]
	}
	if len(rest) > 0 {
		w.line("other rules of ", s.name, ":")
	}
	for _, r := range rest {
		w.rule(r)
	}
	if left := len(s.rest) - len(rest); left > 0 {
		w.add("  and ")
		w.number(left)
		w.line(" more: -o wide prints them")
	}
	for _, t := range s.GetTiers() {
		if left := int(t.GetPoliciesTotal()) - len(t.GetPolicies()); left > 0 {
			w.add("  and ")
			w.number(left)
			w.line(" more policies of ", s.name, ", which are too many to list")
		}
	}
}

// why says why a side allows or denies.
func (w *writer) why(s *side) {
	if !s.GetApplies() {
		w.add("no policy concerns ", kindText(s.end), ", so it allows")
		return
	}
	exempt := exemptText(s.GetExempt())
	decided := s.decided()
	switch {
	case decided == nil && exempt == "":
		w.add("allows: no policy isolates ", endText(s.end))
		return
	case exempt != "" && (decided == nil || decided.GetTier() == netpoldv1.Tier_TIER_NETWORK_POLICY):
		w.add("allows: ", exempt)
		return
	}
	for _, p := range decided.GetPolicies() {
		for _, r := range p.GetRules() {
			if !r.GetDecided() {
				continue
			}
			if s.GetAllowed() {
				w.add("allowed by ")
			} else {
				w.add("denied by ")
			}
			w.ruleName(p, r)
			w.tier(decided, p)
			return
		}
	}
	if s.GetAllowed() {
		w.add("allows")
		return
	}
	w.add("isolated by ")
	w.policies(decided)
	hasRules := func(p *netpoldv1.PolicyExplanation) bool { return len(p.GetRules()) > 0 }
	if len(decided.GetPolicies()) > 0 && decided.GetPoliciesTotal() > 0 ||
		slices.ContainsFunc(decided.GetPolicies(), hasRules) {
		w.add("; no rule matches")
	} else {
		w.add("; there are no rules")
	}
}

func kindText(e *netpoldv1.ExplainedEnd) string {
	switch e.GetKind() {
	case netpoldv1.EndKind_END_KIND_HOST_NETWORK:
		return "the host-network Pod " + endText(e)
	case netpoldv1.EndKind_END_KIND_NODE:
		if e.GetNode() == "" {
			return "a Node's address"
		}
		return "the Node " + audit.Printable(e.GetNode())
	default:
		return "an address outside the cluster"
	}
}

func exemptText(x netpoldv1.Exemption) string {
	switch x {
	case netpoldv1.Exemption_EXEMPTION_SELF:
		return "a Pod may always reach itself"
	case netpoldv1.Exemption_EXEMPTION_LOCAL_NODE:
		return "a Pod and the Node that it runs on may reach each other"
	case netpoldv1.Exemption_EXEMPTION_HAIRPIN:
		return "a Pod may reach itself through a Service"
	default:
		return ""
	}
}

// policyName says a policy as it is named in words: a NetworkPolicy by namespace and name alone.
func (w *writer) policyName(kind, namespace, name string) {
	if kind == "NetworkPolicy" {
		w.add(audit.Printable(namespace), "/", audit.Printable(name))
		return
	}
	w.add(kind, " ", audit.Printable(name))
}

// ruleName says a rule as it is named in words. Example: "rule 0 of shop/db".
func (w *writer) ruleName(p *netpoldv1.PolicyExplanation, r *netpoldv1.RuleExplanation) {
	w.rulePlace(r.GetIndex(), r.GetName())
	w.policyName(p.GetKind(), p.GetNamespace(), p.GetName())
}

// refName says a rule that an answer names, as ruleName does.
func (w *writer) refName(r *netpoldv1.RuleRef) {
	w.rulePlace(r.GetRuleIndex(), r.GetRuleName())
	w.policyName(r.GetKind(), r.GetNamespace(), r.GetName())
}

// rulePlace says which rule of a policy is meant.
func (w *writer) rulePlace(index uint32, name string) {
	w.add("rule ")
	w.number(int(index))
	if name != "" {
		w.add(" ")
		w.text = strconv.AppendQuoteToASCII(w.text, name)
	}
	w.add(" of ")
}

// tier says the tier of a cluster-wide policy and its priority, in brackets.
func (w *writer) tier(t *netpoldv1.TierExplanation, p *netpoldv1.PolicyExplanation) {
	switch t.GetTier() {
	case netpoldv1.Tier_TIER_ADMIN:
		w.add(" (Admin")
	case netpoldv1.Tier_TIER_BASELINE:
		w.add(" (Baseline")
	default:
		return
	}
	if p.Priority != nil {
		w.add(", priority ")
		w.number(int(p.GetPriority()))
	}
	w.add(")")
}

// policies names the policies of a tier.
func (w *writer) policies(t *netpoldv1.TierExplanation) {
	shown := t.GetPolicies()[:min(len(t.GetPolicies()), maxNames)]
	for i, p := range shown {
		if i > 0 {
			w.add(", ")
		}
		w.policyName(p.GetKind(), p.GetNamespace(), p.GetName())
	}
	total := max(int(t.GetPoliciesTotal()), len(t.GetPolicies()))
	if more := total - len(shown); more > 0 {
		w.add(" and ")
		w.number(more)
		w.add(" more")
	}
}
