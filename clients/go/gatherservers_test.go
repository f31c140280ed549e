package netpold_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

// TestVerdictAsksEveryServer proves that each server behind a name is asked, and that one that becomes stale is left while
// another is not.
func TestVerdictAsksEveryServer(t *testing.T) {
	t.Parallel()
	servers := []*servertest.Instance{servertest.Start(t, shop()...), servertest.Start(t, shop()...)}
	servers[1].Apply() // so that its answers have another revision
	client := dialAddresses(t, []string{servers[0].Addr(), servers[1].Addr()})
	// until asks from several goroutines until enough answers in a row are wanted.
	until := func(enough int, wanted func(netpold.Verdict) bool) {
		ctx := soon(t)
		var callers sync.WaitGroup
		var row atomic.Int64
		for range 8 {
			callers.Go(func() {
				for row.Load() < int64(enough) {
					v, err := client.Verdict(ctx, toCart(8080))
					switch {
					case err != nil || !v.Allowed:
						t.Errorf("%+v, %v", v, err)
						row.Store(int64(enough))
					case wanted(v):
						row.Add(1)
					default:
						if n := row.Load(); n < int64(enough) { // otherwise it is over
							row.CompareAndSwap(n, 0)
						}
					}
				}
			})
		}
		callers.Wait()
	}
	until(1, func(v netpold.Verdict) bool { return v.Revision == 1 })
	until(1, func(v netpold.Verdict) bool { return v.Revision == 2 })
	servers[0].SetStale(true)
	until(1000, func(v netpold.Verdict) bool { return v.Revision == 2 && !v.Stale })
}

// TestVerdictLeavesASilentServer proves that a stream on which nothing comes is given up when a caller ran out of time, whose
// question was the first, a later one, or still waits, and that its other questions are asked again.
func TestVerdictLeavesASilentServer(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]int{"first": 0, "behind a batch": 1, "not sent": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &silentFirst{heard: make(chan struct{}, 1)}
			client := dial(t, serveFake(t, server))
			patient := make(chan error)
			ask := func() {
				v, err := client.Verdict(soon(t), toCart(8080))
				if err == nil && !v.Allowed {
					err = errors.New("denied")
				}
				patient <- err
			}
			for i := range before {
				go ask()
				if i == 0 {
					<-server.heard
				} else {
					for client.OpenBatches() <= i { // it was not sent yet
						runtime.Gosched()
					}
				}
			}
			for asked := false; !asked; {
				ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
				_, err := client.Verdict(ctx, toCart(8080))
				cancel()
				asked = err == nil
			}
			for range before {
				if err := <-patient; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// silentFirst answers on every stream but the first that has a question.
type silentFirst struct {
	netpoldv1.UnimplementedDecisionServiceServer
	asked atomic.Int32
	heard chan struct{}
	// release has the first answer too; nil for never.
	release chan struct{}
}

func (s *silentFirst) StreamAllowed(stream netpoldv1.DecisionService_StreamAllowedServer) error {
	for first := true; ; first = false {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		if first && s.asked.Add(1) == 1 {
			s.heard <- struct{}{}
			select {
			case <-s.release:
			case <-stream.Context().Done():
				return stream.Context().Err()
			}
		}
		n := len(request.GetPorts()) / 2
		answer := &netpoldv1.StreamAllowedResponse{Allowed: make([]byte, (n+7)/8), Reasons: make([]byte, n), Revision: 1}
		for i := range n {
			answer.Allowed[i/8] |= 1 << (i % 8)
			answer.Reasons[i] = byte(netpoldv1.Reason_REASON_ALLOWED_BY_RULE)
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// TestVerdictWaitsForASlowServer proves that callers of little patience do not take a slow answer from who is patient.
func TestVerdictWaitsForASlowServer(t *testing.T) {
	t.Parallel()
	server := &silentFirst{heard: make(chan struct{}, 1), release: make(chan struct{})}
	client := dial(t, serveFake(t, server))
	patient := make(chan error)
	go func() {
		_, err := client.Verdict(soon(t), toCart(8080))
		patient <- err
	}()
	<-server.heard
	for began := time.Now(); time.Since(began) < 1300*time.Millisecond; { // longer than a stream may be silent
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if _, err := client.Verdict(ctx, toCart(8080)); err == nil {
			t.Error("an answer before there is one")
		}
		cancel()
	}
	close(server.release)
	if err := <-patient; err != nil {
		t.Error(err)
	}
	if n := server.asked.Load(); n != 1 {
		t.Errorf("%d streams were asked", n)
	}
}

// TestVerdictOfAnOverloadedServer proves that overload is told at once, and not asked again.
func TestVerdictOfAnOverloadedServer(t *testing.T) {
	t.Parallel()
	overloaded, err := status.New(codes.ResourceExhausted, "busy").
		WithDetails(&errdetails.ErrorInfo{Reason: "OVERLOADED", Domain: "netpold"})
	if err != nil {
		t.Fatal(err)
	}
	client := dial(t, serveFake(t, &answering{after: overloaded.Err()}))
	_, err = client.Verdict(soon(t), toCart(8080))
	_ = errorOf(t, err, netpold.ErrOverloaded)
}

// TestVerdictOfABrokenServer proves that what a server sends beside the answers is never an answer.
func TestVerdictOfABrokenServer(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]answering{
		"too many":     {answer: &netpoldv1.StreamAllowedResponse{Allowed: []byte{3}, Reasons: []byte{4, 4}}},
		"no reason":    {answer: &netpoldv1.StreamAllowedResponse{Allowed: []byte{1}, Reasons: []byte{0}}},
		"an early end": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := dial(t, serveFake(t, &server))
			if v, err := client.Verdict(soon(t), toCart(8080)); err == nil || v.Allowed {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}

// TestVerdictManyWaiting proves that callers beyond the bound wait for room, and are answered or leave as others do.
func TestVerdictManyWaiting(t *testing.T) {
	t.Parallel()
	server := &held{release: make(chan struct{})}
	client := dial(t, serveFake(t, server))
	const callers = 15_000
	var all sync.WaitGroup
	var asking sync.WaitGroup
	asking.Add(callers)
	var left atomic.Int64
	leave, cancel := context.WithCancel(t.Context())
	for i := range callers {
		ctx := soon(t)
		if i%3 == 0 {
			ctx = leave
		}
		all.Go(func() {
			asking.Done()
			v, err := client.Verdict(ctx, toCart(8080))
			switch {
			case errors.Is(err, context.Canceled) && i%3 == 0:
				left.Add(1)
			case err != nil || !v.Allowed:
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
	asking.Wait()
	cancel()
	close(server.release)
	all.Wait()
	t.Logf("%d left", left.Load())
}

// held answers once it is released.
type held struct {
	silentFirst
	release chan struct{}
}

func (h *held) StreamAllowed(stream netpoldv1.DecisionService_StreamAllowedServer) error {
	<-h.release
	h.asked.Store(1)
	return h.silentFirst.StreamAllowed(stream)
}
