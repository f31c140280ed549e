package overload

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/netpold/netpold/server/internal/wire"
)

const (
	// slotTime is how long a large question keeps its slot while small ones wait, each of which takes about as long.
	slotTime = 10 * time.Millisecond
	// waitShare of the calls in progress may wait for a slot at most: the others have their places for cheap questions.
	waitShare = 4
)

// slots are the turns of expensive questions at the processors. There are fewer than processors, if there are several,
// so that cheap questions never wait for expensive ones.
//
//	small: line of A  q1 q2 ─────────┐
//	       line of B  q1 ────────────┼──> the first of the next line, then that line is the last
//	large: line of A  q1 q2 ... q200 ┤
//	       line of C  q1 ────────────┘
//
// So a caller waits for one question of each other caller, however many these ask, and the questions of one caller are
// decided one after the other. Small and large ones take turns: a large one gives its slot to a small one now and then,
// and is the next to have it again. Only those that have a slot, or gave it away so, take the memory of their Pods.
type slots struct {
	mu           sync.Mutex
	free         int
	small, large queue
	// paused has large questions that gave their slot to a small one.
	paused []*waiter
	// wasSmall reports whether the last slot went to a small question.
	wasSmall bool
	// most may wait, and mostPerCaller of one caller.
	most, mostPerCaller int
	// asked counts slots that were asked for.
	asked int

	full, fullCaller refusal
}

// A waiter is a question that waits. granted is closed when it has a slot.
type waiter struct {
	of      *account
	granted chan struct{}
}

func newWaiter(of *account) *waiter { return &waiter{of, make(chan struct{})} }

func newSlots(inFlight int) *slots {
	most := max(1, inFlight/waitShare)
	s := &slots{free: max(1, runtime.GOMAXPROCS(0)/2), most: most, mostPerCaller: max(1, most/2)}
	s.full = newRefusal(func() *wire.Failure { return tooManyExpensive(most, "all callers") })
	s.fullCaller = newRefusal(func() *wire.Failure {
		f := tooManyExpensive(s.mostPerCaller, "this caller")
		f.Reason = wire.ReasonCallerOverLimit
		return f
	})
	return s
}

func tooManyExpensive(limit int, of string) *wire.Failure {
	return wire.Overloaded("waiting", fmt.Sprintf("%d questions of %s about many Pods wait, as many as may do so at once",
		limit, of), "ask about fewer Pods or with fewer calls at once, or give the server more processors")
}

// A Slot is the right of one call to decide expensive questions. The nil Slot never waits.
type Slot struct {
	slots *slots
	large bool
	of    *account
	// drop gives the account back.
	drop func()
	// since is when the present turn began. has is false once it was given up and no other was had.
	since time.Time
	has   bool
}

// Demand is what a slot is wanted for.
type Demand struct {
	// Large questions take longer than a turn.
	Large bool
	// InProgress calls are not refused.
	InProgress bool
}

// Slot waits for a slot, which the caller must [Slot.Leave]. It refuses a call that would be one too many to wait.
// If ctx ends before, it returns neither.
func (g *Gate) Slot(ctx context.Context, demand Demand) (*Slot, *Refused) {
	if g == nil {
		return &Slot{}, nil
	}
	of, held := g.accountOf(ctx, connectionOf(ctx))
	drop := func() {
		if held {
			g.accounts.drop(of)
		}
	}
	w, r := g.slots.ask(of, demand)
	if r != nil {
		drop()
		return nil, g.refuse(r)
	}
	if !g.slots.await(ctx, w) {
		drop()
		return nil, nil
	}
	return &Slot{slots: g.slots, large: demand.Large, of: of, drop: drop, since: time.Now(), has: true}, nil
}

// GoOn lets others have the processor, and the slot too if its time is over and a small question waits. It reports
// whether to go on deciding: not if ctx has ended.
func (t *Slot) GoOn(ctx context.Context) bool {
	runtime.Gosched()
	if ctx.Err() != nil {
		return false
	}
	if t == nil || t.slots == nil || !t.large || time.Since(t.since) < slotTime {
		return true
	}
	if w := t.slots.pause(t.of); w != nil {
		t.has = t.slots.await(ctx, w)
	}
	t.since = time.Now()
	return t.has
}

// Leave gives the slot back.
func (t *Slot) Leave() {
	if t == nil || t.slots == nil {
		return
	}
	if t.has {
		t.slots.leave()
	}
	t.drop()
	*t = Slot{}
}

// ask asks for a slot of a caller. It returns nil if it has one at once.
func (s *slots) ask(of *account, demand Demand) (*waiter, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.free > 0 {
		s.free--
		s.wasSmall = !demand.Large
		return nil, nil
	}
	switch {
	case demand.InProgress:
	case s.small.lenOf(of)+s.large.lenOf(of) >= s.mostPerCaller:
		return nil, &s.fullCaller
	case s.small.n+s.large.n >= s.most:
		return nil, &s.full
	}
	w := newWaiter(of)
	if demand.Large {
		s.large.push(w)
	} else {
		s.small.push(w)
	}
	return w, nil
}

// await waits until w, if any, has its slot, and reports whether it has. Once ctx has ended it has none.
func (s *slots) await(ctx context.Context, w *waiter) bool {
	if w == nil {
		return true
	}
	select {
	case <-w.granted:
		return true
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.paused, w); at >= 0 {
		s.paused = slices.Delete(s.paused, at, at+1)
	} else if !s.small.remove(w) && !s.large.remove(w) { // it was granted meanwhile
		s.pass()
	}
	return false
}

// pause gives the slot of a large question to a small one, and returns who waits for it now; nil if no small one waits.
func (s *slots) pause(of *account) *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.small.n == 0 {
		return nil
	}
	w := newWaiter(of)
	s.paused = append(s.paused, w)
	s.wasSmall = false
	s.pass()
	return w
}

// leave gives a slot back.
func (s *slots) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass()
}

// pass gives a slot to the next who waits, or frees it. The lock must be held.
func (s *slots) pass() {
	var next *waiter
	switch waitLarge := len(s.paused) > 0 || s.large.n > 0; {
	case s.small.n > 0 && (!s.wasSmall || !waitLarge):
		next, s.wasSmall = s.small.pop(), true
	case len(s.paused) > 0:
		next, s.wasSmall = s.paused[0], false
		s.paused = slices.Delete(s.paused, 0, 1)
	case s.large.n > 0:
		next, s.wasSmall = s.large.pop(), false
	default:
		s.free++
		return
	}
	close(next.granted)
}

// counts returns how many slots were asked for, and how many questions wait.
func (s *slots) counts() (asked, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.small.n + s.large.n + len(s.paused)
}
