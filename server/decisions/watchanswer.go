package decisions

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/decide"
	"github.com/netpold/netpold/server/internal/details"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/watches"
	"github.com/netpold/netpold/server/internal/wire"
)

const (
	// maxWatchAnswers is the most answers of one response (P18).
	maxWatchAnswers = 1000
	// maxWatchTime is how long answers are collected before they are sent: questions about large workloads take
	// milliseconds each, and others should not wait for them.
	maxWatchTime = 20 * time.Millisecond
)

// respond asks queued questions and sends one response with the answers that the caller does not have yet. It
// sends none if there is nothing to say. It reports whether there is more to ask.
//
// Each question is asked of the then present state. No state is kept while a response is being sent, so that a
// slow reader keeps no old snapshot in memory.
func (w *watching) respond() (more bool, err error) {
	r := &netpoldv1.WatchAllowedResponse{}
	var counts watchCounts
	detailer := w.service.details.Of(&w.state)
	started := time.Now()
	w.recorded = nil
	call := decide.Call{InProgress: true}
	defer call.End()
	for end := started.Add(maxWatchTime); ; {
		taken, err := w.ask(r, &call, &detailer, &counts)
		if err != nil {
			return false, err
		}
		if more = taken.More; !more || len(r.Answers) >= maxWatchAnswers || time.Now().After(end) {
			break
		}
	}
	call.End()
	w.state = current.State{}
	w.owes = w.owes || r.Stale != w.stale
	if len(r.Answers) == 0 && (more || !w.owes) {
		return more, nil
	}
	r.Complete = !more
	if log := w.service.watchLog; log != nil {
		log.RecordWatch(w.stream.Context(), started, w.recorded, r)
	}
	if err := w.send(r); err != nil {
		return false, err
	}
	w.owes = w.owes && more
	counts.sent(w.service.metrics)
	return more, nil
}

// ask asks some of the queued questions of the present state, and adds to r the answers that the caller does not
// have yet.
func (w *watching) ask(
	r *netpoldv1.WatchAllowedResponse, call *decide.Call, d *details.Detailer, counts *watchCounts,
) (watches.Taken, error) {
	questions, taken, fail := w.watch.Take(w.questions[:0], maxWatchAnswers-len(r.Answers))
	w.questions = questions
	if fail != nil {
		return taken, w.service.failed(fail)
	}
	w.state = taken.State
	state := &w.state
	r.Revision, r.Token, r.Stale = state.Snapshot.Revision(), state.Token, state.Stale
	for i := range questions {
		q := &questions[i]
		a := w.answer(q, call, d, counts)
		if w.ctx.Err() != nil { // the question may have failed because of it
			return taken, w.service.failed(w.over())
		}
		if a != nil {
			r.Answers = append(r.Answers, a)
			if log := w.service.watchLog; log != nil && log.Wants(a.GetResponse().GetAllowed()) {
				for len(w.recorded) < len(r.Answers)-1 {
					w.recorded = append(w.recorded, nil)
				}
				w.recorded = append(w.recorded, q.Asked())
			}
			if !taken.Since.IsZero() && (counts.since.IsZero() || taken.Since.Before(counts.since)) {
				counts.since = taken.Since
			}
		}
		*q = watches.Question{} // so that it keeps nothing in memory
	}
	return taken, nil
}

// A watchAnswer is an answer and what wraps it.
type watchAnswer struct {
	wire.Answer
	wrapper netpoldv1.WatchAnswer
	oneof   netpoldv1.WatchAnswer_Response
}

