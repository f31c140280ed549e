package wire

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
)

// An error with very many violations fits into the trailers that every client takes, 8 KiB with both forms of it, and
// tells how many are left out.
func TestInvalidIsBounded(t *testing.T) {
	t.Parallel()
	var violations []*errdetails.BadRequest_FieldViolation
	for range 150_000 {
		violations = append(violations, &errdetails.BadRequest_FieldViolation{
			Field: "overlay.changes[0].apply", Description: "document 1: wrong",
		})
	}
	fail := Invalid(violations)
	last := fail.Violations[len(fail.Violations)-1]
	if size := len(fail.Message) + 4*proto.Size(fail.Proto())/3; size > 8<<10 || len(fail.Violations) < 10 {
		t.Errorf("%d violations of %d bytes", len(fail.Violations), size)
	}
	if !strings.HasPrefix(last.GetDescription(), "and 1499") {
		t.Errorf("the last one is %q", last.GetDescription())
	}
	if one := Invalid(violations[:1]); len(one.Violations) != 1 || one.Message != "overlay.changes[0].apply: document 1: wrong" {
		t.Errorf("one violation is %v", one)
	}
}
