package render

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/proto/jsontext"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Clean returns text without what could change how text around it looks: control characters, marks that
// change the direction of text, other runes that do not print, and bytes that are not UTF-8. Each is written
// as Go writes it. Example: \x1b.
func Clean(text string) string {
	if !strings.ContainsFunc(text, jsontext.Hidden) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case !jsontext.Hidden(r):
			b.WriteRune(r)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// maxPort is the last port.
const maxPort = 65535

// Ports returns ranges of ports in words. Examples: "TCP 80,443-445; UDP 53"; "all" for every port of every
// protocol; "" for none.
func Ports(ranges []*netpoldv1.PortRange) string {
	if allPorts(ranges) {
		return "all"
	}
	var b strings.Builder
	last := netpoldv1.Protocol_PROTOCOL_UNSPECIFIED
	for i, r := range ranges {
		switch {
		case i == 0:
			b.WriteString(Protocol(r.GetProtocol()) + " ")
		case r.GetProtocol() != last:
			b.WriteString("; " + Protocol(r.GetProtocol()) + " ")
		default:
			b.WriteByte(',')
		}
		last = r.GetProtocol()
		b.WriteString(strconv.FormatUint(uint64(r.GetFirst()), 10))
		if r.GetLast() != r.GetFirst() {
			b.WriteString("-" + strconv.FormatUint(uint64(r.GetLast()), 10))
		}
	}
	return b.String()
}

// allPorts reports whether ranges are every port of every protocol.
func allPorts(ranges []*netpoldv1.PortRange) bool {
	if len(ranges) != len(netpoldv1.Protocol_name)-1 { // without PROTOCOL_UNSPECIFIED
		return false
	}
	for _, r := range ranges {
		if r.GetFirst() != 1 || r.GetLast() != maxPort {
			return false
		}
	}
	return true
}

// Protocol returns a protocol's name. Example: "TCP".
func Protocol(p netpoldv1.Protocol) string { return strings.TrimPrefix(p.String(), "PROTOCOL_") }

// Families returns address families in words. Example: "IPv4,IPv6".
func Families(families []netpoldv1.IpFamily) string { return strings.Join(FamilyWords(families), ",") }

// noFamilies says that no family is among the families of an allowed connection: the ends share none, or pairs
// of Pods of two workloads do.
const noFamilies = "none in common"

// FamilyWords returns the word of each address family.
func FamilyWords(families []netpoldv1.IpFamily) []string {
	words := make([]string, len(families))
	for i, f := range families {
		switch f {
		case netpoldv1.IpFamily_IP_FAMILY_IPV4:
			words[i] = "IPv4"
		case netpoldv1.IpFamily_IP_FAMILY_IPV6:
			words[i] = "IPv6"
		default:
			words[i] = f.String()
		}
	}
	return words
}

// Rule returns a rule in words: "shop/db rule 0" for a NetworkPolicy, and with its kind for a cluster-wide
// policy. It returns "" for no rule.
func Rule(r *netpoldv1.RuleRef) string {
	if r.GetName() == "" {
		return ""
	}
	name := r.GetName()
	if r.GetNamespace() != "" {
		name = r.GetNamespace() + "/" + name
	} else if r.GetKind() != "" {
		name = r.GetKind() + " " + name
	}
	text := fmt.Sprintf("%s rule %d", name, r.GetRuleIndex())
	if r.GetRuleName() != "" {
		text += " " + strconv.Quote(r.GetRuleName())
	}
	return Clean(text)
}

// WorkloadWords returns a workload in the words of check. Example: "deploy/shop/web".
func WorkloadWords(w *netpoldv1.WorkloadRef) string {
	return Clean(netpold.FormatEndpoint(netpold.Workload(w.GetNamespace(), w.GetKind(), w.GetName())))
}

// counted returns a number of things. Example: "1 Pod", "2 Pods".
func counted(n uint64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatUint(n, 10) + " " + one + "s"
}
