package cli

import (
	"fmt"
	"strings"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/render"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// answerText returns a decision for people, as check prints it, the verdict first. It has the lines "from"
// and "to" only if the answer has details.
//
//	denied   shop/other-0 -> svc/shop/cart 80/TCP
//	  from:     shop/other-0, a Pod of deploy/shop/other on Node node-1, 10.0.0.3
//	  to:       shop/cart-0, a Pod on Node node-1, 10.0.0.2, port 8080/TCP
//	  egress:   allowed: no policy isolates the source
//	  ingress:  denied: 2 policies isolate the destination, and no rule of theirs matches
//	            shop/cart
//	            shop/default-deny
//	  backends: 1 of 3 pairs of source and destination are allowed; above, the first denied one
//	  revision: 7
func answerText(q *netpoldv1.AllowedRequest, a *netpoldv1.AllowedResponse) string {
	var b strings.Builder
	verdict := "denied "
	if a.GetAllowed() {
		verdict = "allowed"
	}
	fmt.Fprintf(&b, "%s  %s -> %s %s\n", verdict, netpold.FormatEndpoint(q.GetSrc()),
		netpold.FormatEndpoint(q.GetDst()),
		portText(q.GetPort(), q.GetProtocol()))
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-9s %s\n", name+":", text)
		}
	}
	line("from", resolvedText(a.GetSrc(), q.GetSrc()))
	line("to", resolvedText(a.GetDst(), q.GetDst())+decidedPortText(q, a))
	exempt := exemptionText(a)
	line("reason", exempt)
	if exempt == "" || hasClusterPolicy(a.GetEgress()) {
		line("egress", sideText(a, a.GetEgress(), "source", a.GetSrc()))
	}
	if exempt == "" || hasClusterPolicy(a.GetIngress()) {
		line("ingress", sideText(a, a.GetIngress(), "destination", a.GetDst()))
	}
	line("families", familiesText(a.GetFamilies()))
	if total := a.GetBackendsTotal(); total > 0 {
		line("backends", backendsText(a))
	}
	line("revision", fmt.Sprint(a.GetRevision()))
	if a.GetStale() {
		line("stale", "the server has not heard of the cluster for too long; see 'netpold status'")
	}
	return b.String()
}

// exemptionText returns why NetworkPolicies do not matter (S2, S3); "" if they do. Where a cluster-wide policy
// decided a side, others might deny it too (S44).
func exemptionText(a *netpoldv1.AllowedResponse) string {
	tiers := hasClusterPolicy(a.GetEgress()) || hasClusterPolicy(a.GetIngress())
	switch reason := a.GetReason(); {
	case reason == netpoldv1.Reason_REASON_SELF && tiers:
		return "a Pod to itself, which no NetworkPolicy denies"
	case reason == netpoldv1.Reason_REASON_LOCAL_NODE && tiers:
		return "a Pod to the Node it runs on, which no NetworkPolicy denies"
	case reason == netpoldv1.Reason_REASON_SELF:
		return "a Pod may always reach itself"
	case reason == netpoldv1.Reason_REASON_LOCAL_NODE:
		return "a Pod and the Node it runs on may always reach each other"
	}
	return ""
}

// hasClusterPolicy reports whether a rule of a cluster-wide policy decided a side.
func hasClusterPolicy(s *netpoldv1.Side) bool {
	return s.GetTier() == netpoldv1.Tier_TIER_ADMIN || s.GetTier() == netpoldv1.Tier_TIER_BASELINE
}

func portText(port uint32, protocol netpoldv1.Protocol) string {
	if protocol == netpoldv1.Protocol_PROTOCOL_UNSPECIFIED {
		protocol = netpoldv1.Protocol_PROTOCOL_TCP
	}
	return fmt.Sprintf("%d/%s", port, strings.TrimPrefix(protocol.String(), "PROTOCOL_"))
}

// decidedPortText returns the port and protocol that were decided; "" if they are those of the question.
func decidedPortText(q *netpoldv1.AllowedRequest, a *netpoldv1.AllowedResponse) string {
	if a.GetPort() == 0 || a.GetDst() == nil {
		return ""
	}
	decided := portText(a.GetPort(), a.GetProtocol())
	if decided == portText(q.GetPort(), q.GetProtocol()) {
		return ""
	}
	return ", port " + decided
}

// resolvedText returns what one endpoint turned out to be, in words; "" if the answer has no details. It names the Service
// unless the question does.
func resolvedText(r *netpoldv1.Resolved, asked *netpoldv1.Endpoint) string {
	var words []string
	add := func(format, word string) {
		if word != "" {
			words = append(words, fmt.Sprintf(format, word))
		}
	}
	switch r.GetKind() {
	case netpoldv1.ResolvedKind_RESOLVED_KIND_POD:
		words = append(words, r.GetNamespace()+"/"+r.GetName(), podText("a Pod", r))
		add("%s", r.GetIp())
	case netpoldv1.ResolvedKind_RESOLVED_KIND_HOST_NETWORK_POD:
		words = append(words, r.GetNamespace()+"/"+r.GetName(), podText("a host-network Pod", r))
		add("%s", r.GetIp())
	case netpoldv1.ResolvedKind_RESOLVED_KIND_NODE:
		words = append(words, "the Node "+r.GetNode())
		add("%s", r.GetIp())
	case netpoldv1.ResolvedKind_RESOLVED_KIND_EXTERNAL:
		words = append(words, r.GetIp(), "outside the cluster")
	case netpoldv1.ResolvedKind_RESOLVED_KIND_HYPOTHETICAL:
		words = append(words, "any Pod of namespace "+r.GetNamespace()+" with these labels")
		add("%s", r.GetIp())
	default:
		return ""
	}
	if s := r.GetService(); s != nil && asked.GetService() == nil {
		add("behind %s", netpold.FormatEndpoint(netpold.Service(s.GetNamespace(), s.GetName())))
	}
	return strings.Join(words, ", ")
}

