package decisionlog

import (
	"context"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Record writes one decision of a door that is no method of DecisionService, under an id of the door's own
// choice ([NewID]). One of a and fail is nil; q is nil if no question could be read. None of them may be
// modified afterwards. started is when the question came. Sampling applies (G2).
func (l *Log) Record(ctx context.Context, id ID, method string, started time.Time,
	q *netpoldv1.AllowedRequest, a *netpoldv1.AllowedResponse, fail *spb.Status) {
	if !a.GetAllowed() || l.choose.allowed() {
		l.one(callOf(ctx, id, method), started, time.Since(started), q, a, fail)
	}
}

// one queues the record of one question.
func (l *Log) one(c call, at time.Time, took time.Duration, q *netpoldv1.AllowedRequest,
	a *netpoldv1.AllowedResponse, fail *spb.Status) {
	e := &entry{call: c, at: at, took: took, question: q, answer: a, fail: fail, rate: l.choose.rate}
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
	e := &entry{call: c, at: at, took: took, batch: req, answers: resp.GetAnswers(), chosen: chosen,
		rate: l.choose.rate}
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

// message queues the records of the questions of a message of a stream that are to be written. It copies
// them.
func (l *Log) message(c call, at time.Time, took time.Duration, req *netpoldv1.StreamAllowedRequest,
	resp *netpoldv1.StreamAllowedResponse) {
	rows, fails := l.rowsOf(req, resp)
	if len(rows) == 0 {
		return
	}
	e := &entry{call: c, at: at, took: took, rows: rows, fails: fails, rate: l.choose.rate,
		revision: resp.GetRevision(), stale: resp.GetStale()}
	l.add(e.weigh(len(rows), 0))
}
