package wire

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// The shortest and the longest heartbeat of a watch (P18).
const (
	MinHeartbeat = 100 * time.Millisecond
	MaxHeartbeat = 30 * time.Second
)

// The bounds of the advice when to retry an overloaded server. It is not the same for all, so that they do not come
// back at once (P41).
const (
	minShedDelay = 50 * time.Millisecond
	maxShedDelay = 500 * time.Millisecond
)

// Overloaded refuses a call because the server does as much at once as its limit allows. name is that of the
// limit, for machines; remedy names what to raise.
func Overloaded(name, text, remedy string) *Failure {
	return &Failure{
		Code: codes.ResourceExhausted, Reason: ReasonOverloaded,
		Message:    text + "; retry later or elsewhere, or " + remedy,
		Metadata:   map[string]string{"limit": name},
		RetryAfter: minShedDelay + rand.N(maxShedDelay-minShedDelay), //nolint:gosec // to spread callers, no secret
	}
}

// WatchTooLarge refuses a question of a watch beyond a limit on watched questions. flag is that of the limit.
func WatchTooLarge(limit int, whose, flag string) *Failure {
	return &Failure{
		Code: codes.ResourceExhausted, Reason: ReasonWatchTooLarge,
		Message: fmt.Sprintf("id: %s watches %d questions already, as many as it may; remove some, or raise the "+
			"server's %s", whose, limit, flag),
		Metadata: map[string]string{"limit": strconv.Itoa(limit)},
	}
}

// WatchQuestion adds the violations of what is beside the question itself in a question of a watch. r must be
// [Alone].
func (r *RequestReader) WatchQuestion(q *netpoldv1.WatchQuestion) {
	if q.GetId() == 0 {
		r.reject("id", "is required: give a number from 1, which is the question's in this stream")
	}
	if token := q.GetQuestion().GetAtLeast(); token != "" {
		r.reject("at_least", "%s: a watched question has none; give at_least to the whole request instead",
			Quote(token))
	}
}

// ReadHeartbeat returns the heartbeat that a watch asks for, or the default.
func ReadHeartbeat(asked *durationpb.Duration, byDefault time.Duration) (time.Duration, *Failure) {
	if asked == nil {
		return byDefault, nil
	}
	d := asked.AsDuration()
	if err := asked.CheckValid(); err != nil || d < MinHeartbeat || d > MaxHeartbeat {
		return 0, Invalid([]*errdetails.BadRequest_FieldViolation{{Field: "heartbeat", Description: fmt.Sprintf(
			"%v is out of range; give %v to %v, or leave it out", d, MinHeartbeat, MaxHeartbeat)}})
	}
	return d, nil
}

// OnlyFirst returns the failure of a later request of a watch that sets what only the first may; nil if it sets
// nothing.
func OnlyFirst(req *netpoldv1.WatchAllowedRequest) *Failure {
	r := RequestReader{Index: Alone}
	const first = "may be set in the first request of a stream only; open another stream to change it"
	if req.GetHeartbeat() != nil {
		r.reject("heartbeat", first)
	}
	if req.GetVerdictsOnly() {
		r.reject("verdicts_only", first)
	}
	if len(r.Violations) == 0 {
		return nil
	}
	return Invalid(r.Violations)
}
