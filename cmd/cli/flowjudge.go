package cli

import (
	"context"
	"fmt"
	"math"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/cmd/render"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A judgedFlow is a record and what came of it.
type judgedFlow struct {
	record *flows.Record
	// answer is nil for a record that was not asked. revision names the snapshot that answered.
	answer   *flowAnswer
	revision uint64
	// dropped is as in [flowItem].
	dropped bool
	flows.Judgement
}

// A flowSink gets each record in order. It must not keep what it gets.
type flowSink func(*judgedFlow) error

// A flowJudge reads records, asks, judges and counts, with two goroutines: one reads ahead while the other does
// the rest.
type flowJudge struct {
	source  flowSource
	window  flows.Window
	answers *flowAnswers
	summary *flows.Summary
	// sink gets each record, and pause is called when no more are there for now.
	sink  flowSink
	pause func() error
}

// run judges until the source ends, and returns its error unless that is its end. It also ends with ctx; then
// the reader may be left waiting for its input.
func (j *flowJudge) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer j.answers.verdicts.close()
	free, full := make(chan *flowBatch, flowBatches), make(chan *flowBatch, flowBatches)
	for range flowBatches {
		free <- &flowBatch{records: make([]flows.Record, flowsAtOnce)}
	}
	go readFlows(ctx, j.source, j.window, free, full)
	var asked []*flowBatch
	open := true
	for open || len(asked) > 0 {
		b, err := j.next(ctx, full, len(asked), &open)
		if err != nil {
			return err
		}
		if b != nil {
			if err := j.answers.verdicts.send(ctx, b.questions); err != nil {
				return j.answers.inv.callError(err)
			}
			asked = append(asked, b)
			if len(asked) < flowsOnTheirWay {
				continue
			}
		}
		if len(asked) == 0 {
			continue
		}
		b, asked = asked[0], asked[1:]
		if err := j.judge(ctx, b); err != nil {
			return err
		}
		if b.err != nil && !isEnd(b.err) {
			return b.err
		}
		free <- b
	}
	return nil
}

