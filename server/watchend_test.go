package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
)

// Questions beyond a limit are refused alone, once, in their place.
func TestP23QuestionsBeyondTheLimits(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*server.Config){
		"stream": func(c *server.Config) { c.MaxWatched = 2 },
		"total":  func(c *server.Config) { c.MaxWatchedTotal = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, synced(shop()...), limit)
			w := watch(t, r.conn)
			w.add(1, ask(), ask(), ask())
			w.expect(1, "allowed")
			w.expect(2, "allowed")
			d := detailsOf(t, status.FromProto(w.answers[3].GetError()))
			if d.Code != codes.ResourceExhausted || d.Reason != "WATCH_TOO_LARGE" || d.Metadata["limit"] != "2" {
				t.Errorf("%+v", d)
			}
			w.add(2, ask()) // in place of the earlier one
			w.expect(2, "allowed")
			w.send(&netpoldv1.WatchAllowedRequest{Remove: []uint64{1}, Add: numbered(3, ask())})
			w.complete()
			w.expect(3, "allowed")
			other := watch(t, r.conn)
			other.add(1, ask())
			want := "allowed"
			if name == "total" {
				want = "WATCH_TOO_LARGE"
			}
			other.expect(1, want)
		})
	}
}

// What is wrong with a request as a whole ends the stream.
func TestP23RequestsThatEndTheStream(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.MaxBatch = 2 })
	first := &netpoldv1.WatchAllowedRequest{}
	for name, test := range map[string]struct {
		requests []*netpoldv1.WatchAllowedRequest
		code     codes.Code
		reason   string
		field    string
	}{
		"too many": {
			[]*netpoldv1.WatchAllowedRequest{{Add: numbered(1, ask(), ask(), ask())}}, codes.ResourceExhausted,
			"BATCH_TOO_LARGE", "",
		},
		"too often": {
			[]*netpoldv1.WatchAllowedRequest{{Heartbeat: durationpb.New(99 * time.Millisecond)}},
			codes.InvalidArgument, "INVALID_QUESTION", "heartbeat",
		},
		"too rarely": {
			[]*netpoldv1.WatchAllowedRequest{{Heartbeat: durationpb.New(31 * time.Second)}}, codes.InvalidArgument,
			"INVALID_QUESTION", "heartbeat",
		},
		"no duration": {
			[]*netpoldv1.WatchAllowedRequest{{Heartbeat: &durationpb.Duration{Seconds: 1, Nanos: -1}}},
			codes.InvalidArgument, "INVALID_QUESTION", "heartbeat",
		},
		"heartbeat later": {
			[]*netpoldv1.WatchAllowedRequest{first, {Heartbeat: durationpb.New(time.Second)}}, codes.InvalidArgument,
			"INVALID_QUESTION", "heartbeat",
		},
		"verdicts only later": {
			[]*netpoldv1.WatchAllowedRequest{first, {VerdictsOnly: true}}, codes.InvalidArgument,
			"INVALID_QUESTION", "verdicts_only",
		},
		"no token": {
			[]*netpoldv1.WatchAllowedRequest{{AtLeast: "?"}}, codes.InvalidArgument, "INVALID_QUESTION", "at_least",
		},
		"a token of elsewhere": {
			[]*netpoldv1.WatchAllowedRequest{{AtLeast: "elsewhere:1"}}, codes.FailedPrecondition, "TOKEN_UNKNOWN", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, r.conn)
			for _, req := range test.requests {
				w.send(req)
			}
			w.heartbeat = time.Second
			d := w.end()
			if d.Code != test.code || d.Reason != test.reason {
				t.Errorf("%+v", d)
			}
			if test.field != "" && (len(d.Violations) != 1 || d.Violations[0].Field != test.field) {
				t.Errorf("violations %v, want one of %s", d.Violations, test.field)
			}
		})
	}
}

