package cli

import (
	"context"
	"fmt"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

const (
	// flowsRemembered is how many distinct questions are remembered with their answers, in some 30 MB.
	flowsRemembered = 1 << 15
	// wordsRemembered is the longest question in words that is remembered, in bytes. Longer ones are asked again.
	wordsRemembered = 1 << 10
	// advisedAtOnce is how many errors of a call have advice in them: all get it, whatever they are asked with.
	advisedAtOnce = 32
)

// A flowAnswers finds the answers to records. A record by address has its verdict from [verdictAsker]; whatever
// else is told of it is asked once for each distinct question, with details, and remembered.
//
// The snapshot of a server may move on. The time during which the verdicts rest on one snapshot is an era: what
// was asked in another one is asked again. It is not safe for concurrent use.
type flowAnswers struct {
	verdicts verdictAsker
	batcher
	known *simplelru.LRU[flowKey, *flowAnswer]
	// shared has equal parts of answers once.
	shared sharedParts

	era      int
	token    string
	revision uint64
}

func newFlowAnswers(inv *invocation, asker asker) (*flowAnswers, error) {
	verdicts, err := inv.newVerdictAsker(asker)
	if err != nil {
		return nil, err
	}
	known, err := simplelru.NewLRU[flowKey, *flowAnswer](flowsRemembered, nil)
	if err != nil {
		return nil, fmt.Errorf("remembering answers: %w", err)
	}
	return &flowAnswers{
		verdicts: verdicts, known: known, shared: newSharedParts(),
		batcher: batcher{inv: inv, asker: asker, atOnce: flowsAtOnce},
	}, nil
}

// A missing is a question that has no answer yet.
type missing struct {
	question *netpoldv1.AllowedRequest
	answer   *flowAnswer
}

// answer receives the answers to a batch that was sent, and gives its items theirs.
func (f *flowAnswers) answer(ctx context.Context, b *flowBatch) error {
	verdicts, err := f.verdicts.receive(ctx)
	if err != nil {
		return f.inv.callError(err)
	}
	if verdicts.token != f.token || f.era == 0 {
		f.era++
	}
	f.token, f.revision = verdicts.token, verdicts.revision
	var ask []missing
	for i := range b.items {
		item := &b.items[i]
		if item.why != "" {
			continue
		}
		found, ok := f.known.Get(item.key)
		if !ok || found.era != f.era {
			found = &flowAnswer{era: f.era, revision: verdicts.revision}
			if len(item.key.words) <= wordsRemembered {
				f.known.Add(item.key, found)
			}
			question := item.request
			if question == nil {
				question = &netpoldv1.AllowedRequest{
					Src: netpold.IP(item.key.src.String()), Dst: netpold.IP(item.key.dst.String()),
					Port: uint32(item.key.port), Protocol: protocols[item.key.protocol], Details: true,
				}
			}
			ask = append(ask, missing{question, found})
		}
		item.answer = found
	}
	if err := f.askAll(ctx, ask); err != nil {
		return err
	}
	return f.compare(b, &verdicts)
}

// askAll asks for details. Only the first errors of a call have advice, so the others are asked again.
func (f *flowAnswers) askAll(ctx context.Context, ask []missing) error {
	f.atLeast = f.token
	atOnce := len(ask)
	for len(ask) > 0 {
		part := ask[:min(atOnce, len(ask))]
		ask = ask[len(part):]
		questions := make([]*netpoldv1.AllowedRequest, len(part))
		for i := range part {
			questions[i] = part[i].question
		}
		answers, err := f.ask(ctx, questions)
		if err != nil {
			return f.inv.callError(err)
		}
		wrong := 0
		for i, answer := range answers {
			if answer.GetResponse() == nil {
				if wrong++; wrong > advisedAtOnce {
					ask, atOnce = append(ask, part[i]), advisedAtOnce
					continue
				}
			}
			part[i].answer.set(part[i].question, answer)
			f.shared.share(part[i].answer)
		}
	}
	return nil
}

// compare returns an error if the verdicts of one snapshot differ from its answers with details.
func (f *flowAnswers) compare(b *flowBatch, verdicts *flowVerdicts) error {
	for i := range b.items {
		item := &b.items[i]
		if item.why != "" || item.question < 0 || item.answer.err != nil {
			continue
		}
		verdict, token := verdicts.at(item.question)
		if token == item.answer.token && (verdict.Err != nil || verdict.Reason != item.answer.reason) {
			return f.inv.callError(status.Errorf(codes.Internal,
				"%s -> %s %d: two answers of one snapshot differ, %v and %v; this is a defect of netpold",
				item.answer.src, item.answer.dst, item.key.port, verdict.Reason, item.answer.reason))
		}
	}
	return nil
}
