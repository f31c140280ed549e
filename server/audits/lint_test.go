package audits_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
)

func TestLintIsHeaderFindingsSummary(t *testing.T) {
	t.Parallel()
	out := &stream[netpoldv1.LintResponse]{ctx: t.Context()}
	if err := audits.New(shops(2), audits.Options{}).Lint(new(netpoldv1.LintRequest), out); err != nil {
		t.Fatal(err)
	}
	last := len(out.messages) - 1
	if out.messages[0].GetHeader().GetToken() != "servertest:1" {
		t.Errorf("the first message is %v", out.messages[0])
	}
	for _, m := range out.messages[1:last] {
		if m.GetFinding() == nil {
			t.Errorf("%v is no finding", m)
		}
	}
	s := out.messages[last].GetSummary()
	if found := s.GetErrors() + s.GetWarnings() + s.GetInfos(); last < 2 || int(found) != last-1 {
		t.Errorf("%d findings, and the summary %v", last-1, s)
	}
}

// A5: a caller that does not read its findings holds no place beyond the limit of time.
func TestA5LintCallerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := audits.New(shops(2), audits.Options{MaxDeadline: time.Minute, MaxAudits: 1})
		gone := make(chan struct{})
		out := &stream[netpoldv1.LintResponse]{ctx: t.Context(), sending: func(*netpoldv1.LintResponse) error {
			<-gone // as a send does until the handler returns
			return errors.New("the stream is done")
		}}
		began := time.Now()
		err := s.Lint(new(netpoldv1.LintRequest), out)
		if status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "--max-audit-deadline") {
			t.Errorf("it ends with %v", err)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it ends after %v", took)
		}
		close(gone)
		synctest.Wait()
		again := &stream[netpoldv1.LintResponse]{ctx: t.Context()}
		if err := s.Lint(new(netpoldv1.LintRequest), again); err != nil { // its place is free again
			t.Error(err)
		}
	})
}

// S28: each field that is wrong is named, with its value and what to give.
func TestS28LintFields(t *testing.T) {
	t.Parallel()
	s := audits.New(shops(2), audits.Options{})
	for name, test := range map[string]struct {
		req  *netpoldv1.LintRequest
		code codes.Code
		want string
	}{
		"code":      {&netpoldv1.LintRequest{Codes: []string{"x"}}, codes.InvalidArgument, `codes[0]: "x"`},
		"namespace": {&netpoldv1.LintRequest{Namespaces: []string{"x"}}, codes.NotFound, `namespaces[0]: there is no namespace "x"`},
		"near":      {&netpoldv1.LintRequest{Namespaces: []string{"shpo"}}, codes.NotFound, `there is no namespace "shpo": did you mean shop?`},
		"severity":  {&netpoldv1.LintRequest{Least: 9}, codes.InvalidArgument, "least: 9 is no severity"},
		"words":     {&netpoldv1.LintRequest{Codes: make([]string, 1001)}, codes.InvalidArgument, "codes: has 1001 words"},
	} {
		err := s.Lint(test.req, &stream[netpoldv1.LintResponse]{ctx: t.Context()})
		if status.Code(err) != test.code || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// N1: what is known to be wrong in a policy is not found in the one that an overlay puts in its place, and is
// found in others.
func TestN1OverlayReplacesInvalidEntries(t *testing.T) {
	t.Parallel()
	from := source()
	status := from.Status()
	for _, name := range []string{"kept", "mended"} {
		from.Apply(engine.Change{Object: &engine.Policy{Namespace: "shop", Name: name}})
		status.Problems = append(status.Problems, mirror.Problem{
			Kind: "NetworkPolicy", Namespace: "shop", Name: name, Field: "spec.ingress[0]", Message: "is wrong",
		})
	}
	from.SetStatus(status)
	s := audits.New(from, audits.Options{
		Overlay: func(*engine.Snapshot, *mirror.Overlay) ([]engine.Change, []mirror.OverlayProblem, error) {
			return []engine.Change{{Object: &engine.Policy{Namespace: "shop", Name: "mended"}}}, nil, nil
		},
	})
	for name, overlay := range map[string]*netpoldv1.Overlay{
		"kept,mended,": nil,
		"kept,":        {Changes: []*netpoldv1.OverlayChange{{Change: &netpoldv1.OverlayChange_Apply{Apply: "x"}}}},
	} {
		out := &stream[netpoldv1.LintResponse]{ctx: t.Context()}
		if err := s.Lint(&netpoldv1.LintRequest{Codes: []string{"invalid-entry"}, Overlay: overlay}, out); err != nil {
			t.Fatal(err)
		}
		found := ""
		for _, m := range out.messages {
			if m.GetFinding() != nil {
				found += m.GetFinding().GetPolicy().GetName() + ","
			}
		}
		if found != name {
			t.Errorf("found in %q, want %q", found, name)
		}
	}
}

// A lint that takes long tells that it is at work: after the header, and before the first finding.
func TestLintTellsItsProgress(t *testing.T) {
	t.Parallel()
	s := audits.New(shops(100), audits.Options{})
	audits.TellAlways(s)
	out := &stream[netpoldv1.LintResponse]{ctx: t.Context()}
	if err := s.Lint(new(netpoldv1.LintRequest), out); err != nil {
		t.Fatal(err)
	}
	told, done := 0, uint32(0)
	for i, m := range out.messages {
		p := m.GetProgress()
		switch {
		case i == 0 && m.GetHeader() == nil, i > 0 && m.GetHeader() != nil:
			t.Fatalf("message %d is %v", i, m)
		case p != nil && told != i-1:
			t.Fatalf("progress after findings: %v", m)
		case p != nil && (p.GetPoliciesDone() < done || p.GetPoliciesDone() > p.GetPoliciesTotal()):
			t.Errorf("progress %v after %d", p, done)
		}
		if p != nil {
			told, done = told+1, p.GetPoliciesDone()
		}
	}
	if told == 0 || out.messages[len(out.messages)-1].GetSummary() == nil {
		t.Errorf("%d messages of progress, and the last is %v", told, out.messages[len(out.messages)-1])
	}
}

// A5: a lint ends when its caller does, also while it computes, and gives its place back.
func TestA5LintEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	s := audits.New(shops(100), audits.Options{MaxAudits: 1})
	audits.TellAlways(s)
	ctx, cancel := context.WithCancel(t.Context())
	out := &stream[netpoldv1.LintResponse]{ctx: ctx, sending: func(m *netpoldv1.LintResponse) error {
		if m.GetProgress() != nil {
			cancel()
		}
		return nil
	}}
	if err := s.Lint(new(netpoldv1.LintRequest), out); status.Code(err) != codes.Canceled {
		t.Errorf("it ends with %v", err)
	}
	for _, m := range out.messages {
		if m.GetFinding() != nil || m.GetSummary() != nil {
			t.Fatalf("after the end of its caller: %v", m)
		}
	}
	again := &stream[netpoldv1.LintResponse]{ctx: t.Context()}
	if err := s.Lint(new(netpoldv1.LintRequest), again); err != nil {
		t.Error(err)
	}
}
