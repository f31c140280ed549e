package cli

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// answer asks a group, and writes its answers and errors in order.
func (l *lines) answer(ctx context.Context, group []line) error {
	questions := make([]*netpoldv1.AllowedRequest, 0, len(group))
	for _, line := range group {
		if line.err == nil {
			questions = append(questions, line.question)
		}
	}
	answers := l.ask(ctx, questions)
	for _, line := range group {
		answer := &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: line.err}}
		if line.err == nil {
			answer, answers = answers[0], answers[1:]
		}
		if err := l.write(line.number, answer); err != nil {
			return err
		}
	}
	return nil
}

// ask gives each question its answer or error, in calls of as many as the server takes.
func (l *lines) ask(ctx context.Context, questions []*netpoldv1.AllowedRequest) []*netpoldv1.BatchAnswer {
	answers := make([]*netpoldv1.BatchAnswer, 0, len(questions))
	for len(questions) > 0 {
		n := min(len(questions), l.atOnce)
		some, err := l.call(ctx, questions[:n])
		switch {
		case status.Code(err) == codes.ResourceExhausted && n > 1:
			l.atOnce = takesAtMost(err, n)
			continue
		case err != nil:
			// In the words in which a single question says it.
			failed := status.Convert(err).Proto()
			failed.Message = l.check.inv.callError(err).Error()
			for range n {
				answers = append(answers, &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: failed}})
			}
		default:
			answers = append(answers, some...)
		}
		questions = questions[n:]
	}
	return answers
}

// takesAtMost is how many questions to try after n were too many: what the server says, or half.
func takesAtMost(err error, n int) int {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			if limit, err := strconv.Atoi(info.GetMetadata()["limit"]); err == nil && 0 < limit && limit < n {
				return limit
			}
		}
	}
	return n / 2
}

// call asks questions in one call.
func (l *lines) call(ctx context.Context, questions []*netpoldv1.AllowedRequest) ([]*netpoldv1.BatchAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, l.check.inv.config.Client.Timeout)
	defer cancel()
	response, err := l.asker.BatchAllowed(ctx, &netpoldv1.BatchAllowedRequest{Questions: questions, AtLeast: l.check.atLeast})
	if err != nil {
		return nil, err
	}
	answers := response.GetAnswers()
	if len(answers) != len(questions) {
		return nil, status.Errorf(codes.Internal, "the server gave %d answers to %d questions", len(answers), len(questions))
	}
	for _, answer := range answers {
		alone(answer)
	}
	return answers, nil
}

// write writes one answer: an AllowedResponse, or {"error": ...}, which is just how a BatchAnswer with an error looks.
func (l *lines) write(number int, answer *netpoldv1.BatchAnswer) error {
	var text []byte
	var err error
	if response := answer.GetResponse(); response != nil {
		l.answered++
		text, err = jsonLine(response)
	} else {
		if answer.GetError() == nil {
			answer = &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{
				Error: status.New(codes.Internal, "the server sent neither a response nor an error").Proto(),
			}}
		}
		if l.failed++; l.failed == 1 {
			l.first = fmt.Sprintf("line %d: %s", number, answer.GetError().GetMessage())
		}
		text, err = errorLine(answer)
	}
	if err != nil {
		return err
	}
	if _, err := l.out.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("writing the answers: %w", err)
	}
	return nil
}

// errorLine is an error as JSON. A newer server may send details of a kind that is unknown here: they are left out.
func errorLine(answer *netpoldv1.BatchAnswer) ([]byte, error) {
	var known []*anypb.Any
	for _, detail := range answer.GetError().GetDetails() {
		if _, err := detail.UnmarshalNew(); err == nil {
			known = append(known, detail)
		}
	}
	answer.GetError().Details = known
	return compactJSON(answer, false)
}

// inBatch is what a server puts before the fields of a question in a batch.
var inBatch = regexp.MustCompile(`\bquestions\[\d+\]\.?`)

// alone makes an answer that of a question asked alone: which lines were asked together is nobody's business.
func alone(answer *netpoldv1.BatchAnswer) {
	st := answer.GetError()
	if st == nil {
		return
	}
	st.Message = inBatch.ReplaceAllString(st.GetMessage(), "")
	for i, packed := range st.GetDetails() {
		detail, err := packed.UnmarshalNew()
		if err != nil {
			continue
		}
		switch detail := detail.(type) {
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				violation.Field = inBatch.ReplaceAllString(violation.GetField(), "")
			}
		case *errdetails.ErrorInfo:
			if field, ok := detail.GetMetadata()["field"]; ok {
				detail.Metadata["field"] = inBatch.ReplaceAllString(field, "")
			}
		}
		if repacked, err := anypb.New(detail); err == nil {
			st.Details[i] = repacked
		}
	}
}
