package overload

import (
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/metadata"
)

// A probed is what probes of a shedder find.
type probed struct {
	s   shedder
	now time.Duration
}

func newLine(limit float64) *probed {
	l := &probed{s: shedder{limit: limit}, now: time.Second}
	l.s.measured.Store(int64(l.now))
	return l
}

// stands has calls wait for a while, and a probe every 10 ms.
func (l *probed) stands(calls float64, lasts time.Duration) {
	for end := l.now + lasts; l.now < end; {
		l.now += 10 * time.Millisecond
		l.s.measure(calls, l.now)
	}
}

func (l *probed) share() float64 { return float64(l.s.share.Load()) / math.MaxUint32 }

// P42: a share of calls is refused while more wait than may be in progress, the larger the more and the longer they do.
func TestP42CallsThatWaitAreShed(t *testing.T) {
	t.Parallel()
	l := newLine(100)
	l.stands(100, 10*time.Second)
	if l.share() != 0 {
		t.Errorf("%.3f of calls are refused while as many wait as may", l.share())
	}
	l.stands(400, 80*time.Millisecond)
	if l.share() != 0 {
		t.Errorf("%.3f of the calls of a burst are refused", l.share())
	}
	l.stands(400, 200*time.Millisecond)
	soon := l.share()
	l.stands(400, time.Second)
	if later := l.share(); soon <= 0 || later <= soon || later > mostShed {
		t.Errorf("%.3f of calls are refused soon, and %.3f later", soon, later)
	}
	l.stands(1e9, time.Minute)
	if got := l.share(); got < 0.89 || got > 0.91 {
		t.Errorf("%.3f of calls are refused at most, want 0.9", got)
	}
	l.stands(10, 3*time.Second)
	if l.share() != 0 {
		t.Errorf("%.3f of calls are refused after the line has gone", l.share())
	}
	l.stands(400, 80*time.Millisecond)
	if l.share() != 0 {
		t.Errorf("%.3f of the calls of another burst are refused", l.share())
	}
}

// P42: a probe that has its turn before its time does not end it.
func TestP42LuckyProbes(t *testing.T) {
	t.Parallel()
	l := newLine(100)
	for range 100 {
		l.stands(300, 20*time.Millisecond)
		l.now += time.Millisecond
		l.s.measure(0, l.now)
	}
	if l.share() == 0 {
		t.Error("nothing is refused")
	}
}

// P42: overload before a time without calls is not held against those after it.
func TestP42ARestForgets(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]time.Duration{"long overload": 10 * time.Second, "a burst": 10 * time.Millisecond} {
		l := newLine(100)
		l.stands(1000, before)
		l.now += time.Hour
		l.s.rested(time.Hour)
		l.stands(150, 80*time.Millisecond)
		if l.share() != 0 {
			t.Errorf("%s, then a rest: %.3f of the calls of a burst are refused", name, l.share())
		}
	}
}

// P42: the calls that begin while a probe waits are those before it, and nothing is refused without probes.
func TestP42CallsAreCounted(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	g := New(Options{Limits: Limits{InFlight: 1}})
	for range 10 * probeEvery {
		if g.tooMany(t.Context()) {
			t.Fatal("a call is refused before anything is measured")
		}
	}
	end, err := g.ShedWaiting()
	if err != nil {
		t.Fatal(err)
	}
	// One after another, calls never wait: the probe has its turn as soon as it is sent.
	for range 10 * probeEvery {
		if g.tooMany(t.Context()) {
			t.Error("a call is refused though none waits")
		}
		for g.shedder.sent.Load() != 0 {
			runtime.Gosched()
		}
	}
	if g.shedder.measured.Load() == 0 {
		t.Error("nothing was measured")
	}
	// All are refused while the share is everything, but not long after the last probe.
	g.shedder.share.Store(math.MaxUint32)
	g.shedder.measured.Store(int64(time.Since(g.shedder.began)))
	if !g.tooMany(t.Context()) {
		t.Error("nothing is refused")
	}
	g.shedder.measured.Store(int64(time.Since(g.shedder.began) - forgotten))
	if g.tooMany(t.Context()) {
		t.Error("a call is refused by what was measured long ago")
	}
	// Not while a probe waits, however long.
	g.shedder.sent.Store(1)
	if !g.tooMany(t.Context()) {
		t.Error("nothing is refused since a probe waits for long")
	}
	g.shedder.sent.Store(0)
	end()
	for range 2 * probeEvery { // the server may still have connections
		if g.tooMany(t.Context()) {
			t.Error("a call is refused after the end")
		}
	}
}

// P42: who has few of the calls that wait is never refused, whatever others ask. Callers who are alike are refused alike.
func TestP42CallersOfFewCallsAreSpared(t *testing.T) {
	t.Parallel()
	const limit = 100
	var s turns
	little := key{principal: "little"}
	spared := map[key]int{}
	for range 10 {
		s.next()
		for i := range 400 {
			of := key{principal: fmt.Sprint(i % 4)}
			if i%80 == 0 { // the first of all too
				of = little
			}
			if s.few(of, limit) {
				spared[of]++
			}
		}
	}
	for of, n := range spared {
		switch {
		case of == little && n != 50:
			t.Errorf("%d of 50 calls of who asks little are spared", n)
		case of != little && n > limit/4: // in the first turn nobody is known
			t.Errorf("%d of 1000 calls of one who asks much are spared", n)
		}
	}
	// Where everybody has one call, and all are more than may wait, nobody has few.
	n := 0
	s = turns{}
	for range 10 {
		s.next()
		for i := range 2 * limit {
			if s.few(key{principal: fmt.Sprint(i)}, limit) {
				n++
			}
		}
	}
	if n >= limit { // of the first turn
		t.Errorf("%d of 2000 calls of callers who are alike are spared", n)
	}
	s.next()
	s.next()
	if len(s.now)+len(s.before) > 0 {
		t.Errorf("%d and %d callers are remembered after two turns", len(s.now), len(s.before))
	}
}

// P42: a caller is known by its principal, whose account need not exist meanwhile, else by its connection.
func TestP42WhoseCallsWait(t *testing.T) {
	t.Parallel()
	g := New(Options{Known: func(md metadata.MD) (string, bool) {
		tokens := md.Get("token")
		return strings.Join(tokens, ""), len(tokens) == 1
	}})
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("token", "proxy"))
	if of, ok := g.callerOf(ctx, nil); !ok || of.principal != "proxy" {
		t.Errorf("%v, %v", of, ok)
	}
	if of, ok := g.callerOf(t.Context(), nil); ok {
		t.Errorf("nobody is %v", of)
	}
	c := &Connection{}
	c.account.Store(&account{key: key{ip: netip.MustParseAddr("127.0.0.9")}})
	if of, ok := g.callerOf(t.Context(), c); !ok || of.ip.String() != "127.0.0.9" {
		t.Errorf("%v, %v", of, ok)
	}
	if len(g.accounts.all) > 0 {
		t.Error("accounts are made")
	}
}
