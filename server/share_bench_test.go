package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/netpold/netpold/bench/synthetic"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
)

// benchServer says in the environment that this process is the server of a benchmark, and on which addresses: of
// netpold, of netpold with messages, and of a bare gRPC server.
const benchServer = "NETPOLD_BENCH_SERVER"

// BenchmarkServerShare measures the processor time of a server alone, which is a process of its own; the client, whose
// time is cpu-ns/question, sends encoded requests and decodes no answers. Lines of one run are side by side: compare those.
//
//	Empty        a method that does nothing, on the server of the others
//	Bare         a method with the same messages and a fixed answer, on a gRPC server without anything else
//	Allowed      questions by IPv4 to a dual-stack cluster of 10,000 Pods and 1,000 policies; /ipv6 asks by IPv6
//	Batch        1,000 of them in each call; /messages is read and written with messages
//	Client       the same by a client that writes and reads messages, as the Go client does
//
//	go test ./server -run xxx -bench ServerShare -benchtime 1s
func BenchmarkServerShare(b *testing.B) {
	tcp := childServer(b, "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0")
	dir := b.TempDir()
	unix := childServer(b, "unix://"+filepath.Join(dir, "s"), "unix://"+filepath.Join(dir, "m"), "unix://"+filepath.Join(dir, "b"))
	told := synthetic.NewDualStack(synthetic.Sizes[1])
	w, six := sharedQuestions(told, 0), sharedQuestions(told, 1)
	for _, network := range []struct {
		name string
		*child
	}{{"tcp", tcp}, {"unix", unix}} {
		netpold, messages, bare := network.conns[0], network.conns[1], network.conns[2]
		allowed, batch := netpoldv1.DecisionService_Allowed_FullMethodName, netpoldv1.DecisionService_BatchAllowed_FullMethodName
		for _, line := range []struct {
			name      string
			questions int
			conn      *grpc.ClientConn
			method    string
			requests  [][]byte
		}{
			{"Empty", 1, netpold, emptyMethod, [][]byte{nil}},
			{"Bare", 1, bare, allowed, w.single},
			{"Allowed", 1, netpold, allowed, w.single},
			{"Allowed/ipv6", 1, netpold, allowed, six.single},
			{"Allowed/messages", 1, messages, allowed, w.single},
			{"Batch", batchSize, netpold, batch, w.batches},
			{"Batch/ipv6", batchSize, netpold, batch, six.batches},
			{"Batch/messages", batchSize, messages, batch, w.batches},
		} {
			b.Run(network.name+"/"+line.name, func(b *testing.B) {
				before := network.used(b)
				callers(b, line.questions, func(ctx context.Context, i int) error {
					var answer []byte
					return line.conn.Invoke(ctx, line.method, line.requests[i%len(line.requests)], &answer,
						grpc.ForceCodecV2(rawBytes{}))
				})
				network.report(b, before, line.questions)
			})
		}
		client := netpoldv1.NewDecisionServiceClient(network.conns[0])
		byHand := grpc.ForceCodecV2(netpoldv1.Codec(0)) // as the Go client
		b.Run(network.name+"/Client/Allowed", func(b *testing.B) {
			before := network.used(b)
			callers(b, 1, func(ctx context.Context, i int) error {
				_, err := client.Allowed(ctx, w.questions[i%len(w.questions)], byHand)
				return err
			})
			network.report(b, before, 1)
		})
		b.Run(network.name+"/Client/Batch", func(b *testing.B) {
			before := network.used(b)
			callers(b, batchSize, func(ctx context.Context, i int) error {
				from := i % (len(w.questions) / batchSize) * batchSize
				_, err := client.BatchAllowed(ctx,
					&netpoldv1.BatchAllowedRequest{Questions: w.questions[from : from+batchSize]}, byHand)
				return err
			})
			network.report(b, before, batchSize)
		})
	}
}

// encodedQuestions are requests, and the same in their wire form.
type encodedQuestions struct {
	questions       []*netpoldv1.AllowedRequest
	single, batches [][]byte
}

// sharedQuestions returns questions between Pods by one of their addresses.
func sharedQuestions(told *synthetic.Cluster, address int) encodedQuestions {
	var e encodedQuestions
	batch := &netpoldv1.BatchAllowedRequest{}
	e.questions = randomQuestions(told, address, 8*batchSize)
	for _, q := range e.questions {
		single, err := proto.Marshal(q)
		if err != nil {
			panic(err)
		}
		e.single = append(e.single, single)
		if batch.Questions = append(batch.Questions, q); len(batch.GetQuestions()) == batchSize {
			encoded, err := proto.Marshal(batch)
			if err != nil {
				panic(err)
			}
			e.batches, batch = append(e.batches, encoded), &netpoldv1.BatchAllowedRequest{}
		}
	}
	return e
}

