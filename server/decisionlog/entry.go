package decisionlog

import (
	"context"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/decisionid"
)

// An entry is one call, or one message of a stream, on its way to the writer. It stands for n records. Entries
// are reused.
type entry struct {
	call
	at   time.Time
	took time.Duration
	// n is the number of records. weight is what they count for in the queue: at least n.
	n, weight int
	// rate is the share of allowed answers that is written.
	rate float64

	// One question with its answer or its error. What failed as a whole has no question.
	question *netpoldv1.AllowedRequest
	answer   *netpoldv1.AllowedResponse
	fail     *spb.Status

	// A batch, and the indices of its questions to write; nil for all.
	batch   *netpoldv1.BatchAllowedRequest
	answers []*netpoldv1.BatchAnswer
	chosen  []uint32

	// Questions of a message of a stream, the errors of those that have one, and the snapshot of all.
	rows     *block
	fails    []*spb.Status
	revision uint64
	stale    bool
}

// A call is what the records of one call share.
type call struct {
	id     decisionid.ID
	method string
	// peer is nil for a caller without an address.
	peer                   *peer.Peer
	traceparent, requestID string
	// shadow means that the caller's client passes, whatever the answer is (P12).
	shadow bool
}

// callOf returns what a record says of the caller. The writer reads the certificate.
func callOf(ctx context.Context, id decisionid.ID, method string) call {
	c := call{id: id, method: method}
	c.peer, _ = peer.FromContext(ctx)
	c.traceparent = first(metadata.ValueFromIncomingContext(ctx, "traceparent"))
	c.requestID = first(metadata.ValueFromIncomingContext(ctx, "x-request-id"))
	return c
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// weighed is how many bytes of messages a record may hold in the queue before it counts as several.
const weighed = 1 << 10

// weigh sets the number of records, and their weight if the messages have size bytes.
func (e *entry) weigh(n, size int) *entry {
	e.n, e.weight = n, max(n, size/weighed)
	return e
}
