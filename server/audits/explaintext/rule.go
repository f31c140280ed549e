package explaintext

import (
	"maps"
	"slices"
	"strings"

	"github.com/netpold/netpold/audit"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// rule says what a rule does with the pair.
func (w *writer) rule(r rule) {
	w.add("  ")
	w.ruleName(r.policy, r.RuleExplanation)
	w.tier(r.tier, r.policy)
	if w.wide && r.policy.GetFile() != "" {
		w.add(" (", audit.Printable(r.policy.GetFile()), ", document ")
		w.number(int(r.policy.GetDocument()))
		w.add(")")
	}
	if r.policy.GetKind() != "NetworkPolicy" && r.GetMatched() && r.idle == "" {
		w.add(actionText(r.GetAction()))
	}
	w.add(": ", r.idle)
	if !w.wide {
		w.half("peer", r.GetAnyPeer(), r.GetPeers())
		if r.GetPeerMatched() {
			w.add(", ")
		} else {
			w.add("; ")
		}
		w.half("port", r.GetAnyPort(), r.GetPorts())
		w.end()
		return
	}
	if r.GetMatched() {
		w.line("matches")
	} else {
		w.line("does not match")
	}
	w.entries("peer", r.GetAnyPeer(), r.GetPeers())
	w.entries("port", r.GetAnyPort(), r.GetPorts())
}

// actionText returns what a rule of a tier does.
func actionText(a netpoldv1.Action) string {
	switch a {
	case netpoldv1.Action_ACTION_ALLOW:
		return " allows"
	case netpoldv1.Action_ACTION_DENY:
		return " denies"
	case netpoldv1.Action_ACTION_PASS:
		return " leaves it to the next tier"
	default:
		return ""
	}
}

// entries says each entry of a half.
func (w *writer) entries(what string, anything bool, entries []*netpoldv1.Entry) {
	if anything {
		w.line("    any ", what, " matches")
	}
	for _, e := range entries {
		w.add("    ", what, " ")
		w.number(int(e.GetIndex()))
		if e.GetMatched() {
			w.line(" matches: ", e.GetDetail())
		} else {
			w.line(" does not: ", e.GetDetail())
		}
	}
}

// maxMisses is how many entries of a half that do not match are said.
const maxMisses = 2

// half says the first entry of a half that matches, or those that do not.
func (w *writer) half(what string, anything bool, entries []*netpoldv1.Entry) {
	if anything {
		w.add("any ", what, " matches")
		return
	}
	if i := slices.IndexFunc(entries, (*netpoldv1.Entry).GetMatched); i >= 0 {
		w.add(what, " ")
		w.number(int(entries[i].GetIndex()))
		w.add(" matches (", entries[i].GetDetail(), ")")
		return
	}
	for i, e := range entries {
		if i > 0 {
			w.add(", ")
		}
		if i == maxMisses {
			w.add("nor do ")
			w.number(len(entries) - maxMisses)
			w.add(" more ", what, "s")
			return
		}
		w.miss(what, e)
	}
}

// miss says why an entry does not match.
func (w *writer) miss(what string, e *netpoldv1.Entry) {
	if _, wanted, ok := strings.Cut(e.GetDetail(), ", wanted "); ok && what == "port" {
		switch e.GetWhy() {
		case netpoldv1.Miss_MISS_NUMBER:
			w.add("port ", wanted, " does not: ")
			w.number(int(w.r.GetPort()))
			w.add(" was asked")
			return
		case netpoldv1.Miss_MISS_PROTOCOL:
			w.add("port ", wanted, " does not: ", protocolText(w.r.GetProtocol()), " was asked")
			return
		default:
		}
	}
	w.add(what, " ")
	w.number(int(e.GetIndex()))
	w.add(" does not: ", e.GetDetail())
}

// closest says what would help, or the rule that denies.
func (w *writer) closest() {
	for _, c := range w.r.GetClosest() {
		if denier := c.GetDeniedBy(); denier != nil {
			w.add("denied by: ")
			w.refName(denier)
			w.line("; ", w.remedy(c.GetSide()))
			continue
		}
		w.add("closest: ")
		w.refName(c.GetPolicy())
		w.add(" ")
		w.fix(c)
		w.line(w.otherSide(c))
	}
	for _, d := range [...]netpoldv1.Direction{netpoldv1.Direction_DIRECTION_EGRESS, netpoldv1.Direction_DIRECTION_INGRESS} {
		helps := func(c *netpoldv1.Closest) bool { return c.GetSide() == d }
		if s := w.sideOf(d); !s.GetAllowed() && len(w.r.GetClosest()) < maxClosest &&
			!slices.ContainsFunc(w.r.GetClosest(), helps) {
			w.line("closest: no rule for ", s.name, " would match after one change")
		}
	}
}

// otherSide says what the other side does once a fix is made, unless it goes on to allow.
func (w *writer) otherSide(c *netpoldv1.Closest) string {
	d := netpoldv1.Direction_DIRECTION_EGRESS
	if c.GetSide() == d {
		d = netpoldv1.Direction_DIRECTION_INGRESS
	}
	other := w.sideOf(d)
	switch denies := !other.GetAllowed(); {
	case denies && c.GetOtherSideDenies():
		return "; " + other.name + " would still deny"
	case denies:
		return "; " + other.name + " would then allow too"
	case c.GetOtherSideDenies():
		return "; " + other.name + " would then deny"
	}
	return ""
}

// remedy says what NetworkPolicies can do about a rule of a tier that denies.
func (w *writer) remedy(d netpoldv1.Direction) string {
	s := w.sideOf(d)
	for _, t := range s.GetTiers() {
		if t.GetDecided() && t.GetTier() == netpoldv1.Tier_TIER_BASELINE {
			return "a NetworkPolicy that isolates " + endText(s.end) + " for " + s.name + " would be asked first"
		}
	}
	return "no NetworkPolicy is a remedy"
}

// fix says what a rule lacks.
func (w *writer) fix(c *netpoldv1.Closest) {
	other := w.r.GetDst()
	if c.GetSide() == netpoldv1.Direction_DIRECTION_INGRESS {
		other = w.r.GetSrc()
	}
	switch fix := c.GetFix().(type) {
	case *netpoldv1.Closest_OpenPort:
		w.add("lacks port ", protocolText(fix.OpenPort.GetProtocol()), " ")
		w.number(int(fix.OpenPort.GetPort()))
	case *netpoldv1.Closest_AddCidr:
		w.add("lacks a peer ipBlock ", fix.AddCidr)
	case *netpoldv1.Closest_SetLabels:
		if fix.SetLabels.GetOfNamespace() {
			w.add("would match namespace ", audit.Printable(other.GetNamespace()))
		} else {
			w.add("would match ", endText(other))
		}
		between := " with "
		for _, key := range slices.Sorted(maps.Keys(fix.SetLabels.GetLabels())) {
			w.add(between, audit.Printable(key), "=", labelValue(fix.SetLabels.GetLabels()[key]))
			between = ","
		}
		between = " without "
		for _, key := range fix.SetLabels.GetRemove() {
			w.add(between, audit.Printable(key))
			between = ","
		}
	default:
	}
}

func labelValue(value string) string {
	if value == "" {
		return ""
	}
	return audit.Printable(value)
}
