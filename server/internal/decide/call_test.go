package decide

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/cache"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/details"
	"github.com/netpold/netpold/server/internal/overload"
	"github.com/netpold/netpold/server/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// crowdPods is how many Pods the workload crowd has: its pairs with itself are expensive.
const crowdPods = 230

func crowd() *current.State {
	cluster := engine.NewCluster(engine.Options{})
	for i := range crowdPods {
		cluster.Apply(engine.Change{Object: &engine.Pod{
			Namespace: "shop", Name: fmt.Sprint("pod-", i), IPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})},
			Workloads: []engine.Workload{{Kind: "Deployment", Name: "crowd"}},
		}})
	}
	return &current.State{State: mirror.State{Snapshot: cluster.Snapshot()}}
}

func all() engine.Endpoint {
	return engine.ByWorkload("shop", engine.Workload{Kind: "Deployment", Name: "crowd"})
}

// ask asks a question of call; of a call of its own for nil.
func (d Decider) ask(ctx context.Context, call *Call, s *current.State, src, dst engine.Endpoint) *wire.Failure {
	if call == nil {
		call = &Call{}
		defer call.End()
	}
	_, fail := d.Decide(ctx, call, s, &details.Detailer{}, engine.Query{Src: src, Dst: dst, Port: 80}, nil,
		wire.EngineErrorByIP)
	return fail
}

// takeAll takes all slots of a gate.
func takeAll(t *testing.T, gate *overload.Gate) {
	t.Helper()
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		slot, refused := gate.Slot(t.Context(), overload.Demand{})
		if refused != nil {
			t.Fatal(refused)
		}
		t.Cleanup(slot.Leave)
	}
}

// While others have all slots, what is cheap or remembered is decided, and what is expensive waits until its deadline, or
// is refused if too many wait (P41). A call that has begun waits.
func TestExpensiveQuestionsNeedASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := overload.New(overload.Options{Limits: overload.Limits{InFlight: 1}})
		s, d := crowd(), New(cache.New(100), gate)
		if fail := d.ask(t.Context(), nil, s, all(), all()); fail != nil { // remembered from here on
			t.Fatal(fail)
		}
		takeAll(t, gate)
		one := engine.ByPod("shop", "pod-1")
		if fail := d.ask(t.Context(), nil, s, one, all()); fail != nil {
			t.Errorf("a cheap question: %v", fail)
		}
		if fail := d.ask(t.Context(), nil, s, all(), all()); fail != nil {
			t.Errorf("a remembered decision: %v", fail)
		}
		d = New(nil, gate)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		waited := make(chan *wire.Failure)
		go func() { waited <- d.ask(ctx, nil, s, all(), all()) }()
		synctest.Wait()
		if fail := d.ask(t.Context(), nil, s, all(), all()); fail == nil || fail.Code != codes.ResourceExhausted ||
			fail.Metadata["limit"] != "waiting" {
			t.Errorf("beyond those that may wait: %v", fail)
		}
		var batch Call
		for range freePairs / (17 * crowdPods) {
			if fail := d.ask(t.Context(), &batch, s, one, all()); fail != nil {
				t.Fatalf("a batch of cheap questions: %v", fail)
			}
		}
		began := time.Now()
		if fail := d.ask(ctx, &batch, s, one, all()); fail == nil || fail.Code != codes.DeadlineExceeded {
			t.Errorf("the rest of the batch: %v", fail)
		}
		if fail := <-waited; fail == nil || fail.Code != codes.DeadlineExceeded || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), fail)
		}
	})
}

// A question stops when its caller gives up.
func TestDecidingEndsWithItsCall(t *testing.T) {
	gate := overload.New(overload.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var call Call
	_, fail, err := New(nil, gate).Allowed(ctx, &call, crowd().Snapshot, &engine.Query{Src: all(), Dst: all(), Port: 80})
	if failure := (*engine.QueryError)(nil); fail != nil || !errors.As(err, &failure) || failure.Code != engine.Abandoned {
		t.Errorf("%v, %v; want an error of code Abandoned", fail, err)
	}
	call.End()
	for range 2 * runtime.GOMAXPROCS(0) { // no slot is lost
		slot, refused := gate.Slot(t.Context(), overload.Demand{})
		if slot == nil || refused != nil {
			t.Fatal(refused)
		}
		slot.Leave()
	}
}

// A question between two addresses allocates nothing.
func TestNothingIsAllocated(t *testing.T) {
	s, d, call, advisor := crowd(), New(cache.New(100), nil), &Call{}, &details.Detailer{}
	at := func(text string) engine.Endpoint { return engine.ByIP(netip.MustParseAddr(text)) }
	q := engine.Query{Src: at("10.0.0.1"), Dst: at("10.0.0.2"), Port: 80}
	if n := testing.AllocsPerRun(100, func() {
		_, _ = d.Decide(t.Context(), call, s, advisor, q, nil, wire.EngineErrorByIP)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
