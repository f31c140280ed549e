package server_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/netpold/netpold/bench/synthetic"
	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/internal/watches"
	"github.com/netpold/netpold/server/servertest"
)

// The watches of the benchmarks below.
const (
	watchStreams = 100
	perStream    = 10_000
	perRequest   = 1_000
)

// watchedCluster returns a source of a synthetic cluster.
func watchedCluster() (*synthetic.Cluster, *servertest.Source) {
	cluster := synthetic.New(synthetic.Size{Pods: 10_000, Policies: 1_000})
	source := servertest.NewSource()
	source.Apply(cluster.Changes()...)
	return cluster, source
}

// watchRequest returns a request with questions between random Pods, whose ids begin with first.
func watchRequest(rng *rand.Rand, pods []*engine.Pod, first uint64) *netpoldv1.WatchAllowedRequest {
	request := &netpoldv1.WatchAllowedRequest{}
	for id := first; id < first+perRequest; id++ {
		end := func() *netpoldv1.Endpoint { return netpold.IP(pods[rng.IntN(len(pods))].IPs[0].String()) }
		request.Add = append(request.Add, &netpoldv1.WatchQuestion{Id: id, Question: &netpoldv1.AllowedRequest{
			Src: end(), Dst: end(), Port: uint32(1 + rng.IntN(60_000)),
		}})
	}
	return request
}

// A quietStream is a stream whose caller adds its questions, reads and keeps nothing, and half-closes.
type quietStream struct {
	grpc.ServerStream
	ctx      context.Context //nolint:containedctx // a grpc.ServerStream is where a stream's context lives
	rng      *rand.Rand
	pods     []*engine.Pod
	added    uint64
	complete func()
}

func (s *quietStream) Context() context.Context { return s.ctx }

func (s *quietStream) Recv() (*netpoldv1.WatchAllowedRequest, error) {
	if s.added == perStream {
		return nil, io.EOF
	}
	s.added += perRequest
	return watchRequest(s.rng, s.pods, s.added-perRequest+1), nil
}

func (s *quietStream) Send(r *netpoldv1.WatchAllowedResponse) error {
	if r.GetComplete() && r.GetApplied() == perStream/perRequest {
		s.complete()
	}
	return nil
}

// BenchmarkWatchMemory measures the resident memory of a watched question by IP, with a million of them in a hundred
// watches, all answered. The transport and the callers are not included. One iteration is enough:
//
//	go test -run xxx -bench WatchMemory -benchtime 1x ./server
func BenchmarkWatchMemory(b *testing.B) {
	cluster, source := watchedCluster()
	service := decisions.New(source, decisions.Options{Watches: watches.Limits{
		Questions: perStream, Total: watchStreams * perStream, Watches: watchStreams,
	}})
	for b.Loop() {
		before := resident(b)
		ctx, end := context.WithCancel(b.Context())
		var adding, running sync.WaitGroup
		for i := range watchStreams {
			adding.Add(1)
			s := &quietStream{ctx: ctx, rng: rand.New(rand.NewPCG(1, uint64(i))), pods: cluster.Pods, complete: sync.OnceFunc(adding.Done)}
			running.Go(func() { _ = service.WatchAllowed(s) }) // it ends with ctx
		}
		adding.Wait()
		b.ReportMetric(float64(resident(b)-before)/(watchStreams*perStream), "resident-B/question")
		end()
		running.Wait()
	}
}

// resident returns the resident bytes of the process, after what is free is given back.
func resident(b *testing.B) int64 {
	b.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip("resident memory is read on Linux alone")
	}
	var size, pages int64
	if _, err := fmt.Fscan(strings.NewReader(string(text)), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// A toggled is the Pod behind the first question of a stream. It has the question's address, and denies; or it has not,
// and the answer is that of an address outside.
type toggled struct {
	mu      sync.Mutex
	pod     engine.Pod
	address netip.Addr
	// pending has the changes whose answer has not come, by revision and time.
	pending []pendingChange
	delays  []time.Duration
}

type pendingChange struct {
	revision uint64
	at       time.Time
}

// toggle changes the Pod, and so one answer.
func (p *toggled) toggle(source *servertest.Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.pod
	if next.IPs = nil; len(p.pod.IPs) == 0 {
		next.IPs = []netip.Addr{p.address}
	}
	p.pod = next
	at := time.Now()
	state := source.Apply(engine.Change{Object: &next})
	p.pending = append(p.pending, pendingChange{state.Snapshot.Revision(), at})
}

// answered notes that an answer of a revision has come.
func (p *toggled) answered(revision uint64) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.pending) > 0 && p.pending[0].revision <= revision {
		p.delays = append(p.delays, now.Sub(p.pending[0].at))
		p.pending = p.pending[1:]
	}
}

