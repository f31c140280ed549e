package extauthz

import (
	"strings"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/proto/names"
)

// An account is a ServiceAccount, as a SPIFFE principal names it (P10).
type account struct{ trustDomain, namespace, name string }

// parsePrincipal parses spiffe://TD/ns/NS/sa/SA with exactly these parts.
func parsePrincipal(principal string) (account, bool) {
	rest, ok := strings.CutPrefix(principal, "spiffe://")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 5 || parts[1] != "ns" || parts[3] != "sa" {
		return account{}, false
	}
	a := account{parts[0], parts[2], parts[4]}
	return a, isTrustDomain(a.trustDomain) && names.Namespace(a.namespace) == "" && isTrustDomain(a.name)
}

// isTrustDomain reports whether s has nothing but what SPIFFE allows in a trust domain. Names of ServiceAccounts
// have no other characters either.
func isTrustDomain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

// A standing is how a principal stands to the source (P10). Its values are those of "principal" (P11).
type standing string

const (
	matches    standing = "match"
	mismatches standing = "mismatch"
	absent     standing = "absent"
	// other is no SPIFFE principal, or one of a foreign trust domain.
	other standing = "other"
)

// A demand is what require_principal asks for.
type demand string

const (
	demandNone    demand = "none"
	demandPresent demand = "present"
	demandMatch   demand = "match"
)

// A principal is what the proxy found in the client's certificate.
type principal struct {
	account account
	// standing is absent or other, or empty for an account, which is held against a snapshot.
	standing standing
	demand   demand
}

// of returns how the principal stands to the source in a snapshot. The error is that of the source.
func (p *principal) of(s *engine.Snapshot, src engine.Endpoint) (standing, error) {
	if p.standing != "" {
		return p.standing, nil
	}
	same, err := s.RunsAs(src, p.account.namespace, p.account.name)
	switch {
	case err != nil:
		return mismatches, err
	case same:
		return matches, nil
	}
	return mismatches, nil
}

// missing reports whether a principal is demanded and there is none.
func (p *principal) missing() bool { return p.demand != demandNone && p.standing != "" }
