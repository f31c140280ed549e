// Package proxied has what the doors for proxies share: which addresses no connection has, what a question came
// to (P2), and what a denial tells the client behind the proxy (P11).
package proxied

import (
	"fmt"
	"net/netip"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/wire"
)

// A Denial is why a question is denied although no policy denies it: what the client sent is wrong (P3). The
// empty Denial is none.
type Denial string

// The denials. Their names are the values of "reason" (P11).
const (
	// BadSource: the header that names the source has not the one address of a client (P7).
	BadSource Denial = "BAD_SOURCE"
	// PrincipalMissing: there is no SPIFFE principal of the trust domain (P10).
	PrincipalMissing Denial = "PRINCIPAL_MISSING"
	// PrincipalMismatch: the Pods of the source run as another ServiceAccount (P10).
	PrincipalMismatch Denial = "PRINCIPAL_MISMATCH"
)

// WrongAddress returns what is wrong with ip as an end of a connection that a proxy tells of (P5); "" if nothing
// is. In a cluster nothing has such an address, so it is not the real one.
func WrongAddress(ip netip.Addr) string {
	kind := ""
	switch {
	case !ip.IsValid():
		return ""
	case ip.IsLoopback():
		kind = "a loopback"
	case ip.IsUnspecified():
		kind = "an unspecified"
	case ip.IsMulticast():
		kind = "a multicast"
	default:
		return ""
	}
	return fmt.Sprintf("%q is %s address, which nothing in a cluster has: the proxy does not pass on the real one; "+
		"let it (Envoy: use_original_dst or PROXY protocol on its listener; others: X-Forwarded-For), or override the address", ip, kind)
}

// UnknownAddress returns the failure of an address that must be known and is not (P7), or nil. end is src or dst,
// and field is what named the address. An end by name passes.
func UnknownAddress(s *engine.Snapshot, e engine.Endpoint, end, field string) *wire.Failure {
	ip := e.IP()
	if !ip.IsValid() || s.HasAddress(ip) {
		return nil
	}
	return &wire.Failure{
		Code: codes.NotFound, Reason: wire.ReasonUnknownAddress,
		Message: fmt.Sprintf("%s: %s belongs to no Pod, Node or Service, and require_known asks for one; retry, if "+
			"it is a new Pod's", end, ip),
		Metadata: map[string]string{"field": field},
	}
}

// An Outcome is what a question came to: it is denied by Denied, or else failed with Failure, or else decided by
// policies with Response (P2).
type Outcome struct {
	// DecisionID has 32 hex digits (P4).
	DecisionID string
	Denied     Denial
	Failure    *wire.Failure
	// Response is what the policies say; nil if they were not asked, or had no answer.
	Response *netpoldv1.AllowedResponse
	// Decided is the engine's reason in Response.
	Decided engine.Reason
	// Revision and Stale are those of the snapshot; 0 and false without one.
	Revision uint64
	Stale    bool
	// Shadow means that the client is let through, whatever the outcome is (P12).
	Shadow bool
}

// Verdict is the verdict of an [Outcome].
type Verdict string

// The verdicts.
const (
	Allowed Verdict = "allowed"
	Denied  Verdict = "denied"
	Error   Verdict = "error"
)

// Verdict returns the verdict. The zero Outcome is an error.
func (o *Outcome) Verdict() Verdict {
	switch {
	case o.Denied != "":
		return Denied
	case o.Failure != nil || o.Response == nil:
		return Error
	case o.Response.GetAllowed():
		return Allowed
	}
	return Denied
}

// Record returns the outcome for the decision log: an answer or an error. The answer of a question that policies do
// not deny, and [Denial] does, has no reason.
func (o *Outcome) Record() (*netpoldv1.AllowedResponse, *spb.Status) {
	switch {
	case o.Denied != "":
		return &netpoldv1.AllowedResponse{Revision: o.Revision, Stale: o.Stale}, nil
	case o.Failure != nil:
		return nil, o.Failure.Proto()
	}
	return o.Response, nil
}
