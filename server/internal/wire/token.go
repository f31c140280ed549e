package wire

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
)

const malformedToken = "is not a token of netpold; give the token of an earlier response, or leave it out"

// MalformedToken is the failure of a malformed at_least before [Failure.AtLeast] adds the field. It is never
// sent.
var MalformedToken = &Failure{Code: codes.InvalidArgument, Reason: ReasonInvalidQuestion,
	Message: malformedToken}

// RejectToken adds the violation of a malformed at_least.
func (r *RequestReader) RejectToken() { r.reject("at_least", malformedToken) }

// AtLeast returns f as the failure of the at_least of a question.
func (f *Failure) AtLeast(index QuestionIndex) *Failure {
	field := index.Path("at_least")
	if f == MalformedToken {
		return Invalid([]*errdetails.BadRequest_FieldViolation{{Field: field, Description: malformedToken}})
	}
	own := *f
	own.Message = field + ": " + f.Message
	return &own
}
