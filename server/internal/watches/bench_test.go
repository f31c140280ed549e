package watches_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/watches"
	"github.com/netpold/netpold/server/servertest"
)

// perWatch is how many questions each watch of the benchmark has.
const perWatch = 10_000

// BenchmarkChange measures a change of one Pod by the number of questions that are watched: from Apply to the one
// question that it touches, and of a Pod that nobody asks about. It reports the memory of a question too.
func BenchmarkChange(b *testing.B) {
	for _, questions := range []int{0, 10_000, 1_000_000} {
		cluster := synthetic.New(synthetic.Size{Pods: 10_000, Policies: 1_000})
		source := servertest.NewSource()
		source.Apply(cluster.Changes()...)
		before := heap()
		hub := watches.NewHub(current.NewReader(source, current.Options{}), watches.Limits{Total: 2_000_000})
		rng := rand.New(rand.NewPCG(1, 2))
		// The last Pods are those that change; each is the source of one question of one watch.
		quiet := cluster.Pods[:len(cluster.Pods)-200]
		changing, elsewhere := cluster.Pods[len(quiet):len(quiet)+100], cluster.Pods[len(quiet)+100:]
		var open []*watches.Watch
		for range questions / perWatch {
			w, fail := hub.Open()
			if fail != nil {
				b.Fatal(fail.Message)
			}
			var add []*netpoldv1.WatchQuestion
			for id := range uint64(perWatch) {
				src, dst := quiet[rng.IntN(len(quiet))], quiet[rng.IntN(len(quiet))]
				if len(open) == 0 && int(id) < len(changing) {
					src = changing[id]
				}
				add = append(add, &netpoldv1.WatchQuestion{Id: id + 1, Question: &netpoldv1.AllowedRequest{
					Src: ip(src), Dst: ip(dst), Port: uint32(1 + rng.IntN(60_000)),
				}})
			}
			w.Add(add)
			drain(b, w)
			open = append(open, w)
		}
		used := 0.0
		if questions > 0 {
			used = float64(heap()-before) / float64(questions)
		}
		change := func(b *testing.B, pods []*engine.Pod) {
			touched, cpu := 0, cpuTime(b)
			for i := 0; b.Loop(); i++ {
				p := *pods[i%len(pods)]
				p.IPs = []netip.Addr{p.IPs[0], netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})}
				source.Apply(engine.Change{Object: &p})
				if len(open) > 0 {
					touched += drain(b, open[0])
				}
			}
			b.ReportMetric(float64(touched)/float64(b.N), "questions/op")
			b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(used, "B/question")
		}
		b.Run(fmt.Sprintf("touched/%d", questions), func(b *testing.B) { change(b, changing) })
		b.Run(fmt.Sprintf("elsewhere/%d", questions), func(b *testing.B) { change(b, elsewhere) })
		for _, w := range open {
			w.Close()
		}
	}
}

func ip(p *engine.Pod) *netpoldv1.Endpoint {
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: p.IPs[0].String()}}
}

// drain takes all questions of a watch, and returns how many there were.
func drain(b *testing.B, w *watches.Watch) int {
	b.Helper()
	n := 0
	for {
		questions, taken, fail := w.Take(nil, 1000)
		if fail != nil {
			b.Fatal(fail.Message)
		}
		if n += len(questions); !taken.More {
			return n
		}
	}
}

// cpuTime returns the CPU time that the process has taken. Unlike time it is hardly longer on a busy machine.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// heap returns the live bytes of the heap.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
