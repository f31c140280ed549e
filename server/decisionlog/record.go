package decisionlog

import (
	"context"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/decisionid"
)

// Record writes one decision of a door that is no method of DecisionService, under an id of the door's own
// choice ([decisionid.New]). One of a and fail is nil; q is nil if no question could be read. None of them may be
// modified afterwards. started is when the question came. shadow means that the client passes all the same (P12). Sampling
// applies (G2).
func (l *Log) Record(ctx context.Context, id decisionid.ID, method string, started time.Time,
	q *netpoldv1.AllowedRequest, a *netpoldv1.AllowedResponse, fail *spb.Status, shadow bool) {
	if l.Wants(a.GetAllowed()) {
		c := callOf(ctx, id, method)
		c.shadow = shadow
		l.one(c, started, time.Since(started), q, a, fail)
	}
}

// Wants reports whether to write an answer (G2): a denial, an error, or an allowed answer that is chosen by
// this call.
func (l *Log) Wants(allowed bool) bool { return !allowed || l.choose.allowed() }

// one queues the record of one question.
func (l *Log) one(c call, at time.Time, took time.Duration, q *netpoldv1.AllowedRequest,
	a *netpoldv1.AllowedResponse, fail *spb.Status) {
	e := newEntry()
	e.call, e.at, e.took, e.rate = c, at, took, l.choose.rate
	e.question, e.answer, e.fail = q, a, fail
	size := proto.Size(q)
	if q.GetDetails() {
		size += proto.Size(a)
	}
	l.add(e.weigh(1, size))
}

// failed queues the record of a call, or of a message of a stream, that failed as a whole.
func (l *Log) failed(c call, at time.Time, took time.Duration, fail *spb.Status) {
	l.one(c, at, took, nil, nil, fail)
}

// chosenOf returns the indices of the answers of a batch that are to be written, and their number. The
// indices are nil if these are all.
func (l *Log) chosenOf(answers []*netpoldv1.BatchAnswer) (chosen []uint32, n int) {
	if l.choose.rate >= 1 {
		return nil, len(answers)
	}
	next := l.choose.skip()
	for i, a := range answers {
		if i == next {
			next += 1 + l.choose.skip()
		} else if a.GetResponse().GetAllowed() {
			continue
		}
		chosen = append(chosen, uint32(i))
	}
	return chosen, len(chosen)
}

// batch queues the records of the n chosen questions of a batch.
func (l *Log) batch(c call, at time.Time, took time.Duration, req *netpoldv1.BatchAllowedRequest,
	resp *netpoldv1.BatchAllowedResponse, chosen []uint32, n int) {
	e := newEntry()
	e.call, e.at, e.took, e.rate = c, at, took, l.choose.rate
	e.batch, e.answers, e.chosen = req, resp.GetAnswers(), chosen
	// Few chosen questions hold the memory of all.
	size := proto.Size(req)
	for _, q := range req.GetQuestions() {
		if q.GetDetails() {
			size += proto.Size(resp)
			break
		}
	}
	l.add(e.weigh(n, size))
}