// answer asks a question of the state. It returns nil if the caller has the answer, or the stream has ended.
func (w *watching) answer(
	q *watches.Question, call *decide.Call, d *details.Detailer, counts *watchCounts,
) *netpoldv1.WatchAnswer {
	if q.Refused != nil {
		return w.failure(q, q.Refused, counts)
	}
	state := &w.state
	decision, ended, err := w.service.decider.Allowed(w.ctx, call, state.Snapshot, &q.Query)
	if ended != nil {
		return nil
	}
	if err != nil {
		asked := q.Asked()
		fail := wire.EngineError(wire.Alone, asked, err)
		if fail.Code == codes.InvalidArgument {
			w.watch.Drop(q)
		} else if etag := w.etagOfFailure(fail); q.Etag() == etag {
			q.Sent(etag)
			return nil
		}
		fail = wire.EngineError(wire.Alone, asked, d.Advise(q.Query, asked, err))
		return w.failure(q, fail, counts)
	}
	a := new(watchAnswer)
	response := a.Fill(&decision)
	if q.Details {
		w.service.decider.Details(w.ctx, call, state.Snapshot, d, response, q.Query)
	}
	if w.verdictsOnly {
		response = &netpoldv1.AllowedResponse{Allowed: response.Allowed, Reason: response.Reason}
	}
	etag := w.etagOf(response)
	first := q.First()
	if q.Etag() == etag {
		q.Sent(etag)
		return nil
	}
	q.Sent(etag)
	counts.count(first)
	counts.decided.Add(decision.Reason)
	response.Revision = state.Snapshot.Revision()
	if !w.verdictsOnly {
		response.Token = state.Token
	}
	a.oneof.Response = response
	a.wrapper.Id, a.wrapper.Etag, a.wrapper.Answer = q.ID, etag, &a.oneof
	return &a.wrapper
}

// failure returns the answer to a question that has an error.
func (w *watching) failure(q *watches.Question, fail *wire.Failure, counts *watchCounts) *netpoldv1.WatchAnswer {
	etag := w.etagOfFailure(fail)
	if q.Refused != nil {
		counts.count(true)
	} else {
		counts.count(q.First())
		q.Sent(etag)
	}
	counts.failures = append(counts.failures, fail)
	return &netpoldv1.WatchAnswer{
		Id: q.ID, Etag: etag, Answer: &netpoldv1.WatchAnswer_Error{Error: counts.told.proto(fail)},
	}
}

// The lowest bits of an etag say what the rest is a hash of. So however hashes collide, an etag never stands for
// two verdicts.
const (
	etagDenied uint64 = iota + 1
	etagAllowed
	etagFailure
	etagKinds
)

// etagOf returns the etag of a response that has no revision, token and stale yet (P18).
func (w *watching) etagOf(r *netpoldv1.AllowedResponse) uint64 {
	kind := etagDenied
	if r.GetAllowed() {
		kind = etagAllowed
	}
	if w.verdictsOnly {
		return kind
	}
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(w.marshalled[:0], r)
	if err != nil { // it has a name that is not UTF-8, and cannot be sent either
		b = append(b, err.Error()...)
	}
	w.marshalled = b
	return hashed(b)&^(etagKinds-1) | kind
}

// etagOfFailure returns the etag of an error.
func (w *watching) etagOfFailure(f *wire.Failure) uint64 {
	b := binary.AppendUvarint(w.marshalled[:0], uint64(f.Code))
	if !w.verdictsOnly {
		b = append(b, f.Reason...)
	}
	w.marshalled = b
	return hashed(b)&^(etagKinds-1) | etagFailure
}

// hashed returns a hash that every process computes alike.
func hashed(b []byte) uint64 {
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}

// A watchCounts counts the answers of one response.
type watchCounts struct {
	first, changed int
	decided        metrics.DecisionCounts
	failures       []*wire.Failure
	// told bounds what the errors of the response say.
	told errorBytes
	// since is since when one of the answers may have been another; zero if none changed.
	since time.Time
}

// count counts an answer.
func (c *watchCounts) count(first bool) {
	if first {
		c.first++
	} else {
		c.changed++
	}
}

// sent adds the answers to the metrics, once they were sent.
func (c *watchCounts) sent(m *metrics.Metrics) {
	m.DecidedMany(&c.decided)
	for _, f := range c.failures {
		m.Failed(f)
	}
	m.WatchAnswers(c.first, c.changed)
	if c.changed > 0 && !c.since.IsZero() {
		m.WatchLag(time.Since(c.since))
	}
}
