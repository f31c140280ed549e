package audits_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/servertest"
)

// source returns a synced source of a cluster with one namespace.
func source() *servertest.Source {
	s := servertest.NewSource()
	s.Apply(engine.Change{Object: &engine.Namespace{Name: "shop"}})
	return s
}

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }

// reasonOf returns the code and the ErrorInfo reason of an error, and whether it says when to retry.
func reasonOf(err error) (code codes.Code, reason string, retry bool) {
	st := status.Convert(err)
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration() > 0
		}
	}
	return st.Code(), reason, retry
}

// A5: more audits at once than the limit are refused, with a delay. One that ends makes room.
func TestA5TooManyAudits(t *testing.T) {
	t.Parallel()
	s := audits.New(source(), audits.Options{MaxAudits: 2})
	audits.SetProcessors(s, 2)
	_, first, err := audits.Begin(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := audits.Begin(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = audits.Begin(t.Context(), s, "")
	code, reason, retry := reasonOf(err)
	if code != codes.ResourceExhausted || reason != "TOO_MANY_AUDITS" || !retry {
		t.Errorf("a third: %v, %q, retry %v: %v", code, reason, retry, err)
	}
	first.End()
	_, third, err := audits.Begin(t.Context(), s, "")
	if err != nil {
		t.Errorf("after one has ended: %v", err)
	}
	second.End()
	third.End()
}

// A5: calls that wait for a token keep no others out, and answer from a state that is not older than it.
func TestA5WaitingIsNotInProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		from := source()
		s := audits.New(from, audits.Options{MaxAudits: 1})
		revisions := make(chan uint64)
		go func() {
			_, a, err := audits.Begin(t.Context(), s, "servertest:2")
			if err != nil {
				t.Error(err)
			}
			defer a.End()
			revisions <- a.Header().GetRevision()
		}()
		synctest.Wait()
		_, other, err := audits.Begin(t.Context(), s, "")
		if err != nil {
			t.Fatal(err)
		}
		if h := other.Header(); h.GetRevision() != 1 || h.GetToken() != "servertest:1" ||
			h.GetObjects().GetNamespaces() != 1 || h.GetSource() != "servertest" || !h.GetIpblockMatchesPods() {
			t.Errorf("the header is %v", h)
		}
		other.End()
		from.Apply()
		if got := <-revisions; got != 2 {
			t.Errorf("revision %d", got)
		}
	})
}

// A5: an audit ends at the server's limit of time, at its caller's, and at the drain, and says which.
func TestA5Ends(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		deadline time.Duration
		code     codes.Code
		message  string
	}{
		"the server's limit": {time.Hour, codes.DeadlineExceeded, "--max-audit-deadline"},
		"the caller's":       {time.Second, codes.DeadlineExceeded, "the call's deadline passed"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := audits.New(source(), audits.Options{MaxDeadline: time.Minute})
			ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
			defer cancel()
			ctx, a, err := audits.Begin(ctx, s, "")
			if err != nil {
				t.Fatal(err)
			}
			defer a.End()
			if err := a.Yield(ctx); err != nil {
				t.Errorf("%s, before: %v", name, err)
			}
			<-ctx.Done()
			err = a.Yield(ctx)
			if status.Code(err) != c.code || !strings.Contains(err.Error(), c.message) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	drain, stop := context.WithCancel(t.Context())
	s := audits.New(source(), audits.Options{
		UntilDrain: func(context.Context) (context.Context, func()) { return drain, func() {} },
	})
	ctx, a, err := audits.Begin(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	defer a.End()
	stop()
	if err := a.Yield(ctx); status.Code(err) != codes.Canceled {
		t.Errorf("at the drain: %v", err)
	}
}

// Decisions go before audits: with one processor for audits, one computes at a time, each in its turn, and one
// that waits for its caller holds none up.
func TestAuditsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := audits.New(source(), audits.Options{MaxAudits: 3})
		audits.SetProcessors(s, 1)
		ctx, first, err := audits.Begin(t.Context(), s, "")
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			ctx, second, err := audits.Begin(t.Context(), s, "")
			if err != nil {
				t.Error(err)
			}
			defer second.End()
			order = append(order, "second")
			if err := second.Yield(ctx); err != nil {
				t.Error(err)
			}
			order = append(order, "second again")
		}()
		synctest.Wait()
		order = append(order, "first")
		if err := first.Yield(ctx); err != nil { // the second has its turn
			t.Error(err)
		}
		order = append(order, "first again")
		if err := first.Waiting(ctx, func() { <-ended }); err != nil {
			t.Error(err)
		}
		first.End()
		if want := []string{"first", "second", "first again", "second again"}; !slices.Equal(order, want) {
			t.Errorf("%q, want %q", order, want)
		}
	})
}

// A5: decisions go before audits: after a turn an audit rests for as long as they took, but never for long, and not
// at all if none were asked.
func TestA5AuditsRestForDecisions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New(source(), "")
		s := audits.New(source(), audits.Options{Metrics: m})
		audits.SetProcessors(s, 1)
		ctx, a, err := audits.Begin(t.Context(), s, "")
		if err != nil {
			t.Fatal(err)
		}
		defer a.End()
		rests := func(turn time.Duration, calls int, took time.Duration) time.Duration {
			t.Helper()
			<-time.After(turn)
			for range calls {
				m.Took(metrics.Allowed, took)
			}
			began := time.Now()
			if err := a.Yield(ctx); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		const turn = time.Millisecond
		if d := rests(turn, 0, 0); d != 0 {
			t.Errorf("without decisions it rests %v", d)
		}
		if d := rests(turn/2, 5, 0); d != 0 {
			t.Errorf("within a turn it rests %v", d)
		}
		few, long := rests(turn/2, 0, 0), rests(turn, 1, turn)
		if few <= 0 || few > turn || long <= few/5 {
			t.Errorf("for 5 calls it rests %v, for a long one %v", few, long)
		}
		if d := rests(turn, 1_000_000, turn); d != 9*turn {
			t.Errorf("beside endless decisions it rests %v", d)
		}
		if d := rests(turn, 0, 0); d != 0 {
			t.Errorf("after them it rests %v", d)
		}
	})
}

// A4: an overlay is never ignored.
func TestOverlayIsRefused(t *testing.T) {
	t.Parallel()
	_, err := audits.New(source(), audits.Options{}).Explain(t.Context(), &netpoldv1.ExplainRequest{
		Overlay: &netpoldv1.Overlay{Changes: []*netpoldv1.OverlayChange{{}}},
	})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "overlay: ") {
		t.Error(err)
	}
}