// More streams than the limit are refused with advice when to come back; one that ends makes room.
func TestP23TooManyWatches(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.MaxWatches = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := r.decisions().WatchAllowed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil { // a heartbeat: it is open
		t.Fatal(err)
	}
	d := watch(t, r.conn).end()
	if d.Code != codes.ResourceExhausted || d.Reason != "OVERLOADED" || d.Metadata["limit"] != "watches" ||
		d.Retry < 50*time.Millisecond || d.Retry > 500*time.Millisecond {
		t.Errorf("%+v", d)
	}
	expectMetrics(t, metricsOf(t, r), map[string]string{
		`netpold_shed_total{limit="watches"}`:                                         "1",
		`netpold_decision_errors_total{code="ResourceExhausted",reason="OVERLOADED"}`: "1",
	})
	cancel()
	for {
		w := watch(t, r.conn)
		// One that is refused may be over by now. Then receiving says why.
		if err := w.stream.Send(&netpoldv1.WatchAllowedRequest{Add: numbered(1, ask())}); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if _, err := w.stream.Recv(); err == nil {
			return
		} else if status.Code(err) != codes.ResourceExhausted {
			t.Fatal(err)
		}
	}
}

// A watch ends with UNAVAILABLE before the first sync, at a drain, and while a stale state is refused.
func TestP24Ends(t *testing.T) {
	t.Parallel()
	t.Run("not synced", func(t *testing.T) {
		t.Parallel()
		d := watch(t, start(t, servertest.NewSource(), nil).conn).end()
		if d.Code != codes.Unavailable || d.Reason != "NOT_SYNCED" || d.Retry == 0 {
			t.Errorf("%+v", d)
		}
	})
	t.Run("drain", func(t *testing.T) {
		t.Parallel()
		r := start(t, synced(shop()...), func(c *server.Config) { c.DrainTimeout = time.Hour })
		w, idle := watch(t, r.conn), watch(t, r.conn)
		w.add(1, ask())
		idle.now()
		r.stop()
		want := details{
			Code: codes.Unavailable, Reason: "SHUTTING_DOWN", Retry: time.Second,
			Message: "the server is shutting down; retry on another connection",
		}
		for _, w := range []*watcher{w, idle} {
			if diff := cmp.Diff(want, w.end()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		}
		if err := r.wait(t); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Run("stale", func(t *testing.T) {
		t.Parallel()
		source := synced(shop()...)
		source.SetStatus(silent())
		r := start(t, source, func(c *server.Config) {
			c.WhenStale, c.WatchHeartbeat = server.DenyWhenStale, 30*time.Second
		})
		w := watch(t, r.conn)
		w.heartbeat = 30 * time.Second
		w.add(1, ask())
		source.SetStale(true)
		if d := w.end(); d.Code != codes.Unavailable || d.Reason != "STALE" || d.Metadata["resources"] != "pods,nodes" {
			t.Errorf("%+v", d)
		}
		if d := watch(t, r.conn).end(); d.Reason != "STALE" {
			t.Errorf("a new one: %+v", d)
		}
	})
	t.Run("the connection is too old", func(t *testing.T) {
		t.Parallel()
		r := start(t, synced(shop()...), func(c *server.Config) {
			c.MaxConnectionAge, c.MaxConnectionAgeGrace = 50*time.Millisecond, 50*time.Millisecond
		})
		w := watch(t, r.conn)
		// On a busy machine the connection is too old by now: then it ends without a question.
		if err := w.stream.Send(&netpoldv1.WatchAllowedRequest{Add: numbered(1, ask())}); err == nil {
			w.sent++
		} else if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if d := w.end(); d.Code != codes.Unavailable || d.Reason != "" {
			t.Errorf("%+v", d)
		}
	})
	t.Run("token not reached", func(t *testing.T) {
		t.Parallel()
		r := start(t, synced(shop()...), func(c *server.Config) { c.MaxDeadline = 20 * time.Millisecond })
		w := watch(t, r.conn)
		w.send(&netpoldv1.WatchAllowedRequest{AtLeast: "servertest:99"})
		if diff := cmp.Diff(notReached, w.end()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// A panic ends its stream alone, and is told as any other.
func TestP24PanicEndsItsStreamAlone(t *testing.T) {
	t.Parallel()
	source := &panicking{Source: synced(shop()...), now: make(chan struct{}, 1)}
	r := start(t, source, nil)
	source.now <- struct{}{}
	if d := watch(t, r.conn).end(); d.Code != codes.Internal {
		t.Errorf("%+v", d)
	}
	w := watch(t, r.conn)
	w.add(1, ask())
	w.expect(1, "allowed")
}

// Ten thousand cancelled watches leave nothing in the server: their questions are gone, and goleak would find the rest.
func TestP24CancelledWatchesLeaveNothing(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	kept := watchUntil(t.Context(), t, r.conn)
	kept.add(1, ask())
	watches := 10_000
	if enginetest.UnderRace || testing.Short() {
		watches = 500
	}
	for range watches {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := r.decisions().WatchAllowed(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&netpoldv1.WatchAllowedRequest{Add: numbered(1, ask(), ask())}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	want := map[string]string{"netpold_watches": "1", "netpold_watched_questions": "1"}
	for ctx := soon(t); ; {
		got := metricsOf(t, r)
		if got["netpold_watches"] == "1" && got["netpold_watched_questions"] == "1" {
			break
		}
		if ctx.Err() != nil {
			expectMetrics(t, got, want)
			return
		}
	}
	kept.now()
}

// Answers of watches count as those of calls, and as first ones or changes.
func TestP47MetricsOfWatches(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	r := start(t, source, nil)
	w := watch(t, r.conn)
	w.add(1, ask(), ipQuestion("10.0.3.8", "10.0.3.7"), ipQuestion("x", "10.0.3.7"))
	source.Apply(engine.Change{Object: allowCart(), Delete: true})
	w.now()
	w.now() // so that what was sent is counted
	expectMetrics(t, metricsOf(t, r), map[string]string{
		"netpold_watches": "1", "netpold_watched_questions": "2", "netpold_watch_lag_seconds_count": "1",
		`netpold_watch_answers_total{kind="first"}`:                                       "3",
		`netpold_watch_answers_total{kind="change"}`:                                      "2",
		`netpold_decisions_total{allowed="true",reason="allowed_by_rule"}`:                "1",
		`netpold_decisions_total{allowed="false",reason="denied_at_ingress"}`:             "3",
		`netpold_decision_errors_total{code="InvalidArgument",reason="INVALID_QUESTION"}`: "1",
	})
}

// A reader that stalls costs no memory, delays no other, and gets the last state when it reads on: each answer
// once. In a bubble "blocked" is a fact, not a matter of time.
func TestP22ASlowReaderGetsTheLastState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := synced(shop()...)
		listener := bufconn.Listen(1 << 16)
		s := grpc.NewServer()
		netpoldv1.RegisterDecisionServiceServer(s, decisions.New(source, decisions.Options{}))
		served := make(chan error, 1)
		go func() { served <- s.Serve(listener) }()
		conn, err := grpc.NewClient("passthrough:///bufconn",
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return listener.DialContext(ctx)
			}))
		if err != nil {
			t.Fatal(err)
		}
		const questions = 3000
		slow, fast := watch(t, conn), watch(t, conn)
		var list []*netpoldv1.AllowedRequest
		for range questions {
			list = append(list, ask())
		}
		slow.send(&netpoldv1.WatchAllowedRequest{Add: numbered(1, list...)})
		fast.send(&netpoldv1.WatchAllowedRequest{Add: numbered(1, ask())})
		fast.complete()
		change := engine.Change{Object: allowCart()}
		for i := range 201 { // the last one deletes the policy
			change.Delete = i%2 == 0
			source.Apply(change)
			fast.now()
			want := "allowed"
			if change.Delete {
				want = "denied"
			}
			fast.expect(1, want)
		}
		synctest.Wait()
		slow.now()
		if len(slow.answers) != questions {
			t.Errorf("%d answers, want %d", len(slow.answers), questions)
		}
		for id := range slow.answers {
			slow.expect(id, "denied")
		}
		// What was sent before the reader stalled fills its windows; the rest comes once.
		if most := 6 * questions; len(slow.order) > most {
			t.Errorf("%d answers, want at most %d", len(slow.order), most)
		}
		_ = conn.Close()
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}
