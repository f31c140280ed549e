package netpold_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

// TestVerdict proves that questions of many goroutines get the answers of Allowed, each its own, with and without a cache.
func TestVerdict(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]netpold.Option{
		"plain": nil, "cached": {netpold.WithCache(netpold.CacheConfig{})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := servertest.Start(t, shop()...).Client(options...)
			var callers sync.WaitGroup
			for i := range 64 {
				callers.Go(func() {
					r := rand.New(rand.NewPCG(1, uint64(i)))
					for range 200 {
						q := anyQuestion(r)
						want, wantErr := client.Allowed(soon(t), &netpoldv1.AllowedRequest{
							Src: netpold.IP(q.Src.String()), Dst: netpold.IP(q.Dst.String()), Port: uint32(q.Port), Protocol: q.Protocol,
						})
						got, err := client.Verdict(soon(t), q)
						if fmt.Sprint(err) != fmt.Sprint(wantErr) || !errors.Is(got.Err, err) || got.Allowed != want.GetAllowed() ||
							got.Reason != want.GetReason() || err == nil && got.Revision != want.GetRevision() {
							t.Errorf("%v: %+v, %v; Allowed says %v, %v", q, got, err, want, wantErr)
							return
						}
					}
				})
			}
			callers.Wait()
		})
	}
}

// anyQuestion returns a question about the shop, sometimes a wrong one.
func anyQuestion(r *rand.Rand) netpold.Question {
	ends := []string{"10.0.1.4", "10.0.3.7", "10.0.9.9", "203.0.113.7", "2001:db8::1", "::ffff:10.0.3.7"}
	return netpold.Question{
		Src: addr(ends[r.IntN(len(ends))]), Dst: addr(ends[r.IntN(len(ends))]), Port: []uint16{8080, 9090, 53, 0}[r.IntN(4)],
		Protocol: netpoldv1.Protocol(r.IntN(5)),
	}
}

// TestVerdictOfAWrongQuestion proves that a question which cannot be sent has its error, and no other has.
func TestVerdictOfAWrongQuestion(t *testing.T) {
	t.Parallel()
	client := servertest.Start(t, shop()...).Client()
	for name, q := range map[string]netpold.Question{
		"no source": {Dst: addr("10.0.3.7"), Port: 8080},
		"a zone":    {Src: addr("fe80::1%eth0"), Dst: addr("10.0.3.7"), Port: 8080},
		"protocol":  {Src: addr("10.0.1.4"), Dst: addr("10.0.3.7"), Port: 8080, Protocol: 256},
		"port":      toCart(0),
	} {
		for _, ask := range []func() (netpold.Verdict, error){
			func() (netpold.Verdict, error) { return client.Verdict(soon(t), q) },
			func() (netpold.Verdict, error) { return client.VerdictAtLeast(soon(t), q, "servertest:1") },
		} {
			if v, err := ask(); !errors.Is(err, netpold.ErrInvalidQuestion) || v.Allowed {
				t.Errorf("%s: %+v, %v", name, v, err)
			}
		}
	}
}

