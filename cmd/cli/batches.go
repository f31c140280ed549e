package cli

import (
	"context"
	"errors"
	"regexp"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A batcher asks many questions in few calls.
type batcher struct {
	inv   *invocation
	asker asker
	// atLeast is the token of --at-least.
	atLeast string
	// atOnce is how many questions are asked in one call: at first a default, then what the server accepts.
	atOnce int
}

// ask returns the answer or the error of each question, in order. It makes calls with as many questions as
// the server accepts. It also returns the first error of a whole call. There are no answers if that is a
// [*refusedOverlayError].
func (b *batcher) ask(
	ctx context.Context, questions []*netpoldv1.AllowedRequest,
) ([]*netpoldv1.BatchAnswer, error) {
	answers := make([]*netpoldv1.BatchAnswer, 0, len(questions))
	var first error
	for len(questions) > 0 {
		n := min(len(questions), b.atOnce)
		some, err := b.call(ctx, questions[:n])
		if errors.As(err, new(*refusedOverlayError)) {
			return nil, err
		}
		switch {
		case status.Code(err) == codes.ResourceExhausted && n > 1:
			b.atOnce = takesAtMost(err, n)
			continue
		case err != nil:
			// It has the words of the error of a single question.
			failed := status.Convert(err).Proto()
			failed.Message = b.inv.callError(err).Error()
			if first == nil {
				first = err
			}
			answer := &netpoldv1.BatchAnswer_Error{Error: failed}
			for range n {
				answers = append(answers, &netpoldv1.BatchAnswer{Answer: answer})
			}
		default:
			answers = append(answers, some...)
		}
		questions = questions[n:]
	}
	return answers, first
}

// takesAtMost returns how many questions to try after n were too many: the server's limit, or half of n.
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
func (b *batcher) call(
	ctx context.Context, questions []*netpoldv1.AllowedRequest,
) ([]*netpoldv1.BatchAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, b.inv.config.Client.Timeout)
	defer cancel()
	request := &netpoldv1.BatchAllowedRequest{Questions: questions, AtLeast: b.atLeast}
	response, err := b.asker.BatchAllowed(ctx, request)
	if err != nil {
		return nil, err
	}
	answers := response.GetAnswers()
	if len(answers) != len(questions) {
		return nil, status.Errorf(codes.Internal, "the server gave %d answers to %d questions",
			len(answers), len(questions))
	}
	for _, answer := range answers {
		stripOuterFields(answer.GetError())
	}
	return answers, nil
}

// outerField matches what precedes the fields of a question within another request.
var outerField = regexp.MustCompile(
	`\b(?:questions\[\d+\]\.?|question\.(src|dst|port|protocol|at_least|details)\b)`)

// stripOuterFields changes the error of a question within another request to that of a question asked alone.
// Readers need not know which lines were asked together, or by which method. st may be nil.
func stripOuterFields(st *spb.Status) {
	if st == nil {
		return
	}
	st.Message = outerField.ReplaceAllString(st.GetMessage(), "$1")
	for i, packed := range st.GetDetails() {
		detail, err := packed.UnmarshalNew()
		if err != nil {
			continue
		}
		switch detail := detail.(type) {
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				violation.Field = outerField.ReplaceAllString(violation.GetField(), "$1")
			}
		case *errdetails.ErrorInfo:
			if field, ok := detail.GetMetadata()["field"]; ok {
				detail.Metadata["field"] = outerField.ReplaceAllString(field, "$1")
			}
		}
		if repacked, err := anypb.New(detail); err == nil {
			st.Details[i] = repacked
		}
	}
}
