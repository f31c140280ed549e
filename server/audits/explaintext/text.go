// Package explaintext says an explanation in words: the verdict first, then the side that denies, then the
// closest rules, then the rest.
package explaintext

import (
	"bytes"
	"slices"
	"strconv"
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
	w := &writer{r: r, wide: wide, text: make([]byte, 0, 2048), starts: make([]int, 0, maxLines)}
	w.verdict()
	sides := [...]*side{w.sideOf(netpoldv1.Direction_DIRECTION_EGRESS), w.sideOf(netpoldv1.Direction_DIRECTION_INGRESS)}
	if sides[0].Allowed && !sides[1].Allowed {
		sides[0], sides[1] = sides[1], sides[0]
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
	if n := len(w.starts); !wide && n > maxLines {
		w.text = append(w.text[:w.starts[maxLines-1]], "and "...)
		w.text = strconv.AppendInt(w.text, int64(n-maxLines+1), 10)
		w.text = append(w.text, " more lines: -o wide prints all\n"...)
	}
	return string(w.text)
}

// A writer writes one text. Most of a text is a few hundred bytes here and there, so all that writes a part of a
// line appends to one buffer.
type writer struct {
	r    *netpoldv1.ExplainResponse
	wide bool
	text []byte
	// starts are where lines begin.
	starts []int
	// begun is where the line begins that is not ended yet.
	begun int
}

// add appends parts to the line.
func (w *writer) add(parts ...string) {
	for _, p := range parts {
		w.text = append(w.text, p...)
	}
}

// number appends a number to the line.
func (w *writer) number(n int) { w.text = strconv.AppendInt(w.text, int64(n), 10) }

// line appends parts to the line and ends it.
func (w *writer) line(parts ...string) {
	w.add(parts...)
	w.end()
}

// end ends the line, which is broken if it is too long.
func (w *writer) end() {
	if len(w.text)-w.begun > maxColumns {
		w.breakLine()
	}
	w.starts, w.text = append(w.starts, w.begun), append(w.text, '\n')
	w.begun = len(w.text)
}

// breakLine breaks the line into some that are short enough; the last of them is not ended.
func (w *writer) breakLine() {
	line := w.text[w.begun:]
	indent := len(line) - len(bytes.TrimLeft(line, " ")) + 4
	for len(line) > maxColumns {
		at := bytes.LastIndexByte(line[:maxColumns+1], ' ')
		if at <= indent {
			at = maxColumns
		}
		end, rest := len(bytes.TrimRight(line[:at], " ")), len(line)-len(bytes.TrimLeft(line[at:], " "))
		w.text = slices.Replace(w.text, w.begun+end, w.begun+rest, []byte("\n        "[:1+indent])...)
		w.starts, w.begun = append(w.starts, w.begun), w.begun+end+1
		line = w.text[w.begun:]
	}
}

// verdict says the verdict, and how the pair came to be the one that is explained.
func (w *writer) verdict() {
	a := w.r.GetAnswer()
	verdict := "denied"
	if a.GetAllowed() {
		verdict = "allowed"
	}
	w.line(verdict, " ", endText(w.r.GetSrc()), " -> ", endText(w.r.GetDst()), " ",
		portText(w.r.GetPort(), w.r.GetProtocol()))
	if s := w.r.GetService(); s != nil {
		w.add("  an endpoint of svc/", audit.Printable(s.GetNamespace()), "/", audit.Printable(s.GetName()))
		w.add(": its port ")
		w.number(int(s.GetPort()))
		w.add(" leads to ", orName(s.GetEndpoint(), w.r.GetDst()), ", port ")
		w.number(int(s.GetTargetPort()))
		w.end()
	}
	switch total, allowed := a.GetBackendsTotal(), a.GetBackendsAllowed(); {
	case total > 1 && allowed == total:
		w.add("  all ")
		w.number(int(total))
		w.line(" pairs of source and destination are allowed; this is the first")
	case total > 1:
		w.add("  ")
		w.number(int(allowed))
		w.add(" of ")
		w.number(int(total))
		w.line(" pairs of source and destination are allowed; this is the first denied one")
	}
	if family := w.onlyFamily(); family != "" {
		w.line("  in ", family, " alone: the other address family is denied")
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
	return strconv.Itoa(int(port)) + "/" + protocolText(protocol)
}

func protocolText(protocol netpoldv1.Protocol) string {
	switch protocol {
	case netpoldv1.Protocol_PROTOCOL_TCP:
		return "TCP"
	case netpoldv1.Protocol_PROTOCOL_UDP:
		return "UDP"
	case netpoldv1.Protocol_PROTOCOL_SCTP:
		return "SCTP"
	default:
		return strings.TrimPrefix(protocol.String(), "PROTOCOL_")
	}
}
