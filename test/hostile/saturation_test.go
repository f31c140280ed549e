//go:build linux

package hostile

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
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
	// mostMemory and mostRest are how many times the memory, and that afterwards, may be of what it was (P42).
	mostMemory = 2
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
func (n *child) serve(t *testing.T, count int) *turnover { return n.serveFrom(t, count, count) }

// serveFrom has count customers ask, from so many addresses.
func (n *child) serveFrom(t *testing.T, count, addresses int) *turnover {
	t.Helper()
	all := questions()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var connected, asking sync.WaitGroup
	var counting atomic.Bool
	served := make([]turnover, count)
	connected.Add(count)
	for i := range count {
		asking.Go(func() { n.serveOne(ctx, i, attackerAddress(i%addresses), all, &counting, connected.Done, &served[i]) })
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
func (n *child) serveOne(ctx context.Context, i int, from string, all []question, counting *atomic.Bool, connected func(),
	o *turnover) {
	connected = sync.OnceFunc(connected)
	defer connected()
	c, err := n.openCustomer(ctx, from, all)
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

// Ten times the callers that saturate netpold, as many as --max-in-flight, do not double its memory. All answers are right,
// and a part of the callers is refused. What answers a second and waits become is told and not judged: the machine's own
// speed changes by a third meanwhile. By default --max-in-flight is 32 times as much, and nobody would be refused.
func TestP42TenTimesTheSaturatingCallers(t *testing.T) {
	few := saturating * runtime.NumCPU()
	n := start(t, writeCluster(t), "--max-in-flight", strconv.Itoa(few))
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
	switch {
	case much.refused > 0:
	case much.others > mostBusy:
		t.Log("NOT JUDGED: nobody is refused, but other processes had the processors")
	default:
		t.Error("nobody is refused")
	}
	t.Logf("NOT JUDGED: %.2f times the answers a second, %.2f times those of a second of its processors, %.1f times the 99th "+
		"percentile; P42 has 0.8 at least and 3 at most", much.perSecond()/base.perSecond(), much.perCPU()/base.perCPU(),
		float64(much.p99())/float64(base.p99()))
	n.awaitResident(t, int64(mostRest*float64(before)))
}

// Who asks little loses nothing while few callers, of many calls each, are refused since too many wait.
func TestP42WhoAsksLittleIsNotRefused(t *testing.T) {
	few := saturating * runtime.NumCPU()
	n := start(t, writeCluster(t), "--max-in-flight", strconv.Itoa(few))
	end := n.innocent(t)
	much := n.serveFrom(t, 10*few, 4*runtime.NumCPU())
	seen := end()
	t.Logf("the innocent: %v", seen)
	// It asks at a constant rate: where its process is kept waiting, it has many calls at once.
	if seen.Lost*100 > seen.Asked || seen.Wrong > 0 || seen.Asked == 0 {
		t.Errorf("more than 1 in 100 lost: %s", seen.FirstLoss)
	}
	switch {
	case much.refused*100 >= 2*much.answered:
	case much.others > mostBusy:
		t.Logf("NOT JUDGED: only %d calls of the others are refused, but other processes had the processors", much.refused)
	default:
		t.Errorf("only %d calls of the others are refused", much.refused)
	}
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
