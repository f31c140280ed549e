//go:build linux

package hostile

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// saturating customers for each processor keep it busy: a call takes about 50 µs of it, and waits a hundred times as
	// long.
	saturating = 32
	// servedFor is how long customers are served.
	servedFor = 4 * time.Second
	// leastKept is the part of its answers that netpold keeps with ten times the customers. mostMemory, mostTail and
	// mostRest are how many times the memory, the 99th percentile and the memory afterwards may be of what they were
	// (P42).
	leastKept  = 0.8
	mostMemory = 2
	mostTail   = 3
	mostRest   = 1.25
)

// A turnover is what customers had of netpold.
type turnover struct {
	answered, refused, wrong int
	// failure is the first error that is no refusal.
	failure error
	// waits are the times to the answers.
	waits []time.Duration
	lasts time.Duration
	// cpu is what netpold took of the processors, and others what processes outside of the test did, as a share.
	cpu    time.Duration
	others float64
	// peak is the most that was resident.
	peak int64
}

func (o *turnover) perSecond() float64 { return float64(o.answered) / o.lasts.Seconds() }

// perCPU returns the answers for each second of a processor that netpold had. What else has the processors does not
// count.
func (o *turnover) perCPU() float64 { return float64(o.answered) / o.cpu.Seconds() }

func (o *turnover) p99() time.Duration { return o.waits[len(o.waits)*99/100] }

func (o *turnover) String() string {
	return fmt.Sprintf("%.0f answers/s, %.0f for each second of a processor, %.0f refused/s; p50 %v, p99 %v; "+
		"%d MiB at the peak; others had %.0f%% of the processors", o.perSecond(), o.perCPU(), float64(o.refused)/o.lasts.Seconds(),
		o.waits[len(o.waits)/2].Round(10*time.Microsecond), o.p99().Round(10*time.Microsecond), o.peak>>20, 100*o.others)
}

// serve has count customers ask, each from an address of its own, and returns what they had once all were connected.
func (n *child) serve(t *testing.T, count int) *turnover {
	t.Helper()
	all := questions()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var connected, asking sync.WaitGroup
	var counting atomic.Bool
	served := make([]turnover, count)
	connected.Add(count)
	for i := range count {
		asking.Go(func() { n.serveOne(ctx, i, all, &counting, connected.Done, &served[i]) })
	}
	connected.Wait()
	if err := n.forgetPeak(); err != nil {
		t.Fatal(err)
	}
	o := &turnover{}
	others, cpu, began := n.others(t), n.cpu(t), time.Now()
	counting.Store(true)
	select {
	case <-time.After(servedFor):
	case <-n.gone:
	}
	counting.Store(false)
	o.lasts, o.cpu, o.others = time.Since(began), n.cpu(t)-cpu, others()
	peak, err := n.peak()
	if err != nil {
		t.Fatal(err)
	}
	o.peak = peak
	cancel()
	asking.Wait()
	for i := range served {
		s := &served[i]
		o.answered += s.answered
		o.refused += s.refused
		o.wrong += s.wrong
		o.waits = append(o.waits, s.waits...)
		if o.failure == nil {
			o.failure = s.failure
		}
	}
	slices.Sort(o.waits)
	if o.failure != nil || o.wrong > 0 || o.answered == 0 {
		t.Fatalf("%d customers got %d answers, %d of them wrong; first error: %v", count, o.answered, o.wrong, o.failure)
	}
	t.Logf("%d customers: %v", count, o)
	return o
}

// serveOne has customer i ask until ctx ends or a call fails. When it has its first answer, or none, it calls
// connected.
func (n *child) serveOne(ctx context.Context, i int, all []question, counting *atomic.Bool, connected func(),
	o *turnover) {
	connected = sync.OnceFunc(connected)
	defer connected()
	c, err := n.openCustomer(ctx, attackerAddress(i), all)
	if err != nil {
		o.failure = err
		return
	}
	defer context.AfterFunc(ctx, func() { _ = c.conn.Close() })()
	defer c.conn.Close()
	for j := i; ; j++ {
		q, began := j%len(all), time.Now()
		allowed, err := c.ask(q)
		switch counts := counting.Load(); {
		case ctx.Err() != nil:
			return
		case status.Code(err) == codes.ResourceExhausted:
			if counts {
				o.refused++
			}
			select {
			case <-time.After(retryOf(err)):
			case <-ctx.Done():
			}
		case err != nil:
			o.failure = err
			return
		default:
			if allowed != all[q].allowed {
				o.wrong++
			}
			if counts {
				o.answered++
				o.waits = append(o.waits, time.Since(began))
			}
		}
		connected()
	}
}

// cpu returns how long netpold had processors.
func (n *child) cpu(t *testing.T) time.Duration {
	t.Helper()
	fields := statOf(t, fmt.Sprintf("/proc/%d/stat", n.pid()))
	return time.Duration(number(t, fields[13])+number(t, fields[14])) * time.Second / ticks
}

// Ten times the callers that saturate netpold cost it neither its answers nor its memory. All are right. Answers are
// judged by the clock, where no other process has the processors. What a call waits is told, not judged: all these
// callers are within --max-in-flight, so that each waits for the others.
func TestP42TenTimesTheSaturatingCallers(t *testing.T) {
	n := start(t, writeCluster(t))
	few := saturating * runtime.NumCPU()
	n.serve(t, few) // what is made once is made
	before, err := n.resident()
	if err != nil {
		t.Fatal(err)
	}
	base, much := n.serve(t, few), n.serve(t, 10*few)
	if times := float64(much.peak) / float64(base.peak); times > mostMemory {
		t.Errorf("%d MiB were resident at the peak, %.2f times as much, want %d times at most", much.peak>>20, times,
			mostMemory)
	}
	kept, worth := much.perSecond()/base.perSecond(), much.perCPU()/base.perCPU()
	t.Logf("%.2f times the answers a second, %.2f times those of a second of its processors", kept, worth)
	if busy := max(base.others, much.others); busy > mostBusy {
		t.Logf("ANSWERS A SECOND ARE NOT JUDGED: other processes had %.0f%% of the processors", 100*busy)
	} else if kept < leastKept {
		t.Errorf("%.2f times the answers a second, want %v at least", kept, leastKept)
	}
	t.Logf("the 99th percentile is %.1f times as long, and NOT JUDGED: P42 wants %d at most",
		float64(much.p99())/float64(base.p99()), mostTail)
	n.awaitResident(t, int64(mostRest*float64(before)))
}

// awaitResident waits until no more than limit is resident.
func (n *child) awaitResident(t *testing.T, limit int64) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for {
		now, err := n.resident()
		if err != nil {
			t.Fatal(err)
		}
		waited := time.Since(began)
		if now <= limit {
			t.Logf("%d MiB are resident after %v", now>>20, waited.Round(100*time.Millisecond))
			return
		}
		if waited > patience {
			t.Fatalf("%d MiB are resident after %v, want %d at most", now>>20, waited, limit>>20)
		}
		<-tick.C
	}
}
