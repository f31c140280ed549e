package forwardauth

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync/atomic"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/netpold/netpold/server/internal/proxied"
)

// The headers of an answer, besides those of a denial (P16), as net/http keeps them.
const (
	headerDecisionID = "X-Netpold-Decision-Id"
	headerVerdict    = "X-Netpold-Verdict"
	headerRevision   = "X-Netpold-Revision"
	headerShadow     = "X-Netpold-Shadow"
)

// The values of headers that many answers have, which nobody modifies.
var (
	verdicts = map[proxied.Verdict][]string{
		proxied.Allowed: {string(proxied.Allowed)}, proxied.Denied: {string(proxied.Denied)},
		proxied.Error: {string(proxied.Error)},
	}
	inShadow = []string{"true"}
)

const typeJSON = "application/json"

// write writes an outcome, and returns its status (P16).
func (s *Service) write(w http.ResponseWriter, o *proxied.Outcome) (status int) {
	h, verdict := w.Header(), o.Verdict()
	h[headerDecisionID] = []string{o.DecisionID}
	h[headerVerdict] = verdicts[verdict]
	if o.Revision != 0 {
		h[headerRevision] = s.revision.header(o.Revision)
	}
	if o.Shadow {
		h[headerShadow] = inShadow
	}
	switch {
	case verdict == proxied.Denied:
		status = http.StatusForbidden
	case verdict == proxied.Allowed || o.Shadow:
		return http.StatusOK // net/http writes it by itself, and sooner: it need not keep the headers from changes
	case o.Failure.Code == codes.InvalidArgument:
		body, err := protojson.Marshal(o.Failure.Proto())
		if err != nil { // never: all details are known
			body = nil
		}
		return writeBody(w, http.StatusBadRequest, typeJSON, string(body)+"\n")
	default:
		h.Set("Retry-After", "1")
		body, err := json.Marshal(map[string]string{
			"code": code.Code(o.Failure.Code).String(), "decision_id": o.DecisionID,
		})
		if err != nil {
			body = nil
		}
		return writeBody(w, http.StatusServiceUnavailable, typeJSON, string(body)+"\n")
	}
	if o.Shadow {
		status = http.StatusOK
	}
	o.EachHeader(s.door.DenyDetail, h.Set)
	if text := o.Text(s.door.DenyDetail); text != "" {
		return writeBody(w, status, "text/plain; charset=utf-8", text)
	}
	w.WriteHeader(status)
	return status
}

// A revision remembers the header of the last revision: most answers have it.
type revision struct {
	last atomic.Pointer[revisionHeader]
}

type revisionHeader struct {
	revision uint64
	values   []string
}

// header returns the values of the header of a revision, which must not be modified.
func (r *revision) header(number uint64) []string {
	last := r.last.Load()
	if last == nil || last.revision != number {
		last = &revisionHeader{number, []string{strconv.FormatUint(number, 10)}}
		r.last.Store(last)
	}
	return last.values
}

// writeBody writes a status with a body, and returns the status.
func writeBody(w http.ResponseWriter, status int, contentType, body string) int {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// If writing fails, the reader is gone, and nobody else needs to know.
	_, _ = w.Write([]byte(body))
	return status
}
