package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/spf13/pflag"

	"github.com/netpold/netpold/cmd/config"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// The values of --output.
const (
	textOutput = "text"
	jsonOutput = "json"
)

// addOutput adds -o, which is no setting: a script that reads one form must not get another from its surroundings.
func addOutput(f *pflag.FlagSet, output *string) {
	f.VarP(config.NewChoice(output, textOutput, jsonOutput), "output", "o", "form of the answer")
}

// jsonLine is a message as protojson on one line. Fields that are false or 0 are there: nobody has to know that an absent
// "allowed" denies. protojson varies its white space from build to build on purpose; this does not.
func jsonLine(m proto.Message) ([]byte, error) { return compactJSON(m, true) }

func compactJSON(m proto.Message, defaults bool) ([]byte, error) {
	raw, err := protojson.MarshalOptions{EmitDefaultValues: defaults}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	return line.Bytes(), nil
}

// printJSON prints a message as protojson over several lines.
func printJSON(w io.Writer, m proto.Message) error {
	line, err := jsonLine(m)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, line, "", "  "); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	text.WriteByte('\n')
	return printText(w, text.String())
}

// printText prints, and fails when that fails: an exit code must not vouch for an answer that nobody got.
func printText(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// answerText is a decision for people:
//
//	denied   shop/frontend-0 -> shop/redis-0 6379/TCP
//	  egress:   isolated by shop/default-deny, shop/frontend; no rule of theirs matches
//	  ingress:  rule 0 of policy shop/redis
//	  families: IPv4, IPv6
//	  revision: 7
func answerText(src, dst string, port uint32, protocol string, a *netpoldv1.AllowedResponse) string {
	var b strings.Builder
	verdict := "denied "
	if a.GetAllowed() {
		verdict = "allowed"
	}
	fmt.Fprintf(&b, "%s  %s -> %s %d/%s\n", verdict, src, dst, port, strings.ToUpper(protocol))
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-9s %s\n", name+":", text)
		}
	}
	switch a.GetReason() {
	case netpoldv1.Reason_REASON_SELF:
		line("reason", "a Pod may always reach itself")
	case netpoldv1.Reason_REASON_LOCAL_NODE:
		line("reason", "a Pod and the Node it runs on may always reach each other")
	default:
		line("egress", sideText(a.GetEgress()))
		line("ingress", sideText(a.GetIngress()))
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

func sideText(s *netpoldv1.Side) string {
	isolating := s.GetIsolatedBy()
	switch {
	case s.GetAllowed() && s.GetPolicy() != "":
		return fmt.Sprintf("rule %d of policy %s", s.GetRuleIndex(), s.GetPolicy())
	case s.GetAllowed() && !s.GetIsolated():
		return "not isolated"
	case s.GetAllowed():
		return "allowed"
	case len(isolating) == 0:
		return "denied"
	case len(isolating) == 1:
		return "isolated by " + isolating[0] + "; no rule of it matches"
	default:
		more := ""
		if n := int(s.GetIsolatedByTotal()) - len(isolating); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		return "isolated by " + strings.Join(isolating, ", ") + more + "; no rule of theirs matches"
	}
}

func backendsText(a *netpoldv1.AllowedResponse) string {
	allowed, total := a.GetBackendsAllowed(), a.GetBackendsTotal()
	switch {
	case total == 1:
		return fmt.Sprintf("%d of 1 pair of source and destination is allowed", allowed)
	case allowed == total:
		return fmt.Sprintf("%d of %d pairs of source and destination are allowed; above, the first", allowed, total)
	default:
		return fmt.Sprintf("%d of %d pairs of source and destination are allowed; above, the first denied one", allowed, total)
	}
}

func familiesText(families []netpoldv1.IpFamily) string {
	names := make([]string, len(families))
	for i, family := range families {
		switch family {
		case netpoldv1.IpFamily_IP_FAMILY_IPV4:
			names[i] = "IPv4"
		case netpoldv1.IpFamily_IP_FAMILY_IPV6:
			names[i] = "IPv6"
		default:
			names[i] = family.String()
		}
	}
	return strings.Join(names, ", ")
}