// BenchmarkWatchLatency measures the time from a change to the changed answer at its caller, with 1,000 changes a second
// and a hundred streams of 10,000 questions over the loopback. Each change touches one question. Callers and server share
// the process and its cores. The goal is a p99 of 100 ms (P22).
//
//	go test -run xxx -bench WatchLatency -benchtime 20000x ./server
func BenchmarkWatchLatency(b *testing.B) {
	cluster, source := watchedCluster()
	source.Apply(engine.Change{Object: &engine.Namespace{Name: "toggled"}},
		engine.Change{Object: &engine.Policy{Namespace: "toggled", Name: "deny", IsolatesIngress: true}})
	config := server.Defaults()
	config.Source, config.Listen, config.AdminListen, config.DrainDelay = source, "127.0.0.1:0", "", 0
	s, err := server.New(config)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	pods := make([]*toggled, watchStreams)
	var complete sync.WaitGroup
	for i := range pods {
		address := netip.AddrFrom4([4]byte{172, 31, 0, byte(i)})
		pods[i] = &toggled{address: address, pod: engine.Pod{Namespace: "toggled", Name: fmt.Sprintf("pod-%d", i)}}
		stream, err := netpoldv1.NewDecisionServiceClient(conn).WatchAllowed(ctx)
		if err != nil {
			b.Fatal(err)
		}
		complete.Add(1)
		first := sync.OnceFunc(complete.Done)
		running.Go(func() {
			for {
				r, err := stream.Recv()
				if err != nil {
					return // the end
				}
				if slices.ContainsFunc(r.GetAnswers(), func(a *netpoldv1.WatchAnswer) bool { return a.GetId() == 1 }) {
					pods[i].answered(r.GetRevision())
				}
				if r.GetComplete() && r.GetApplied() == perStream/perRequest {
					first()
				}
			}
		})
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		for at := uint64(1); at < perStream; at += perRequest {
			request := watchRequest(rng, cluster.Pods, at)
			if at == 1 {
				request.Add[0].Question = &netpoldv1.AllowedRequest{Src: netpold.IP("192.0.2.1"), Dst: netpold.IP(address.String()), Port: 80}
			}
			if err := stream.Send(request); err != nil {
				b.Fatal(err)
			}
		}
	}
	complete.Wait()
	cpu := cpuTime(b)
	b.ResetTimer()
	tick := time.NewTicker(time.Millisecond)
	began := time.Now()
	for i := range b.N {
		if time.Since(began) < time.Duration(i)*time.Millisecond { // else it is late, and does not wait
			<-tick.C
		}
		pods[i%len(pods)].toggle(source)
	}
	took := time.Since(began)
	b.StopTimer()
	tick.Stop()
	var all []time.Duration
	for ended := time.Now(); len(all) < b.N && time.Since(ended) < patience; {
		all = all[:0]
		for _, p := range pods {
			p.mu.Lock()
			all = append(all, p.delays...)
			p.mu.Unlock()
		}
	}
	if len(all) < b.N {
		b.Errorf("%d answers to %d changes", len(all), b.N)
	}
	slices.Sort(all)
	ms := func(share float64) float64 {
		return float64(all[int(share*float64(len(all)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(float64(b.N)/took.Seconds(), "changes/s")
	b.ReportMetric(ms(0.5), "p50-ms")
	b.ReportMetric(ms(0.99), "p99-ms")
	b.ReportMetric(ms(1), "max-ms")
	b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N), "cpu-ns/change")
	stop()
	_ = conn.Close()
	running.Wait()
}
