package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/netpold/netpold/audit/propose"
)

// ProposalHeader returns the comments before the policies of a proposal: what they rest on, what was left out,
// and what came of the check. left counts flows that were left out, by the reason.
func ProposalHeader(p *propose.Proposal, c *propose.Check, left map[string]uint64) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "# "+format+"\n", args...) }
	mode := "default-deny"
	if p.Mode == propose.Missing {
		mode = "missing"
	}
	n := p.Counts
	line("netpold audit --as-policies=%s, from %s flows%s.", mode, Thousands(n.Admitted), Span(p.Span.First, p.Span.Last))
	policies := false
	for i := range p.Policies {
		policies = policies || p.Policies[i].Isolates != [2]bool{}
	}
	if !policies {
		line("Nothing to propose: no policy would admit more of them.")
	} else {
		line("Each policy stands alone: leave out what you do not want. What nobody was seen to need is denied. Other")
		line("Pods that get these labels later are meant too, and so is everything behind an address.")
		line("Checked: the policies open %s of Pods and close %s.", counted(c.Opened, "pair"), counted(c.Closed, "pair"))
		if c.OwnNode {
			line("A Pod that gets isolated for egress also reaches its own Node, where a baseline policy denies that today.")
		}
	}
	skipped := maps.Clone(left)
	for why, count := range map[string]uint64{
		"denied by the network": n.Denied, "unresolved": n.Unresolved, "more connections than are told apart": n.Overflow,
		"between a Pod and itself or its Node": n.Exempt, "without a Pod that policies concern": n.NoPod,
	} {
		if count > 0 {
			skipped[why] += count
		}
	}
	for _, why := range slices.Sorted(maps.Keys(skipped)) {
		line("Left out: %s, %s", counted(skipped[why], "flow"), why)
	}
	for _, u := range p.Without {
		line("No policy for %s: no labels tell its Pods apart.", UnitWords(u))
	}
	for i := range p.Policies {
		if policy := &p.Policies[i]; policy.Isolates == [2]bool{} {
			for j := range policy.Open {
				line("No policy for %s: %s.", UnitWords(policy.Unit), OpenWords(policy, &policy.Open[j]))
			}
		}
	}
	for i := range c.Denied {
		line("Stays denied: %s", DeniedWords(&c.Denied[i]))
	}
	return []byte(b.String())
}

// DeniedWords says which connection is denied with a proposal, and by which side.
func DeniedWords(d *propose.DeniedConnection) string {
	text := fmt.Sprintf("%s -> %s %d/%s (%s), at %s", ProposalEnd(&d.Src), ProposalEnd(&d.Dst), d.Port, d.Protocol,
		counted(d.Flows, "flow"), d.Direction)
	if d.By != nil {
		text += ", by " + Clean(d.By.Kind.String()+" "+d.By.Name) + ", which no NetworkPolicy overrides"
	}
	return text
}
