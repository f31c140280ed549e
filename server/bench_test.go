package server_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/netpold/netpold/bench/synthetic"
	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/decisions"
)

// byIP returns a question by address, as proxies ask it.
func byIP() *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{Src: netpold.IP("10.0.1.4"), Dst: netpold.IP("10.0.3.7"), Port: 8080}
}

// BenchmarkInProcess measures the service without gRPC, on a small cluster.
func BenchmarkInProcess(b *testing.B) {
	service := decisions.New(synced(shop()...), decisions.Options{})
	b.Run("Allowed", func(b *testing.B) {
		question := byIP()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := service.Allowed(b.Context(), question); err != nil {
				b.Fatal(err)
			}
		}
		rate(b, 1)
	})
	b.Run("BatchAllowed", func(b *testing.B) {
		batch := &netpoldv1.BatchAllowedRequest{}
		for range batchSize {
			batch.Questions = append(batch.Questions, byIP())
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := service.BatchAllowed(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
		rate(b, batchSize)
	})
	b.Run("StreamAllowed", func(b *testing.B) {
		s := &script{ctx: b.Context(), batch: large(batchSize), left: b.N,
			look: func(*netpoldv1.StreamAllowedResponse) {}}
		b.ReportAllocs()
		if err := service.StreamAllowed(s); err != nil {
			b.Fatal(err)
		}
		rate(b, batchSize)
	})
}

// BenchmarkWire measures calls over the loopback, with client and server on the same cores. The questions are
// by IP in random order, to a cluster of 10,000 Pods and 1,000 policies. Except in the first line, enough
// callers keep the cores busy. Empty is a method that does nothing, on the same server and connection: the
// cost of any call. Compare the lines of one run, not absolute figures.
func BenchmarkWire(b *testing.B) {
	w := wire(b)
	b.Run("Allowed-one-caller", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if err := w.allowed(b.Context(), i); err != nil {
				b.Fatal(err)
			}
		}
		rate(b, 1)
	})
	b.Run("Empty", func(b *testing.B) { callers(b, 1, w.empty) })
	b.Run("Allowed", func(b *testing.B) { callers(b, 1, w.allowed) })
	for _, size := range []int{100, batchSize} {
		b.Run("BatchAllowed-"+strconv.Itoa(size), func(b *testing.B) {
			var batches []*netpoldv1.BatchAllowedRequest
			for first := 0; first < len(w.requests); first += size {
				batches = append(batches, &netpoldv1.BatchAllowedRequest{Questions: w.requests[first : first+size]})
			}
			callers(b, size, func(ctx context.Context, i int) error {
				_, err := w.client.BatchAllowed(ctx, batches[i%len(batches)])
				return err
			})
		})
	}
	b.Run("Verdicts-"+strconv.Itoa(batchSize), func(b *testing.B) {
		callers(b, batchSize, func(ctx context.Context, i int) error {
			from := i % (len(w.requests) / batchSize) * batchSize // as many as batches have
			_, err := w.client.Verdicts(ctx, w.questions[from:from+batchSize])
			return err
		})
	})
	for _, size := range []int{100, batchSize} {
		b.Run("StreamAllowed-"+strconv.Itoa(size), func(b *testing.B) { w.streams(b, size) })
	}
	b.Run("AllowedMany", w.many)
}

const (
	asked     = 1 << 17
	batchSize = 1000
	// inFlight is the number of callers for each core.
	inFlight = 32
)

// A wired is a server and a client of it.
type wired struct {
	client    *netpold.Client
	conn      *grpc.ClientConn
	questions []netpold.Question
	// requests are the first questions as messages. They are few, so that reading them from memory does not
	// dominate.
	requests []*netpoldv1.AllowedRequest
}

func wire(b *testing.B, change ...func(*server.Config)) *wired {
	b.Helper()
	told := synthetic.New(synthetic.Sizes[1])
	source := synced()
	source.Apply(told.Changes()...)
	config := server.Defaults()
	config.Source, config.Listen, config.AdminListen, config.DrainDelay = source, "127.0.0.1:0", "", 0
	for _, f := range change {
		f(&config)
	}
	s, err := server.New(config)
	if err != nil {
		b.Fatal(err)
	}
	server.Register(s, &emptyService, struct{}{})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	w := &wired{}
	if w.client, err = netpold.Dial(s.Addr(), netpold.WithInsecure()); err != nil {
		b.Fatal(err)
	}
	// It has the options of the client, so that empty calls take the same path.
	w.conn, err = grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(netpoldv1.Codec(0))))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		err := errors.Join(w.conn.Close(), w.client.Close())
		stop()
		if err := errors.Join(err, <-ended); err != nil {
			b.Error(err)
		}
	})
	rng := rand.New(rand.NewPCG(7, 7))
	ip := func() netip.Addr { return told.Pods[rng.IntN(len(told.Pods))].IPs[0] }
	for range asked {
		w.questions = append(w.questions, netpold.Question{Src: ip(), Dst: ip(), Port: 8080})
	}
	w.requests = randomQuestions(told, 0, 8*batchSize)
	return w
}

