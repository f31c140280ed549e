package overload

import (
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// leastWaiting is how many calls may wait for each processor at least: fewer would not keep it busy.
	leastWaiting = 16
	// probeEvery is after how many calls another probe is sent, if none is under way.
	probeEvery = 64
	// standing is how long too many must wait before calls are refused: a burst that is soon answered is no overload.
	standing = 100 * time.Millisecond
	// settling is the time over which the line is averaged.
	settling = 50 * time.Millisecond
	// mostShed is the largest share of calls that is refused.
	mostShed = 0.9
	// forgotten is after how long without a probe what was measured counts no more.
	forgotten = time.Second
)

// The share of calls that is refused has a part that follows the excess, and one that adds it up, for each second.
// Callers that were refused come back after 50 to 500 ms: with these parts the share settles and does not swing.
const (
	shedByExcess = 0.05
	shedBySum    = 0.2
	mostExcess   = 4
)

// A shedder says which share of unary calls is refused while more of them wait than may be in progress (P42).
//
// A server that is busy begins few calls at once. The others wait where nobody can count them: in the buffers of their
// connections, and for a processor. So a probe waits in the same line now and then. The calls that begin before its turn
// are those that were before it.
//
//	call, call, call, probe, call ...  ──> goroutine of a connection ──> Tap counts, and refuses a share
//
// It counts calls, not time: on a slow machine the line of the same callers is as long. It measures without a timer: the
// calls themselves send probes.
type shedder struct {
	// limit is how many calls may wait.
	limit float64
	// in and out are the two ends of a pipe, through which probes go. They are nil until the shedder is open.
	in, out *os.File
	ended   sync.WaitGroup

	// begun counts calls. sent is what it was when the probe under way was sent; 0 if none is.
	begun, sent atomic.Int64
	// sentAt is when the last probe was sent, in nanoseconds since began.
	sentAt atomic.Int64
	// share is the part of calls that is refused, of [math.MaxUint32].
	share atomic.Uint32
	// measured is when the last probe had its turn, in nanoseconds since began.
	measured atomic.Int64
	began    time.Time
	turns    turns

	// Of the goroutine of probes: since when the line is too long, how long it is, and what its excess adds up to.
	above, last  time.Duration
	average, sum float64
}

// ShedWaiting has calls refused while too many of them wait, until the function that it returns is called. It must be
// called before the first call is served.
func (g *Gate) ShedWaiting() (end func(), err error) {
	if err := g.shedder.open(); err != nil {
		return nil, err
	}
	return g.shedder.close, nil
}

// lineOf returns how many calls may wait where so many may be in progress.
func lineOf(inFlight int) int { return max(inFlight, leastWaiting*runtime.GOMAXPROCS(0)) }

// open starts to measure.
func (s *shedder) open() error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	s.in, s.out, s.began = in, out, time.Now()
	s.ended.Go(func() {
		for one := make([]byte, 1); ; {
			if _, err := out.Read(one); err != nil {
				return
			}
			n := s.begun.Load() - s.sent.Load()
			s.rested(time.Duration(s.sentAt.Load() - s.measured.Load()))
			s.measure(float64(n), time.Since(s.began))
			s.turns.next()
			s.sent.Store(0)
		}
	})
	return nil
}

// close ends it.
func (s *shedder) close() {
	_ = s.in.Close()
	_ = s.out.Close()
	s.ended.Wait()
	s.share.Store(0) // a probe that nobody reads would keep it
}

// begin counts a call, and returns the share of calls that is refused, of [math.MaxUint32].
func (s *shedder) begin() (share uint32) {
	if s.in == nil {
		return 0
	}
	if n := s.begun.Add(1); n%probeEvery == 0 && s.sent.CompareAndSwap(0, n) {
		s.sentAt.Store(int64(time.Since(s.began)))
		_, _ = s.in.Write([]byte{0}) // closed at the end
	}
	share = s.share.Load()
	// A probe that waits for long is no reason to refuse less.
	if share > 0 && s.sent.Load() == 0 && time.Since(s.began)-time.Duration(s.measured.Load()) >= forgotten {
		return 0
	}
	return share
}

// rested forgets what was measured before a time without probes: few calls came, so that none waited.
func (s *shedder) rested(idle time.Duration) {
	if idle >= standing {
		s.above = 0
	}
	if idle >= forgotten {
		s.last, s.average, s.sum = 0, 0, 0
	}
}

// measure takes in that n calls were waiting, at a time since the start.
func (s *shedder) measure(n float64, now time.Duration) {
	passed := now - time.Duration(s.measured.Swap(int64(now)))
	// A probe may be lucky, so the average counts: of the last settling, by time.
	s.average += (n - s.average) * -math.Expm1(-float64(passed)/float64(settling))
	excess := min(s.average/s.limit-1, mostExcess)
	if excess <= 0 {
		s.above = 0
	} else if s.above == 0 {
		s.above = now
	}
	switch {
	case s.above != 0 && now-s.above >= standing:
		s.last = now
	case s.last == 0 || now-s.last > forgotten:
		s.last, s.sum = 0, 0
		s.share.Store(0)
		return
	}
	s.sum = max(0, min(s.sum+shedBySum*excess*min(passed, standing).Seconds(), mostShed))
	share := max(0, min(s.sum+shedByExcess*excess, mostShed))
	s.share.Store(uint32(share * math.MaxUint32))
}
