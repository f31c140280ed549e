package audit_test

import (
	"errors"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// A lint pauses again and again, from its beginning, and ends at the next pause after its caller has gone.
func TestLintPauses(t *testing.T) {
	t.Parallel()
	s := halfOpen(synthetic.Sizes[0])
	pauses, last := 0, audit.LintProgress{}
	if _, err := audit.Lint(nil, s, &audit.LintRequest{}, func(p audit.LintProgress) {
		if pauses++; p.PoliciesDone < last.PoliciesDone || p.PoliciesDone > p.PoliciesTotal {
			t.Errorf("progress %+v after %+v", p, last)
		}
		last = p
	}, func(*audit.Finding) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if pauses < 5 || last.PoliciesTotal == 0 {
		t.Fatalf("%d pauses, the last at %+v", pauses, last)
	}
	for at := 1; at <= pauses; at++ {
		done, n := make(chan struct{}), 0
		_, err := audit.Lint(done, s, &audit.LintRequest{}, func(audit.LintProgress) {
			if n++; n == at {
				close(done)
			}
		}, func(f *audit.Finding) bool {
			t.Errorf("after its end a lint finds %+v", f)
			return false
		})
		wrong, ok := errors.AsType[*engine.QueryError](err)
		if !ok || wrong.Code != engine.Abandoned || n != at {
			t.Fatalf("closed in pause %d: %d pauses, and %v", at, n, err)
		}
	}
}