// next returns the next batch. While others are on their way it does not wait, and returns nil if there is
// none.
func (j *flowJudge) next(ctx context.Context, full <-chan *flowBatch, onTheirWay int, open *bool) (*flowBatch, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if !*open {
		return nil, nil
	}
	if onTheirWay > 0 {
		select {
		case b, ok := <-full:
			*open = ok
			return b, nil
		default:
			return nil, nil
		}
	}
	select {
	case b, ok := <-full:
		*open = ok
		return b, nil
	default:
	}
	if err := j.pause(); err != nil {
		return nil, err
	}
	select {
	case b, ok := <-full:
		*open = ok
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// judge judges the records of a batch that was asked.
func (j *flowJudge) judge(ctx context.Context, b *flowBatch) error {
	if err := j.answers.answer(ctx, b); err != nil {
		return err
	}
	for i := range b.items {
		item := &b.items[i]
		judged := judgedFlow{record: &b.records[i], answer: item.answer, dropped: item.dropped}
		if item.why != "" {
			judged.answer, judged.Why = nil, item.why
			j.summary.Skip(judged.record, item.why)
		} else {
			judged.revision = item.answer.revision
			judged.Judgement = flows.Judge(judged.record, &item.answer.Answer)
			j.summary.Add(judged.record, &item.answer.Answer, judged.Judgement)
		}
		if err := j.sink(&judged); err != nil {
			return err
		}
		item.answer, item.request = nil, nil
	}
	return nil
}

// fill writes a record as output has it (F1).
func (j *judgedFlow) fill(f *render.FlowLine, at *timestamppb.Timestamp) {
	r, m := j.record, f.Flow
	m.Reset()
	f.Moved = f.Moved[:0]
	m.Line, m.File = uint32(min(r.Line, math.MaxUint32)), r.File
	if !r.Time.IsZero() {
		at.Seconds, at.Nanos = r.Time.Unix(), int32(r.Time.Nanosecond())
		m.Time = at
	}
	m.Port, m.Protocol = uint32(r.Port), protocols[r.Protocol]
	m.Observed = map[flows.Observed]string{flows.ObservedAllowed: "allowed", flows.ObservedDenied: "denied"}[r.Observed]
	switch r.Direction {
	case flows.AtEgress:
		m.Direction = netpoldv1.Direction_DIRECTION_EGRESS
	case flows.AtIngress:
		m.Direction = netpoldv1.Direction_DIRECTION_INGRESS
	case flows.NoDirection:
	}
	m.Compared, m.Why, m.Revision = j.Compared.String(), string(j.Why), j.revision
	if j.answer == nil {
		m.Src, m.Dst = endText(&r.Src), endText(&r.Dst)
		f.SrcName, f.DstName = m.Src, m.Dst
		if j.Why == flows.Malformed {
			m.Error = &spb.Status{Code: int32(codes.InvalidArgument), Message: r.Problem}
		}
		return
	}
	a := j.answer
	m.Src, m.Dst, f.SrcName, f.DstName = a.src, a.dst, a.srcName, a.dstName
	m.Allowed, m.Reason, m.Error = a.Reason.Allowed(), a.reason, a.err
	if a.err == nil && (!m.Allowed || j.Compared == flows.Disagrees) {
		m.Egress, m.Ingress = a.egress, a.ingress
	}
	if j.Why == flows.Moved {
		for _, end := range []*flows.End{&r.Src, &r.Dst} {
			if end.Pod != "" {
				f.Moved = append(f.Moved, end.Namespace+"/"+end.Pod)
			}
		}
	}
	if j.Compared == flows.Disagrees {
		m.ObservedAllowedBy, m.ObservedDeniedBy = r.AllowedBy, r.DeniedBy
	}
}

func endText(e *flows.End) string {
	if e.IP.IsValid() {
		return e.IP.String()
	}
	return e.Word
}

// summaryPairs is how many pairs a summary has (F6).
const summaryPairs = 1000

// protoFlowSummary returns a summary as output has it.
func protoFlowSummary(s *flows.Summary, snapshot *timestamppb.Timestamp, took time.Duration,
	failed []error) *netpoldv1.FlowSummary {
	total, exact := s.PairsTotal()
	m := &netpoldv1.FlowSummary{
		Records: s.Records, Asked: s.Asked, Allowed: s.Allowed, Denied: s.Denied, Agrees: s.Agrees,
		Disagrees: s.Disagrees, NotCompared: s.NotCompared, ByWhy: map[string]uint64{}, PairsInexact: !exact,
		First: protoTime(s.Span.First), Last: protoTime(s.Span.Last), SnapshotTime: snapshot,
		NewestPolicyCreated: protoTime(s.NewestPolicy()), Older: s.Older, Took: durationpb.New(took),
	}
	if exact {
		m.PairsTotal = uint64(total)
	}
	for why, n := range s.ByWhy() {
		m.ByWhy[string(why)] = n
	}
	for _, p := range s.Pairs(summaryPairs) {
		m.Pairs = append(m.Pairs, &netpoldv1.FlowPair{
			Src: p.Src, Dst: p.Dst, Port: uint32(p.Port), Protocol: protocols[p.Protocol], Records: p.Records,
			Allowed: p.Allowed, Denied: p.Denied, Agrees: p.Agrees, Disagrees: p.Disagrees, NotCompared: p.NotCompared,
			First: protoTime(p.Span.First), Last: protoTime(p.Span.Last),
		})
	}
	for _, p := range s.ByPolicy() {
		m.ByPolicy = append(m.ByPolicy, &netpoldv1.FlowPolicy{
			Kind: p.Kind, Namespace: p.Namespace, Name: p.Name, Allowed: p.Allowed, Denied: p.Denied, Disagrees: p.Disagrees,
		})
	}
	for _, err := range failed {
		m.InputErrors = append(m.InputErrors, fmt.Sprint(err))
	}
	return m
}

func protoTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
