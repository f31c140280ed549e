package explaintext

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/netpold/netpold/audit"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// rule says what a rule does with the pair.
func (w *writer) rule(r rule) {
	action := ""
	if r.policy.GetKind() != "NetworkPolicy" && r.GetMatched() && r.idle == "" {
		action = map[netpoldv1.Action]string{
			netpoldv1.Action_ACTION_ALLOW: " allows", netpoldv1.Action_ACTION_DENY: " denies",
			netpoldv1.Action_ACTION_PASS: " leaves it to the next tier",
		}[r.GetAction()]
	}
	where := ""
	if w.wide && r.policy.GetFile() != "" {
		where = fmt.Sprintf(" (%s, document %d)", audit.Printable(r.policy.GetFile()), r.policy.GetDocument())
	}
	name := ruleName(r.policy, r.RuleExplanation) + tierText(r.tier, r.policy) + where + action
	if !w.wide {
		and := ", "
		if !r.GetPeerMatched() {
			and = "; "
		}
		w.line("  %s: %s%s%s%s", name, r.idle, w.half("peer", r.GetAnyPeer(), r.GetPeers()), and,
			w.half("port", r.GetAnyPort(), r.GetPorts()))
		return
	}
	w.line("  %s: %s%s", name, r.idle, map[bool]string{true: "matches", false: "does not match"}[r.GetMatched()])
	w.entries("peer", r.GetAnyPeer(), r.GetPeers())
	w.entries("port", r.GetAnyPort(), r.GetPorts())
}

// entries says each entry of a half.
func (w *writer) entries(what string, anything bool, entries []*netpoldv1.Entry) {
	if anything {
		w.line("    any %s matches", what)
	}
	for _, e := range entries {
		if e.GetMatched() {
			w.line("    %s %d matches: %s", what, e.GetIndex(), e.GetDetail())
		} else {
			w.line("    %s %d does not: %s", what, e.GetIndex(), e.GetDetail())
		}
	}
}

// half says the first entry of a half that matches, or all that do not.
func (w *writer) half(what string, anything bool, entries []*netpoldv1.Entry) string {
	if anything {
		return "any " + what + " matches"
	}
	var misses []string
	for _, e := range entries {
		if e.GetMatched() {
			return fmt.Sprintf("%s %d matches (%s)", what, e.GetIndex(), e.GetDetail())
		}
		misses = append(misses, w.miss(what, e))
	}
	if n := len(misses); n > 2 {
		misses = append(misses[:2], fmt.Sprintf("nor do %d more %ss", n-2, what))
	}
	return strings.Join(misses, ", ")
}

// miss says why an entry does not match.
func (w *writer) miss(what string, e *netpoldv1.Entry) string {
	if _, wanted, ok := strings.Cut(e.GetDetail(), ", wanted "); ok && what == "port" {
		switch e.GetWhy() {
		case netpoldv1.Miss_MISS_NUMBER:
			return fmt.Sprintf("port %s does not: %d was asked", wanted, w.r.GetPort())
		case netpoldv1.Miss_MISS_PROTOCOL:
			return fmt.Sprintf("port %s does not: %s was asked", wanted, protocolText(w.r.GetProtocol()))
		default:
		}
	}
	return fmt.Sprintf("%s %d does not: %s", what, e.GetIndex(), e.GetDetail())
}

// closest says what would help, or the rule that denies.
func (w *writer) closest() {
	helped := map[netpoldv1.Direction]bool{}
	for _, c := range w.r.GetClosest() {
		helped[c.GetSide()] = true
		if denier := c.GetDeniedBy(); denier != nil {
			w.line("denied by: %s; %s", refName(denier), w.remedy(c.GetSide()))
			continue
		}
		w.line("closest: %s %s%s", refName(c.GetPolicy()), w.fix(c), w.otherSide(c))
	}
	for _, d := range []netpoldv1.Direction{netpoldv1.Direction_DIRECTION_EGRESS, netpoldv1.Direction_DIRECTION_INGRESS} {
		if s := w.sideOf(d); !s.GetAllowed() && !helped[d] && len(w.r.GetClosest()) < maxClosest {
			w.line("closest: no rule for %s would match after one change", s.name)
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

func refName(r *netpoldv1.RuleRef) string {
	text := fmt.Sprintf("rule %d", r.GetRuleIndex())
	if r.GetRuleName() != "" {
		text += fmt.Sprintf(" %+q", r.GetRuleName())
	}
	return text + " of " + policyName(r.GetKind(), r.GetNamespace(), r.GetName())
}

// fix says what a rule lacks.
func (w *writer) fix(c *netpoldv1.Closest) string {
	other := w.r.GetDst()
	if c.GetSide() == netpoldv1.Direction_DIRECTION_INGRESS {
		other = w.r.GetSrc()
	}
	switch fix := c.GetFix().(type) {
	case *netpoldv1.Closest_OpenPort:
		return fmt.Sprintf("lacks port %s %d", protocolText(fix.OpenPort.GetProtocol()), fix.OpenPort.GetPort())
	case *netpoldv1.Closest_AddCidr:
		return "lacks a peer ipBlock " + fix.AddCidr
	case *netpoldv1.Closest_SetLabels:
		whose := endText(other)
		if fix.SetLabels.GetOfNamespace() {
			whose = "namespace " + audit.Printable(other.GetNamespace())
		}
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(fix.SetLabels.GetLabels())) {
			parts = append(parts, audit.Printable(key)+"="+labelValue(fix.SetLabels.GetLabels()[key]))
		}
		text := "would match " + whose
		if len(parts) > 0 {
			text += " with " + strings.Join(parts, ",")
		}
		var gone []string
		for _, key := range fix.SetLabels.GetRemove() {
			gone = append(gone, audit.Printable(key))
		}
		if len(gone) > 0 {
			text += " without " + strings.Join(gone, ",")
		}
		return text
	default:
		return ""
	}
}

func labelValue(value string) string {
	if value == "" {
		return ""
	}
	return audit.Printable(value)
}
