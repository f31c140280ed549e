package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Want is what is expected of an answer. What the file does not give is not compared.
type Want struct {
	// Error is the expected error; nil where a decision is expected.
	Error   *WantError
	Allowed bool
	Reason  netpoldv1.Reason
	// Egress and Ingress are "namespace/policy#rule", "Kind/policy#rule" or "Kind/policy#rule:name" of a
	// cluster-wide policy, or "-" for no rule; empty where not given.
	Egress, Ingress string
	// EgressTier and IngressTier are ADMIN, NETWORK_POLICY, BASELINE, or "-" for no tier; empty where not given.
	EgressTier, IngressTier string
	// IsolatedBy are the policies of the side that Reason names; nil where not given.
	IsolatedBy []string
	// Families are those in which it is allowed; nil where not given, empty for none.
	Families []netpoldv1.IpFamily
	// Backends are how many of how many; nil where not given.
	Backends *Backends
	// Notes are the codes of the notes, in order; nil where not given, empty for none. They ask for details.
	Notes []string
}

// Backends are AllowedResponse's backends_allowed and backends_total.
type Backends struct{ Allowed, Total uint32 }

// WantError is an expected error.
type WantError struct {
	Code codes.Code
	// Reason is google.rpc.ErrorInfo.reason.
	Reason string
	// End is "src" or "dst"; empty where not given.
	End string
	// Field is google.rpc.BadRequest's field path; empty where not given. An error of a field is one of the
	// request, which only the service and the command see.
	Field string
}

func parseWant(text string) (Want, error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return Want{}, errors.New(`expects neither "allowed REASON", "denied REASON" nor "error CODE REASON"`)
	}
	if words[0] == "error" {
		return parseWantError(words[1:])
	}
	if words[0] != "allowed" && words[0] != "denied" {
		return Want{}, fmt.Errorf("verdict %q is none of allowed, denied and error", words[0])
	}
	w := Want{Allowed: words[0] == "allowed"}
	reason := netpoldv1.Reason_value["REASON_"+words[1]]
	if reason == 0 {
		return Want{}, fmt.Errorf("reason %q is unknown", words[1])
	}
	w.Reason = netpoldv1.Reason(reason)
	for i, word := range words[2:] {
		key, _, _ := strings.Cut(word, "=")
		if slices.ContainsFunc(words[2:2+i], func(s string) bool { return strings.HasPrefix(s, key+"=") }) {
			return Want{}, fmt.Errorf("%q comes twice", key)
		}
		if err := w.check(word); err != nil {
			return Want{}, err
		}
	}
	return w, nil
}

// check reads one KEY=VALUE.
func (w *Want) check(word string) error {
	key, value, _ := strings.Cut(word, "=")
	if value == "" {
		return fmt.Errorf("%q is not KEY=VALUE", word)
	}
	switch key {
	case "egress":
		w.Egress = value
		return ruleOf(value)
	case "ingress":
		w.Ingress = value
		return ruleOf(value)
	case "egress_tier":
		w.EgressTier = value
		return tierOf(value)
	case "ingress_tier":
		w.IngressTier = value
		return tierOf(value)
	case "isolated_by":
		w.IsolatedBy = strings.Split(value, ",")
		if denied(w.Reason) == sideNone {
			return fmt.Errorf("isolated_by is for DENIED_AT_EGRESS and DENIED_AT_INGRESS, not for %s", w.Reason)
		}
	case "families":
		families, ok := map[string][]netpoldv1.IpFamily{
			"-": {}, "4": {netpoldv1.IpFamily_IP_FAMILY_IPV4}, "6": {netpoldv1.IpFamily_IP_FAMILY_IPV6},
			"4,6": {netpoldv1.IpFamily_IP_FAMILY_IPV4, netpoldv1.IpFamily_IP_FAMILY_IPV6},
		}[value]
		if !ok {
			return fmt.Errorf("families %q is none of 4; 6; 4,6 and -", value)
		}
		w.Families = families
	case "notes":
		w.Notes = []string{}
		if value != "-" {
			w.Notes = strings.Split(value, ",")
		}
	case "backends":
		of := strings.SplitN(value, "/", 2)
		n, err := strconv.ParseUint(of[0], 10, 32)
		total, errTotal := strconv.ParseUint(of[len(of)-1], 10, 32)
		if err != nil || errTotal != nil || len(of) != 2 || n > total {
			return fmt.Errorf("backends %q is not ALLOWED/TOTAL", value)
		}
		w.Backends = &Backends{Allowed: uint32(n), Total: uint32(total)}
	default:
		return fmt.Errorf("%q is none of egress, ingress, egress_tier, ingress_tier, isolated_by, families, "+
			"backends and notes", key)
	}
	return nil
}

// tierOf checks that value is "-" or a tier.
func tierOf(value string) error {
	if _, ok := netpoldv1.Tier_value["TIER_"+value]; value != "-" && (!ok || value == "UNSPECIFIED") {
		return fmt.Errorf("tier %q is none of ADMIN, NETWORK_POLICY, BASELINE and -", value)
	}
	return nil
}

// ruleOf checks that value is "-" or NAMESPACE/POLICY#RULE, with KIND for the namespace of a cluster-wide
// policy, and perhaps the rule's name after a colon.
func ruleOf(value string) error {
	policy, rule, ok := strings.Cut(value, "#")
	rule, _, _ = strings.Cut(rule, ":")
	if _, err := strconv.ParseUint(rule, 10, 32); value != "-" &&
		(!ok || err != nil || !strings.Contains(policy, "/")) {
		return fmt.Errorf("rule %q is neither NAMESPACE/POLICY#RULE nor -", value)
	}
	return nil
}

func parseWantError(words []string) (Want, error) {
	if len(words) < 2 {
		return Want{}, errors.New("an error is CODE REASON")
	}
	w := &WantError{Reason: words[1]}
	if err := w.Code.UnmarshalJSON([]byte(strconv.Quote(words[0]))); err != nil {
		return Want{}, fmt.Errorf("code %q: %w", words[0], err)
	}
	for _, word := range words[2:] {
		field, isField := strings.CutPrefix(word, "field=")
		switch {
		case (word == "src" || word == "dst") && w.End == "":
			w.End = word
		case isField && field != "" && w.Field == "":
			w.Field = field
		default:
			return Want{}, fmt.Errorf("%q of an error is none of src, dst and field=PATH, or comes twice", word)
		}
	}
	return Want{Error: w}, nil
}

// denyingSide is the side that a reason names.
type denyingSide uint8

const (
	sideNone denyingSide = iota
	sideEgress
	sideIngress
)

func denied(reason netpoldv1.Reason) denyingSide {
	switch reason {
	case netpoldv1.Reason_REASON_DENIED_AT_EGRESS:
		return sideEgress
	case netpoldv1.Reason_REASON_DENIED_AT_INGRESS:
		return sideIngress
	default:
		return sideNone
	}
}