// podText returns a kind of Pod with its workload and Node, if they are known.
func podText(kind string, r *netpoldv1.Resolved) string {
	if w := r.GetWorkload(); w != nil {
		kind += " of " + netpold.FormatEndpoint(netpold.Workload(w.GetNamespace(), w.GetKind(), w.GetName()))
	}
	if r.GetNode() != "" {
		kind += " on Node " + r.GetNode()
	}
	return kind
}

// sideText returns why one side of an answer allows or denies. end is "source" or "destination". r is nil if the answer
// has no details.
func sideText(a *netpoldv1.AllowedResponse, s *netpoldv1.Side, end string, r *netpoldv1.Resolved) string {
	isolating := s.GetIsolatedBy()
	total := max(int(s.GetIsolatedByTotal()), len(isolating))
	switch {
	case hasClusterPolicy(s):
		return clusterRuleText(s)
	case s.GetAllowed() && s.GetPolicy() != "":
		return "allowed by " + ruleText(s.GetRuleIndex()) + " of policy " + s.GetPolicy()
	case s.GetAllowed() && !s.GetIsolated():
		return "allowed: " + notIsolatedText(end, r)
	case s.GetAllowed() && s.GetTier() == netpoldv1.Tier_TIER_NETWORK_POLICY && areTwoPods(a): // --joined-directions
		return "allowed by a rule for the other direction of a policy that selects both ends"
	case s.GetAllowed() && s.GetTier() == netpoldv1.Tier_TIER_NETWORK_POLICY: // S44
		return "allowed: policies isolate the " + end + ", but not from itself through a Service"
	case s.GetAllowed():
		return "allowed"
	case total == 0:
		return "denied"
	case total == 1:
		return fmt.Sprintf("denied: policy %s isolates the %s, and no rule of it matches", isolating[0], end)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "denied: %d policies isolate the %s, and no rule of theirs matches", total, end)
	for _, policy := range isolating {
		b.WriteString("\n            " + policy)
	}
	if more := total - len(isolating); more > 0 {
		fmt.Fprintf(&b, "\n            and %d more", more)
	}
	return b.String()
}

// areTwoPods reports whether an answer tells of its ends, and they are different Pods.
func areTwoPods(a *netpoldv1.AllowedResponse) bool {
	src, dst := a.GetSrc(), a.GetDst()
	return src != nil && dst != nil &&
		(src.GetName() == "" || src.GetName() != dst.GetName() || src.GetNamespace() != dst.GetNamespace())
}

// clusterRuleText returns the rule of a cluster-wide policy that decided a side, in words (S52):
//
//	denied by ClusterNetworkPolicy no-db (Admin, priority 10), rule 3 "to-db"
func clusterRuleText(s *netpoldv1.Side) string {
	verdict := "denied"
	if s.GetAllowed() {
		verdict = "allowed"
	}
	tier := "Admin"
	if s.GetTier() == netpoldv1.Tier_TIER_BASELINE {
		tier = "Baseline"
	}
	if s.Priority != nil {
		tier += fmt.Sprintf(", priority %d", s.GetPriority())
	}
	rule := ruleText(s.GetRuleIndex())
	if s.GetRuleName() != "" {
		rule = fmt.Sprintf("rule %d %q", s.GetRuleIndex(), s.GetRuleName())
	}
	return fmt.Sprintf("%s by %s %s (%s), %s", verdict, s.GetKind(), s.GetPolicy(), tier, rule)
}

// notIsolatedText returns why no policy restricts one endpoint.
func notIsolatedText(end string, r *netpoldv1.Resolved) string {
	switch r.GetKind() {
	case netpoldv1.ResolvedKind_RESOLVED_KIND_HOST_NETWORK_POD:
		return "no policy can select a host-network Pod"
	case netpoldv1.ResolvedKind_RESOLVED_KIND_NODE:
		return "no policy can select a Node"
	case netpoldv1.ResolvedKind_RESOLVED_KIND_EXTERNAL:
		return "no policy can select what is outside the cluster"
	default:
		return "no policy isolates the " + end
	}
}

// ruleText returns a rule as policies and as people count it. Example: "rule 0 (first)".
func ruleText(index uint32) string {
	ordinals := []string{"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
		"tenth"}
	if int(index) < len(ordinals) {
		return fmt.Sprintf("rule %d (%s)", index, ordinals[index])
	}
	n := index + 1
	suffix := "th"
	if tens := n % 100; tens < 11 || tens > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("rule %d (%d%s)", index, n, suffix)
}

func backendsText(a *netpoldv1.AllowedResponse) string {
	allowed, total := a.GetBackendsAllowed(), a.GetBackendsTotal()
	switch {
	case total == 1:
		return fmt.Sprintf("%d of 1 pair of source and destination is allowed", allowed)
	case allowed == total:
		return fmt.Sprintf("%d of %d pairs of source and destination are allowed; above, the first", allowed, total)
	default:
		return fmt.Sprintf("%d of %d pairs of source and destination are allowed; above, the first denied one",
			allowed, total)
	}
}

func familiesText(families []netpoldv1.IpFamily) string {
	return strings.Join(render.FamilyWords(families), ", ")
}
