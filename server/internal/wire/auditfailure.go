package wire

import (
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// TooManyAudits refuses an audit beside as many others as the limit. The caller should retry.
func TooManyAudits(limit int) *Failure {
	return &Failure{
		Code: codes.ResourceExhausted, Reason: ReasonTooManyAudits,
		Message: fmt.Sprintf("%d audits are in progress, as many as the server does at once; retry, or raise the "+
			"server's --max-audits", limit),
		Metadata: map[string]string{"limit": strconv.Itoa(limit)},
	}
}

// AuditTooLarge refuses a request because of its field: it leads to actual things, more than limit. A remedy
// says what to ask in its place.
func AuditTooLarge(field, things string, actual, limit int, remedy string) *Failure {
	return &Failure{
		Code: codes.ResourceExhausted, Reason: ReasonAuditTooLarge,
		Message: fmt.Sprintf("%s: %d %s are more than the %d that one audit looks at; %s", field, actual, things,
			limit, remedy),
		Metadata: map[string]string{"field": field, "limit": strconv.Itoa(limit), "actual": strconv.Itoa(actual)},
	}
}

// RequestFailure returns the failure of a request in which a field is wrong, or names what is not there.
func RequestFailure(err *audit.RequestError) *Failure {
	code, reason := queryCode(err.Code)
	if reason == ReasonInvalidQuestion {
		r := RequestReader{Index: Alone}
		r.reject(err.Field, "%s", err.Detail)
		return Invalid(r.Violations)
	}
	return &Failure{
		Code: code, Reason: reason, Message: err.Error(), Metadata: map[string]string{"field": err.Field},
	}
}

// LintRequestFailure returns the failure of a request to lint, with advice on a namespace that is not there.
func LintRequestFailure(s *engine.Snapshot, req *netpoldv1.LintRequest, err *audit.RequestError) *Failure {
	detail := err.Detail
	for i, namespace := range req.GetNamespaces() {
		if err.Field != fmt.Sprintf("namespaces[%d]", i) {
			continue
		}
		if near := nearNamespace(s, engine.Named{Namespace: namespace}); near != "" {
			detail = withAdvice(detail, "did you mean "+near+"?")
		}
	}
	return RequestFailure(&audit.RequestError{Field: err.Field, Code: err.Code, Detail: detail})
}

// CursorExpired refuses a cursor of a list that is no longer kept, or that another server sent. why is one
// clause.
func CursorExpired(why string) *Failure {
	return &Failure{
		Code: codes.FailedPrecondition, Reason: ReasonCursorExpired,
		Message:  "cursor: " + why + "; start the list anew, without a cursor",
		Metadata: map[string]string{"field": "cursor"},
	}
}
