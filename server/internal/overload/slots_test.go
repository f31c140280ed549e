package overload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/peer"

	"github.com/netpold/netpold/server/internal/wire"
)

// from returns a context of a call of a caller at an address. The connection stays open until the test ends.
func from(t *testing.T, g *Gate, ip string) context.Context {
	t.Helper()
	c := g.track(&fakeConn{from: ip})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return peer.NewContext(t.Context(), &peer.Peer{Addr: &address{&net.TCPAddr{}, c}})
}

// oneSlot returns a gate with one slot.
func oneSlot(inFlight int) *Gate {
	g := New(Options{Limits: Limits{InFlight: inFlight}})
	g.slots.free = 1
	return g
}

// must returns a slot that is had.
func must(t *testing.T, g *Gate, ctx context.Context, demand Demand) *Slot {
	t.Helper()
	slot, refused := g.Slot(ctx, demand)
	if slot == nil || refused != nil {
		t.Fatalf("no slot: %v", refused)
	}
	return slot
}

// Callers take turns, however many questions one of them asks, and small questions take turns with large ones.
func TestSlotsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := oneSlot(1000)
		first := must(t, g, from(t, g, "10.0.0.1"), Demand{Large: true})
		var order []string
		ask := func(ip, name string, large bool) {
			ctx := from(t, g, ip)
			go func() {
				slot := must(t, g, ctx, Demand{Large: large})
				order = append(order, name)
				slot.Leave()
			}()
			synctest.Wait()
		}
		for i := range 3 {
			ask("10.0.0.1", fmt.Sprint("greedy-", i), true)
		}
		ask("10.0.0.2", "other", true)
		ask("10.0.0.1", "small greedy-0", false)
		ask("10.0.0.1", "small greedy-1", false)
		ask("10.0.0.2", "small other", false)
		first.Leave()
		synctest.Wait()
		want := []string{"small greedy-0", "greedy-0", "small other", "other", "small greedy-1", "greedy-1", "greedy-2"}
		if !slices.Equal(order, want) {
			t.Errorf("the slot goes to %q, want %q", order, want)
		}
		if asked, waiting := g.slots.counts(); asked != 8 || waiting != 0 || g.slots.free != 1 {
			t.Errorf("%d asked, %d wait, %d slots are free", asked, waiting, g.slots.free)
		}
	})
}

// A large question gives its slot to a small one when its time is over, and has it again before other large ones.
func TestLargeQuestionsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := oneSlot(1000)
		ctx := from(t, g, "10.0.0.1")
		large := must(t, g, ctx, Demand{Large: true})
		var order []string
		for name, large := range map[string]bool{"small": false, "large": true} {
			go func() {
				slot := must(t, g, ctx, Demand{Large: large})
				order = append(order, name)
				slot.Leave()
			}()
		}
		synctest.Wait()
		if !large.GoOn(ctx) || len(order) > 0 {
			t.Errorf("before the time is over %q were decided", order)
		}
		<-time.After(slotTime)
		if !large.GoOn(ctx) || !slices.Equal(order, []string{"small"}) {
			t.Errorf("after it %q were decided", order)
		}
		<-time.After(slotTime)
		if !large.GoOn(ctx) || len(order) != 1 {
			t.Errorf("a large question gave way to another: %q", order)
		}
		large.Leave()
		synctest.Wait()
		if len(order) != 2 || g.slots.free != 1 {
			t.Errorf("%q were decided, %d slots are free", order, g.slots.free)
		}
	})
}

// P41: one caller may have half of the line, all of them a quarter of the calls in progress. Calls in progress are not
// refused.
func TestP41QuestionsThatWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := oneSlot(16)
		held := must(t, g, from(t, g, "10.0.0.1"), Demand{Large: true})
		ctx, cancel := context.WithCancel(t.Context())
		wait := func(ip string, demand Demand) {
			of := from(t, g, ip)
			go func() {
				both, done := context.WithCancel(of)
				defer done()
				context.AfterFunc(ctx, done)
				if slot, refused := g.Slot(both, demand); slot != nil || refused != nil {
					t.Errorf("a slot was had: %v", refused)
				}
			}()
			synctest.Wait()
		}
		refused := func(ip, reason string) {
			t.Helper()
			_, r := g.Slot(from(t, g, ip), Demand{})
			if r == nil || r.Reason != reason || r.Metadata["limit"] != "waiting" || r.RetryAfter < 50*time.Millisecond ||
				r.RetryAfter > 500*time.Millisecond || !strings.Contains(r.Message, "as many as may") {
				t.Errorf("refused with %+v, want %s", r, reason)
			}
		}
		wait("10.0.0.1", Demand{Large: true})
		wait("10.0.0.1", Demand{})
		refused("10.0.0.1", wire.ReasonCallerOverLimit)
		wait("10.0.0.2", Demand{})
		wait("10.0.0.3", Demand{})
		refused("10.0.0.4", wire.ReasonOverloaded)
		wait("10.0.0.1", Demand{InProgress: true})
		if _, waiting := g.slots.counts(); waiting != 5 {
			t.Errorf("%d wait, want 5", waiting)
		}
		cancel()
		synctest.Wait()
		if _, waiting := g.slots.counts(); waiting != 0 || len(g.slots.small.lines)+len(g.slots.large.lines) != 0 {
			t.Errorf("%d wait after all were given up", waiting)
		}
		held.Leave()
		if g.slots.free != 1 {
			t.Errorf("%d slots are free", g.slots.free)
		}
	})
}

// Whoever gives up leaves no slot behind: while it waits, while it is paused, or as it gets one.
func TestSlotsOfWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := oneSlot(1000)
		ctx, cancel := context.WithCancelCause(from(t, g, "10.0.0.1"))
		large := must(t, g, ctx, Demand{Large: true})
		small := make(chan *Slot)
		go func() { small <- must(t, g, from(t, g, "10.0.0.2"), Demand{}) }()
		synctest.Wait()
		<-time.After(slotTime)
		goesOn := make(chan bool)
		go func() { goesOn <- large.GoOn(ctx) }()
		holds := <-small
		synctest.Wait()
		cancel(errors.New("given up"))
		if <-goesOn {
			t.Error("a question goes on that was given up")
		}
		large.Leave()
		holds.Leave()
		if _, waiting := g.slots.counts(); waiting != 0 || g.slots.free != 1 {
			t.Errorf("%d wait, %d slots are free", waiting, g.slots.free)
		}
		if large.GoOn(ctx) {
			t.Error("a slot that was left goes on")
		}
	})
}