// TestVerdictAtLeast proves that an answer is as new as its token, that an unknown token fails alone, and that neither
// delays others.
func TestVerdictAtLeast(t *testing.T) {
	t.Parallel()
	instance := servertest.Start(t, shop()...)
	client := instance.Client()
	token := instance.Apply()
	if v, err := client.VerdictAtLeast(soon(t), toCart(8080), token); err != nil || !v.Allowed || v.Revision != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	_, err := client.VerdictAtLeast(soon(t), toCart(8080), "other:1")
	if e := errorOf(t, err, netpold.ErrPrecondition); e.Reason != "TOKEN_UNKNOWN" {
		t.Errorf("%+v", e)
	}
	if v, err := client.Verdict(soon(t), toCart(8080)); err != nil || !v.Allowed {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestVerdictWhenTheContextEnds proves that a caller goes when its context ends, that others keep their answers, and that a
// silent server does not keep the client from another.
func TestVerdictWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	client := dial(t, serveFake(t, silent{}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := client.Verdict(ctx, toCart(8080))
		ended <- err
	}()
	short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	_, err := client.Verdict(short, toCart(8080))
	_ = errorOf(t, err, context.DeadlineExceeded)
	cancel()
	_ = errorOf(t, <-ended, context.Canceled)
	_, err = client.Verdict(ctx, toCart(8080))
	_ = errorOf(t, err, context.Canceled)
}

// A silent server never answers.
type silent struct {
	netpoldv1.UnimplementedDecisionServiceServer
}

func (silent) StreamAllowed(stream netpoldv1.DecisionService_StreamAllowedServer) error {
	<-stream.Context().Done()
	return stream.Context().Err()
}

// TestVerdictWithoutServer proves that the error is that of a call, with FailDeny a denial, and that a closed client says so.
func TestVerdictWithoutServer(t *testing.T) {
	t.Parallel()
	client := dial(t, "127.0.0.1:1")
	v, err := client.Verdict(soon(t), toCart(8080))
	if _ = errorOf(t, err, netpold.ErrUnavailable); v.Allowed {
		t.Errorf("%+v", v)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if v, err := client.Verdict(soon(t), toCart(8080)); v.Allowed || errorOf(t, err, context.Canceled).Message != "the client is closed" {
		t.Errorf("%+v, %v", v, err)
	}
	denying, err := netpold.Dial("127.0.0.1:1", netpold.WithInsecure(), netpold.WithFailureMode(netpold.FailDeny))
	if err != nil {
		t.Fatal(err)
	}
	defer denying.Close()
	if v, err := denying.Verdict(soon(t), toCart(8080)); err != nil || v.Allowed || !v.Stale || v.Err != nil {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestVerdictWhileClosing proves that everybody who waits gets an error when the client is closed.
func TestVerdictWhileClosing(t *testing.T) {
	t.Parallel()
	client := dial(t, serveFake(t, silent{}))
	var callers sync.WaitGroup
	var asking sync.WaitGroup
	for range 50 {
		asking.Add(1)
		callers.Go(func() {
			asking.Done()
			if v, err := client.Verdict(soon(t), toCart(8080)); err == nil || v.Allowed {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
	asking.Wait()
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	callers.Wait()
}

// TestP31VerdictsWhileReplicasRestart proves that with two replicas restarted in turn no question with a deadline is lost,
// doubled or answered wrongly, while callers come and go, and that both replicas are asked.
func TestP31VerdictsWhileReplicasRestart(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	replicas := []*process{startProcess(t, source), startProcess(t, source)}
	client := dialAddresses(t, []string{replicas[0].addr, replicas[1].addr})
	ctx, cancel := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	var answered, left atomic.Int64
	for i := range 16 {
		callers.Go(func() {
			r := rand.New(rand.NewPCG(2, uint64(i)))
			for ctx.Err() == nil {
				allowed := r.IntN(2) == 0
				q := toCart(9090)
				if allowed {
					q = toCart(8080)
				}
				within, stop := context.WithTimeout(context.Background(), 30*time.Second)
				if r.IntN(10) == 0 {
					go stop()
				}
				v, err := client.Verdict(within, q)
				stop()
				switch {
				case errors.Is(err, context.Canceled):
					left.Add(1)
				case err != nil || v.Allowed != allowed:
					t.Errorf("%v: %+v, %v", q, v, err)
					return
				default:
					answered.Add(1)
				}
			}
		})
	}
	for round := range 4 {
		before := answered.Load()
		replicas[round%2].stop()
		replicas[round%2].start()
		for deadline := soon(t); answered.Load() < before+1000 && deadline.Err() == nil; {
			_, _ = client.Verdict(deadline, toCart(8080))
		}
	}
	cancel()
	callers.Wait()
	if answered.Load() < 4000 {
		t.Errorf("%d answers, %d callers left", answered.Load(), left.Load())
	}
}

func ExampleClient_Verdict() {
	address, stop := exampleServer()
	defer stop()

	client, err := netpold.Dial(address, netpold.WithInsecure())
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// Any number of goroutines may do this at once.
	verdict, err := client.Verdict(ctx, netpold.Question{
		Src: netip.MustParseAddr("10.0.1.4"), Dst: netip.MustParseAddr("10.0.3.7"), Port: 8080,
	})
	if err != nil {
		panic(err) // there is no answer
	}
	fmt.Println(verdict.Allowed, verdict.Reason)
	// Output: true REASON_ALLOWED_BY_RULE
}