// rawBytes is a codec whose messages are bytes.
type rawBytes struct{}

func (rawBytes) Name() string { return "proto" }

func (rawBytes) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(proto.Message); ok {
		b, err := proto.Marshal(m)
		return mem.BufferSlice{mem.SliceBuffer(b)}, err
	}
	b, _ := v.([]byte)
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (rawBytes) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(proto.Message); ok {
		return proto.Unmarshal(data.Materialize(), m)
	}
	if b, ok := v.(*[]byte); ok && data.Len() < 1024 {
		*b = data.Materialize()
	}
	return nil
}

// A child is a server in a process of its own.
type child struct{ conns []*grpc.ClientConn }

// childServer starts a process that serves on the addresses, until the benchmark ends.
func childServer(b *testing.B, addresses ...string) *child {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^$")
	cmd.Env = append(os.Environ(), benchServer+"="+strings.Join(addresses, ","))
	cmd.Stderr = os.Stderr
	stop, err := cmd.StdinPipe() // closed, it ends
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	c := &child{}
	b.Cleanup(func() {
		for _, conn := range c.conns {
			_ = conn.Close()
		}
		_ = stop.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	for address := range strings.FieldsSeq(line) {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		c.conns = append(c.conns, conn)
	}
	return c
}

// used returns the processor time of the server.
func (c *child) used(b *testing.B) time.Duration {
	b.Helper()
	var used durationpb.Duration
	if err := c.conns[0].Invoke(b.Context(), usedMethod, &emptypb.Empty{}, &used, grpc.ForceCodecV2(rawBytes{})); err != nil {
		b.Fatal(err)
	}
	return used.AsDuration()
}

// report reports the processor time of the server since before, for calls of so many questions.
func (c *child) report(b *testing.B, before time.Duration, questions int) {
	b.Helper()
	spent := c.used(b) - before
	b.ReportMetric(float64(spent.Nanoseconds())/(float64(b.N)*float64(questions)), "server-ns/question")
}

const usedMethod = "/netpold.bench.Used/Call"

// usedService has one method, which says how much processor time the process has used.
var usedService = grpc.ServiceDesc{
	ServiceName: "netpold.bench.Used",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Call",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			if err := decode(new(emptypb.Empty)); err != nil {
				return nil, err
			}
			var usage syscall.Rusage
			err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
			return durationpb.New(time.Duration(usage.Utime.Nano() + usage.Stime.Nano())), err
		},
	}},
}

// serveBenchmark serves on addresses until standard input ends.
func serveBenchmark(addresses []string) error {
	told := synthetic.NewDualStack(synthetic.Sizes[1])
	source := synced()
	source.Apply(told.Changes()...)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, len(addresses))
	var bound []string
	for i, change := range []func(*server.Config){func(*server.Config) {}, server.WithMessages} {
		config := server.Defaults()
		config.Source, config.Listen, config.AdminListen, config.DrainDelay = source, addresses[i], "", 0
		change(&config)
		s, err := server.New(config)
		if err != nil {
			return err
		}
		server.Register(s, &emptyService, struct{}{})
		server.Register(s, &usedService, struct{}{})
		go func() { ended <- s.Run(ctx) }()
		bound = append(bound, s.Addr())
	}
	network, address := "tcp", addresses[2]
	path, isUnix := strings.CutPrefix(address, "unix://")
	if isUnix {
		network, address = "unix", path
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	if !isUnix {
		address = listener.Addr().String()
	} else {
		address = "unix://" + path
	}
	bare := server.BareTransport()
	netpoldv1.RegisterDecisionServiceServer(bare, fixed{})
	go func() { ended <- bare.Serve(listener) }()
	if _, err := fmt.Fprintln(os.Stdout, strings.Join(append(bound, address), " ")); err != nil {
		return err
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	stop()
	bare.Stop()
	return errors.Join(<-ended, <-ended, <-ended)
}

// A fixed answers every question alike.
type fixed struct {
	netpoldv1.UnimplementedDecisionServiceServer
}

// Allowed returns a typical answer.
func (fixed) Allowed(context.Context, *netpoldv1.AllowedRequest) (*netpoldv1.AllowedResponse, error) {
	return &netpoldv1.AllowedResponse{
		Reason: netpoldv1.Reason_REASON_DENIED_AT_INGRESS, Egress: &netpoldv1.Side{Allowed: true},
		Ingress: &netpoldv1.Side{Isolated: true, IsolatedBy: []string{"namespace-12/default-deny"}, IsolatedByTotal: 1,
			Tier: netpoldv1.Tier_TIER_NETWORK_POLICY}, Revision: 1, Token: "servertest:1",
	}, nil
}
