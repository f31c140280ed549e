package netpold

import (
	"context"
	"slices"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Verdicts asks many questions by address of one snapshot of the cluster, in one call. It is [Client.BatchAllowed]
// without messages, and so nearly twice as fast: the answers stay as they came, and [Verdicts.Response] reads
// the whole of one when it is asked for. Like BatchAllowed it fails with [ErrTooLarge] for more questions than the
// server accepts. If verdicts of several snapshots are fine and policies are not needed, [Client.AllowedMany] is
// faster still.
//
// A question with an error fails alone. An interceptor of [WithDialOptions] sees no protobuf messages in this call.
func (c *Client) Verdicts(
	ctx context.Context, questions []Question, options ...grpc.CallOption,
) (*Verdicts, error) {
	return c.VerdictsAtLeast(ctx, questions, "", options...)
}

// VerdictsAtLeast is [Client.Verdicts], but the answers are not from an older snapshot than token names, as with
// BatchAllowedRequest.at_least.
func (c *Client) VerdictsAtLeast(
	ctx context.Context, questions []Question, token string, options ...grpc.CallOption,
) (*Verdicts, error) {
	request := &batchQuestions{questions: questions, token: token}
	var answers *Verdicts
	err := c.ask(func(conn *grpc.ClientConn, asked grpc.CallOption) error {
		answers = &Verdicts{} // a call that is made again begins anew
		return conn.Invoke(ctx, netpoldv1.DecisionService_BatchAllowed_FullMethodName, request, answers,
			append(slices.Clip(options), asked, grpc.ForceCodecV2(batchCodec))...)
	})
	if err != nil {
		return nil, fromCall(err)
	}
	if n := answers.Len(); n != len(questions) {
		return nil, broken("answers to " + strconv.Itoa(n) + " of " + strconv.Itoa(len(questions)) + " questions")
	}
	return answers, nil
}

// Verdicts holds the answers to one batch, from one snapshot. It is safe for concurrent use.
type Verdicts struct {
	Answers

	// wire is the response, and spans are where its answers are.
	wire  []byte
	spans []span
}

// A span is a part of a wire form, from one offset to another.
type span struct{ from, to uint32 }

// Response returns the whole answer to question i of the batch, from 0: with the policies of both sides. The error is
// that of the question.
func (v *Verdicts) Response(i int) (*netpoldv1.AllowedResponse, error) {
	if err := v.At(i).Err; err != nil {
		return nil, err
	}
	var answer netpoldv1.BatchAnswer
	if err := proto.Unmarshal(v.wire[v.spans[i].from:v.spans[i].to], &answer); err != nil {
		return nil, fromStatus(status.New(codes.Internal, "the server sent an answer that cannot be read: "+err.Error()))
	}
	return answer.GetResponse(), AnswerError(&answer)
}

// fail sets the error of question i.
func (v *Verdicts) fail(i int, wrong *Error) {
	if v.wrong == nil {
		v.wrong = make(unsaid)
	}
	v.wrong[i] = wrong
}