// randomQuestions returns questions between random Pods by one of their addresses: the first is of IPv4, the second of IPv6.
func randomQuestions(told *synthetic.Cluster, address, n int) []*netpoldv1.AllowedRequest {
	rng := rand.New(rand.NewPCG(7, 7))
	ip := func() *netpoldv1.Endpoint {
		return netpold.IP(told.Pods[rng.IntN(len(told.Pods))].IPs[address].String())
	}
	questions := make([]*netpoldv1.AllowedRequest, n)
	for i := range questions {
		questions[i] = &netpoldv1.AllowedRequest{Src: ip(), Dst: ip(), Port: 8080}
	}
	return questions
}

// emptyService has one method, which does nothing.
var emptyService = grpc.ServiceDesc{
	ServiceName: "netpold.bench.Empty",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Call",
		Handler: func(srv any, ctx context.Context, decode func(any) error,
			through grpc.UnaryServerInterceptor) (any, error) {
			request := new(emptypb.Empty)
			if err := decode(request); err != nil {
				return nil, err
			}
			return through(ctx, request, &grpc.UnaryServerInfo{Server: srv, FullMethod: emptyMethod},
				func(context.Context, any) (any, error) { return new(emptypb.Empty), nil })
		},
	}},
}

const emptyMethod = "/netpold.bench.Empty/Call"

func (w *wired) empty(ctx context.Context, _ int) error {
	return w.conn.Invoke(ctx, emptyMethod, new(emptypb.Empty), new(emptypb.Empty))
}

func (w *wired) allowed(ctx context.Context, i int) error {
	_, err := netpoldv1.NewDecisionServiceClient(w.conn).Allowed(ctx, w.requests[i%len(w.requests)])
	return err
}

// callers keeps calls of so many questions in progress all the time. CPU time is that of client and server
// together.
func callers(b *testing.B, questions int, call func(ctx context.Context, i int) error) {
	b.ReportAllocs()
	before := cpuTime(b)
	if questions == 1 {
		b.SetParallelism(inFlight)
	} else {
		b.SetParallelism(2)
	}
	var from atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for i := int(from.Add(1009)); pb.Next(); i++ {
			if err := call(b.Context(), i); err != nil {
				b.Error(err)
				return
			}
		}
	})
	rate(b, questions)
	reportCPU(b, before, questions)
}

// reportCPU reports the time that the CPUs were busy since before, for operations of so many questions.
func reportCPU(b *testing.B, before time.Duration, questions int) {
	b.Helper()
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/(float64(b.N)*float64(questions)), "cpu-ns/question")
}

// cpuTime returns how long this process has kept the CPUs busy.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// streams runs one stream for each core, with as many batches in progress as flow control allows. CPU time is that of
// client and server together.
func (w *wired) streams(b *testing.B, size int) {
	b.ReportAllocs()
	before := cpuTime(b)
	b.RunParallel(func(pb *testing.PB) {
		stream, err := w.client.Stream(b.Context())
		if err != nil {
			b.Error(err)
			return
		}
		var sending sync.WaitGroup
		defer sending.Wait()
		defer stream.Close()
		sending.Go(func() {
			for i := 0; pb.Next(); i = (i + size) % (asked - size) {
				if stream.Send(w.questions[i:i+size]) != nil {
					return // the receiver gets the error
				}
			}
			_ = stream.CloseSend()
		})
		for {
			answers, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil || answers.Len() != size {
				b.Error(answers, err)
				return
			}
		}
	})
	rate(b, size)
	reportCPU(b, before, size)
}

// many measures AllowedMany. It counts questions, not batches.
func (w *wired) many(b *testing.B) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for verdict, err := range w.client.AllowedMany(b.Context(), w.ask(pb)) {
			if err := errors.Join(err, verdict.Err); err != nil {
				b.Error(err)
				return
			}
		}
	})
	rate(b, 1)
}

func (w *wired) ask(pb *testing.PB) iter.Seq[netpold.Question] {
	return func(yield func(netpold.Question) bool) {
		for i := 0; pb.Next() && yield(w.questions[i%asked]); i++ {
		}
	}
}

// rate reports questions per second for operations of so many questions.
func rate(b *testing.B, questions int) {
	n := float64(b.N) * float64(questions)
	b.ReportMetric(n/b.Elapsed().Seconds(), "questions/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/question")
}
