// Package explaintext says an explanation in words: the verdict first, then the side that denies, then the
// closest rules, then the rest.
package explaintext

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netpold/netpold/audit"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

const (
	// maxLines is how many lines a text has that is not wide.
	maxLines = 40
	// maxColumns is how long a line is.
	maxColumns = 120
	// maxRules is how many rules of a side are said that did not decide and are not closest.
	maxRules = 8
	// maxClosest is how many closest rules an answer has at most: of as many, some may be left out.
	maxClosest = 5
	// maxNames is how many policies are named in one line.
	maxNames = 4
)

// Text returns the explanation as lines. A wide one says every rule and each of its entries; another one has at
// most 40 lines. It is ASCII without control characters, whatever the names are.
func Text(r *netpoldv1.ExplainResponse, wide bool) string {
	w := &writer{r: r, wide: wide}
	w.verdict()
	sides := []*side{w.sideOf(netpoldv1.Direction_DIRECTION_EGRESS), w.sideOf(netpoldv1.Direction_DIRECTION_INGRESS)}
	if sides[0].Allowed && !sides[1].Allowed {
		slices.Reverse(sides)
	}
	w.side(sides[0])
	if !sides[0].Allowed && !sides[1].Allowed {
		w.side(sides[1])
	}
	w.closest()
	w.more(sides[0])
	if sides[0].Allowed || sides[1].Allowed {
		w.side(sides[1])
	}
	w.more(sides[1])
	lines := w.lines
	if n := len(lines); !wide && n > maxLines {
		lines = append(slices.Clip(lines[:maxLines-1]),
			fmt.Sprintf("and %d more lines: -o wide prints all", n-maxLines+1))
	}
	return strings.Join(lines, "\n") + "\n"
}

// A writer writes one text.
type writer struct {
	r     *netpoldv1.ExplainResponse
	wide  bool
	lines []string
}

// line adds a line, broken where it is too long.
func (w *writer) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	indent := len(text) - len(strings.TrimLeft(text, " "))
	for len(text) > maxColumns {
		at := strings.LastIndexByte(text[:maxColumns+1], ' ')
		if at <= indent+4 {
			at = maxColumns
		}
		w.lines = append(w.lines, strings.TrimRight(text[:at], " "))
		text = strings.Repeat(" ", indent+4) + strings.TrimLeft(text[at:], " ")
	}
	w.lines = append(w.lines, text)
}

// verdict says the verdict, and how the pair came to be the one that is explained.
func (w *writer) verdict() {
	a := w.r.GetAnswer()
	verdict := "denied"
	if a.GetAllowed() {
		verdict = "allowed"
	}
	w.line("%s %s -> %s %s", verdict, endText(w.r.GetSrc()), endText(w.r.GetDst()),
		portText(w.r.GetPort(), w.r.GetProtocol()))
	if s := w.r.GetService(); s != nil {
		w.line("  an endpoint of svc/%s/%s: its port %d leads to %s, port %d", audit.Printable(s.GetNamespace()),
			audit.Printable(s.GetName()), s.GetPort(), orName(s.GetEndpoint(), w.r.GetDst()), s.GetTargetPort())
	}
	switch total, allowed := a.GetBackendsTotal(), a.GetBackendsAllowed(); {
	case total > 1 && allowed == total:
		w.line("  all %d pairs of source and destination are allowed; this is the first", total)
	case total > 1:
		w.line("  %d of %d pairs of source and destination are allowed; this is the first denied one", allowed, total)
	}
	if family := w.onlyFamily(); family != "" {
		w.line("  in %s alone: the other address family is denied", family)
	}
	if a.GetStale() {
		w.line("  the state is stale: the server has not heard of the cluster for too long")
	}
}

// onlyFamily returns the one family in which the pair is allowed, if both ends have addresses in both.
func (w *writer) onlyFamily() string {
	families := w.r.GetAnswer().GetFamilies()
	if w.r.GetAnswer().GetBackendsTotal() > 0 || len(families) != 1 || !hasBoth(w.r.GetSrc()) || !hasBoth(w.r.GetDst()) {
		return ""
	}
	return map[netpoldv1.IpFamily]string{
		netpoldv1.IpFamily_IP_FAMILY_IPV4: "IPv4", netpoldv1.IpFamily_IP_FAMILY_IPV6: "IPv6",
	}[families[0]]
}

// hasBoth reports whether an end has addresses of both families.
func hasBoth(e *netpoldv1.ExplainedEnd) bool {
	six := func(ip string) bool { return strings.Contains(ip, ":") }
	four := func(ip string) bool { return !six(ip) }
	return slices.ContainsFunc(e.GetIps(), six) && slices.ContainsFunc(e.GetIps(), four)
}

func orName(endpoint string, end *netpoldv1.ExplainedEnd) string {
	if endpoint == "" {
		return endText(end)
	}
	return endpoint
}

// endText returns an end as the words of check write it.
func endText(e *netpoldv1.ExplainedEnd) string {
	switch e.GetKind() {
	case netpoldv1.EndKind_END_KIND_POD, netpoldv1.EndKind_END_KIND_HOST_NETWORK:
		return audit.Printable(e.GetNamespace()) + "/" + audit.Printable(e.GetName())
	case netpoldv1.EndKind_END_KIND_NODE:
		return strings.Join(e.GetIps(), ",")
	case netpoldv1.EndKind_END_KIND_HYPOTHETICAL:
		return audit.Printable(e.GetNamespace()) + "?" + labelsText(e.GetLabels())
	default:
		return strings.Join(e.GetIps(), ",")
	}
}

func labelsText(labels map[string]string) string {
	var parts []string
	for key, value := range labels {
		text := audit.Printable(key) + "="
		if value != "" {
			text += audit.Printable(value)
		}
		parts = append(parts, text)
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

func portText(port uint32, protocol netpoldv1.Protocol) string {
	return fmt.Sprintf("%d/%s", port, protocolText(protocol))
}

func protocolText(protocol netpoldv1.Protocol) string {
	return strings.TrimPrefix(protocol.String(), "PROTOCOL_")
}
